"""One WebSocket at the server's side: messages in and out of a socket that never waits.

Knows no page and no user. Everything has a bound: a message, what waits for a browser that is slow,
and the time that one may be silent, which a ping breaks.
"""

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping

from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

PING_SECONDS = 20.0  # of silence, after which a ping asks whether the browser is there
DEAD_SECONDS = 60.0  # of silence, after which it is not
STALL_SECONDS = 30.0  # for a browser to take anything of what waits for it
CLOSE_SECONDS = 2.0  # for a browser to read why the socket ends
MOST_WAITING = 256 * 1024  # bytes that wait for a browser before nothing more is made for it
PIECE = 64 * 1024  # bytes that are received at once
BATCH = 4  # pieces of one browser before others get a turn
ASKING = ("Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key")
KEY = re.compile(r"[A-Za-z0-9+/]{22}==", re.ASCII)
# Codes of an end, as RFC 6455 has them; from 4000 on they are our own, which console.js knows.
GOING_AWAY, NOT_ACCEPTABLE, POLICY, TOO_BIG = 1001, 1003, 1008, 1009
SIGNED_OUT, REFUSED, ENDED = 4401, 4403, 4404


def accept(headers: Mapping[str, str]) -> tuple[WSConnection, bytes]:
    """Return the protocol of a request that asks for a WebSocket, and the bytes that accept it.

    Raises ValueError with what is wrong with the headers. No extension is taken, so no message is
    larger than what was sent of it.
    """
    if not KEY.fullmatch(headers.get("Sec-WebSocket-Key", "")):
        raise ValueError("Sec-WebSocket-Key is missing, or is none")
    asked = [(name.encode(), _clean(headers.get(name, ""))) for name in ASKING]
    protocol = WSConnection(ConnectionType.SERVER)
    try:
        protocol.initiate_upgrade_connection([(b"Host", b"eucabox"), *asked], "/")
        list(protocol.events())
        return protocol, protocol.send(AcceptConnection())
    except (RemoteProtocolError, LocalProtocolError) as problem:
        raise ValueError(str(problem)) from None


def _clean(value: str) -> bytes:
    return "".join(each for each in value[:200] if " " <= each <= "~").strip().encode()


class WebSocket:
    """A WebSocket whose handshake is done. `most` is the bytes of a message from the browser.

    One thread has it. Its socket is ready when `fileno()` is: to be read, and to be written while
    `wants_to_write`.
    """

    def __init__(
        self, sock: socket.socket, protocol: WSConnection, greeting: bytes, rest: bytes, most: int
    ) -> None:
        self.is_over = False  # nothing more goes in or out
        self.on_end: Callable[[], None] = lambda: None
        self._socket = sock
        self._protocol = protocol
        self._most = most
        self._size = 0  # of the message that is coming
        self._text: list[str] = []
        self._output = bytearray(greeting)
        self._heard_at = self._moved_at = time.monotonic()
        self._pinged = False
        self._closing_at = 0.0  # when it began to end
        self._is_shut = False
        if rest:
            self._protocol.receive_data(rest)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    @property
    def is_closing(self) -> bool:
        """Whether it ends, or has ended."""
        return bool(self._closing_at) or self.is_over

    @property
    def wants_to_write(self) -> bool:
        """Whether something waits for the browser."""
        return bool(self._output) and not self.is_over

    @property
    def has_room(self) -> bool:
        """Whether more may be sent to the browser."""
        return len(self._output) < MOST_WAITING and not self.is_closing

    @property
    def has_more(self) -> bool:
        """Whether something has come that no system call would tell of: TLS has it."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def receive(self) -> list[str | bytes]:
        """Return the texts, and the pieces of binary messages, that have come."""
        messages = self._take_messages()
        for _ in range(BATCH):
            data = self._read()
            if data is None:
                break
            if not data:
                self.is_over = True
                break
            self._heard_at, self._pinged = time.monotonic(), False
            if not self._closing_at:
                self._protocol.receive_data(data)
                messages += self._take_messages()
        return messages

    def send(self, message: str | bytes) -> None:
        """Send a text or a binary message, as far as the browser takes it now."""
        event = (
            TextMessage(data=message) if isinstance(message, str) else BytesMessage(data=message)
        )
        self._put(event)

    def close(self, code: int, reason: str = "") -> None:
        """Begin to end it: the browser reads why, or has CLOSE_SECONDS for that."""
        if not self._closing_at:
            self._put(CloseConnection(code=code, reason=reason))
            self._closing_at = time.monotonic()

    def flush(self) -> None:
        """Send what waits, as far as the browser takes it now."""
        while self._output and not self.is_over:
            try:
                sent = self._socket.send(memoryview(self._output)[:PIECE].tobytes())
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except (OSError, ValueError):
                self.is_over = True
                return
            del self._output[:sent]
            self._moved_at = time.monotonic()
        if self._closing_at and not self._is_shut and not self.is_over:
            self._is_shut = True
            with contextlib.suppress(OSError):  # TLS or not: the TCP connection itself
                socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def tend(self) -> None:
        """Ask a silent browser whether it is there, and give up one that is not."""
        now = time.monotonic()
        if not self._output:
            self._moved_at = now
        silent = now - self._heard_at
        late = self._closing_at and now > self._closing_at + CLOSE_SECONDS
        if late or silent > DEAD_SECONDS or now - self._moved_at > STALL_SECONDS:
            self.is_over = True
        elif silent > PING_SECONDS and not self._pinged:
            self._pinged = True
            self._put(Ping(payload=b"eucabox"))

    def end(self) -> None:
        """Close the socket at once."""
        self.is_over = True
        self._socket.close()
        self.on_end()

    def _put(self, event: Event) -> None:
        if self.is_closing:
            return
        with contextlib.suppress(LocalProtocolError):  # the browser has just left
            self._output += self._protocol.send(event)

    def _read(self) -> bytes | None:
        """Return what has come, None if that is nothing, b"" if the browser has left."""
        try:
            return self._socket.recv(PIECE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except (OSError, ValueError):
            return b""

    def _take_messages(self) -> list[str | bytes]:
        messages: list[str | bytes] = []
        for event in self._protocol.events():
            if isinstance(event, TextMessage | BytesMessage):
                messages += self._take(event)
            elif isinstance(event, Ping):
                if self.has_room:  # one who asks for more than it reads gets no answer
                    self._put(event.response())
            elif isinstance(event, CloseConnection):
                self._answer_close(event)
            if self.is_closing:
                break
        return messages

    def _take(self, event: TextMessage | BytesMessage) -> list[str | bytes]:
        """Return a piece of a binary message, or a text once it is whole."""
        self._size += len(event.data)
        if self._size > self._most:
            self.close(TOO_BIG, f"A message has at most {self._most} bytes.")
            return []
        if event.message_finished:
            self._size = 0
        if not isinstance(event, TextMessage):
            return [bytes(event.data)]
        if event.data:  # pieces of nothing have no end
            self._text.append(event.data)
        if not event.message_finished:
            return []
        text, self._text = "".join(self._text), []
        return [text]

    def _answer_close(self, event: CloseConnection) -> None:
        """The browser ends it, or what it sent is no WebSocket."""
        if self._protocol.state is ConnectionState.REMOTE_CLOSING:
            self._put(event.response())
            self._closing_at = time.monotonic()
        else:
            self.close(event.code)
