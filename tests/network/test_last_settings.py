"""What a network was made of is known at its removal, whatever the configuration says by then."""

import json
from pathlib import Path

import pytest

from eucabox.config import CloudSection, Config, MetadataSection, NetworkSection
from eucabox.network import last_settings


def test_the_settings_of_the_last_start_come_back(tmp_path: Path) -> None:
    cloud = CloudSection(data_dir=tmp_path)
    network = NetworkSection(mode="SYSTEM", bridge="br0")
    metadata = MetadataSection(address="169.254.169.253")
    assert last_settings.read(Config(cloud=cloud)) is None
    last_settings.write(Config(cloud=cloud, network=network, metadata=metadata))
    last = last_settings.read(Config(cloud=cloud))
    assert last == Config(cloud=cloud, network=network, metadata=metadata)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"network": [], "metadata": {}}', '{"network": {}}']
)
def test_a_broken_file_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "network").mkdir()
    (tmp_path / "network" / "settings.json").write_text(text)
    assert last_settings.read(Config(cloud=CloudSection(data_dir=tmp_path))) is None


def test_what_another_release_knows_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "network").mkdir()
    written = {"network": {"bridge": "br0", "mode": 1, "later": "x"}, "metadata": {"later": 1}}
    (tmp_path / "network" / "settings.json").write_text(json.dumps(written))
    last = last_settings.read(Config(cloud=CloudSection(data_dir=tmp_path)))
    assert last is not None
    assert (last.network, last.metadata) == (NetworkSection(bridge="br0"), MetadataSection())
