"""Facts of an instance for the administrator's programs; no user data and no secrets."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from eucabox.atomic_files import write_atomic
from eucabox.state import Row, State

TOLD = """instance_id, reservation_id, account_id, ami_launch_index, image_id, kernel_id,
  ramdisk_id, instance_type, key_name, state, state_reason_code, state_reason_message,
  launch_time, availability_zone, architecture, virtualization_type, mac_address,
  private_ip_address, private_dns_name, vcpus, memory_mb, disk_gb, domain_uuid, root_device_name"""
GROUPS = """select group_name from security_groups natural join instance_groups
  where instance_id = ? order by group_name"""


class Bridged(Protocol):
    """What the programs need to know of the network."""

    @property
    def bridge(self) -> str:
        """The bridge that guests are on."""


class Facts:
    """The facts of instances, as they are at the moment."""

    def __init__(self, state: State, folder: Path, network: Bridged) -> None:
        self._state = state
        self._folder = folder
        self._network = network

    def describe(self, instance_id: str) -> dict[str, object]:
        """Return the facts of an instance; of one whose row is gone its id and folder alone."""
        row = self._state.one(f"select {TOLD} from instances where instance_id = ?", (instance_id,))
        tags = "select key, value from tags where resource_id = ? order by key"
        return {
            "instance_id": instance_id,
            **(row or {}),
            "tags": {each["key"]: each["value"] for each in self._ask(tags, instance_id)},
            "groups": [each["group_name"] for each in self._ask(GROUPS, instance_id)],
            "bridge": self._network.bridge,
            "instance_folder": str(self._folder / instance_id),
        }

    def write(self, instance_id: str) -> Path:
        """Write the facts into the instance's folder and return the file."""
        file = self._folder / instance_id / "instance.json"
        write_atomic(file, encode(self.describe(instance_id)), 0o600)
        return file

    def _ask(self, sql: str, instance_id: str) -> list[Row]:
        return self._state.query(sql, (instance_id,))


def encode(facts: Mapping[str, object]) -> bytes:
    """Return facts as one line of JSON in ASCII."""
    return json.dumps(facts).encode("ascii") + b"\n"
