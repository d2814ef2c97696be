"""One browser at a guest's serial console: what the guest writes goes to it, what is typed, back.

Binary messages are the guest's bytes, either way. Texts are JSON, from here alone: {"replay": true}
before what was written earlier, {"live": true} after it, {"status": "open"} and so on.
"""

import json

from eucabox.console.socket_loop import TURN_SECONDS, SocketLoop
from eucabox.console.socket_right import SocketRight
from eucabox.console.web_socket import NOT_ACCEPTABLE, WebSocket
from eucabox.domains.serial_lines import AttachSerial

PIECE = 32 * 1024  # bytes of a message


class SerialViewer:
    """A browser that looks on."""

    def __init__(
        self, web_socket: WebSocket, right: SocketRight, loop: SocketLoop, attach: AttachSerial
    ) -> None:
        self.web_socket = web_socket
        self._right = right
        self._line = attach(self, loop.wake)
        self._place = self._line.find_start()
        self._live_from = self._line.end
        self._is_live = False
        self._status = ""
        web_socket.send(json.dumps({"replay": True}))

    def take(self, message: str | bytes) -> None:
        """Send what was typed to the guest."""
        if isinstance(message, str):
            self.web_socket.close(NOT_ACCEPTABLE, "What is typed is sent as bytes.")
            return
        self._right.count_use()
        self._line.write(message)

    def can_take(self) -> bool:
        """Whether the guest keeps up with what is typed."""
        return self._line.has_room

    def refill(self) -> float:
        """Send what the guest has written, and whether it is there."""
        web_socket = self.web_socket
        while web_socket.has_room:
            data, self._place = self._line.read(self._place, PIECE)
            if data:
                web_socket.send(data)
            if not self._is_live and self._place >= self._live_from:
                self._is_live = True
                web_socket.send(json.dumps({"live": True}))
            if not data:
                break
        if self._status != self._line.status and web_socket.has_room:
            self._status = self._line.status
            web_socket.send(json.dumps({"status": self._status}))
        return TURN_SECONDS

    def other_descriptor(self) -> int:
        """None: libvirt's own thread reads the guest's console."""
        return -1

    def check(self) -> None:
        """End it with the session, or the right to it."""
        if end := self._right.find_end():
            self.web_socket.close(*end)

    def leave(self) -> None:
        """The browser is gone."""
        self._line.detach(self)
