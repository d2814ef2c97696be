"""A client of several connections that sends a small change on each at once, as one flush takes
them."""

import random
import re
import socket
import threading
import time
from contextlib import ExitStack

from tests.live.kills import bodies
from tests.live.kills.history import NOTHING, Write
from tests.live.kills.world import BUCKETS, KEYS, Place
from tests.live.process import Running
from tests.power.world import PowerWorld
from tests.roads.clients import Keys, curl

CONNECTIONS = 6
SMALL = 4096  # bytes
DELETES = 0.4  # the share of requests that delete
E_TAG = re.compile(rb'\r\netag: "([0-9a-f]{32})"\r\n', re.IGNORECASE)
SECONDS = 60  # for an answer
PAUSE = 0.005  # seconds between two looks, shorter than the server waits for busy connections


class TogetherClient(threading.Thread):
    """Puts and deletes objects, CONNECTIONS at a time, until it is told to end."""

    def __init__(self, world: PowerWorld, cloud: Running, seed: str) -> None:
        super().__init__(daemon=True)
        self.world = world
        self.chance = random.Random(seed)
        self.over = threading.Event()
        self._address = "127.0.0.1", cloud.port
        self._keys = Keys(cloud.access_key, cloud.secret_key)

    def run(self) -> None:
        try:
            with ExitStack() as stack:
                opened = [
                    stack.enter_context(socket.create_connection(self._address, SECONDS))
                    for _ in range(CONNECTIONS)
                ]
                threading.Thread(target=self._look, daemon=True).start()
                while not self.over.is_set():
                    self._ask_all(opened)
        except Exception as error:  # a client that ends unseen would prove nothing
            self.world.problem(f"together: {error!r}")

    def _look(self) -> None:
        """Ask all the time, so that the server goes on to serve all connections by one thread."""
        with socket.create_connection(self._address, SECONDS) as connection:
            while not self.over.wait(PAUSE):
                connection.sendall(curl("HEAD", "/plain/a", b"", self.chance).write(self._keys))
                connection.recv(1 << 16)

    def _ask_all(self, connections: list[socket.socket]) -> None:
        places = [(self.chance.choice(BUCKETS), each) for each in self.chance.sample(KEYS, 6)]
        requests = [self._write(place) for place in places]
        asked = []
        for connection, place, (value, raw) in zip(connections, places, requests, strict=True):
            asked.append(self.world.objects[place].begin(value, time.monotonic()))
            connection.sendall(raw)
        for connection, write in zip(connections, asked, strict=True):
            self._hear(connection, write)

    def _write(self, place: Place) -> tuple[str, bytes]:
        """Return what the object is to be, and the request that makes it so."""
        path = "/" + "/".join(place)
        if self.chance.random() < DELETES:
            return NOTHING, curl("DELETE", path, b"", self.chance).write(self._keys)
        label = self._choose_label()
        content = bodies.body(label, bodies.size(label))
        self.world.contents[bodies.plain_tag(label)] = label
        sent = curl("PUT", path, content, self.chance)
        said = bodies.said(label)
        sent.headers["content-type"] = said["ContentType"]
        for name, value in said["Metadata"].items():
            sent.headers[f"x-amz-meta-{name}"] = value
        return label, sent.write(self._keys)

    def _choose_label(self) -> str:
        while bodies.size(label := self.world.label("plain")) > SMALL:
            pass
        return label

    def _hear(self, connection: socket.socket, write: Write) -> None:
        answer = b""
        while b"\r\n\r\n" not in answer:
            more = connection.recv(1 << 16)
            if not more:
                raise ConnectionError("the server hung up")
            answer += more
        if answer[9:12] not in (b"200", b"204"):
            raise ValueError(answer.decode("latin-1"))
        e_tag = E_TAG.search(answer)
        write.sums = e_tag.group(1).decode() if e_tag else ""
        write.ended = time.monotonic()
        self.world.count("together")
