"""One eucabox that is attacked, the honest client beside, and what is measured of both."""

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.live.process import Running

PUBLIC, PRIVATE = "attacks-public", "attacks-private"
LARGE = "large"
LARGE_MIB = 64
LONGEST_API, LONGEST_HEALTH, MOST_MIB = 2.0, 0.5, 300.0
PATIENCE = 30  # seconds after which an honest request counts as never answered
EVERYBODY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": f"arn:aws:s3:::{PUBLIC}/*",
        }
    ],
}


@dataclass
class World:
    """What an attack knows: the cloud, when it is over, and a place for what it opens."""

    cloud: Running
    over: threading.Event
    stack: contextlib.ExitStack
    failures: list[str] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.cloud.port

    @property
    def secure(self) -> tuple[str, int]:
        return "127.0.0.1", self.cloud.https_port

    def connect(self, address: tuple[str, int] | None = None, window: int = 0) -> socket.socket:
        """Open one more connection, closed with the attack."""
        client = self.stack.enter_context(socket.socket())
        if window:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        client.settimeout(5)
        client.connect(address or self.address)
        return client

    def crowd(self, count: int, sent: bytes, drip: bytes = b"", seconds: float = 10.0) -> None:
        """Have many connections say the same and then a little every so often, until the end."""
        while not self.over.is_set():
            clients = []
            for _ in range(count):
                with contextlib.suppress(OSError):
                    clients.append(self.connect())
                    clients[-1].sendall(sent)
            self._drip(clients, drip, seconds)

    def _drip(self, clients: list[socket.socket], drip: bytes, seconds: float) -> None:
        until = time.monotonic() + 30
        while not self.over.wait(min(seconds, 1.0)) and time.monotonic() < until:
            for client in clients:
                with contextlib.suppress(OSError):
                    client.sendall(drip)

    def ask(self, raw: bytes, patience: float = PATIENCE) -> bytes:
        """Send one request and wait for the beginning of its answer."""
        with contextlib.suppress(OSError), socket.create_connection(self.address, 5) as client:
            client.settimeout(patience)
            client.sendall(raw)
            return client.recv(4096)
        return b""


Attack = Callable[[World], None]


@dataclass
class Longest:
    """The longest waits of the honest client, and the most memory of the attacked."""

    api: float = 0.0
    health: float = 0.0
    mib: float = 0.0
    failures: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        within = self.api <= LONGEST_API and self.health <= LONGEST_HEALTH
        return within and self.mib <= MOST_MIB and not self.failures


def prepare(cloud: Running) -> None:
    """Make what the attacks and the honest client use."""
    s3 = cloud.client("s3")
    for bucket in (PUBLIC, PRIVATE):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_policy(Bucket=PUBLIC, Policy=json.dumps(EVERYBODY))
    s3.put_object(Bucket=PUBLIC, Key=LARGE, Body=bytes(LARGE_MIB << 20))
    s3.put_object(Bucket=PRIVATE, Key="small", Body=bytes(4096))


def under(cloud: Running, attack: Attack, seconds: float) -> Longest:
    """Attack for so many seconds and measure."""
    found, over = Longest(), threading.Event()
    with contextlib.ExitStack() as stack:
        world = World(cloud, over, stack, found.failures)
        work = [
            threading.Thread(target=_honest, args=(cloud, over, found)),
            threading.Thread(target=_healthy, args=(cloud, over, found)),
            threading.Thread(target=_weigh, args=(cloud, over, found)),
            threading.Thread(target=attack, args=(world,)),
        ]
        for each in work:
            each.start()
        time.sleep(seconds)
        over.set()
        for each in work:
            each.join(2 * PATIENCE)
    return found


@contextlib.contextmanager
def _timed(found: Longest, name: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    except Exception as problem:
        found.failures.append(f"{name}: {problem!r}")
    setattr(found, name, max(getattr(found, name), time.monotonic() - started))


def _honest(cloud: Running, over: threading.Event, found: Longest) -> None:
    given: Any = {"read_timeout": PATIENCE, "connect_timeout": PATIENCE}
    s3, ec2 = cloud.client("s3", **given), cloud.client("ec2", **given)
    while not over.wait(0.1):
        with _timed(found, "api"):
            s3.get_object(Bucket=PRIVATE, Key="small")["Body"].read()
        with _timed(found, "api"):
            s3.put_object(Bucket=PRIVATE, Key="new", Body=bytes(4096))
        with _timed(found, "api"):
            ec2.describe_instances()


def _healthy(cloud: Running, over: threading.Event, found: Longest) -> None:
    context = ssl.create_default_context(cafile=str(cloud.ca_path))
    while not over.wait(0.1):
        with _timed(found, "health"):
            _check(http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=PATIENCE))
        with _timed(found, "health"):
            host, port = "127.0.0.1", cloud.https_port
            _check(http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=context))


def _check(client: http.client.HTTPConnection) -> None:
    with contextlib.closing(client):
        client.request("GET", "/_eucabox/health")
        assert client.getresponse().status == 200


def _weigh(cloud: Running, over: threading.Event, found: Longest) -> None:
    assert cloud.process is not None
    status = Path(f"/proc/{cloud.process.pid}/status")
    while not over.wait(0.1):
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        found.mib = max(found.mib, int(lines["VmRSS"].split()[0]) / 1024)
