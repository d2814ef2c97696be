"""Clients that are slow, silent or many, and what everybody else notices of them."""

import contextlib
import http.client
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eucabox import api
from eucabox.api import ApiDispatcher
from eucabox.iam.certificate_authority import CertificateAuthority
from eucabox.seal import Seal
from eucabox.server import waiting_connections, worker_threads
from eucabox.server.listener import Listener, Tls
from eucabox.wire.request import Answer, FileBody

THREADS = 4
CROWD = 3 * THREADS
LARGE = 1 << 20
SOON = 1.0  # seconds; each of these clients stays for many more


class Desk(ApiDispatcher):
    """A door of the API's kind whose verbs are named by the path."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._pages = lambda environ, start_response: []
        self.go_on = threading.Event()

    def is_api_request(self, target: str, host: str) -> bool:
        return not target.startswith(api.PAGES)

    def build_request(self, method: str, target: str, headers: Any, body: Any, *rest: Any) -> Any:
        return Heard(method, target, body)

    def handle(self, request: Any) -> Answer:
        if request.target == "/refused":
            return Answer(status=403, body=b"no")
        if request.target == "/file":
            opened = self._file.open("rb")
            return Answer(file=FileBody(opened, 0, self._file.stat().st_size, opened.fileno()))
        if request.target == "/made":
            return Answer(body=iter([b"x" * LARGE] * 32))
        if request.target == "/stuck":
            self.go_on.wait(20)
        size = 0
        while piece := request.body.read(1 << 16):
            size += len(piece)
        return Answer(body=b"%d" % size)


class Heard:
    request_id = "r"

    def __init__(self, method: str, target: str, body: Any) -> None:
        self.method, self.target, self.body = method, target, body


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Iterator[Desk]:
    file = tmp_path / "large"
    with file.open("wb") as made:
        made.truncate(64 << 20)
    desk = Desk(file)
    yield desk
    desk.go_on.set()


@contextlib.contextmanager
def _open(
    desk: Desk, tls: Tls | None = None, most: int = 0, threads: int = THREADS
) -> Iterator[Listener]:
    opened = Listener(("127.0.0.1", 0), desk, threads, ("api", "port"), tls, max_per_source=most)
    opened.open()
    try:
        yield opened
    finally:
        desk.go_on.set()
        opened.shut()


@pytest.fixture(name="listener")
def _listener(desk: Desk) -> Iterator[Listener]:
    with _open(desk) as opened:
        yield opened


@pytest.fixture(name="tls", scope="module")
def _tls(first_keys: Path) -> Tls:
    authority = CertificateAuthority(first_keys / "ca", Seal(first_keys / "key"))
    return Tls(*authority.server_files())


@contextlib.contextmanager
def _crowd(listener: Listener, sent: bytes, count: int = CROWD) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(listener.bind_addr, 5))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(sent)
            made.append(client)
        time.sleep(0.2)
        yield made


def _head(method: str, target: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: h", *headers, "", ""]).encode()


def _client(listener: Listener) -> http.client.HTTPConnection:
    host, port = listener.bind_addr
    return http.client.HTTPConnection(host, port, timeout=10)


def _ask(
    listener: Listener, target: str = "/quick", method: str = "GET", body: bytes = b""
) -> float:
    """The seconds that an honest client waits."""
    started = time.monotonic()
    client = _client(listener)
    with contextlib.closing(client):
        client.request(method, target, body)
        answer = client.getresponse()
        answer.read()
        assert answer.status == 200
    return time.monotonic() - started


BODY = f"Content-Length: {LARGE}"
SLOW = {
    "half a head": b"GET /quick HTT",
    "half a small body": _head("PUT", "/quick", "Content-Length: 100") + b"a",
    "half a large body": _head("PUT", "/quick", BODY) + b"a",
    "half a chunk": _head("PUT", "/quick", "Transfer-Encoding: chunked") + b"5\r\nab",
    "half a form": _head("POST", "/", BODY, "Content-Type: application/x-www-form-urlencoded"),
    "a body after 100 Continue": _head(
        "PUT", "/quick", "Content-Length: 9", "Expect: 100-continue"
    ),
    "half a refused body": _head("PUT", "/refused", BODY) + b"a",
    "half a refused chunk": _head("PUT", "/refused", "Transfer-Encoding: chunked") + b"5\r\nab",
    "a health check with a body": _head("GET", "/_eucabox/health", BODY) + b"a",
    "a file that is not read": _head("GET", "/file"),
    "an answer that is not read": _head("GET", "/made"),
    "health checks that are not read": _head("GET", "/_eucabox/health") * 1000,
    "a health check whose host is blank": b"GET /_eucabox/health HTTP/1.1\r\nHost:%s\r.\r\n\r\n"
    % (b" " * 1500),
}


@pytest.mark.not_fast
@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW.keys())
def test_many_slow_clients_delay_no_other(listener: Listener, sent: bytes) -> None:
    with _crowd(listener, sent):
        assert _ask(listener) < SOON
        assert _ask(listener, "/quick", "PUT", b"x" * LARGE) < SOON
        assert _ask(listener, "/_eucabox/health") < SOON / 2


@pytest.mark.not_fast
@pytest.mark.parametrize("target", ["/refused", "/_eucabox/health"])
@pytest.mark.parametrize("coding", [BODY, "Transfer-Encoding: chunked"])
def test_a_refusal_does_not_wait_for_the_body(listener: Listener, target: str, coding: str) -> None:
    with _crowd(
        listener, _head("PUT" if target == "/refused" else "GET", target, coding), 1
    ) as one:
        one[0].settimeout(SOON)
        answer = one[0].recv(4096)
        assert answer[9:12] in (b"403", b"200")
        assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.not_fast
def test_half_a_handshake_delays_no_other(desk: Desk, tls: Tls) -> None:
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    hello, incoming = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        client.wrap_bio(incoming, hello).do_handshake()
    whole = hello.read()
    with _open(desk, tls) as opened:
        for said in (b"", whole[:50], whole):  # silent, half a hello, and gone silent after it
            with _crowd(opened, said):
                started = time.monotonic()
                host, port = opened.bind_addr
                secure = http.client.HTTPSConnection(host, port, timeout=5, context=client)
                with contextlib.closing(secure):
                    secure.request("GET", "/quick")
                    assert secure.getresponse().status == 200
                assert time.monotonic() - started < SOON


@pytest.mark.not_fast
@pytest.mark.parametrize("busy", [False, True])
def test_health_is_answered_while_every_thread_is_stuck(listener: Listener, busy: bool) -> None:
    client = _client(listener)
    with contextlib.closing(client):
        if busy:  # a connection of those that one thread serves together
            client.request("GET", "/quick")
            client.getresponse().read()
        with _crowd(listener, _head("GET", "/stuck")), _crowd_from(listener, "127.0.0.2"):
            started = time.monotonic()
            client.request("GET", "/_eucabox/health")
            assert client.getresponse().read() == b'{"status":"ok"}\n'
            assert time.monotonic() - started < 0.5


@contextlib.contextmanager
def _crowd_from(listener: Listener, source: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(CROWD):
            client = socket.create_connection(listener.bind_addr, 5, (source, 0))
            stack.enter_context(client).sendall(_head("GET", "/stuck"))
        time.sleep(0.2)
        yield


@pytest.mark.not_fast
def test_a_body_or_an_answer_below_the_least_rate_is_cut_off(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_threads, "WINDOW", 3.0)
    with (
        _crowd(listener, SLOW["half a large body"], 2) as (drips, flows),
        _crowd(listener, SLOW["a file that is not read"], 1),
    ):
        for _ in range(7):
            with contextlib.suppress(ConnectionError):  # cut off already
                drips.sendall(b"a")
            flows.sendall(b"a" * 2 * worker_threads.LEAST_RATE)
            listener.threads.drop_slow_clients(1.0)  # what the server does every second
            time.sleep(0.02)
        until = time.monotonic() + 5
        while len(listener.active) > 1:  # the one that is quick enough is left
            assert time.monotonic() < until
            time.sleep(0.01)
        flows.settimeout(0.2)
        with pytest.raises(TimeoutError):
            flows.recv(1)


@pytest.mark.not_fast
def test_one_source_that_works_leaves_threads_to_others_and_waits_in_line(
    listener: Listener, desk: Desk
) -> None:
    with _crowd(listener, _head("GET", "/stuck", "Content-Length: 0")) as crowd:
        other = socket.create_connection(listener.bind_addr, 5, ("127.0.0.2", 0))
        with other:
            other.sendall(_head("GET", "/quick"))
            other.settimeout(SOON)
            assert other.recv(4096)[9:12] == b"200"
        desk.go_on.set()
        assert [each.recv(4096)[9:12] for each in crowd] == [b"200"] * CROWD


@pytest.mark.not_fast
def test_four_sources_with_all_they_may_have_leave_a_thread_to_a_fifth(desk: Desk) -> None:
    stuck = _head("GET", "/stuck", "Content-Length: 0")
    with _open(desk, most=2, threads=8) as opened, contextlib.ExitStack() as stack:
        crowd = [
            stack.enter_context(_connected(opened, f"127.0.0.{number}", stuck))
            for number in (2, 3, 4, 5)
            for _ in range(4)
        ]
        time.sleep(0.2)
        assert _ask(opened) < SOON
        desk.go_on.set()
        assert [each.recv(4096)[9:12] for each in crowd] == [b"200"] * len(crowd)


@pytest.mark.not_fast
def test_a_source_with_more_slow_bodies_than_threads_can_be_lent_blocks_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_threads, "MOST_LENT", 8)
    monkeypatch.setattr(worker_threads, "MOST_LENT_OF_SOURCE", 6)
    slow = _head("PUT", "/read", BODY)
    with _open(desk) as opened, contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(_connected(opened, "127.0.0.2", slow))
        time.sleep(0.2)
        assert _ask(opened) < SOON


@pytest.mark.not_fast
def test_slow_bodies_make_room_for_a_quick_request_of_the_same_source(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_threads, "MOST_LENT", 8)
    monkeypatch.setattr(worker_threads, "MOST_LENT_OF_SOURCE", 6)
    with _open(desk) as opened, _crowd(opened, _head("PUT", "/read", BODY), 12):
        stop = threading.Event()

        def expire() -> None:
            while not stop.wait(1.0):
                opened.expire()

        threading.Thread(target=expire, daemon=True).start()
        try:
            assert _ask(opened) < worker_threads.YOUNG
        finally:
            stop.set()


def _connected(listener: Listener, source: str, sent: bytes) -> socket.socket:
    made = socket.create_connection(listener.bind_addr, 5, (source, 0))
    made.sendall(sent)
    return made


@pytest.mark.not_fast
def test_a_source_with_too_many_connections_loses_the_one_silent_for_longest(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eucabox.server.listener.MOST_PER_SOURCE", 5)
    with _open(desk) as opened, _crowd(opened, b"GET", 5) as (oldest, *others):
        assert _ask(opened) < SOON
        assert oldest.recv(1) == b""
        others[0].settimeout(0.1)
        with pytest.raises(TimeoutError):
            others[0].recv(1)


@pytest.mark.not_fast
def test_a_small_body_that_drips_in_is_cut_off(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_connections, "BODY_SECONDS", 0.3)
    with _open(desk) as opened, _crowd(opened, SLOW["half a small body"], 1) as (client,):
        assert client.recv(1) == b""


@pytest.mark.not_fast
def test_a_refused_client_that_keeps_sending_is_seen_off_in_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_connections, "LINGER_SECONDS", 0.3)
    with _open(desk) as opened, _crowd(opened, SLOW["half a refused body"], 1) as (client,):
        assert client.recv(4096)[9:12] == b"403"
        until = time.monotonic() + 5
        with pytest.raises(ConnectionError):
            while time.monotonic() < until:
                client.sendall(b"a")
                time.sleep(0.05)


@pytest.mark.not_fast
def test_no_client_agrees_on_a_suite_without_forward_secrecy(desk: Desk, tls: Tls) -> None:
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with _open(desk, tls) as opened:
        for suites, fits in (("kRSA", False), ("ECDHE+AESGCM", True)):
            client.set_ciphers(f"{suites}:@SECLEVEL=0")
            plain = socket.create_connection(opened.bind_addr, 5)
            refused = contextlib.nullcontext() if fits else pytest.raises(ssl.SSLError)
            with plain, refused:
                client.wrap_socket(plain).close()


FEW = 60
WITHOUT = f"""
import logging, resource, sys, threading
from eucabox.server.listener import Listener
logging.basicConfig(stream=sys.stderr)
resource.setrlimit(resource.RLIMIT_NOFILE, ({FEW}, {FEW}))
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
opened = Listener(("127.0.0.1", 0), application, 4, ("api", "port"))
opened.open()
print(opened.bind_addr[1], flush=True)
sys.stdin.read()
opened.shut()
"""


@pytest.mark.slow
def test_without_descriptors_it_backs_off_says_so_once_and_goes_on() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    with contextlib.ExitStack() as stack:
        for _ in range(3 * FEW):  # as many as the process may have, three times over
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
        before, started = _ticks(process.pid), time.monotonic()
        time.sleep(2)
        assert _ticks(process.pid) - before < 0.5 * os.sysconf("SC_CLK_TCK")  # it does not spin
        status = 0
        while status != 200 and time.monotonic() < started + 10:
            with contextlib.suppress(OSError, http.client.HTTPException):
                client = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
                client.request("GET", "/")
                status = client.getresponse().status
                client.close()
        assert status == 200
    _, errors = process.communicate("", timeout=20)
    lines = [line for line in errors.splitlines() if "no more connections" in line]
    assert len(lines) == 1
    assert "Traceback" not in errors


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
