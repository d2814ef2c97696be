"""The instance types, sized for a laptop; never how many of them fit."""

from dataclasses import dataclass


@dataclass(frozen=True)
class InstanceType:
    """What one instance of a type is promised: virtual CPUs, memory in MiB, disk in GiB."""

    name: str
    vcpus: int
    memory_mb: int
    disk_gb: int


DEFAULT = "m1.small"
TYPES = {
    each.name: each
    for each in (
        InstanceType("m1.tiny", 1, 128, 1),
        InstanceType("m1.small", 1, 256, 2),
        InstanceType("m1.medium", 1, 512, 5),
        InstanceType("c1.medium", 2, 512, 5),
        InstanceType("m1.large", 2, 1024, 10),
        InstanceType("m1.xlarge", 2, 2048, 20),
        InstanceType("c1.xlarge", 4, 4096, 20),
    )
}
