"""Clients that are slow, half there, or too many."""

import contextlib
import ssl
import time
from collections.abc import Callable

from tests.live.attacks.world import LARGE, PRIVATE, PUBLIC, Attack, World

MIB = f"Content-Length: {1 << 20}"
FORM = "Content-Type: application/x-www-form-urlencoded"
PARTS = "Content-Type: multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\n'
CHUNKED = "Transfer-Encoding: chunked"


def head(method: str, target: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: h", *headers, "", ""]).encode()


def _dripping(sent: bytes, count: int = 40, seconds: float = 10.0) -> Attack:
    return lambda world: world.crowd(count, sent, b"a", seconds)


def _half_handshakes(world: World) -> None:
    client = ssl.create_default_context()
    client.check_hostname = False
    hello = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        client.wrap_bio(ssl.MemoryBIO(), hello).do_handshake()
    content = hello.read()
    for number in range(64):
        with contextlib.suppress(OSError):
            world.connect(world.secure).sendall(content[: 50 if number % 2 else None])
    world.over.wait()


def _slow_readers(world: World) -> None:
    clients = [world.connect(window=4096) for _ in range(40)]
    for client in clients:
        client.sendall(head("GET", f"/{PUBLIC}/{LARGE}"))
    while not world.over.wait(1):
        for client in clients:
            with contextlib.suppress(OSError):
                client.recv(300)


def _health_checks_unread(world: World) -> None:
    for _ in range(40):
        with contextlib.suppress(OSError):
            client = world.connect(window=4096)
            client.settimeout(0.2)
            client.sendall(head("GET", "/_eucabox/health") * 20_000)
    world.over.wait()


def _many_connections(world: World) -> None:
    for _ in range(1500):
        with contextlib.suppress(OSError):
            world.connect()
        if world.over.is_set():
            return
    world.over.wait()


def _many_buckets(world: World) -> None:
    s3 = world.cloud.client("s3")
    number = 0
    while not world.over.is_set() and number < 10_000:
        s3.create_bucket(Bucket=f"attacks-{time.time_ns()}")
        number += 1


def _busy_connections(world: World) -> None:
    """More keep-alive clients than there are threads, each with one request after the other."""
    clients = [world.connect() for _ in range(60)]
    while not world.over.is_set():
        for client in clients:
            with contextlib.suppress(OSError):
                client.sendall(head("GET", f"/{PRIVATE}/small"))
        for client in clients:
            with contextlib.suppress(OSError):
                client.recv(1 << 16)


ATTACKS: dict[str, Callable[[World], None]] = {
    "dripped bodies": _dripping(head("PUT", f"/{PRIVATE}/k", MIB)),
    "dripped chunks": _dripping(head("PUT", f"/{PRIVATE}/k", CHUNKED) + b"fffff\r\n"),
    "dripped form files": _dripping(head("POST", f"/{PRIVATE}", MIB, PARTS) + PART),
    "dripped ?delete": _dripping(head("POST", f"/{PRIVATE}?delete", MIB) + b"<Delete>"),
    "dripped health": _dripping(head("GET", "/_eucabox/health", MIB)),
    "dripped public bodies": _dripping(head("PUT", f"/{PUBLIC}/k", MIB)),
    "dripped small bodies": _dripping(head("PUT", f"/{PUBLIC}/k", "Content-Length: 999")),
    "dripped forms": _dripping(head("POST", "/", MIB, FORM) + b"Action=", 40, 1.0),
    "200 half heads": _dripping(b"GET / HTTP/1.1\r\nHost: h\r\nX: ", 200, 1.0),
    "64 half handshakes": _half_handshakes,
    "40 slow readers": _slow_readers,
    "unread health checks": _health_checks_unread,
    "1,500 connections": _many_connections,
    "many buckets": _many_buckets,
    "busy connections": _busy_connections,
}
