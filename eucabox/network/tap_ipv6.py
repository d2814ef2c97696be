"""Keeps IPv6 addresses off instances' devices from their first moment; makes no device.

Nobody speaks IPv6 to a tap. Yet the kernel gives each an address: a tentative one as it is switched
on, of which it tells others a second or two later, once nobody else has it. Browsers on this host
drop the requests that wait when an address that they know of comes or goes.
"""

import logging
import select
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from eucabox.network.bridge import IPV6_OFF
from eucabox.network.nft_events import LINKS_GROUP, LONGEST, STOP_SECONDS, listen, names

log = logging.getLogger("eucabox.network")


class TapIpv6:
    """A thread that hears of new devices of one bridge, and has no other work to finish first."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._bell: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Begin to listen, unless that is done. Raises OSError where it is not allowed."""
        if self._thread is not None and self._thread.is_alive():
            return
        self.close()
        ear = listen(socket.NETLINK_ROUTE, LINKS_GROUP)
        self._bell, ringing = socket.socketpair()
        self._thread = threading.Thread(
            target=self._run, args=(ear, ringing), name="taps' IPv6", daemon=True
        )
        self._thread.start()
        self.disable(_list_devices())

    def close(self) -> None:
        """Listen no more."""
        if self._bell is not None:
            self._bell.close()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        self._bell = self._thread = None

    def _run(self, ear: socket.socket, ringing: socket.socket) -> None:
        with ear, ringing:
            while True:
                ready, _, _ = select.select([ear, ringing], [], [])
                if ringing in ready:
                    return
                self.disable(self._hear(ear))

    def _hear(self, ear: socket.socket) -> list[str]:
        """Return the devices that changed; where too many did, all that are there."""
        try:
            heard = names(ear.recv(LONGEST))
        except BlockingIOError:
            return []
        except OSError:  # ENOBUFS
            return _list_devices()
        return list(heard)

    def disable(self, devices: Iterable[str]) -> None:
        """Have no IPv6 on those of these devices that are ours."""
        for name in devices:
            if not name.startswith(self._prefix):
                continue
            try:
                _write_off(Path(IPV6_OFF.format(name=name)))
            except FileNotFoundError:  # the device is gone, or this kernel has no IPv6
                continue
            except OSError as problem:
                log.debug("role=cluster %s keeps IPv6: %s", name, problem)


def _list_devices() -> list[str]:
    with suppress(OSError):
        return [name for _, name in socket.if_nameindex()]
    return []


def _write_off(file: Path) -> None:
    if file.read_bytes().strip() != b"1":
        file.write_bytes(b"1")
