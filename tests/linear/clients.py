"""Clients of few keys: what they ask, what they know, and what they were told."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import quote

from bench.s3.signing import Target, path_of
from tests.linear.model import OK, Answer, Operation
from tests.linear.wire import (
    Reply,
    Unanswered,
    Wire,
    get_e_tag,
    get_version,
    md5,
    md5_of_part,
    read_keys,
    read_miss,
    read_refusal,
    read_versions,
)

PLAIN, VERSIONED = "plain", "versioned"
PLACES = ((PLAIN, "a"), (PLAIN, "b/c"), (VERSIONED, "a"), (VERSIONED, "b/c"))
SIZES = (0, 0, 2000, 70_000)  # bytes behind the label: small requests go another road
MANY = 12  # versions of a key, from which on more are deleted
HOT = 0.6  # the share of a round's requests that go to one key
RECENT = 4  # ETags of a key that a condition may name
Place = tuple[str, str]


@dataclass
class Upload:
    """An upload with its one part."""

    upload_id: str
    part: str
    e_tag: str


@dataclass
class World:
    """What the clients share: the histories, and what there is to be asked for."""

    target: Target
    hot: Place = PLACES[0]
    histories: dict[Place, list[Operation]] = field(default_factory=dict)
    lost: list[tuple[Place, Operation, float]] = field(default_factory=list)
    e_tags: dict[Place, list[str]] = field(default_factory=dict)
    versions: dict[Place, list[str]] = field(default_factory=dict)
    uploads: dict[Place, list[Upload]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        for place in PLACES:
            self.histories[place], self.uploads[place] = [], []
            self.e_tags[place], self.versions[place] = [], []

    def keep(self, place: Place, op: Operation) -> None:
        """Add an answered operation to its history, and learn from it."""
        assert op.answer is not None
        with self.lock:
            self.histories[place].append(op)
            told = op.answer[0] if op.answer[0] != OK else "done"
            self.counts[f"{op.verb}: {told}"] += 1
            if op.answer[0] == OK and op.verb in ("put", "complete", "get"):
                self.e_tags[place] = [*self.e_tags[place], op.e_tag or str(op.answer[1])][-RECENT:]
            if op.verb == "list" and op.versioned and isinstance(op.answer[-1], tuple):
                self.versions[place] = [version for version, _ in op.answer[-1]]
            if op.verb == "delete version":
                known = self.versions[place]
                self.versions[place] = [each for each in known if each != op.version]

    def lose(self, place: Place, op: Operation, opened: float) -> None:
        """Keep an operation whose answer never came, with the time its connection was opened."""
        with self.lock:
            self.lost.append((place, op, opened))
            self.counts[f"{op.verb}: unanswered"] += 1


class Client(threading.Thread):
    """Asks until the numbers of its round are used up."""

    def __init__(self, world: World, seed: str, last: int) -> None:
        super().__init__(name=f"client-{seed}", daemon=True)
        self.world, self.last = world, last
        self.chance = random.Random(seed)
        self.wire = Wire(world.target)

    def run(self) -> None:
        try:
            while (number := next(self.world.numbers)) <= self.last:
                self._one(number)
        except Exception as error:  # else nobody would see it
            self.world.problems.append(f"{self.name}: {error!r}")
        finally:
            self.wire.close()

    def _one(self, number: int) -> None:
        hot = self.chance.random() < HOT
        place = self.world.hot if hot else self.chance.choice(PLACES)
        verbs = WEIGHTS[place[0]]
        if len(self.world.versions[place]) > MANY and self.chance.random() < 0.3:
            verb = "delete version"
        else:
            (verb,) = self.chance.choices(list(verbs), list(verbs.values()))
        op = Operation(number, verb, 0.0, 0.0, None, versioned=place[0] == VERSIONED)
        ASKS[verb](self, place, op)

    def ask(
        self,
        place: Place,
        op: Operation,
        read: Callable[[Reply], Answer],
        method: str,
        query: str = "",
        body: bytes = b"",
        *,
        listing: bool = False,
    ) -> None:
        """Send an operation and keep what became of it."""
        path = path_of(place[0], "" if listing else place[1])
        try:
            reply = self.wire.ask(method, path, query, body, _condition(op))
        except Unanswered:
            op.begin = self.wire.begin
            self.world.lose(place, op, self.wire.opened)
            return
        op.begin, op.end, op.answer = reply.begin, reply.end, read(reply)
        if reply.status >= 500:
            self.world.problems.append(f"{reply.status} {reply.body[:500]!r} to {op}")
        self.world.keep(place, op)

    # --- writes ----------------------------------------------------------------------------------

    def put(self, place: Place, op: Operation) -> None:
        content = self._content(op)
        op.e_tag = md5(content)
        self._set_condition(place, op)
        self.ask(place, op, _wrote, "PUT", body=content)

    def complete(self, place: Place, op: Operation) -> None:
        """Complete an upload: a new one, or one that somebody may have completed."""
        known = self.world.uploads[place]
        upload = self.chance.choice(known) if known and self.chance.random() < 0.5 else None
        upload = upload or self._upload(place, op)
        if upload is None:
            return
        op.upload, op.e_tag = upload.upload_id, upload.e_tag
        self._set_condition(place, op)
        body = (
            f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
            f"<ETag>{upload.part}</ETag></Part></CompleteMultipartUpload>"
        )
        self.ask(place, op, _wrote, "POST", f"uploadId={upload.upload_id}", body.encode())

    def _upload(self, place: Place, op: Operation) -> Upload | None:
        """Begin an upload and put its part, which nobody else sees; None if a kill came."""
        path, content = path_of(*place), self._content(op)
        try:
            made = self.wire.ask("POST", path, "uploads=").body.decode()
            upload_id = made.partition("<UploadId>")[2].partition("<")[0]
            query = f"partNumber=1&uploadId={upload_id}"
            part = get_e_tag(self.wire.ask("PUT", path, query, content), whole=False)
        except Unanswered:
            return None
        if not upload_id or not part:
            self.world.problems.append(f"no upload for {op}: {upload_id!r}, {part!r}")
            return None
        upload = Upload(upload_id, part, md5_of_part(content))
        with self.world.lock:
            self.world.uploads[place].append(upload)
        return upload

    def delete(self, place: Place, op: Operation) -> None:
        if self.chance.random() < 0.5:
            op.if_match = self._known_e_tag(place)
        self.ask(place, op, _wrote, "DELETE")

    def delete_version(self, place: Place, op: Operation) -> None:
        if self._choose_version(place, op):
            self.ask(place, op, lambda reply: read_refusal(reply) or (OK,), "DELETE",
                     f"versionId={op.version}")  # fmt: skip

    def _content(self, op: Operation) -> bytes:
        return f"{self.name} {op.number} ".encode() + b"x" * self.chance.choice(SIZES)

    def _set_condition(self, place: Place, op: Operation) -> None:
        kind = self.chance.random()
        if kind < 0.25:
            op.if_none_match = "*"
        elif kind < 0.6:
            op.if_match = self._known_e_tag(place)

    def _known_e_tag(self, place: Place) -> str:
        """Return an ETag of the key, most often the newest that anybody was told of."""
        known = self.world.e_tags[place]
        if not known:
            return ""
        return known[-1] if self.chance.random() < 0.8 else self.chance.choice(known)

    # --- reads -----------------------------------------------------------------------------------

    def get(self, place: Place, op: Operation) -> None:
        def read(reply: Reply) -> Answer:
            e_tag = get_e_tag(reply, whole=op.verb == "get")
            return read_miss(reply) or (OK, e_tag, get_version(reply))

        self.ask(place, op, read, "GET" if op.verb == "get" else "HEAD")

    def get_version(self, place: Place, op: Operation) -> None:
        if self._choose_version(place, op):
            query = f"versionId={op.version}"
            self.ask(place, op, _read_version, "GET", query)

    def _choose_version(self, place: Place, op: Operation) -> bool:
        known = self.world.versions[place]
        if not known:
            return False
        # the newest are those that make another one the current version
        op.version = known[0] if self.chance.random() < 0.4 else self.chance.choice(known)
        return True

    def list(self, place: Place, op: Operation) -> None:
        prefix = f"prefix={quote(place[1], safe='')}"
        query = f"{prefix}&versions=" if op.versioned else f"list-type=2&{prefix}"
        read = read_versions if op.versioned else read_keys
        self.ask(place, op, lambda reply: read_refusal(reply) or (OK, read(reply, place[1])),
                 "GET", query, listing=True)  # fmt: skip


def _wrote(reply: Reply) -> Answer:
    return read_refusal(reply) or (OK, get_version(reply))


def _read_version(reply: Reply) -> Answer:
    return read_refusal(reply) or (OK, get_e_tag(reply, whole=True))


def _condition(op: Operation) -> str:
    if op.if_none_match:
        return f"If-None-Match: {op.if_none_match}"
    return f'If-Match: "{op.if_match}"' if op.if_match else ""


ASKS: dict[str, Callable[[Client, Place, Operation], None]] = {
    "put": Client.put,
    "delete": Client.delete,
    "delete version": Client.delete_version,
    "complete": Client.complete,
    "get": Client.get,
    "head": Client.get,
    "get version": Client.get_version,
    "list": Client.list,
}
SHARED = {"put": 30, "delete": 10, "complete": 10, "get": 22, "head": 8, "list": 8}
WEIGHTS = {PLAIN: SHARED, VERSIONED: {**SHARED, "delete version": 12, "get version": 8}}
