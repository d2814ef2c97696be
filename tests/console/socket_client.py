"""A WebSocket's client over a socket of its own, which says what no browser would."""

import json
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)

SECONDS = 20.0


class Refused(Exception):
    """The handshake was answered with another status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class SocketClient:
    """One socket; what it got is in `got`, and why it ended in `ended`."""

    sock: socket.socket
    got: list[str | bytes] = field(default_factory=list)
    ended: CloseConnection | None = None
    pings: int = 0
    answers_pings: bool = True
    protocol: WSConnection = field(default_factory=lambda: WSConnection(ConnectionType.CLIENT))

    def shake_hands(self, path: str, host: str, **headers: str) -> None:
        extra = [(name.replace("_", "-").encode(), v.encode()) for name, v in headers.items()]
        self.send(Request(host=host, target=path, extra_headers=extra))
        deadline = time.monotonic() + SECONDS
        while self.protocol.state.name == "CONNECTING":
            assert time.monotonic() < deadline
            self.receive(0.2)

    def send(self, event: Event) -> None:
        self.sock.sendall(self.protocol.send(event))

    def say(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.send(TextMessage(data=message))
        else:
            self.send(BytesMessage(data=message))

    def receive(self, seconds: float = SECONDS) -> None:
        """Take what comes within so many seconds, once."""
        if not (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()):
            self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            return
        if self.ended is None:
            self.protocol.receive_data(data or None)
            for event in self.protocol.events():
                self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, RejectConnection):
            raise Refused(event.status_code)
        if isinstance(event, Message):
            self.got.append(event.data if isinstance(event.data, str) else bytes(event.data))
        elif isinstance(event, Ping):
            self.pings += 1
            if self.answers_pings:
                self.send(event.response())
        elif isinstance(event, CloseConnection):
            self.ended = event

    @property
    def data(self) -> bytes:
        """All binary messages in one."""
        return b"".join(each for each in self.got if isinstance(each, bytes))

    @property
    def texts(self) -> list[Any]:
        return [json.loads(each) for each in self.got if isinstance(each, str)]

    def until(self, condition: Any, seconds: float = SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (self.got[-5:], self.ended)
            self.receive(0.1)

    def end(self, seconds: float = SECONDS) -> int:
        """Wait for the end; return its code."""
        self.until(lambda: self.ended is not None, seconds)
        assert self.ended is not None
        return int(self.ended.code)
