"""Counts how often something is tried by an address or for a name, in bounded memory; forgets all
at a restart."""

import ipaddress
import threading
import time
from collections import OrderedDict

from eucabox.errors import TooManyAttempts

HOUR = 3600.0
MOST_KNOWN = 20_000
SUBNET_BITS = 64  # of an IPv6 address: what one client has whole


class Attempts:
    """What was tried within an hour; of more than fit, the oldest are forgotten."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, what: str, key: str, most: int) -> None:
        """Count one try; raises TooManyAttempts after `most` of them in the hour of the first."""
        now = time.monotonic()
        with self._lock:
            began, tries = self._counts.pop((what, key), (now, 0))
            if now - began >= HOUR:
                began, tries = now, 0
            self._counts[what, key] = (began, min(tries + 1, most + 1))
            if len(self._counts) > MOST_KNOWN:
                self._counts.popitem(last=False)
        if tries >= most:
            raise TooManyAttempts()

    def count_source(self, what: str, source: str, most: int) -> None:
        """Count a try by a client's address; raises TooManyAttempts. The operator has none."""
        if source:
            self.count(what, get_network(source), most)


def get_network(source: str) -> str:
    """Return what one client has whole: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return source[:SUBNET_BITS]
    if address.version == 4:
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped or ipaddress.ip_network((address, SUBNET_BITS), strict=False))
