"""A whole cloud without listeners and guests, its S3 without HTTP, and what its answers must be."""

import io
import logging
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
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
XML = "xml"
CONTROL = re.compile(rb"&#x?[0-9A-Fa-f]+;")
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
FRESH = 400  # cases between two new buckets: some settings lock everybody out
LOGGED = {"target_bucket": "other", "target_prefix": ""}
RULE = {"allowed_methods": ["GET", "PUT", "POST"], "allowed_origins": ["*"]}
SHARED = {"cors_rules": [RULE]}


class Problem(AssertionError):
    """Something that must not happen, with the case that made it happen."""


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


class Shop:
    """One cloud in a folder, and the cases that it has seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cloud = Cloud(Config(cloud=CloudSection(data_dir=folder / "data")))
        self.cloud.access_log.start()
        self.app: Any = api.create_app(self.cloud).wsgi_app
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

    # --- one case --------------------------------------------------------------------------------

    def ask(self, case: Case, chance: random.Random) -> tuple[int, dict[str, str], bytes]:
        """Sign and send a case; its answer, which is a good one."""
        self._freshen()
        if "authorization" not in case.headers:
            sign(case, self.other if chance.random() < 0.05 else self.owner, chance)
        began = time.monotonic()
        try:
            status, headers, body = self._send(case)
        except Exception as error:
            raise Problem(f"{case.shown()}\nraised {error!r}") from error
        self._check(case, status, headers, body, time.monotonic() - began)
        self.seen[str(status)] += 1
        return status, headers, body

    def _send(self, case: Case) -> tuple[int, dict[str, str], bytes]:
        headers_sent = dict(case.headers)
        if case.chunked:
            headers_sent["transfer-encoding"] = "chunked"
        else:
            headers_sent.setdefault("content-length", str(len(case.body)))
        if not LENGTH.fullmatch(headers_sent.get("content-length", "0")):
            return 400, {}, b""  # the server has refused it: fuzzed over real sockets too
        if not self.app.is_api_request(case.target, headers_sent.get("host", "")):
            return 404, {}, b""
        line = Line(case.body)
        request = self.app.build_request(
            case.method, case.target, headers_sent, line, None, "192.0.2.1"
        )
        status, headers, pieces = api.http_response(request, self.app.handle(request))
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

    def _check(
        self, case: Case, status: int, headers: dict[str, str], body: bytes, seconds: float
    ) -> None:
        if self.traces.seen:
            trace = "\n".join(self.traces.seen)
            self.traces.seen.clear()
            raise Problem(f"{case.shown()}\n{trace}")
        if status >= 500 and status != 501:
            raise Problem(f"{case.shown()}\nanswers {status} {body[:500]!r}")
        if seconds > SLOWEST:
            raise Problem(f"{case.shown()}\ntakes {seconds:.1f} s")
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
def open_shop(folder: Path) -> Iterator[Shop]:
    """A shop whose log is looked at; at the end nothing may be outside of it."""
    log = logging.getLogger("eucabox")
    with patch("os.fsync"), patch("os.fdatasync"):  # nobody pulls the plug here
        shop = Shop(folder)
        log.addHandler(shop.traces)
        try:
            yield shop
            assert shop.outside() == []
            assert shop.inside() == []
        finally:
            log.removeHandler(shop.traces)
            shop.cloud.close()


__all__ = ["HOST", "Problem", "Shop", "open_shop"]
