"""A whole cloud without listeners and guests, its S3 without HTTP, and what its answers must be."""

import io
import logging
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch
from xml.etree import ElementTree

from eucabox import api
from eucabox.cloud import Cloud
from eucabox.config import CloudSection, Config
from eucabox.server.request import LENGTH
from tests.fuzz.case import HOST, Case, Keys, sign
from tests.fuzz.odd import BUCKET, KEY

SLOWEST = 10.0  # seconds
HANGS = 8.0  # seconds of the clock in which a case ends whatever else the machine does
XML = "xml"
CONTROL = re.compile(rb"&#x?[0-9A-Fa-f]+;")
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
FRESH = 400  # cases between two new buckets: some settings lock everybody out
LOGGED = {"target_bucket": "other", "target_prefix": ""}
RULE = {"allowed_methods": ["GET", "PUT", "POST"], "allowed_origins": ["*"]}
SHARED = {"cors_rules": [RULE]}


class Problem(AssertionError):
    """Something that must not happen, with the case that made it happen."""


class TooSlow(Problem):
    """A case that took too long, on a machine that may just have been busy: to be tried again."""


def clock() -> Callable[[], float]:
    """Begin to measure how long a case takes; of less than HANGS seconds the share that this thread
    has worked counts, and as much again: the machine may be busy with others."""
    began, worked = time.monotonic(), time.thread_time()

    def read() -> float:
        seconds, own = time.monotonic() - began, time.thread_time() - worked
        return seconds if seconds > HANGS else min(seconds, 2 * own)

    return read


class Traces(logging.Handler):
    """Keeps what was logged with a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.seen.append(logging.Formatter().format(record))


class Line(io.RawIOBase):
    """A body as a server gives it: with read alone."""

    def __init__(self, body: bytes) -> None:
        self._body = io.BytesIO(body)

    def read(self, size: int | None = -1) -> bytes:
        return self._body.read(-1 if size is None else size)


def flush_nothing(descriptor: int) -> None:
    """Leave it to the operating system: what a fuzz writes need not last."""


class Shop:
    """One cloud in a folder, and the cases that it has seen."""

    slowest = SLOWEST

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.longest = 0.0  # seconds that a case took
        self.cloud = Cloud(self.make_config(folder))
        self.cloud.access_log.start()
        self.app: Any = api.create_app(self.cloud)
        accounts = self.cloud.accounts
        found = accounts.user_credentials(accounts.ensure_administrator())
        self.owner = Keys(found.caller.access_key_id, found.secret)
        self._account = found.caller.account_id
        other = accounts.user_credentials(accounts.create_user("other"))
        self.other = Keys(other.caller.access_key_id, other.secret)
        self.traces = Traces()
        self.seen: Counter[str] = Counter()
        self.uploads = [""]
        self._until_fresh = 0

    def make_config(self, folder: Path) -> Config:
        return Config(cloud=CloudSection(data_dir=folder / "data"))

    # --- one case --------------------------------------------------------------------------------

    def keys(self, chance: random.Random) -> Keys:
        """Who signs a case."""
        return self.other if chance.random() < 0.05 else self.owner

    def ask(self, case: Case, chance: random.Random) -> tuple[int, dict[str, str], bytes]:
        """Sign and send a case; its answer, which is a good one."""
        self._freshen()
        if "authorization" not in case.headers:
            sign(case, self.keys(chance), chance)
        took = clock()
        try:
            status, headers, body = self._send(case)
        except Exception as error:
            raise Problem(f"{case.shown()}\nraised {error!r}") from error
        self._check(case, status, headers, body, took())
        self.seen[str(status)] += 1
        self.note_answer(status, body)
        return status, headers, body

    def note_answer(self, status: int, body: bytes) -> None:
        """Take notice of an answer."""

    def _send(self, case: Case) -> tuple[int, dict[str, str], bytes]:
        return self.send_to(self.app, case, "192.0.2.1")

    def send_to(self, app: Any, case: Case, source: str) -> tuple[int, dict[str, str], bytes]:
        """Hand a case to an application as a server does; its answer."""
        headers_sent = dict(case.headers)
        if case.chunked:
            headers_sent["transfer-encoding"] = "chunked"
        else:
            headers_sent.setdefault("content-length", str(len(case.body)))
        if not LENGTH.fullmatch(headers_sent.get("content-length", "0")):
            return 400, {}, b""  # the server has refused it: fuzzed over real sockets too
        if not app.is_api_request(case.target, headers_sent.get("host", "")):
            return 404, {}, b""
        line = Line(case.body)
        request = app.build_request(case.method, case.target, headers_sent, line, None, source)
        status, headers, pieces = api.http_response(request, app.handle(request))
        try:
            body = b"".join(pieces)
        finally:
            close = getattr(pieces, "close", None)
            if close:
                close()
        for name, value in headers:
            if not TOKEN.fullmatch(name) or re.search("[\r\n\0]", value):
                raise Problem(f"{case.shown()}\nanswers the header {name!r}: {value!r}")
            value.encode("latin-1")
        return int(status[:3]), {name.lower(): value for name, value in headers}, body

    def is_failure(self, status: int, body: bytes) -> bool:
        """Whether an answer tells of something that no request may bring about."""
        return status >= 500 and status != 501

    def _check(
        self, case: Case, status: int, headers: dict[str, str], body: bytes, seconds: float
    ) -> None:
        if self.traces.seen:
            trace = "\n".join(self.traces.seen)
            self.traces.seen.clear()
            raise Problem(f"{case.shown()}\n{trace}")
        if self.is_failure(status, body):
            raise Problem(f"{case.shown()}\nanswers {status} {body[:500]!r}")
        self.longest = max(self.longest, seconds)
        if seconds > self.slowest:
            raise TooSlow(f"{case.shown()}\ntakes {seconds:.1f} s")
        if XML in headers.get("content-type", "") and body and not _is_object(case, status):
            try:
                ElementTree.fromstring(body)
            except ElementTree.ParseError as error:
                if not CONTROL.search(body):  # S3 itself shows a control character so
                    raise Problem(f"{case.shown()}\nanswers {body[:2000]!r}: {error}") from error

    # --- what is there to be asked for -----------------------------------------------------------

    def _freshen(self) -> None:
        self._until_fresh -= 1
        if self._until_fresh > 0:
            return
        self._until_fresh = FRESH
        store, owner = self.cloud.store, self._account
        for bucket in store.buckets():
            self._empty(bucket.name)
        for name in (BUCKET, "other"):
            store.create_bucket(name, owner)
        store.set_bucket_setting(BUCKET, "logging", LOGGED)
        store.set_bucket_setting(BUCKET, "cors", SHARED)
        chance = random.Random(self._until_fresh)
        for body in (b"content", b"x" * 100):
            self._send_signed(Case("PUT", f"/{BUCKET}/{KEY}", body=body), chance)
        begun = Case("POST", f"/{BUCKET}/{KEY}", "uploads")
        _, _, said = self._send_signed(begun, chance)
        self.uploads = re.findall(r"<UploadId>([^<]+)", said.decode()) or [""]
        upload = Case("PUT", f"/{BUCKET}/{KEY}", f"partNumber=1&uploadId={self.uploads[0]}")
        self._send_signed(upload, chance)

    def _send_signed(self, case: Case, chance: random.Random) -> tuple[int, dict[str, str], bytes]:
        sign(case, self.owner, chance)
        return self._send(case)

    def _empty(self, name: str) -> None:
        """Take a bucket away whatever settings it has: its folder, and then its name."""
        folder = self.cloud.store._root / name
        for each in folder.iterdir():
            if each.name != ".eucabox":
                shutil.rmtree(each) if each.is_dir() else each.unlink()
        for inside in ("objects", "versions", "attributes"):
            for each in (folder / ".eucabox" / inside).glob("*"):
                shutil.rmtree(each) if each.is_dir() else each.unlink()
        self.cloud.store.rescan(name)
        self.cloud.store.delete_bucket(name)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Look at the log."""
        log = logging.getLogger("eucabox")
        log.addHandler(self.traces)
        try:
            yield
        finally:
            log.removeHandler(self.traces)

    # --- the whole -------------------------------------------------------------------------------

    def outside(self) -> list[str]:
        """What is in the folder and belongs to no room of the cloud."""
        rooms = {"buckets", "run", "network", "cache", "instances", "ca", "log"}
        data = {each.name for each in (self.folder / "data").iterdir() if each.is_dir()}
        strange = [str(each) for each in self.folder.iterdir() if each.name != "data"]
        return [*strange, *(data - rooms)]

    def inside(self) -> list[str]:
        """What is in the folder of the buckets and is no bucket."""
        root = self.cloud.store._root
        known = {each.name for each in self.cloud.store.buckets()} | {".eucabox"}
        return sorted({each.name for each in root.iterdir()} - known)


def _is_object(case: Case, status: int) -> bool:
    """Whether the body may be an object's own bytes, whatever type it says that it has."""
    return case.method == "GET" and status in (200, 206)


@contextmanager
def watching() -> Iterator[None]:
    """Nobody pulls the plug meanwhile."""
    # a mock would keep each call, and grow
    with patch("os.fsync", flush_nothing), patch("os.fdatasync", flush_nothing):
        yield


@contextmanager
def open_shop(folder: Path) -> Iterator[Shop]:
    """A shop whose log is looked at; at the end nothing may be outside of it."""
    with watching():
        shop = Shop(folder)
        with shop.listening():
            try:
                yield shop
                assert shop.outside() == []
                assert shop.inside() == []
            finally:
                shop.cloud.close()


__all__ = ["HOST", "Problem", "Shop", "TooSlow", "clock", "open_shop", "watching"]
