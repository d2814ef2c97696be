"""Small changes of several connections that share a flush: what each client is told, and when."""

import contextlib
import errno
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eucabox import api, gil_turns
from eucabox.server.connection import ClientConnection
from eucabox.server.leader_followers import LeaderFollowers
from eucabox.server.listener import Listener
from eucabox.server.write_batch import serve_together
from eucabox.store import buckets
from eucabox.store.fsync import COMMIT, Flush
from eucabox.store.objects import Objects
from eucabox.wire.s3.passages import Served
from tests.roads.clients import Sent, curl
from tests.roads.pair import Lines, Side, make_keys

CHANCE = random.Random(1)
LEARNT = 4  # requests after which a connection's next goes the straight road


class Clients:
    """Clients of one cloud on a disk where changes may share a flush."""

    def __init__(self, folder: Path) -> None:
        self.side = Side(folder, straight=True, durability="commit")
        self.key = make_keys(self.side)["admin"]
        self.side.note_use({"admin": self.key})
        self.flushes = 0
        self.problem: OSError | None = None
        self.look: Callable[[], object] = lambda: None
        self._pairs: list[tuple[ClientConnection, socket.socket]] = []

    def fsync(self, _: int) -> None:
        self.flushes += 1
        self.look()
        if self.problem is not None:
            raise self.problem

    def connect(self) -> tuple[ClientConnection, socket.socket]:
        """Return a connection whose client is known, and the client's end."""
        connection, near = self.side.connect()
        self._pairs.append((connection, near))
        for method in ("PUT", "DELETE"):
            for _ in range(LEARNT):
                near.sendall(self.write(method, "/plain/learn"))
                assert connection.serve_pending()
                assert near.recv(1 << 16)
        return connection, near

    def close(self) -> None:
        self.problem, self.look = None, lambda: None
        for connection, near in self._pairs:
            connection.end()
            near.close()
        self.side.close()

    def write(self, method: str, path: str, body: bytes = b"content") -> bytes:
        sent = curl(method, path, body if method == "PUT" else b"", CHANCE)
        return sent.write(self.key)

    def expect(self, path: str, body: bytes) -> bytes:
        """Write a put whose client waits for 100 Continue."""
        sent = curl("PUT", path, body, CHANCE)
        sent.unsigned["Expect"] = "100-continue"
        return sent.write(self.key)

    def read(self, key: str) -> bytes | None:
        """Return what an object holds."""
        path = self.side.cloud.config.bucket_root / "plain" / key
        return path.read_bytes() if path.exists() else None


@pytest.fixture(name="clients")
def _clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    monkeypatch.setattr(buckets, "is_ordered", lambda _: True)
    clients = Clients(tmp_path)
    monkeypatch.setattr(os, "fsync", clients.fsync)
    yield clients
    clients.close()


def test_puts_and_deletes_of_many_share_one_flush(clients: Clients) -> None:
    pairs = [clients.connect() for _ in range(6)]
    for number, (_, near) in enumerate(pairs):
        near.sendall(clients.write("PUT", f"/plain/{number}"))
    clients.flushes = 0
    kept = serve_together([each for each, _ in pairs])
    assert clients.flushes == 1
    assert kept == {each for each, _ in pairs}
    for number, (connection, near) in enumerate(pairs):
        assert near.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
        assert clients.read(str(number)) == b"content"
        assert connection.shares_flushes
        near.sendall(clients.write("DELETE", f"/plain/{number}"))
    serve_together([each for each, _ in pairs])
    assert clients.flushes == 2
    for number, (_, near) in enumerate(pairs):
        assert near.recv(1 << 16).startswith(b"HTTP/1.1 204 No Content")
        assert clients.read(str(number)) is None


def test_no_answer_leaves_before_the_flush(clients: Clients) -> None:
    pairs = [clients.connect() for _ in range(2)]

    def look() -> None:
        for _, near in pairs:
            with pytest.raises(BlockingIOError):
                near.recv(1, socket.MSG_DONTWAIT)

    for number, (_, near) in enumerate(pairs):
        near.sendall(clients.write("PUT", f"/plain/{number}"))
    clients.flushes = 0
    clients.look = look
    serve_together([each for each, _ in pairs])
    assert clients.flushes == 1
    assert all(near.recv(1 << 16).startswith(b"HTTP/1.1 200") for _, near in pairs)


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [(errno.EIO, b"500", b"InternalError"), (errno.ENOSPC, b"507", b"InsufficientStorage")],
    ids=["broken", "full"],
)
def test_a_flush_that_fails_fails_each_that_waited_for_it(
    clients: Clients, number: int, status: bytes, code: bytes
) -> None:
    pairs = [clients.connect() for _ in range(3)]
    for each, (_, near) in enumerate(pairs):
        near.sendall(clients.write("PUT", f"/plain/{each}"))
    clients.problem = OSError(number, os.strerror(number))
    kept = serve_together([each for each, _ in pairs])
    assert len(kept) == 3
    for _, near in pairs:
        answer = near.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 " + status), answer
        assert b"<Code>" + code in answer, answer
    clients.problem = None
    pairs[0][1].sendall(clients.write("PUT", "/plain/0", b"again"))
    assert pairs[0][0].serve_pending()
    assert pairs[0][1].recv(1 << 16).startswith(b"HTTP/1.1 200 OK")


def test_what_is_refused_stays_refused_whatever_the_disk_does(clients: Clients) -> None:
    pairs = [clients.connect() for _ in range(2)]
    clients.side.perform("s3", "PutObject", bucket="plain", key="0/a", body=b"a")
    pairs[0][1].sendall(clients.write("PUT", "/plain/" + "k" * 1025))
    pairs[1][1].sendall(clients.write("PUT", "/plain/1"))
    clients.problem = OSError(errno.EIO, "Input/output error")
    serve_together([each for each, _ in pairs])
    assert pairs[0][1].recv(1 << 16).startswith(b"HTTP/1.1 400 Bad Request")
    assert pairs[1][1].recv(1 << 16).startswith(b"HTTP/1.1 500 ")


def test_who_only_reads_does_not_fail_with_the_changes_of_others(clients: Clients) -> None:
    pairs = [clients.connect() for _ in range(2)]
    clients.side.perform("s3", "PutObject", bucket="plain", key="a", body=b"read me")
    (reader, near), (_, end) = pairs
    for _ in range(LEARNT):
        near.sendall(clients.write("GET", "/plain/a"))
        assert reader.serve_pending()
        assert near.recv(1 << 16).endswith(b"read me")
    near.sendall(clients.write("GET", "/plain/a"))
    end.sendall(clients.write("PUT", "/plain/1"))
    clients.problem = OSError(errno.EIO, "Input/output error")
    serve_together([each for each, _ in pairs])
    assert end.recv(1 << 16).startswith(b"HTTP/1.1 500 ")
    assert near.recv(1 << 16).endswith(b"read me")


def test_what_is_logged_of_a_fault_names_its_request(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [clients.connect() for _ in range(2)]
    for number, (_, near) in enumerate(pairs):
        near.sendall(clients.write("PUT", f"/plain/{number}"))
    monkeypatch.setattr(Objects, "commit", lambda *_: 1 // 0)
    lines = Lines()
    logging.getLogger("eucabox").addHandler(lines)
    serve_together([each for each, _ in pairs])
    logging.getLogger("eucabox").removeHandler(lines)
    faults = [each for each in lines.take() if "ZeroDivisionError" in each]
    for fault, (_, near) in zip(faults, pairs, strict=True):
        request_id = near.recv(1 << 16).partition(b"x-amz-request-id: ")[2][:36].decode()
        assert f"request_id={request_id}" in fault


def test_another_request_than_expected_is_left_to_be_served_alone(clients: Clients) -> None:
    pairs = [clients.connect() for _ in range(3)]
    pairs[0][1].sendall(clients.write("PUT", "/plain/0"))
    listing = Sent("GET", "/plain", query="list-type=2").write(clients.key)
    pairs[1][1].sendall(listing)
    pairs[2][1].shutdown(socket.SHUT_WR)
    kept = serve_together([each for each, _ in pairs])
    assert len(kept) == 3
    assert pairs[0][1].recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
    assert [each.shares_flushes for each, _ in pairs] == [True, False, False]
    assert pairs[1][0].rfile.has_data()
    assert pairs[1][0].serve_pending()
    assert b"<ListBucketResult" in pairs[1][1].recv(1 << 16)
    assert not pairs[2][0].serve_pending()


def test_requests_sent_one_after_the_other_are_answered_in_their_order(clients: Clients) -> None:
    pairs = [clients.connect() for _ in range(2)]
    first, near = pairs[0]
    near.sendall(clients.write("PUT", "/plain/0", b"one") + clients.write("DELETE", "/plain/0"))
    pairs[1][1].sendall(clients.write("PUT", "/plain/1"))
    serve_together([each for each, _ in pairs])
    assert near.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
    assert clients.read("0") == b"one"
    assert first.rfile.has_data(), "and the loop gives it back to be served"
    assert first.serve_pending()
    assert near.recv(1 << 16).startswith(b"HTTP/1.1 204")


def test_a_client_that_has_left_takes_nothing_from_the_others(clients: Clients) -> None:
    pairs = [clients.connect() for _ in range(3)]
    for number, (_, near) in enumerate(pairs):
        near.sendall(clients.write("PUT", f"/plain/{number}"))
    pairs[1][1].close()
    kept = serve_together([each for each, _ in pairs])
    assert kept == {pairs[0][0], pairs[2][0]}
    assert pairs[2][1].recv(1 << 16).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("step", ["serve_in_batch", "send", "complete"])
def test_a_fault_of_one_takes_nothing_from_the_others(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    pairs = [clients.connect() for _ in range(3)]
    for number, (_, near) in enumerate(pairs):
        near.sendall(clients.write("PUT", f"/plain/{number}"))
    where = Served if step == "complete" else ClientConnection
    do, calls = getattr(where, step), list[object]()

    def fail(*given: Any) -> object:
        calls.append(given)
        if len(calls) == 2:
            raise MemoryError
        return do(*given)

    monkeypatch.setattr(where, step, fail)
    kept = serve_together([each for each, _ in pairs])
    assert kept == {pairs[0][0], pairs[2][0]}
    for number in (0, 2):
        assert pairs[number][1].recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
        assert clients.read(str(number)) == b"content"
    assert not gil_turns._mine.has_turn


def _fill(connection: ClientConnection) -> int:
    """Send until the client, which reads nothing, takes no more; return how many bytes."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    filled = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            filled += connection.socket.send(b"x" * 256, socket.MSG_DONTWAIT)
    return filled


def _serve_next(loop: LeaderFollowers) -> None:
    """Let this thread lead for one turn, as `run_as_leader` does."""
    me = loop._become_leader()
    gil_turns.on_yield(lambda: loop._lose_leadership(me))
    loop._serve_next(me)
    gil_turns.on_yield(None)
    loop._lose_leadership(me)


@pytest.mark.parametrize("expects", [False, True], ids=["answer", "continue"])
def test_who_does_not_receive_holds_up_nobody(clients: Clients, expects: bool) -> None:
    (slow, near), (quick, end) = clients.connect(), clients.connect()
    loop, request = clients.side.listener._leader_followers, clients.write("PUT", "/plain/0")
    if expects:
        request = clients.expect("/plain/0", b"content")
        for _ in range(LEARNT):
            near.sendall(request)
            assert slow.serve_pending()
            assert near.recv(1 << 16).startswith(b"HTTP/1.1 ")
        request = request[: -len(b"content")]
    filled = _fill(slow)
    near.sendall(request)
    end.sendall(clients.write("PUT", "/plain/1"))
    for each in (slow, quick):
        loop.add(each)
    _serve_next(loop)
    assert end.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
    assert list(loop._members.values()) == [quick], "and its next request is served"
    item = clients.side.listener.requests.get(timeout=5)
    rest = threading.Thread(target=slow.run_in_own_thread)
    assert item._connection is slow
    rest.start()
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += near.recv(1 << 16)
    rest.join(10)
    assert heard[:filled] == b"x" * filled
    wanted = b"HTTP/1.1 100 Continue" if expects else b"HTTP/1.1 200 OK"
    assert heard[filled:].startswith(wanted)
    assert not clients.side.listener.active


def test_of_a_source_at_its_limit_none_is_lost_where_the_lead_is_taken(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, listener = [clients.connect() for _ in range(2)], clients.side.listener
    loop = listener._leader_followers
    for connection, near in pairs:
        near.sendall(clients.write("PUT", "/plain/0"))
        loop.add(connection)
    me = loop._become_leader()
    claimed = loop._claim(me, list(loop._members))
    assert len(claimed) == 2
    loop._lose_leadership(me)
    returned: list[ClientConnection] = []
    monkeypatch.setattr(listener.waiting, "put", returned.append)
    loop._defer(me, claimed)
    assert {*returned, *loop._members.values()} == {each for each, _ in pairs}
    assert not listener.threads._count


@pytest.mark.not_fast
def test_under_a_listener_clients_share_flushes_and_lose_nothing(clients: Clients) -> None:
    listener = Listener(("127.0.0.1", 0), api.create_app(clients.side.cloud), 8, ("api", "port"))
    listener.open()
    problems: list[str] = []
    clients.flushes, clients.look = 0, lambda: time.sleep(0.001)  # as a quick disk
    threads = [
        threading.Thread(target=_put_and_delete, args=(clients, listener, number, problems))
        for number in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    listener.shut()
    assert problems == []
    assert clients.flushes < 8 * CHANGES * 0.9
    for number in range(8):
        assert clients.read(f"{number}/{CHANGES - 1}") == b"content"
        assert clients.read(f"{number}/1") is None


CHANGES = 100


def _put_and_delete(clients: Clients, listener: Listener, number: int, problems: list[str]) -> None:
    with socket.create_connection(listener.bind_addr, 30) as near:
        for step in range(CHANGES):
            near.sendall(clients.write("PUT", f"/plain/{number}/{step}"))
            if not near.recv(1 << 16).startswith(b"HTTP/1.1 200 OK"):
                problems.append(f"put {number}/{step}")
            if clients.read(f"{number}/{step}") != b"content":
                problems.append(f"lost {number}/{step}")
        for step in range(CHANGES - 1):
            near.sendall(clients.write("DELETE", f"/plain/{number}/{step}"))
            if not near.recv(1 << 16).startswith(b"HTTP/1.1 204"):
                problems.append(f"delete {number}/{step}")


def test_where_content_and_name_need_an_order_nobody_shares(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients.side.cloud.store._flush, "can_postpone", False)
    connection, near = clients.connect()
    near.sendall(clients.write("PUT", "/plain/0"))
    assert connection.serve_pending()
    assert not connection.shares_flushes


def test_who_changes_a_bucket_on_a_disk_of_its_own_shares_nothing(clients: Clients) -> None:
    connection, near = clients.connect()
    assert connection.shares_flushes
    folder = clients.side.cloud.store._folders["plain"]
    folder.flush = Flush(COMMIT, is_ordered=True, is_apart=True)
    near.sendall(clients.write("PUT", "/plain/0"))
    assert connection.serve_pending()
    assert near.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
    assert not connection.shares_flushes
