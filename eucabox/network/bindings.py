"""MAC-to-IP bindings from DHCP and ARP, with their lifetime. In memory only; sends no packet.

A DHCP server's lease counts at once. A guest's own claim, by ARP, counts only if no seen lease of
the address still runs, and after a moment without an objection.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from eucabox.network.packets import AddressClaim, Lease

OBJECTION = 1.0  # seconds that others have to say that a claimed address is theirs
FOR_EVER = 0xFFFFFFFF  # DHCP's number for a lease without an end
LONGEST = 10 * 365 * 86400
SEEN = 600.0  # seconds that an address counts after the guest used it


@dataclass(frozen=True)
class KnownAddress:
    """A guest by its device on this host and its address, which is empty while not known."""

    tap: str
    ip: str


@dataclass
class Binding:
    """The state of one guest's address. Times are monotonic."""

    tap: str
    ip: str = ""
    leased_until: float = 0.0
    seen_until: float = 0.0
    claimed: str = ""
    due: float = 0.0


class BindingTable:
    """Entries by MAC. An address is never in two of them."""

    def __init__(self) -> None:
        self._entries: dict[str, Binding] = {}
        self._lock = threading.Lock()

    def keep_only(self, guests: Mapping[str, KnownAddress]) -> None:
        """Keep exactly these guests, by MAC; their bindings stay."""
        with self._lock:
            self._entries = {mac: self._entry(mac, known) for mac, known in guests.items()}

    def add(self, mac_address: str, known: KnownAddress) -> None:
        """Know this guest too."""
        with self._lock:
            self._entries[mac_address] = self._entry(mac_address, known)

    def drop(self, mac_address: str) -> None:
        """Forget a guest."""
        with self._lock:
            self._entries.pop(mac_address, None)

    def guests(self) -> dict[str, KnownAddress]:
        """Return every guest by its MAC."""
        with self._lock:
            return {mac: KnownAddress(entry.tap, entry.ip) for mac, entry in self._entries.items()}

    def get_address(self, mac_address: str) -> KnownAddress | None:
        """Return a guest, or None if the MAC is nobody's."""
        with self._lock:
            entry = self._entries.get(mac_address)
            return KnownAddress(entry.tap, entry.ip) if entry is not None else None

    def is_claimed(self, ip: IPv4Address) -> bool:
        """Tell whether a guest's claim to an address waits for objections."""
        with self._lock:
            return any(entry.claimed == str(ip) for entry in self._entries.values())

    def record_lease(self, lease: Lease) -> bool:
        """Record a DHCP lease; True if it gives the guest a new address."""
        with self._lock:
            entry = self._entries.get(lease.mac_address)
            if (
                entry is None
                or not is_possible(lease.ip)
                or self._is_leased_to_other(entry, str(lease.ip))
            ):
                return False
            seconds = LONGEST if lease.seconds == FOR_EVER else lease.seconds
            changed = self._give(entry, str(lease.ip))
            entry.leased_until = time.monotonic() + seconds
            return changed

    def record_claim(self, claim: AddressClaim) -> list[str]:
        """Record a guest's claim by ARP; return the addresses to probe, if it must be checked."""
        with self._lock:
            entry, ip = self._entries.get(claim.mac_address), str(claim.ip)
            now = time.monotonic()
            if entry is None:
                return []
            if ip == entry.ip:
                entry.seen_until, entry.claimed = now + SEEN, ""
                return []
            sure = now < max(entry.leased_until, entry.seen_until)
            if sure or entry.claimed or not is_possible(claim.ip) or self._is_used(ip):
                return []
            entry.claimed, entry.due = ip, now + OBJECTION
            return [each for each in (ip, entry.ip) if each]

    def reject_claim(self, claim: AddressClaim) -> None:
        """Drop the claims to an address that another machine has."""
        with self._lock:
            for entry in self._entries.values():
                if entry.claimed == str(claim.ip):
                    entry.claimed = ""

    def settle_claims(self) -> tuple[list[str], float | None]:
        """Return the guests that have an address by a claim just now, and the seconds to the next.

        None: nobody's claim waits.
        """
        with self._lock:
            now = time.monotonic()
            waiting = [(mac, entry) for mac, entry in self._entries.items() if entry.claimed]
            ready = [mac for mac, entry in waiting if entry.due <= now and self._grant(entry, now)]
            times = [entry.due - now for _, entry in waiting if entry.claimed]
            return ready, min(times, default=None)

    def forget_address(self, mac_address: str) -> None:
        """Forget an address that could not be announced; the guest's next packet counts."""
        with self._lock:
            entry = self._entries.get(mac_address)
            if entry is not None:
                self._entries[mac_address] = Binding(entry.tap)

    def _grant(self, entry: Binding, now: float) -> bool:
        ip, entry.claimed = entry.claimed, ""
        if self._is_used(ip):
            return False
        entry.seen_until = now + SEEN
        return self._give(entry, ip)

    def _entry(self, mac_address: str, known: KnownAddress) -> Binding:
        """Return the binding of a guest, or one made of its row if no packet was seen."""
        entry = self._entries.get(mac_address)
        return entry if entry is not None and entry.ip else Binding(known.tap, known.ip)

    def _give(self, entry: Binding, ip: str) -> bool:
        changed = entry.ip != ip
        for other in self._entries.values():
            if other is not entry and other.ip == ip:
                other.ip, other.leased_until, other.seen_until = "", 0.0, 0.0
        entry.ip, entry.claimed = ip, ""
        return changed

    def _is_leased_to_other(self, binding: Binding, ip: str) -> bool:
        """Tell whether another guest's lease of an address still runs: a server gives the address
        to a second guest that uses the first one's client identifier."""
        now = time.monotonic()
        others = (entry for entry in self._entries.values() if entry is not binding)
        return any(entry.ip == ip and entry.leased_until > now for entry in others)

    def _is_used(self, ip: str) -> bool:
        return any(entry.ip == ip for entry in self._entries.values())


def is_possible(ip: IPv4Address) -> bool:
    """Tell whether a machine can have this address."""
    nobodys = ip.is_multicast or ip.is_loopback or ip.is_link_local or ip.is_reserved
    return not nobodys and int(ip) >= 1 << 24
