"""`eucabox status`: what runs here, from the files of the data directory."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from eucabox.cli import CommandContext, background
from eucabox.cli.data_owner import act_as_owner
from eucabox.config import Config
from eucabox.errors import NotSetUp
from eucabox.iam.credentials_folder import credentials_command
from eucabox.state import State

INDENT = "\n" + " " * 17  # a list has an item a line, below the first
COUNTED = ("users", "images", "key_pairs", "security_groups")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def status(settings: CommandContext, as_json: bool) -> None:
    """Say whether eucabox runs, where, on what hypervisor, and what it holds; 3 when it is down."""
    with act_as_owner(settings.config):
        facts = collect(settings.config)
    if as_json:
        click.echo(json.dumps(facts, indent=1))
    else:
        for name, value in facts.items():
            text = (
                _describe_node(value)
                if isinstance(value, dict) and name == "node"
                else _plain(value)
            )
            click.echo(f"{name.replace('_', ' '):<16} {text}")
    sys.exit(0 if facts["running"] else 3)


def collect(config: Config) -> dict[str, object]:
    """Return the facts to print; raises NotSetUp where no cloud was ever started."""
    file = config.cloud.data_dir / "eucabox.db"
    if not file.exists():
        raise NotSetUp(folder=config.cloud.data_dir)
    pid = background.running_pid(config)
    facts = background.status(config) if pid else {}
    return {
        "running": bool(pid),
        "process": pid,
        **({"memory_mb": _memory_mb(pid)} if pid else {}),
        "data_dir": str(config.cloud.data_dir),
        "settings": {f"{name}.{key}": str(file) for name, key, _, file in config.list_settings()},
        **facts,
        **_counts(file),
        "credentials": credentials_command(config),
    }


def _counts(file: Path) -> dict[str, object]:
    state = State(file, migrates=False)
    instances = state.query("select state, count(*) as n from instances group by state")
    counted: dict[str, object] = {"instances": {row["state"]: row["n"] for row in instances}}
    for table in COUNTED:
        row = state.one(f"select count(*) as n from {table}")
        counted[table] = row["n"] if row else 0
    state.close()
    return counted


def _memory_mb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    kib = next(line.split()[1] for line in lines if line.startswith("VmRSS"))
    return int(kib) // 1024


def _describe_node(node: Mapping[str, Any]) -> str:
    facts = [node.get(each) for each in ("detail", "libvirt", "problem")]
    facts += _pairs(node.get("guests", {}))
    return "; ".join(str(each) for each in facts if each) or "-"


def _pairs(values: Mapping[str, object]) -> list[str]:
    return [f"{key} {_plain(each)}" for key, each in values.items()]


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(_pairs(value)) or "none"
    if isinstance(value, list):
        return INDENT.join(str(each) for each in value) or "none"
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
