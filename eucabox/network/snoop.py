"""Hears DHCP replies and ARP on every device of this host; decides nothing and changes nothing.

One packet socket bound to no device sees each frame at the port by which it came in, before any
packet rule and without promiscuous mode.
"""

import contextlib
import ctypes
import logging
import select
import socket
import struct
import threading
import time
from collections.abc import Callable

from eucabox.network.packets import AddressClaim, Lease, read

log = logging.getLogger("eucabox.network")
EVERY_PROTOCOL = 3  # ETH_P_ALL
ATTACH_FILTER = 26  # SO_ATTACH_FILTER, which Python has no name for
ETHERNET = 1  # the kind of device whose frames begin with two MACs
LONGEST = 2048
BATCH = 64  # frames read in one go; a guest that floods us with more is made to wait
PAUSE = 0.05
STOP_SECONDS = 2.0
# Classic BPF: operation, jump if true, jump if false, operand.
FILTER = (
    (0x20, 0, 0, 0xFFFFF030),  # is there a VLAN tag? Its addresses are another network's
    (0x15, 0, 11, 0),
    (0x28, 0, 0, 12),  # ARP
    (0x15, 8, 0, 0x0806),
    (0x15, 0, 8, 0x0800),  # or IPv4
    (0x30, 0, 0, 23),  # with UDP
    (0x15, 0, 6, 17),
    (0x28, 0, 0, 20),  # not a later fragment
    (0x45, 4, 0, 0x1FFF),
    (0xB1, 0, 0, 14),  # from DHCP's server port
    (0x48, 0, 0, 14),
    (0x15, 0, 1, 67),
    (0x06, 0, 0, LONGEST),
    (0x06, 0, 0, 0),
)
Heard = Callable[[str, bool, Lease | AddressClaim], None]


class Snoop:
    """A thread that calls `heard(device, outgoing, what)` for each frame that says something.

    `tend()` is called after that and returns the seconds until it wants to be called again, or
    None. Whatever they raise is logged; the thread goes on.
    """

    def __init__(self, heard: Heard, tend: Callable[[], float | None]) -> None:
        self._heard = heard
        self._tend = tend
        self._socket: socket.socket | None = None
        self._bell: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Begin to listen, unless that is done. Raises OSError where it is not allowed."""
        if self._thread is not None and self._thread.is_alive():
            return
        self.close()
        self._socket = _open()
        self._bell, ringing = socket.socketpair()
        arguments = (self._socket, ringing)
        self._thread = threading.Thread(
            target=self._listen, args=arguments, name="snoop", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        if self._bell is not None:
            self._bell.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_SECONDS)
        if self._socket is not None:
            self._socket.close()
        self._bell = self._thread = self._socket = None

    def send(self, device: str, frame: bytes) -> None:
        """Send a frame by a device; one that is gone or down takes none."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(frame, (device, 0))

    def _listen(self, ear: socket.socket, ringing: socket.socket) -> None:
        wait: float | None = None
        with ringing:
            while True:
                ready, _, _ = select.select([ear, ringing], [], [], wait)
                if ringing in ready:
                    return
                try:
                    if ready:
                        self._receive(ear)
                    wait = self._tend()
                except Exception:  # no packet may end the thread
                    log.exception("role=cluster a packet could not be taken in")
                    time.sleep(PAUSE)

    def _receive(self, ear: socket.socket) -> None:
        for _ in range(BATCH):
            try:
                frame, (device, _, direction, kind, *_) = ear.recvfrom(LONGEST)
            except BlockingIOError:
                return
            what = read(frame) if kind == ETHERNET else None
            if what is not None:
                self._heard(device, direction == socket.PACKET_OUTGOING, what)
        time.sleep(PAUSE)


def _open() -> socket.socket:
    """Return a socket in which no frame waits that its filter would not let in."""
    ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL))
    try:
        ear.setblocking(False)
        _attach(ear, FILTER[-1:])
        with contextlib.suppress(BlockingIOError):
            while True:
                ear.recv(1)
        _attach(ear, FILTER)
    except BaseException:
        ear.close()
        raise
    return ear


def _attach(ear: socket.socket, steps: tuple[tuple[int, int, int, int], ...]) -> None:
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(program)
    fprog = struct.pack("HP", len(steps), ctypes.addressof(buffer))
    ear.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, fprog)
