"""What libvirt counts of guests: processor time, memory, bytes of disk and network; keeps none."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from eucabox.domains.libvirt_binding import VirConnect, VirDomain, libvirt

KIB = 1024
NANOSECONDS = 1e9
RECEIVED, SENT = 0, 4  # places in what interfaceStats returns


@dataclass(frozen=True)
class GuestCounters:
    """What a guest used since it began: seconds of all its processors together, bytes of its disks
    and its network; and its memory on this host now. None is what its hypervisor does not count.
    """

    cpu_seconds: float
    memory_bytes: int | None = None
    disk_read_bytes: int | None = None
    disk_write_bytes: int | None = None
    network_in_bytes: int | None = None
    network_out_bytes: int | None = None


def count_all(virt: VirConnect, *, with_disks: bool) -> list[tuple[VirDomain, GuestCounters]]:
    """Return the counters of all running guests by one call, without those that it would have to
    wait for; raises libvirtError, such as VIR_ERR_NO_SUPPORT of Xen's."""
    wanted = libvirt.VIR_DOMAIN_STATS_CPU_TOTAL | libvirt.VIR_DOMAIN_STATS_BALLOON
    wanted |= libvirt.VIR_DOMAIN_STATS_INTERFACE
    if with_disks:
        wanted |= libvirt.VIR_DOMAIN_STATS_BLOCK
    flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING
    flags |= libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
    counted = virt.getAllDomainStats(wanted, flags)
    return [(domain, read_stats(stats)) for domain, stats in counted if "cpu.time" in stats]


def count_each(
    virt: VirConnect, find_device: Callable[[VirDomain], str | None]
) -> Iterable[tuple[VirDomain, GuestCounters]]:
    """Yield the counters of each running guest whose device is known, where libvirt has no call for
    all of them."""
    for domain in virt.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING):
        device = find_device(domain)
        if device is None:
            continue
        try:
            _, _, memory_kib, _, nanoseconds = domain.info()
            network = domain.interfaceStats(device)
        except libvirt.libvirtError:  # it has just ended
            continue
        yield (
            domain,
            GuestCounters(
                cpu_seconds=nanoseconds / NANOSECONDS,
                memory_bytes=memory_kib * KIB,
                network_in_bytes=network[RECEIVED],
                network_out_bytes=network[SENT],
            ),
        )


def read_stats(stats: Mapping[str, int]) -> GuestCounters:
    """Read what libvirt counts under its own names."""
    memory_kib = stats.get("balloon.rss", stats.get("balloon.current"))
    return GuestCounters(
        cpu_seconds=stats["cpu.time"] / NANOSECONDS,
        memory_bytes=None if memory_kib is None else memory_kib * KIB,
        disk_read_bytes=_sum(stats, "block", "rd.bytes"),
        disk_write_bytes=_sum(stats, "block", "wr.bytes"),
        network_in_bytes=_sum(stats, "net", "rx.bytes"),
        network_out_bytes=_sum(stats, "net", "tx.bytes"),
    )


def _sum(stats: Mapping[str, int], kind: str, name: str) -> int | None:
    """Add up a counter of all devices of a kind; None where none is counted."""
    counts = [
        stats[key]
        for number in range(stats.get(f"{kind}.count", 0))
        if (key := f"{kind}.{number}.{name}") in stats
    ]
    return sum(counts) if counts else None
