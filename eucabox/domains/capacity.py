"""How many instances fit on this host and in an account: sums over rows against limits; reserves
nothing itself."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from eucabox.config import Config, LimitsSection
from eucabox.errors import InstanceLimitExceeded, VcpuLimitExceeded
from eucabox.instance_states import ALIVE, COUNTED, InstanceState, sql_list
from eucabox.instance_types import InstanceType, current_types
from eucabox.state import State

# Idle guests cost next to no processor time, so a laptop's two cores hold more than two of them;
# memory is not shared out twice.
VCPUS_A_CORE = 8
MEMORY_RESERVE_MB = 512  # at least this, and at least an eighth, stays with the host
OVERHEAD_MB = 64  # kept back where the hypervisor itself gives memory to guests
DISK_RESERVE_GB = 1
MEASURED_FOR = 5.0  # seconds
MIB, GIB = 2**20, 2**30
UNLIMITED = 2**31
# A stopped instance uses only its disk.
_USED = f"""select coalesce(sum(iif(state in {sql_list(ALIVE)}, vcpus, 0)), 0) cores,
  coalesce(sum(iif(state in {sql_list(ALIVE)}, memory_mb, 0)), 0) memory_mb,
  coalesce(sum(disk_gb), 0) disk_gb from instances where state in
  {sql_list((*ALIVE, InstanceState.STOPPED))}"""
_USED_BY_ACCOUNT = f"""select count(*) instances, coalesce(sum(vcpus), 0) vcpus from instances
  where account_id = ? and state in {sql_list(COUNTED)}"""


@dataclass(frozen=True)
class Host:
    """What instances may take together: virtual CPUs, memory in MiB, disk in GiB."""

    cores: int
    memory_mb: int
    disk_gb: int


@dataclass(frozen=True)
class TypeCapacity:
    """A type and how many more of it fit, how many would fit on an empty host, and its sizes."""

    type: str
    free: int
    max: int
    vcpus: int
    memory_mb: int
    disk_gb: int


class Capacity:
    """Counts every instance that is not ended; call inside the caller's transaction."""

    def __init__(self, config: Config, state: State) -> None:
        self.config = config
        self._state = state
        self._lock = threading.Lock()
        # MiB for our guests where the hypervisor itself gives memory to guests; else None.
        self.hypervisor_memory_mb: int | None = None
        self._disk: tuple[float, int] = (-MEASURED_FOR, 0)

    def host(self) -> Host:
        """Return the configured limits, and for each that is 0 what this host has."""
        node = self.config.node
        return Host(
            cores=node.cores or processors() * VCPUS_A_CORE,
            memory_mb=node.memory_mb or self._memory_mb(),
            disk_gb=node.disk_gb or self._disk_gb(),
        )

    def sum_used(self) -> Host:
        """Return what instances have taken."""
        row = self._state.one(_USED)
        assert row is not None
        return Host(**row)

    def check(self, kind: InstanceType, count: int) -> int:
        """Return how many of `count` instances of a type fit now."""
        return min(count, _count_fitting(kind, _subtract(self.host(), self.sum_used())))

    def fits_again(self, vcpus: int, memory_mb: int) -> bool:
        """Tell whether a stopped instance of these sizes can start; its disk is counted already."""
        host, used = self.host(), self.sum_used()
        return used.cores + vcpus <= host.cores and used.memory_mb + memory_mb <= host.memory_mb

    def table(self) -> list[TypeCapacity]:
        """Return a row for each instance type, smallest first."""
        host = self.host()
        left = _subtract(host, self.sum_used())
        return [
            TypeCapacity(
                kind.name,
                _count_fitting(kind, left),
                _count_fitting(kind, host),
                kind.vcpus,
                kind.memory_mb,
                kind.disk_gb,
            )
            for kind in current_types(self._state).values()
        ]

    def _memory_mb(self) -> int:
        if self.hypervisor_memory_mb is None:
            return _memory_mb()
        return max(0, self.hypervisor_memory_mb - OVERHEAD_MB)

    def _disk_gb(self) -> int:
        """Return free space and what instances' disks take already: those are counted by type."""
        with self._lock:
            if time.monotonic() - self._disk[0] >= MEASURED_FOR:
                self._disk = (time.monotonic(), _disk_bytes(self.config.cloud.data_dir))
            return max(0, self._disk[1] // GIB - DISK_RESERVE_GB)


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def count_allowed(
    state: State, limits: LimitsSection, account_id: str, vcpus: int, least: int, most: int
) -> int:
    """Return how many of `most` instances of so many vCPUs the account may start now.

    Call inside the transaction that starts them. Raises InstanceLimitExceeded or
    VcpuLimitExceeded if it is fewer than `least`.
    """
    if not limits.instances and not limits.vcpus:
        return most
    used = state.one(_USED_BY_ACCOUNT, (account_id,)) or {"instances": 0, "vcpus": 0}
    by_count: int = (limits.instances or UNLIMITED) - used["instances"]
    if by_count < least:
        raise InstanceLimitExceeded(most=limits.instances, used=used["instances"], asked=least)
    by_vcpus: int = ((limits.vcpus or UNLIMITED) - used["vcpus"]) // vcpus
    if by_vcpus < least:
        raise VcpuLimitExceeded(most=limits.vcpus, used=used["vcpus"], asked=least * vcpus)
    return min(most, by_count, by_vcpus)


def _subtract(host: Host, used: Host) -> Host:
    return Host(
        host.cores - used.cores, host.memory_mb - used.memory_mb, host.disk_gb - used.disk_gb
    )


def _count_fitting(kind: InstanceType, left: Host) -> int:
    times = (
        left.cores // kind.vcpus,
        left.memory_mb // kind.memory_mb,
        left.disk_gb // kind.disk_gb,
    )
    return max(0, min(times))


def _memory_mb() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB
    return max(0, total - max(MEMORY_RESERVE_MB, total // 8))


def _disk_bytes(data_dir: Path) -> int:
    space = os.statvfs(data_dir)
    disks = (data_dir / "instances").glob("*/disk*")
    return space.f_bavail * space.f_frsize + sum(_bytes_on_disk(disk) for disk in disks)


def _bytes_on_disk(disk: Path) -> int:
    try:
        return disk.stat().st_blocks * 512
    except FileNotFoundError:  # an instance that ended meanwhile
        return 0
