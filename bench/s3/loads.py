"""What is done to each server: large and small objects, listings, parts, connections."""

import os
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from urllib.parse import quote

from bench.s3.client import Connection, Refused, many
from bench.s3.peers import Server
from bench.s3.signing import CHUNK, Target, path_of, request

LARGE = os.urandom(64 << 20)
SMALL = os.urandom(4096)
BUCKET = "bench"
CLIENTS = 8
REST = 3  # seconds until a server that has started is idle
PART, PARTS = 16 << 20, 64
TOKEN = re.compile(rb"<NextContinuationToken>([^<]+)<")
UPLOAD = re.compile(rb"<UploadId>([^<]+)<")
E_TAG = re.compile(rb"<ETag>([^<]+)</ETag>")


@dataclass
class Plan:
    """How much is done, and what is left out."""

    small: int = 2000
    keys: int = 10_000
    only: frozenset[str] = frozenset()
    repeats: int = 3
    found: dict[str, float] = field(default_factory=dict)

    def wants(self, name: str) -> bool:
        return not self.only or any(name.startswith(each) for each in self.only)


def measure(server: Server, plan: Plan) -> dict[str, float]:
    """Run every load that is wanted; name of the figure -> value."""
    time.sleep(REST)
    figures = {"start s": server.start, "idle MiB": server.memory()}
    link = Connection(server.target)
    if server.target.key:
        link.done(request(server.target, "PUT", path_of(BUCKET)))
    for name, load in LOADS.items():
        if plan.wants(name) and (server.target.key or name in PLAIN):
            try:
                spent = server.cpu()
                figures[name] = load(server, link, plan)
                if name.endswith("x8, /s"):  # what other work on the machine changes least
                    spent = (server.cpu() - spent) / plan.small * 1e6
                    figures[name.replace("/s", "CPU us")] = spent
                print(f"    {name}: {figures[name]:.2f}", flush=True)
            except (Refused, OSError) as problem:
                print(f"    {name}: {problem}", flush=True)
                link = Connection(server.target)
    figures["after MiB"] = server.memory()
    link.close()
    return figures


def put_large(form: str, server: Server, link: Connection, plan: Plan) -> float:
    """MiB/s of 64 MiB puts, one after the other."""

    def once(number: int) -> float:
        path = path_of(BUCKET, f"large{number}")
        pieces = request(server.target, "PUT", path, body=LARGE, form=form)
        began = time.perf_counter()
        link.done(pieces)
        return 64 / (time.perf_counter() - began)

    return median(once(number) for number in range(plan.repeats))


def get_large(server: Server, link: Connection, plan: Plan) -> float:
    path = path_of(BUCKET, "large0")
    link.done(request(server.target, "PUT", path, body=LARGE, form="unsigned"))

    def once() -> float:
        pieces = request(server.target, "GET", path)
        began = time.perf_counter()
        link.done(pieces)
        return 64 / (time.perf_counter() - began)

    return median(once() for _ in range(plan.repeats + 2))


def put_small(server: Server, link: Connection, plan: Plan) -> float:
    return _many(server.target, "PUT", plan.small, SMALL)


def get_small(server: Server, link: Connection, plan: Plan) -> float:
    return _many(server.target, "GET", plan.small)


def head_small(server: Server, link: Connection, plan: Plan) -> float:
    return _many(server.target, "HEAD", plan.small)


def delete_small(server: Server, link: Connection, plan: Plan) -> float:
    return _many(server.target, "DELETE", plan.small)


def put_alone(server: Server, link: Connection, plan: Plan) -> float:
    return _many(server.target, "PUT", plan.small // 4, SMALL, clients=1)


def get_alone(server: Server, link: Connection, plan: Plan) -> float:
    return _many(server.target, "GET", plan.small // 4, clients=1)


def _many(
    target: Target, method: str, count: int, body: bytes = b"", clients: int = CLIENTS
) -> float:
    paths = [path_of(BUCKET, f"small/{number:06}") for number in range(count)]
    whole = [b"".join(request(target, method, path, body=body)) for path in paths]
    return count / many(target, whole, clients)[0]


def list_keys(server: Server, link: Connection, plan: Plan) -> float:
    """Seconds for all pages of a thousand; the keys are put before."""
    _fill(server.target, plan.keys)
    link = Connection(server.target)  # the other may have been silent for too long

    def once() -> float:
        token, count = "", 0
        began = time.perf_counter()
        while True:
            query = f"continuation-token={quote(token, safe='')}&" if token else ""
            query += f"list-type=2&prefix={quote('listed/', safe='')}"
            page = link.done(request(server.target, "GET", path_of(BUCKET), query))
            count += page.count(b"<Contents>")
            found = TOKEN.search(page)
            if not found:
                break
            token = found[1].decode()
        assert count == plan.keys, f"{count} of {plan.keys} keys"
        return time.perf_counter() - began

    try:
        return median(once() for _ in range(plan.repeats))
    finally:
        link.close()


def _fill(target: Target, keys: int) -> None:
    for start in range(0, keys, 5000):
        numbers = range(start, min(start + 5000, keys))
        paths = [path_of(BUCKET, f"listed/{number:07}") for number in numbers]
        many(target, [b"".join(request(target, "PUT", each, body=b"x")) for each in paths], 8)


def multipart(server: Server, link: Connection, plan: Plan) -> float:
    """MiB/s of 1 GiB in 64 parts, four at a time, and the completion."""
    path, target = path_of(BUCKET, "parts"), server.target
    upload = UPLOAD.search(link.done(request(target, "POST", path, "uploads=")))
    assert upload
    upload_id = upload[1].decode()
    tags: dict[int, str] = {}
    numbers = iter(range(1, PARTS + 1))

    def work() -> None:
        own = Connection(target)
        for number in numbers:
            start = number % 4 * PART
            body = LARGE[start : start + PART]
            query = f"partNumber={number}&uploadId={quote(upload_id, safe='')}"
            own.done(request(target, "PUT", path, query, body, "unsigned"))
            tags[number] = "x"
        own.close()

    began = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    link = Connection(target)  # the other was idle for long
    query = f"uploadId={quote(upload_id, safe='')}"
    listed = E_TAG.findall(link.done(request(target, "GET", path, query)))
    assert len(listed) == len(tags) == PARTS, f"{len(listed)} parts"
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{tag.decode()}</ETag></Part>"
        for number, tag in enumerate(listed, 1)
    )
    body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    link.done(request(target, "POST", path, query, body))
    return 1024 / (time.perf_counter() - began)


def peak(server: Server, link: Connection, plan: Plan) -> float:
    """The most memory while 8 clients put 64 MiB each."""
    most, done = 0.0, threading.Event()

    def work(number: int) -> None:
        own = Connection(server.target)
        path = path_of(BUCKET, f"peak{number}")
        own.done(request(server.target, "PUT", path, body=LARGE, form="unsigned"))
        own.close()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.02):
            most = max(most, server.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    threads = [threading.Thread(target=partial(work, number)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    watcher.join()
    return most


def crowd(server: Server, link: Connection, plan: Plan) -> float:
    """Memory with 200 connections that have each had an answer."""
    path = path_of(BUCKET, "large0") if server.target.key else "/"
    open_ = []
    for _ in range(200):
        sock = socket.create_connection((server.target.host, server.target.port), 30)
        sock.sendall(b"".join(request(server.target, "HEAD", path)))
        sock.recv(CHUNK)
        open_.append(sock)
    memory = server.memory()
    for sock in open_:
        sock.close()
    return memory


LOADS: dict[str, Callable[[Server, Connection, Plan], float]] = {
    "PUT 64 MiB, MiB/s": partial(put_large, "unsigned"),
    "PUT 64 MiB signed, MiB/s": partial(put_large, "signed"),
    "PUT 64 MiB signed chunks, MiB/s": partial(put_large, "chunked"),
    "PUT 64 MiB crc32 trailer, MiB/s": partial(put_large, "trailer"),
    "GET 64 MiB, MiB/s": get_large,
    "PUT 4 KiB x8, /s": put_small,
    "GET 4 KiB x8, /s": get_small,
    "HEAD 4 KiB x8, /s": head_small,
    "PUT 4 KiB x1, /s": put_alone,
    "GET 4 KiB x1, /s": get_alone,
    "DELETE x8, /s": delete_small,
    "8 x PUT 64 MiB, MiB at most": peak,
    "200 connections, MiB": crowd,
    "multipart 1 GiB, MiB/s": multipart,
    "LIST, s": list_keys,
}
# What a server of plain files can do.
PLAIN = frozenset(
    {
        "PUT 64 MiB, MiB/s", "GET 64 MiB, MiB/s", "PUT 4 KiB x8, /s", "GET 4 KiB x8, /s",
        "HEAD 4 KiB x8, /s", "PUT 4 KiB x1, /s", "GET 4 KiB x1, /s", "DELETE x8, /s",
    }
)  # fmt: skip
