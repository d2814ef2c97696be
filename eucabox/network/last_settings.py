"""What the network in force was made of, beside the data: it is removed by that, whatever the
configuration says by then. Makes and removes nothing else."""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from eucabox.atomic_files import make_folder, write_atomic
from eucabox.config import Config, MetadataSection, NetworkSection


def write(config: Config) -> None:
    """Note the settings by which a start makes its network."""
    file = _find(config.cloud.data_dir)
    settings = {"network": asdict(config.network), "metadata": asdict(config.metadata)}
    make_folder(file.parent, 0o755)
    write_atomic(file, json.dumps(settings, indent=1).encode())


def read(config: Config) -> Config | None:
    """Return a configuration with the settings of the last start's network; None without any."""
    try:
        settings = json.loads(_find(config.cloud.data_dir).read_bytes())
        network = NetworkSection(**_select(NetworkSection(), settings["network"]))
        metadata = MetadataSection(**_select(MetadataSection(), settings["metadata"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return replace(config, network=network, metadata=metadata)


def _find(data_dir: Path) -> Path:
    return data_dir / "network" / "settings.json"


def _select(section: NetworkSection | MetadataSection, values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what another release knows, and what has another type here."""
    kinds = {each.name: type(getattr(section, each.name)) for each in fields(section)}
    return {name: value for name, value in values.items() if type(value) is kinds.get(name)}
