import contextlib
import gc
import http.client
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from eucabox.api import ApiDispatcher
from eucabox.config import Config
from eucabox.errors import ListenFailed
from eucabox.iam.certificate_authority import CertificateAuthority
from eucabox.seal import Seal
from eucabox.server import connection, waiting_connections
from eucabox.server.connection import ClientConnection
from eucabox.server.listener import Listener, Tls
from eucabox.server.worker_threads import FIRST
from eucabox.wire.request import Answer, FileBody, Request

PLACE = ("api", "port")
LARGE = 100_000  # bytes of a body that a thread begins with before all of it is there


class Application(ApiDispatcher):
    """Tells what came in; its path says how to behave."""

    def __init__(self) -> None:
        super().__init__(cast(Any, SimpleNamespace(config=Config())), cast(Any, None))
        self.reset()

    def reset(self) -> None:
        self.bodies: list[bytes] = []
        self.ended = threading.Event()
        self.file = Path()

    def handle(self, request: Request) -> Answer:
        if request.path == "/early":
            return Answer(403, body=b"no")
        if request.path == "/slow":
            time.sleep(0.6)
        if request.path == "/file":
            opened = self.file.open("rb")
            return Answer(file=FileBody(opened, 100, 500_000, opened.fileno()))
        return Answer(body=self._tell(request))

    def _tell(self, request: Request) -> bytes:
        body = b""
        problem = ""
        try:
            while piece := request.body.read(1 << 16):
                body += piece
        except (OSError, ValueError) as broken:
            problem = str(broken)
        self.bodies.append(body)
        self.ended.set()
        facts = {
            "path": request.path,
            "query": request.query,
            "body": len(body),
            "headers": request.headers,
            "problem": problem,
            "scheme": request.scheme,
        }
        return json.dumps(facts).encode()


@pytest.fixture(name="application", scope="module")
def _application() -> Application:
    return Application()


@pytest.fixture(autouse=True)
def _reset(application: Application) -> None:
    application.reset()


@contextlib.contextmanager
def _open(
    application: Any, tls: Tls | None = None, threads: int = 4, most: int = 0
) -> Iterator[Listener]:
    opened = Listener(("127.0.0.1", 0), application, threads, PLACE, tls, max_per_source=most)
    opened.open()
    try:
        yield opened
    finally:
        opened.shut()


@pytest.fixture(name="port", scope="module")
def _port(application: Application) -> Iterator[int]:
    with _open(application) as opened:
        yield opened.bind_addr[1]


def _connect(port: int) -> socket.socket:
    connected = socket.create_connection(("127.0.0.1", port), 5)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


def _receive(connected: socket.socket) -> bytes:
    received = b""
    while piece := connected.recv(1 << 16):
        received += piece
    return received


def _ask(port: int, raw: bytes) -> bytes:
    with _connect(port) as connected:
        connected.sendall(raw)
        with contextlib.suppress(OSError):  # we may be refused already
            connected.shutdown(socket.SHUT_WR)
        return _receive(connected)


def read_facts(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def _head(target: str = "/", *headers: str, method: str = "GET") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: h", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/b/a%2Fb", "/b/a%2Fb", ""),
        ("//b//k", "//b//k", ""),
        ("//[x", "//[x", ""),
        ("/b/k%20%25?a=%20b&c", "/b/k%20%25", "a=%20b&c"),
        ("/b/a#b;c", "/b/a#b;c", ""),
        ("http://h:1/b/k?x", "/b/k", "x"),
        ("http://h?x", "/", "x"),
        ("/b/\xe9", "/b/\xe9", ""),
    ],
)
def test_the_target_arrives_as_it_was_sent(port: int, target: str, path: str, query: str) -> None:
    facts = read_facts(_ask(port, _head(target)))
    assert (facts["path"], facts["query"]) == (path, query)


def test_header_names_keep_their_underscores_and_repeated_ones_are_joined(port: int) -> None:
    answer = _ask(port, _head("/", "X-Amz-Meta-a_b: 1", "X-Amz-Meta-a-b: 2", "x-amz-meta-A-B:3"))
    facts = read_facts(answer)
    assert facts["headers"]["x-amz-meta-a_b"] == "1"
    assert facts["headers"]["x-amz-meta-a-b"] == "2,3"


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: 3", "Transfer-Encoding: chunked"],
        ["Content-Length: 3", "Content-Length: 3"],
        ["Content-Length: +3"],
        ["Content-Length: 1_0"],
        ["Content-Length: -1"],
        ["Content-Length:"],
        ["Content-Length: \xb2"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: \x0bchunked"],
        ["Transfer-Encoding: chunked\x0c"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Host: other"],
        ["Authorization: a", "Authorization: b"],
        ["Bad Name: x"],
        ["X-Folded: a", " b"],
        ["no colon"],
        ["X-Nul: a\x00b"],
    ],
)
def test_an_ambiguous_head_is_refused(
    port: int, application: Application, headers: list[str]
) -> None:
    answer = _ask(port, _head("/", *headers, method="PUT") + b"abc")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert not application.bodies


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", b"400"),
        (b"get / HTTP/1.1\r\nHost: h\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\nHost: h\n\n", b"400"),
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", b"505"),
        (b"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 16_384 + b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: a\r\n" * 3000 + b"\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 16_000 + b"\r\n\r\n", b"200"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
    ],
)
def test_what_is_not_http_is_refused(port: int, raw: bytes, status: bytes) -> None:
    assert _ask(port, raw).split(b" ")[1] == status


def test_headers_have_16_kib_in_all_and_the_request_line_its_own(port: int) -> None:
    most = 16 * 1024 - len("Host: h\r\nConnection: close\r\n")
    name = "X: "
    line = name + "a" * (most - len(name))
    assert _ask(port, _head("/" + "k" * 40_000, line)).startswith(b"HTTP/1.1 200 ")
    refused = _ask(port, _head("/", line + "a"))
    assert refused.startswith(b"HTTP/1.1 400 ")
    assert b"RequestHeaderSectionTooLarge" in refused


def test_a_chunked_body_is_streamed_with_its_trailers_read_away(
    port: int, application: Application
) -> None:
    body = b"5;ext=1\r\nhello\r\n10000\r\n" + b"x" * 65536 + b"\r\n0\r\nx-amz-t: 1\r\n\r\n"
    facts = read_facts(_ask(port, _head("/", "Transfer-Encoding: chunked", method="PUT") + body))
    assert facts["body"] == 65541
    assert application.bodies[0][:6] == b"hellox"


@pytest.mark.parametrize(
    "body", [b"zz\r\n", b"5\r\nhelloXX0\r\n\r\n", b"-5\r\n", b"5\r\nhel", b"0\r\nbad", b"\r\n"]
)
def test_a_malformed_or_broken_off_chunk_is_an_error_to_the_reader(port: int, body: bytes) -> None:
    facts = read_facts(_ask(port, _head("/", "Transfer-Encoding: chunked", method="PUT") + body))
    assert facts["problem"]


def test_a_vanished_client_is_a_short_read(port: int, application: Application) -> None:
    with _connect(port) as connected:
        connected.sendall(_head("/", "Content-Length: 1000", method="PUT") + b"abc")
    assert application.ended.wait(5)
    assert application.bodies == [b"abc"]


def test_connections_stay_open_and_requests_may_be_pipelined(port: int) -> None:
    one = b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
    last = _head("/z")
    assert _ask(port, one * 3 + last).count(b"HTTP/1.1 200 OK") == 4


@pytest.mark.parametrize("wish", ["close", "Close, TE", "te ,close"])
def test_a_client_may_end_the_connection(port: int, wish: str) -> None:
    ending = _head("/a", f"Connection: {wish}")
    assert _ask(port, ending + _head("/z")).count(b"HTTP/1.1 200 OK") == 1


def test_an_unread_small_body_does_not_end_the_connection(port: int) -> None:
    one = b"PUT /early HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /"
    two = (
        b"PUT /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )
    answer = _ask(port, one + two + _head("/z"))
    assert answer.count(b"HTTP/1.1 403") == 2
    assert answer.count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_an_early_refusal_reaches_a_client_that_is_still_sending(port: int, chunked: bool) -> None:
    with _connect(port) as connected:
        size = 8 << 20
        coding = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        head = _head("/early", coding, method="PUT").replace(b"Connection: close\r\n", b"")
        connected.sendall(head + (f"{size:x}\r\n".encode() if chunked else b""))
        with contextlib.suppress(ConnectionError):
            for _ in range(size >> 16):
                connected.sendall(b"x" * 65536)
        answer = _receive(connected)
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"Connection: close" in answer


def test_100_continue_is_sent_when_the_body_is_wanted_and_not_before(port: int) -> None:
    with _connect(port) as connected:
        expect = _head("/early", "Expect: 100-continue", "Content-Length: 9", method="PUT")
        connected.sendall(expect)
        assert _receive(connected).startswith(b"HTTP/1.1 403")
    with _connect(port) as connected:
        connected.sendall(_head("/", "Expect: 100-Continue", "Content-Length: 3", method="PUT"))
        assert connected.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connected.sendall(b"abc")
        assert read_facts(_receive(connected))["body"] == 3


def test_a_header_that_asks_for_the_100_is_there_for_who_signed_it(port: int) -> None:
    with _connect(port) as connected:
        connected.sendall(_head("/", "Expect: 100-continue", "Content-Length: 3", method="PUT"))
        assert connected.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connected.sendall(b"abc")
        assert read_facts(_receive(connected))["headers"]["expect"] == "100-continue"


def test_silent_clients_cost_no_thread(port: int) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(_connect(port))
        started = time.monotonic()
        assert _ask(port, _head("/")).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - started < 2


@pytest.mark.not_fast
def test_one_source_does_not_take_all_threads(application: Application) -> None:
    with _open(application, most=2) as opened, contextlib.ExitStack() as stack:
        port = opened.bind_addr[1]
        crowd = [stack.enter_context(_connect(port)) for _ in range(6)]  # more than threads
        for each in crowd:
            each.sendall(_head("/slow"))
        time.sleep(0.2)
        started = time.monotonic()
        other = socket.create_connection(("127.0.0.1", port), 5, ("127.0.0.2", 0))
        with stack.enter_context(other):
            other.sendall(_head("/"))
            assert b" 200 " in _receive(other)
        assert time.monotonic() - started < 0.5  # the first of the crowd take 0.6 s
        assert [_receive(each)[9:12] for each in crowd] == [b"200"] * 6  # in the end


@pytest.mark.not_fast
def test_most_threads_come_when_they_are_needed(application: Application) -> None:
    with _open(application, threads=12, most=12) as opened, contextlib.ExitStack() as stack:
        port = opened.bind_addr[1]
        assert _ask(port, _head("/")).startswith(b"HTTP/1.1 200")
        assert len(opened.requests._threads) == FIRST
        crowd = [stack.enter_context(_connect(port)) for _ in range(9)]
        started = time.monotonic()
        for each in crowd:
            each.sendall(_head("/slow"))
        assert [_receive(each)[9:12] for each in crowd] == [b"200"] * 9
        assert time.monotonic() - started < 1.1  # in two turns they would take 1.2 s
        assert len(opened.requests._threads) == 12


@pytest.mark.not_fast
def test_a_head_that_drips_in_is_cut_off(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_connections, "HEAD_SECONDS", 0.2)
    with _open(application) as opened, _connect(opened.bind_addr[1]) as connected:
        connected.sendall(b"GET / HT")
        time.sleep(0.1)
        connected.sendall(b"TP")
        assert b" 200 " not in _receive(connected)


@pytest.mark.not_fast
def test_a_form_that_drips_in_is_cut_off_and_other_bodies_are_not(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "FORM_SECONDS", 0.1)
    kind = "Content-Type: application/x-www-form-urlencoded; charset=utf-8"
    form = (kind, f"Content-Length: {LARGE}")
    with _open(application) as opened, _connect(opened.bind_addr[1]) as connected:
        connected.sendall(_head("/", *form, method="POST") + b"abc")
        with _connect(opened.bind_addr[1]) as other:
            other.sendall(_head("/", f"Content-Length: {LARGE}", method="PUT") + b"abc")
            time.sleep(0.3)
            opened.expire()
            assert application.ended.wait(5)
            assert application.bodies == [b"abc"]
            other.sendall(b"d" * (LARGE - 3))
            assert read_facts(_receive(other))["body"] == LARGE


@pytest.mark.not_fast
def test_an_idle_connection_is_closed_in_the_end(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_connections, "IDLE_SECONDS", 0.3)
    with _open(application) as opened, _connect(opened.bind_addr[1]) as connected:
        assert _receive(connected) == b""


def test_a_file_leaves_from_its_offset(application: Application, port: int, tmp_path: Path) -> None:
    application.file = tmp_path / "f"
    content = os.urandom(600_000)
    application.file.write_bytes(content)
    answer = _ask(port, _head("/file"))
    assert answer.partition(b"\r\n\r\n")[2] == content[100:500_100]


def test_an_answer_can_have_a_limited_time_to_live() -> None:
    """Read where the kernel keeps it: what leaves this connection crosses three networks."""
    kept: list[int] = []

    class Far(Application):
        def handle(self, request: Request) -> Answer:
            return Answer(body=self._read_limit(), hops=3)

        def _read_limit(self) -> Iterator[bytes]:
            (active,) = opened.active
            kept.append(active.socket.getsockopt(socket.IPPROTO_IP, socket.IP_TTL))
            yield b"x"

    with _open(Far()) as opened:
        assert _ask(opened.bind_addr[1], _head()).startswith(b"HTTP/1.1 200")
    assert kept == [3]


@pytest.mark.not_fast
def test_shutting_finishes_what_runs_and_cuts_off_what_does_not_end(
    application: Application,
) -> None:
    opened = Listener(("127.0.0.1", 0), application, 4, PLACE)
    opened.open()
    with _connect(opened.bind_addr[1]) as connected, _connect(opened.bind_addr[1]) as hanging:
        connected.sendall(_head("/slow"))
        hanging.sendall(_head("/", "Content-Length: 10", method="PUT") + b"abc")
        time.sleep(0.2)
        started = time.monotonic()
        opened.shut()
        assert time.monotonic() - started < 3
        assert _receive(connected).startswith(b"HTTP/1.1 200")
    with pytest.raises(OSError):
        _connect(opened.bind_addr[1])


def test_a_port_in_use_is_named_with_its_key(application: Application) -> None:
    with _open(application) as opened:
        port = opened.bind_addr[1]
        other = Listener(("127.0.0.1", port), application, 4, PLACE)
        with pytest.raises(ListenFailed) as caught:
            other.open("/etc/eucabox/eucabox.conf")
    assert caught.value.message == (
        f"Can't listen on 127.0.0.1 port {port}: Address already in use."
        " Set [api] port in /etc/eucabox/eucabox.conf."
    )


@pytest.mark.not_fast
def test_what_can_not_be_bound_or_is_shut_leaves_nothing_open(application: Application) -> None:
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    gc.collect()
    gc.disable()  # it is tried again every few seconds, and nothing may wait for a collection
    try:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            before = opened()
            for _ in range(5):
                with pytest.raises(ListenFailed):
                    Listener(taken.getsockname(), application, 4, PLACE).open()
            assert opened() == before
            for _ in range(2):
                with _open(application) as listener:
                    _ask(listener.bind_addr[1], _head("/a"))
            assert opened() == before
    finally:
        gc.enable()


@pytest.fixture(name="tls", scope="module")
def _tls(first_keys: Path) -> Tls:
    authority = CertificateAuthority(first_keys / "ca", Seal(first_keys / "key"))
    return Tls(*authority.server_files())


def _https(port: int, target: str = "/") -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    with contextlib.closing(client):
        client.request("PUT", target, b"x" * 100_000)
        client.getresponse().read()
        client.request("PUT", target, b"x" * 100_000)  # on the same connection
        return client.getresponse().read()


@pytest.mark.not_fast
def test_https_is_not_delayed_by_clients_without_a_handshake(
    application: Application, tls: Tls
) -> None:
    with _open(application, tls) as opened, contextlib.ExitStack() as stack:
        port = opened.bind_addr[1]
        for _ in range(10):
            stack.enter_context(_connect(port))
        half = stack.enter_context(_connect(port))
        half.sendall(b"\x16\x03")
        started = time.monotonic()
        facts = json.loads(_https(port))
        assert time.monotonic() - started < 2
        assert (facts["body"], facts["scheme"]) == (100_000, "https")


def test_plain_http_on_the_https_port_gets_an_explanation(
    application: Application, tls: Tls
) -> None:
    with _open(application, tls) as opened:
        answer = _ask(opened.bind_addr[1], _head("/"))
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"This port is HTTPS." in answer


@pytest.mark.not_fast
def test_a_file_leaves_over_tls(application: Application, tls: Tls, tmp_path: Path) -> None:
    application.file = tmp_path / "f"
    application.file.write_bytes(os.urandom(600_000))
    with _open(application, tls) as opened:
        assert _https(opened.bind_addr[1], "/file") == application.file.read_bytes()[100:500_100]


def test_the_certificate_is_read_again(tls: Tls) -> None:
    tls.load()
    assert tls.context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_hanging_up_twice_is_harmless() -> None:
    one, other = socket.socketpair()
    with one, other:
        connection = ClientConnection.__new__(ClientConnection)
        connection.socket = one
        connection.shut_down(socket.SHUT_RDWR)
        connection.shut_down(socket.SHUT_RDWR)
        assert other.recv(1) == b""
