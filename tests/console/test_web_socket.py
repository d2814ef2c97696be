"""The transport of WebSockets, over real sockets with and without TLS, with a page that says back
what it hears."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Request,
    TextMessage,
)

from eucabox.config import Config
from eucabox.console import socket_loop, web_socket
from eucabox.console.socket_loop import SocketLoop
from eucabox.console.web_socket import TOO_BIG, WebSocket
from eucabox.iam.accounts import Accounts
from tests.console.socket_client import SocketClient

MOST = 256 * 1024


class EchoPeer:
    """Says back what it hears; what does not fit yet waits, and nothing more is heard."""

    def __init__(self, made: WebSocket) -> None:
        self.web_socket = made
        self.waiting: list[str | bytes] = []
        self.left = threading.Event()
        self.checks = 0

    def take(self, message: str | bytes) -> None:
        if message == "fail":
            raise RuntimeError("as asked")
        self.waiting.append(message)

    def can_take(self) -> bool:
        return not self.waiting

    def refill(self) -> float:
        while self.waiting and self.web_socket.has_room:
            self.web_socket.send(self.waiting.pop(0))
        return 1.0

    def other_descriptor(self) -> int:
        return -1

    def check(self) -> None:
        self.checks += 1

    def leave(self) -> None:
        self.left.set()


@pytest.fixture(name="loop")
def _loop() -> Iterator[SocketLoop]:
    made = SocketLoop("test of sockets")
    yield made
    made.close()


@pytest.fixture(name="tls", params=["plain", "TLS"])
def _tls(request: pytest.FixtureRequest, config: Config, accounts: Accounts) -> bool:
    return bool(request.param == "TLS")


def make_pair(tls: bool, accounts: Accounts) -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    if not tls:
        return ours, theirs
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*accounts.server_certificate())
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    wrapped: list[socket.socket] = []
    thread = threading.Thread(
        target=lambda: wrapped.append(server.wrap_socket(ours, server_side=True))
    )
    thread.start()
    secure = client.wrap_socket(theirs)
    thread.join()
    return wrapped[0], secure


def join(
    loop: SocketLoop, pair: tuple[socket.socket, socket.socket]
) -> tuple[EchoPeer, SocketClient]:
    """Return a peer in the loop and its client, whose hands are shaken."""
    ours, theirs = pair
    client, server = SocketClient(theirs), WSConnection(ConnectionType.SERVER)
    server.receive_data(client.protocol.send(Request(host="x", target="/")))
    list(server.events())
    ours.setblocking(False)
    peer = EchoPeer(WebSocket(ours, server, server.send(AcceptConnection()), b"", MOST))
    loop.add(peer)
    client.until(lambda: client.protocol.state.name == "OPEN")
    return peer, client


def test_messages_of_all_sizes_come_back_whole(
    loop: SocketLoop, tls: bool, accounts: Accounts
) -> None:
    _, client = join(loop, make_pair(tls, accounts))
    for size in (1, 125, 126, 15_000, 65_536, MOST):  # TLS holds back what select() can't see
        client.got.clear()
        client.say(bytes(size - 1) + b"!")
        client.until(lambda size=size: len(client.data) == size)
        assert client.data.endswith(b"!")
    client.say("text: \u00e9")
    client.until(lambda: client.got[-1:] == ["text: \u00e9"])
    client.sock.close()


def test_whoever_comes_to_a_loop_that_waits_is_served_at_once(
    loop: SocketLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_loop, "TURN_SECONDS", 15.0)
    monkeypatch.setattr(EchoPeer, "refill", lambda _: 15.0)
    _, first = join(loop, socket.socketpair())
    time.sleep(0.2)  # the loop has nothing to do now, and waits
    began = time.monotonic()
    _, second = join(loop, socket.socketpair())
    assert time.monotonic() - began < 5
    for each in (first, second):
        each.sock.close()


def test_pieces_of_a_message_are_heard_at_once_and_its_size_has_a_bound(loop: SocketLoop) -> None:
    peer, client = join(loop, socket.socketpair())
    client.send(BytesMessage(data=b"first", message_finished=False))
    client.until(lambda: client.data == b"first")
    client.send(BytesMessage(data=bytes(MOST), message_finished=True))
    assert client.end() == TOO_BIG
    client.sock.close()
    assert peer.left.wait(10)


def test_what_is_no_websocket_ends_it(loop: SocketLoop) -> None:
    peer, client = join(loop, socket.socketpair())
    client.sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert client.end() == 1002
    client.sock.close()
    assert peer.left.wait(10)


@pytest.mark.not_fast
def test_one_who_reads_nothing_is_sent_no_more_than_the_bound(
    loop: SocketLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_socket, "STALL_SECONDS", 0.5)
    monkeypatch.setattr(socket_loop, "TURN_SECONDS", 0.1)
    peer, client = join(loop, socket.socketpair())
    client.sock.settimeout(3)
    with contextlib.suppress(OSError):  # the buffers are full, or it was ended
        for _ in range(64):
            client.say(bytes(MOST))
    assert len(peer.web_socket._output) <= web_socket.MOST_WAITING + MOST
    assert peer.left.wait(10)
    client.sock.close()


@pytest.mark.not_fast
def test_one_who_pings_and_reads_nothing_is_answered_no_more_than_the_bound(
    loop: SocketLoop,
) -> None:
    peer, client = join(loop, socket.socketpair())
    ping = client.protocol.send(Ping(payload=bytes(125)))
    pings = ping * (MOST // len(ping))
    client.sock.settimeout(20)
    for _ in range(16):
        client.sock.sendall(pings)
    client.say("end")
    wait_for(lambda: peer.waiting == ["end"])
    assert len(peer.web_socket._output) <= web_socket.MOST_WAITING + len(ping)
    client.sock.close()


def test_pieces_of_nothing_are_not_kept(loop: SocketLoop) -> None:
    peer, client = join(loop, socket.socketpair())
    for _ in range(2000):
        client.send(TextMessage(data="", message_finished=False))
    client.send(TextMessage(data="begun", message_finished=False))
    wait_for(lambda: peer.web_socket._text[-1:] == ["begun"])
    assert len(peer.web_socket._text) == 1
    client.send(TextMessage(data="", message_finished=True))
    client.until(lambda: client.got == ["begun"])
    client.sock.close()


def wait_for(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.not_fast
def test_a_silent_browser_is_pinged_and_one_that_is_gone_given_up(
    loop: SocketLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_socket, "PING_SECONDS", 0.1)
    monkeypatch.setattr(web_socket, "DEAD_SECONDS", 0.6)
    monkeypatch.setattr(socket_loop, "TURN_SECONDS", 0.05)
    peer, client = join(loop, socket.socketpair())
    client.until(lambda: client.pings > 8)  # longer than a dead one is waited for
    assert client.ended is None
    assert not peer.left.is_set()
    assert peer.left.wait(10), "it answers no more"
    client.sock.close()


def test_the_browser_says_good_bye(loop: SocketLoop) -> None:
    peer, client = join(loop, socket.socketpair())
    client.send(CloseConnection(code=1000))
    assert client.end() == 1000
    client.sock.close()
    assert peer.left.wait(10)


def test_a_page_that_fails_ends_its_own_socket_alone(
    loop: SocketLoop, caplog: pytest.LogCaptureFixture
) -> None:
    broken, one = join(loop, socket.socketpair())
    _, other = join(loop, socket.socketpair())
    one.say("fail")
    assert broken.left.wait(10)
    assert "a WebSocket of the console failed" in caplog.text
    other.say("still here")
    other.until(lambda: other.got == ["still here"])
    for each in (one, other):
        each.sock.close()


def test_a_loop_without_sockets_has_no_thread_and_gets_one_again(loop: SocketLoop) -> None:
    for _ in range(3):
        peer, client = join(loop, socket.socketpair())
        assert loop.is_busy
        client.sock.close()
        assert peer.left.wait(10)
        deadline = time.monotonic() + 10
        while loop.is_busy:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_loop_that_is_closed_says_so_and_takes_no_more(loop: SocketLoop) -> None:
    peer, client = join(loop, socket.socketpair())
    loop.close()
    assert client.end() == web_socket.GOING_AWAY
    client.sock.close()
    assert peer.left.wait(10)
    late = EchoPeer(peer.web_socket)
    loop.add(late)
    assert late.left.is_set()
