"""A cloud keeps the names of its first start, and one from before has none to keep."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from eucabox import config as configuration
from eucabox.cloud import Cloud


def start(tmp_path: Path, settings: str = "") -> tuple[str, str]:
    """What a cloud calls itself that is opened once."""
    file = tmp_path / "eucabox.conf"
    (tmp_path / "data").mkdir(exist_ok=True)
    file.write_text(f"[cloud]\ndata_dir = {tmp_path / 'data'}\n{settings}\n")
    cloud = Cloud(configuration.load(file))
    cloud.close()
    return cloud.config.cloud.region, cloud.config.cloud.zone


def forget(tmp_path: Path) -> None:
    (tmp_path / "data" / configuration.NAMES).unlink()


def change(tmp_path: Path) -> None:
    names = {"region": "other-1", "zone": "other-1b"}
    (tmp_path / "data" / configuration.NAMES).write_text(json.dumps(names))


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        (lambda tmp_path: None, ("eucabox-1", "eucabox-1a")),
        (forget, ("eucabox", "eucabox-1a")),
        (change, ("other-1", "other-1b")),
    ],
)
def test_the_second_start_has_the_names_of_the_first(
    tmp_path: Path, between: Callable[[Path], None], expected: tuple[str, str]
) -> None:
    assert start(tmp_path) == ("eucabox-1", "eucabox-1a")
    between(tmp_path)
    assert start(tmp_path) == expected


@pytest.mark.not_fast
def test_a_name_in_the_file_is_kept_when_it_goes(tmp_path: Path) -> None:
    assert start(tmp_path, "region = lab-7") == ("lab-7", "lab-7a")
    assert start(tmp_path) == ("lab-7", "lab-7a")
