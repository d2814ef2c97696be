"""Two clouds that are equal, one with the straight road and one without, and what they answer."""

import contextlib
import json
import logging
import os
import random
import re
import shutil
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from eucabox import actions, api, logs
from eucabox.actions import Call
from eucabox.bucket import ObjectProperties
from eucabox.cloud import Cloud
from eucabox.config import BucketsSection, CloudSection, Config
from eucabox.events.request_counts import REQUESTS
from eucabox.server.connection import ClientConnection
from eucabox.server.listener import Listener
from tests.roads.clients import Keys

SOURCE = "192.0.2.1"
BUCKETS = ("plain", "other", "locked", "mine")
REQUEST_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
VARYING = re.compile(
    rb"\r\nDate: [^\r]*|<ServerTime>[^<]*|this cloud's time is [^,]*|(?<=ms=)\S+"
    rb"|(?<=version-id: )\S+|(?<=<VersionId>)[^<]*|(?<=<UploadId>)[^<]*"
)
MOMENT = 1_700_000_000_000_000_000  # from which the times of files are counted
READ_ALL = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
ALL_OF_PLAIN = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::plain*"}
HERE = {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}
POLICIES: tuple[list[Mapping[str, object]], ...] = (
    [READ_ALL],
    [ALL_OF_PLAIN],
    [ALL_OF_PLAIN, {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"}],
    [{**ALL_OF_PLAIN, "Condition": HERE}],
    [{**ALL_OF_PLAIN, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}],
    [{**ALL_OF_PLAIN, "Resource": "arn:aws:s3:::plain/${aws:username}/*"}],
)
OPEN = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
BUCKET_POLICY = json.dumps({"Statement": [{**OPEN, "Resource": "arn:aws:s3:::plain/*"}]})
RULE = {"allowed_methods": ["GET", "PUT"], "allowed_origins": ["*"]}
AES = {"sse_algorithm": "AES256"}
SETTINGS: tuple[tuple[str, object], ...] = (
    ("policy", BUCKET_POLICY),
    ("policy", BUCKET_POLICY.replace("Allow", "Deny")),
    ("cors", {"cors_rules": [RULE]}),
    ("versioning", {"status": "Enabled"}),
    ("encryption", {"rules": [{"apply_server_side_encryption_by_default": AES}]}),
    ("object_ownership", "BucketOwnerEnforced"),
    ("public_access_block", {"block_public_acls": True, "ignore_public_acls": True}),
    ("tagging", {"a": "b"}),
    ("website", {"index_document": {"suffix": "index.html"}}),
    ("request_payment", "Requester"),
    ("acceleration", "Enabled"),
)  # fmt: skip

RANDOM = ("versioning", "encryption")  # with them things get random names or bytes


class Difference(AssertionError):
    """The two roads differ."""


class Lines(logging.Handler):
    """Keeps the lines that the log would have."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logs.Format(dated=False))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def take(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines


class Side:
    """One cloud with a listener that listens nowhere: its connections are pairs of sockets."""

    def __init__(self, folder: Path, *, straight: bool, durability: str = "relaxed") -> None:
        data = CloudSection(data_dir=folder)
        self.cloud = Cloud(Config(cloud=data, buckets=BucketsSection(durability=durability)))
        app = api.create_app(self.cloud)
        self.listener = Listener(("127.0.0.1", 0), app, 2, ("api", "port"))
        self.listener.ready = True
        self.listener.timeout = 0.05  # for bodies that never come
        waiting: Any = SimpleNamespace(
            connections=1, forget=lambda _: None, put=lambda connection: connection.end()
        )
        self.listener.waiting = waiting
        assert self.listener.dispatcher is not None
        self.dispatcher = self.listener.dispatcher
        if not straight:
            self.dispatcher.__dict__["straight_road"] = None
        self._connection: ClientConnection | None = None

    def hang_up(self) -> None:
        """End the connection, so that the next request comes by a new one."""
        if self._connection is not None:
            self._connection.end()
            self._near.close()
            self._connection = None

    def ask(self, raw: bytes) -> tuple[bytes, bool]:
        """Send bytes; all that comes back, and whether the connection stays."""
        stays = self.send(raw)
        answer = self.read_all()
        if not stays:
            self.hang_up()
        return answer, stays

    def send(self, raw: bytes) -> bool:
        """Send bytes and serve what is whole then; whether the connection stays."""
        if self._connection is None:
            self._connection, self._near = self.connect()
        if raw:
            self._near.sendall(raw)
        return self._connection.serve_pending() and not self._connection.rfile.has_data()

    def connect(self) -> tuple[ClientConnection, socket.socket]:
        """Return a connection, and the client's socket of it."""
        far, near = socket.socketpair()
        return ClientConnection(self.listener, far, SOURCE), near

    def hang_up_half(self) -> None:
        """Send no more."""
        self._near.shutdown(socket.SHUT_WR)

    def read_all(self) -> bytes:
        """Return all that has come back."""
        answer = b""
        with contextlib.suppress(BlockingIOError):
            while more := self._near.recv(1 << 20, socket.MSG_DONTWAIT):
                answer += more
        return answer

    def perform(self, service: str, name: str, **params: object) -> Any:
        """Run a verb as the administrator."""
        caller = self.cloud.accounts.user("admin")
        return actions.perform(service, name, Call(self.cloud, caller, "0"), params)

    def note_use(self, keys: Mapping[str, Keys]) -> None:
        """Write now that keys are used, or that would at some moment have them read anew."""
        for each in keys.values():
            self.cloud.accounts.known_keys.note_use(each.access, "s3")
        self.cloud.accounts.key_use.close()

    def close(self) -> None:
        self.hang_up()
        self.cloud.close()


@dataclass
class Counts:
    """How many cases there were, and how many the straight road took."""

    cases: int = 0
    straight: int = 0


class Pair:
    """The two sides, and whoever may send requests to them."""

    def __init__(self, folder: Path) -> None:
        first = Side(folder / "straight", straight=True)
        self.keys = make_keys(first)
        first.close()
        shutil.copytree(folder / "straight", folder / "general")
        self.sides = (
            Side(folder / "straight", straight=True),
            Side(folder / "general", straight=False),
        )
        for side in self.sides:
            side.note_use(self.keys)
        self.counts = Counts()
        self.statuses: Counter[str] = Counter()
        self._lines = Lines()
        self._log = logging.getLogger("eucabox")
        self._level = self._log.level
        self._log.addHandler(self._lines)
        self._log.setLevel(logging.INFO)
        road = self.sides[0].dispatcher.straight_road
        assert road is not None
        self._serve = road.serve
        road.serve = self._count  # type: ignore  # what it does stays

    def _count(self, *arguments: Any) -> Any:
        served = self._serve(*arguments)
        self.counts.straight += served is not None
        return served

    def ask(self, raw: bytes, name: str) -> None:
        """Send a request to both; raises Difference."""
        seen = [self._observe(side, raw) for side in self.sides]
        self.counts.cases += 1
        self.statuses[seen[0][0][9:12].decode("latin-1")] += 1
        for ours, theirs in zip(*seen, strict=True):
            if ours != theirs:
                shown = f"straight {ours!r}"[:3000], f"general  {theirs!r}"[:3000]
                raise Difference("\n".join((f"{name}: {raw[:2000]!r}", *shown)))

    def _observe(self, side: Side, raw: bytes) -> tuple[bytes, bool, list[bytes], object]:
        before = _count_requests()
        answer, stays = side.ask(raw)
        lines = [_normal(each.encode()) for each in self._lines.take()]
        counted = {label: n - before[label] for label, n in _count_requests().items()}
        return _normal(answer), stays, lines, {k: n for k, n in counted.items() if n}

    def get_moment(self) -> int:
        """Return the time of every file of this case, so that both sides have the same."""
        return MOMENT + self.counts.cases * 1_000_000_000

    def compare_trees(self) -> None:
        """Raise Difference unless both have the same files with the same bytes and attributes."""
        ours, theirs = (dict(_walk(side.cloud.config.bucket_root)) for side in self.sides)
        if ours != theirs:
            names = sorted(
                name for name in ours.keys() | theirs if ours.get(name) != theirs.get(name)
            )
            shown = [(name, ours.get(name), theirs.get(name)) for name in names[:5]]
            raise Difference(f"the files differ: {shown!r}"[:4000])

    def change(self, chance: random.Random) -> None:
        """Change something of both that a request may depend on."""
        how = chance.choice(CHANGES)
        seed = chance.getrandbits(64)
        for side in self.sides:
            how(self, side, random.Random(seed))
        self._lines.take()

    def perform(self, service: str, name: str, **params: object) -> None:
        """Run a verb as the administrator of both."""
        for side in self.sides:
            side.perform(service, name, **params)
        self._lines.take()

    def hang_up(self) -> None:
        for side in self.sides:
            side.hang_up()

    def close(self) -> None:
        self._log.removeHandler(self._lines)
        self._log.setLevel(self._level)
        for side in self.sides:
            side.close()


def _normal(text: bytes) -> bytes:
    return VARYING.sub(b"", REQUEST_ID.sub(b"ID", text))


def _count_requests() -> Counter[tuple[str, str, str]]:
    return Counter({label: int(sum(row[1:])) for label, row in REQUESTS.rows.items()})


def _walk(root: Path) -> Iterator[tuple[str, object]]:
    for base, _, names in os.walk(root):
        for name in names:
            file = Path(base) / name
            where = str(file.relative_to(root))
            random_names = where.startswith((".eucabox", "locked/")) or "/uploads/" in where
            if random_names or name in ("mark", "bucket.json"):
                continue  # of uploads and versions; and in `locked` are random bytes
            attributes = {each: os.getxattr(file, each) for each in os.listxattr(file)}
            yield where, (sha256(file.read_bytes()).hexdigest(), attributes)


def make_keys(side: Side) -> dict[str, Keys]:
    accounts = side.cloud.accounts
    admin = accounts.user_credentials(accounts.ensure_administrator())
    other = accounts.user_credentials(accounts.create_user("other"))
    keys = {
        "admin": Keys(admin.caller.access_key_id, admin.secret),
        "other": Keys(other.caller.access_key_id, other.secret),
        "nobody": Keys("AKIANOBODYNOBODYNOBO", "x"),
    }
    for name in ("anna", "bert"):
        side.perform("iam", "CreateUser", user_name=name)
        made = side.perform("iam", "CreateAccessKey", user_name=name)["access_key"]
        keys[name] = Keys(made["access_key_id"], made["secret_access_key"])
        _put_policy(side, name, POLICIES[1])
    session = side.perform("sts", "GetSessionToken")["credentials"]
    keys["session"] = Keys(
        session["access_key_id"], session["secret_access_key"], session["session_token"]
    )
    keys["tokenless"] = Keys(session["access_key_id"], session["secret_access_key"])
    for bucket in BUCKETS:
        owner = other.caller if bucket == "other" else admin.caller
        side.cloud.store.create_bucket(bucket, owner.account_id)
    return keys


# --- changes -----------------------------------------------------------------------------------


def _set(pair: Pair, side: Side, chance: random.Random) -> None:
    name, value = chance.choice(SETTINGS)
    side.cloud.store.set_bucket_setting("locked", name, value)


def _reset(pair: Pair, side: Side, chance: random.Random) -> None:
    bucket = side.cloud.store.bucket("locked")
    for name in list(bucket.settings):
        if name != "versioning":
            side.cloud.store.set_bucket_setting("locked", name, None)


def _set_plain(pair: Pair, side: Side, chance: random.Random) -> None:
    name, value = chance.choice([each for each in SETTINGS if each[0] not in RANDOM])
    known = side.cloud.store.bucket("plain").settings
    side.cloud.store.set_bucket_setting("plain", name, None if name in known else value)


def _stop_key(pair: Pair, side: Side, chance: random.Random) -> None:
    user = chance.choice(("anna", "bert"))
    status = chance.choice(("Active", "Active", "Inactive"))
    key = pair.keys[user].access
    side.perform("iam", "UpdateAccessKey", user_name=user, access_key_id=key, status=status)


def _permit(pair: Pair, side: Side, chance: random.Random) -> None:
    user, statements = chance.choice(("anna", "bert")), chance.choice(POLICIES)
    _put_policy(side, user, statements)


def _put_policy(side: Side, user: str, statements: list[Mapping[str, object]]) -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    side.perform("iam", "PutUserPolicy", user_name=user, policy_name="p", policy_document=text)


def _change_object(pair: Pair, side: Side, chance: random.Random) -> None:
    account = side.cloud.accounts.user("other").account_id
    changed = chance.choice(
        (
            ObjectProperties(tags={"a": "b"}),
            ObjectProperties(owner=account),
            ObjectProperties(metadata={"a": "\xe4"}),
            ObjectProperties(headers={"cache_control": "no-cache"}, content_type="a\tb"),
            ObjectProperties(storage_class="GLACIER"),
        )
    )
    listing = side.cloud.store.list("plain", limit=1, start_after=chance.choice("abcdefg"))
    for obj in listing.objects:
        side.cloud.store.change_object("plain", obj.key, lambda _: changed)


def _edit_file(pair: Pair, side: Side, chance: random.Random) -> None:
    file = side.cloud.config.bucket_root / "mine" / "byhand"
    file.write_bytes(b"by hand")
    os.utime(file, ns=(MOMENT, MOMENT))


def _reset_plain(pair: Pair, side: Side, chance: random.Random) -> None:
    for name in list(side.cloud.store.bucket("plain").settings):
        side.cloud.store.set_bucket_setting("plain", name, None)


def _start_keys(pair: Pair, side: Side, chance: random.Random) -> None:
    for user in ("anna", "bert"):
        key = pair.keys[user].access
        side.perform("iam", "UpdateAccessKey", user_name=user, access_key_id=key, status="Active")
        _put_policy(side, user, POLICIES[1])


CHANGES = (
    *(_set, _set, _reset, _set_plain, _stop_key, _permit, _permit, _change_object, _edit_file),
    *(_reset_plain,) * 4, *(_start_keys,) * 3,
)  # fmt: skip


@contextmanager
def open_pair(folder: Path) -> Iterator[Pair]:
    """Two clouds, closed at the end."""
    with patch("os.fsync"), patch("os.fdatasync"):  # nobody pulls the plug here
        pair = Pair(folder)
        try:
            with patch("eucabox.store.temp_file.unique_time", pair.get_moment):
                yield pair
        finally:
            pair.close()
