"""Hears of the kernel when packet rules are deleted or devices change; changes nothing itself."""

import logging
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

log = logging.getLogger("eucabox.network")
NETFILTER = 12  # NETLINK_NETFILTER, which Python has no name for
RULES_GROUP = 1 << 6  # NFNLGRP_NFTABLES
LINKS_GROUP = 1  # RTMGRP_LINK
HEAD = struct.Struct("=IHHII")
DELETIONS = frozenset(10 << 8 | kind for kind in (2, 5, 8, 11))  # table, chain, rule, set
NEW_LINK, DEL_LINK = 16, 17
RULES_HEAD, LINK_HEAD = 4, 16  # bytes between a message's head and its attributes
TABLE_NAME, LINK_NAME = 1, 3  # attributes
LONGEST = 1 << 16
BUFFER = 1 << 20
STOP_SECONDS = 2.0
PAUSE = 0.5  # seconds after a fault
# Seconds in which events are gathered: a launch, or our own new rules, make dozens. Guests can send
# nothing without their rules meanwhile, as the guard holds their devices shut.
GATHER = 0.05


class Events:
    """A thread that calls `changed` with the names when tables or devices that are ours by their
    names change; with none where events were lost.

    What `changed` raises is logged; the thread goes on, and with the next change it tells no names.
    """

    def __init__(self, is_ours: Callable[[str], bool], changed: Callable[[set[str]], None]) -> None:
        self._is_ours = is_ours
        self._changed = changed
        self._bell: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._failed = False  # to restore what was told last

    def open(self) -> None:
        """Begin to listen, unless that is done. Raises OSError where it is not allowed."""
        if self._thread is not None and self._thread.is_alive():
            return
        self.close()
        ears = [listen(NETFILTER, RULES_GROUP), listen(socket.NETLINK_ROUTE, LINKS_GROUP)]
        self._bell, ringing = socket.socketpair()
        self._thread = threading.Thread(
            target=self._run, args=(ears, ringing), name="network events", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        if self._bell is not None:
            self._bell.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_SECONDS)
        self._bell = self._thread = None

    def _run(self, ears: list[socket.socket], ringing: socket.socket) -> None:
        with ringing, ears[0], ears[1]:
            while True:
                ready, _, _ = select.select([*ears, ringing], [], [])
                if ringing in ready:
                    return
                try:
                    self._tell(ready, ears)
                except Exception as problem:  # the thread outlives every fault
                    log.warning("role=cluster the network can't be mended: %s", problem)
                    time.sleep(PAUSE)

    def _tell(self, ready: list[socket.socket], ears: list[socket.socket]) -> None:
        changed, lost = self._read(ready)
        if not changed and not lost:
            return
        time.sleep(GATHER)
        more, more_lost = self._read(ears)
        is_known = not (lost or more_lost or self._failed)
        self._failed = True
        self._changed(changed | more if is_known else set())
        self._failed = False

    def _read(self, ears: list[socket.socket]) -> tuple[set[str], bool]:
        """Read all that waits; return what of it is ours, and whether there was too much to keep,
        which may have been ours."""
        changed, lost = set[str](), False
        for ear in ears:
            while True:
                try:
                    data = ear.recv(LONGEST)
                except BlockingIOError:
                    break
                except OSError:  # ENOBUFS
                    lost = True
                    continue
                changed.update(filter(self._is_ours, names(data)))
        return changed, lost


def names(data: bytes) -> Iterator[str]:
    """Yield the tables of which something was deleted and the devices that changed."""
    place = 0
    while place + HEAD.size <= len(data):
        length, kind, *_ = HEAD.unpack_from(data, place)
        if not HEAD.size <= length <= len(data) - place:
            return
        body = data[place + HEAD.size : place + length]
        if kind in DELETIONS:
            yield _attribute(body[RULES_HEAD:], TABLE_NAME)
        elif kind in (NEW_LINK, DEL_LINK):
            yield _attribute(body[LINK_HEAD:], LINK_NAME)
        place += length + 3 & ~3


def _attribute(data: bytes, wanted: int) -> str:
    place = 0
    while place + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, place)
        if length < 4:
            break
        if kind & 0x3FFF == wanted:
            return data[place + 4 : place + length].rstrip(b"\0").decode("utf-8", "replace")
        place += length + 3 & ~3
    return ""


def listen(protocol: int, groups: int) -> socket.socket:
    """Return a socket that hears what the kernel tells these groups; raises OSError."""
    ear = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    try:
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        ear.setblocking(False)
        ear.bind((0, groups))
    except OSError:
        ear.close()
        raise
    return ear
