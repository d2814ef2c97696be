"""One browser at a guest's screen: the bytes of RFB, VNC's protocol, go to and fro as they are."""

import contextlib
import socket

from eucabox.console.socket_loop import TURN_SECONDS
from eucabox.console.socket_right import SocketRight
from eucabox.console.web_socket import ENDED, NOT_ACCEPTABLE, WebSocket

KEYS_AND_CLICKS = (b"\4", b"\5")  # how such a message of RFB begins
PIECE = 64 * 1024  # bytes of a message
MOST_WAITING = 64 * 1024  # bytes that wait for the hypervisor


class ScreenViewer:
    """A browser that looks on; `descriptor` is the hypervisor's, which is closed with it."""

    def __init__(self, web_socket: WebSocket, right: SocketRight, descriptor: int) -> None:
        self.web_socket = web_socket
        self._right = right
        self._screen = socket.socket(fileno=descriptor)
        self._screen.setblocking(False)
        self._input = bytearray()

    def take(self, message: str | bytes) -> None:
        """Send keys and clicks to the guest."""
        if isinstance(message, str):
            self.web_socket.close(NOT_ACCEPTABLE, "RFB is sent as bytes.")
            return
        if message[:1] in KEYS_AND_CLICKS:
            self._right.count_use()
        self._input += message
        self._push()

    def can_take(self) -> bool:
        """Whether the hypervisor keeps up."""
        return len(self._input) < MOST_WAITING

    def refill(self) -> float:
        """Send what the screen shows, as far as the browser takes it."""
        self._push()
        while self.web_socket.has_room:
            try:
                data = self._screen.recv(PIECE)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.web_socket.close(ENDED, "The screen is gone.")
                break
            self.web_socket.send(data)
        return TURN_SECONDS if not self._input else TURN_SECONDS / 20

    def other_descriptor(self) -> int:
        """The hypervisor's."""
        return self._screen.fileno()

    def check(self) -> None:
        """End it with the session, or the right to it."""
        if end := self._right.find_end():
            self.web_socket.close(*end)

    def leave(self) -> None:
        """The browser is gone."""
        self._screen.close()

    def _push(self) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                while self._input:
                    del self._input[: self._screen.send(self._input)]
            except BlockingIOError:
                raise
            except OSError:
                self._input.clear()  # the reading end tells of it
