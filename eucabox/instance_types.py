"""The instance types: default sizes, for a laptop, and the administrator's sizes."""

import platform
from dataclasses import dataclass, replace
from typing import Any

from eucabox.errors import ImageTooLarge, InvalidParameterValue
from eucabox.state import State


@dataclass(frozen=True)
class InstanceType:
    """What one instance of a type is promised: virtual CPUs, memory in MiB, disk in GiB."""

    name: str
    vcpus: int
    memory_mb: int
    disk_gb: int


DEFAULT = "m1.small"
GIB = 2**30
# The least and the most of each size; a guest with less memory does not boot. On aarch64 UEFI
# boots every guest: with 128 MiB it ends in an exception at Debian's kernel.
LIMITS = {"vcpus": (1, 255), "memory_mb": (32, 2**22), "disk_gb": (1, 1000)}
if platform.machine() == "aarch64":
    LIMITS["memory_mb"] = (192, 2**22)
DEFAULT_SIZES = {
    each.name: each
    for each in (
        InstanceType("m1.tiny", 1, max(128, LIMITS["memory_mb"][0]), 1),
        InstanceType("m1.small", 1, 256, 2),
        InstanceType("m1.medium", 1, 512, 5),
        InstanceType("c1.medium", 2, 512, 5),
        InstanceType("m1.large", 2, 1024, 10),
        InstanceType("m1.xlarge", 2, 2048, 20),
        InstanceType("c1.xlarge", 4, 4096, 20),
    )
}


def current_types(state: State) -> dict[str, InstanceType]:
    """Return every type by its name, smallest first, with the sizes that it has now."""
    rows = {row["name"]: row for row in state.query("select * from instance_types")}
    return {
        name: InstanceType(**rows[name]) if name in rows else kind
        for name, kind in DEFAULT_SIZES.items()
    }


def get_type(state: State, name: str) -> InstanceType:
    """Return a type with the sizes that it has now; raises InvalidParameterValue."""
    types = current_types(state)
    if name not in types:
        reason = f"The instance types are: {', '.join(types)}."
        raise InvalidParameterValue(parameter="InstanceType", value=str(name)[:60], reason=reason)
    return types[name]


def check_disk(type_name: str, disk_gb: int, image_id: str, needed: int) -> None:
    """Raise ImageTooLarge where an image that needs so many bytes has no place on a type's disk."""
    if needed > disk_gb * GIB:
        raise ImageTooLarge(
            id=image_id, needed=-(-needed // 2**20), type=type_name, disk=disk_gb * 1024
        )


def change(state: State, name: str, **sizes: Any) -> None:
    """Change sizes of a known type; existing instances keep theirs."""
    with state.transaction() as database:
        kind = replace(current_types(state)[name], **sizes)
        database.conn.execute(
            "insert or replace into instance_types (name, vcpus, memory_mb, disk_gb)"
            " values (?, ?, ?, ?)",
            (kind.name, kind.vcpus, kind.memory_mb, kind.disk_gb),
        )


def restore_default(state: State, name: str) -> None:
    """Reset a type to its default sizes."""
    with state.transaction() as database:
        database.conn.execute("delete from instance_types where name = ?", (name,))
