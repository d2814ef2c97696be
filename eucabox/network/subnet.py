"""Which network instances live in: chosen free of conflict once and remembered; makes nothing."""

import logging
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from pathlib import Path

from eucabox.atomic_files import make_folder, write_atomic
from eucabox.config import Config
from eucabox.errors import NetworkUnusable
from eucabox.network import host

log = logging.getLogger("eucabox.network")
CANDIDATES = (  # away from what home routers, VPNs, Docker and libvirt take first
    *IPv4Network("172.30.64.0/20").subnets(new_prefix=24),
    *IPv4Network("192.168.208.0/20").subnets(new_prefix=24),
    *IPv4Network("10.213.64.0/20").subnets(new_prefix=24),
)
SMALLEST = 28


def subnet(config: Config, bridge: str, in_use: bool = True) -> IPv4Network:
    """Return the configured subnet, or the one chosen before, or choose one.

    Where something else on this host has taken part of the one chosen before, another is chosen
    unless it is `in_use` by instances. Raises NetworkUnusable.
    """
    taken = host.list_occupied(except_for=bridge)
    if config.network.subnet != "auto":
        return _refuse_overlap(_refuse_small(IPv4Network(config.network.subnet)), taken, None)
    memory = config.cloud.data_dir / "network" / "subnet"
    if memory.exists():
        remembered = _read_memory(memory)
        overlapping = _find_overlap(remembered, taken)
        if in_use or not overlapping:
            return _refuse_overlap(remembered, taken, memory)
        log.warning("role=cluster %s has %s by now; choosing anew", overlapping[1], overlapping[0])
    chosen = choose(CANDIDATES, taken)
    make_folder(memory.parent, 0o755)
    write_atomic(memory, f"{chosen}\n".encode())
    return chosen


def choose(candidates: Iterable[IPv4Network], taken: Iterable[IPv4Network]) -> IPv4Network:
    """Return the first candidate that overlaps nothing taken; raises NetworkUnusable."""
    busy = list(taken)
    for candidate in candidates:
        if not any(candidate.overlaps(each) for each in busy):
            return candidate
    reason = (
        "Every network that eucabox would choose for instances is in use on this host."
        " Name a free one in the configuration: [network] subnet = A.B.C.0/24"
    )
    raise NetworkUnusable(reason=reason)


def _refuse_overlap(
    chosen: IPv4Network, taken: Mapping[IPv4Network, str], memory: Path | None
) -> IPv4Network:
    overlapping = _find_overlap(chosen, taken)
    if overlapping:
        network, user = overlapping
        way = " (once no instance runs, the next start chooses one)" if memory else ""
        reason = (
            f"The instances' network {chosen} overlaps {network}, which {user} uses on this"
            f" host. Set [network] subnet to a free network{way}."
        )
        raise NetworkUnusable(reason=reason)
    return chosen


def _find_overlap(
    chosen: IPv4Network, taken: Mapping[IPv4Network, str]
) -> tuple[IPv4Network, str] | None:
    return next((each for each in taken.items() if chosen.overlaps(each[0])), None)


def _refuse_small(chosen: IPv4Network) -> IPv4Network:
    if chosen.prefixlen > SMALLEST:
        reason = f"[network] subnet = {chosen} is too small; a /{SMALLEST} is the smallest."
        raise NetworkUnusable(reason=reason)
    return chosen


def _read_memory(memory: Path) -> IPv4Network:
    text = memory.read_text("utf-8", "replace").strip()
    try:
        return _refuse_small(IPv4Network(text))
    except ValueError:
        reason = f"{memory} holds {text[:40]!r}, which is no network. Remove the file."
        raise NetworkUnusable(reason=reason) from None
