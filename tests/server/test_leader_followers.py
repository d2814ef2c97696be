"""Busy connections: who serves them, whom a slow request or a slow client holds up."""

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from eucabox import gil_turns
from eucabox.api import ApiDispatcher
from eucabox.server import leader_followers
from eucabox.server.listener import Listener
from eucabox.wire.request import Answer

QUICK = b"GET /quick HTTP/1.1\r\nHost: h\r\n\r\n"


class Fake(ApiDispatcher):
    """Tells which thread served; a path says how."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.threads: Counter[str] = Counter()

    def is_api_request(self, target: str, host: str) -> bool:
        return True

    def build_request(self, method: str, target: str, *rest: Any) -> Any:
        return _Heard(method, target)

    def handle(self, request: Any) -> Answer:
        self.threads[threading.current_thread().name] += 1
        if request.target == "/stuck":
            self.go_on.wait(10)
        if request.target == "/disk":
            with gil_turns.yielding():
                self.go_on.wait(10)
        return Answer(body=threading.current_thread().name.encode())


class _Heard:
    request_id = "r"

    def __init__(self, method: str, target: str) -> None:
        self.method, self.target = method, target


@pytest.fixture(name="door")
def _door() -> Fake:
    return Fake()


@pytest.fixture(name="listener")
def _listener(door: Fake) -> Iterator[Listener]:
    opened = Listener(("127.0.0.1", 0), door, 4, ("api", "port"))
    opened.open()
    yield opened
    door.go_on.set()
    opened.shut()


@contextlib.contextmanager
def _clients(listener: Listener, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        made = [
            stack.enter_context(socket.create_connection(listener.bind_addr, 5))
            for _ in range(count)
        ]
        yield made


def _ask(client: socket.socket, request: bytes = QUICK) -> str:
    client.sendall(request)
    return _hear(client)


def _hear(client: socket.socket) -> str:
    head, _, body = client.recv(1 << 16).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    return body.decode()


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()


def test_one_thread_serves_all_who_speak_often(listener: Listener, door: Fake) -> None:
    with _clients(listener, 3) as clients:
        for client in clients:
            _ask(client)
        door.threads.clear()
        for number in range(60):
            _ask(clients[number % 3])
        (_, most), *_ = door.threads.most_common(1)
        assert most > 50  # the machine may have been slow once


@pytest.mark.not_fast
@pytest.mark.parametrize("path", ["/stuck", "/disk"])
def test_a_slow_request_delays_no_other(listener: Listener, door: Fake, path: str) -> None:
    with _clients(listener, 3) as clients:
        for client in clients:
            _ask(client)
        clients[0].sendall(_get(path))
        for _ in range(5):
            assert _ask(clients[1])
            assert _ask(clients[2])
        door.go_on.set()
        assert _hear(clients[0])
        assert _ask(clients[0])


@pytest.mark.not_fast
def test_half_a_head_delays_no_other(listener: Listener) -> None:
    with _clients(listener, 2) as (slow, other):
        _ask(slow)
        _ask(other)
        slow.sendall(QUICK[:20])
        for _ in range(5):
            assert _ask(other)
        slow.sendall(QUICK[20:])
        assert _hear(slow)


def test_requests_at_each_others_heels_are_all_answered(listener: Listener) -> None:
    with _clients(listener, 1) as (client,):
        _ask(client)
        client.sendall(QUICK * 20)
        received = b""
        while received.count(b"HTTP/1.1 200") < 20:
            received += client.recv(1 << 16)


@pytest.mark.not_fast
def test_the_silent_go_back_to_the_selector_and_come_again(listener: Listener) -> None:
    with _clients(listener, 2) as (client, other):
        for _ in range(3):
            assert _ask(client)
            assert _ask(other)
            _until(lambda: len(listener._leader_followers) == 0)
    _until(lambda: listener.waiting.connections == 0)


def test_the_silent_leave_those_who_speak_on(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader_followers, "SILENT", 0.1)
    with _clients(listener, 2) as (client, silent):
        _ask(client)
        _ask(silent)
        ending = time.monotonic() + 5
        while len(listener._leader_followers) != 1:
            assert _ask(client)
            assert time.monotonic() < ending
        assert _ask(silent)


def test_many_at_once_are_each_answered_in_order(listener: Listener) -> None:
    problems: list[Exception] = []

    def ask(client: socket.socket, number: int) -> None:
        try:
            for each in range(50):
                _ask(client, _get("/disk" if (each + number) % 10 == 0 else "/quick"))
        except Exception as problem:
            problems.append(problem)

    listener.dispatcher.go_on.set()  # type: ignore[union-attr]
    with _clients(listener, 6) as clients:
        threads = [
            threading.Thread(target=ask, args=(client, number))
            for number, client in enumerate(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert problems == []


def test_shutting_closes_the_busy_ones(door: Fake) -> None:
    opened = Listener(("127.0.0.1", 0), door, 4, ("api", "port"))
    opened.open()
    with _clients(opened, 2) as (client, other):
        _ask(client)
        _ask(other)
        opened.shut()
        assert (client.recv(1), other.recv(1)) == (b"", b"")


def _until(holds: Any) -> None:
    ending = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < ending
        time.sleep(0.01)
