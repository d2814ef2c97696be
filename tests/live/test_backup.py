"""Backups of a eucabox under load, restored as another one: every key is as it once was."""

import hashlib
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.live.process import Running, free_port, running

PLAIN, VERSIONS, LOCKED, QUIET = "plain-things", "old-things", "locked-things", "quiet-things"
WRITERS, KEYS_OF_A_WRITER = 4, 3
BACKUPS = 2
SECONDS = 4.0  # of load before each backup
KNOWN = 300  # keys that nobody changes, so that the backup takes a while
GONE = "gone"
UNTIL = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)

State = tuple[str, ...]  # the MD5 of a plain object, or the version ids from the newest


@dataclass
class History:
    """The states of a key: each with the times between which it began."""

    states: list[tuple[float, float, State]] = field(default_factory=list)

    def add(self, began: float, state: State) -> None:
        self.states.append((began, time.monotonic(), state))

    def between(self, first: float, last: float) -> list[State]:
        """The states that the key can have had at some moment between two."""
        ends = [*(after for _, after, _ in self.states[1:]), float("inf")]
        return [
            state
            for (began, _, state), end in zip(self.states, ends, strict=True)
            if began <= last and end >= first
        ]


class Writer(threading.Thread):
    """Changes keys of its own until it is stopped, and knows what became of each."""

    def __init__(self, cloud: Running, number: int) -> None:
        super().__init__(daemon=True)
        self.s3 = cloud.client("s3")
        self.chance = random.Random(number)
        self.number = number
        self.stopping = threading.Event()
        self.histories: dict[tuple[str, str], History] = {}
        self.content: dict[str, str] = {}  # version id -> MD5
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                key = f"w{self.number}/{self.chance.randrange(KEYS_OF_A_WRITER)}"
                step = self.chance.choice([self.change_plain, self.change_version])
                step(key if self.chance.random() < 0.5 else f"../{key}")  # at its path or hashed
        except BaseException as problem:
            self.problem = problem

    def body(self) -> bytes:
        return self.chance.randbytes(self.chance.choice([10, 5000, 400_000]))

    def change_plain(self, key: str) -> None:
        history = self.histories.setdefault((PLAIN, key), History([(0, 0, (GONE,))]))
        began, body = time.monotonic(), self.body()
        if self.chance.random() < 0.3:
            self.s3.delete_object(Bucket=PLAIN, Key=key)
            history.add(began, (GONE,))
            return
        encrypted: dict[str, Any] = (
            {"ServerSideEncryption": "AES256"} if self.chance.random() < 0.5 else {}
        )
        self.s3.put_object(Bucket=PLAIN, Key=key, Body=body, **encrypted)
        history.add(began, (hashlib.md5(body).hexdigest(),))

    def change_version(self, key: str) -> None:
        history = self.histories.setdefault((VERSIONS, key), History([(0, 0, ())]))
        began, state = time.monotonic(), history.states[-1][2]
        if state and self.chance.random() < 0.35:
            gone = self.chance.choice(state)
            self.s3.delete_object(Bucket=VERSIONS, Key=key, VersionId=gone)
            history.add(began, tuple(each for each in state if each != gone))
        elif state and self.chance.random() < 0.2:
            made = self.s3.delete_object(Bucket=VERSIONS, Key=key)
            history.add(began, (made["VersionId"], *state))
        else:
            body = self.body()
            made = self.s3.put_object(Bucket=VERSIONS, Key=key, Body=body)
            self.content[made["VersionId"]] = hashlib.md5(body).hexdigest()
            history.add(began, (made["VersionId"], *state))


@contextmanager
def load(cloud: Running) -> Iterator[list[Writer]]:
    writers = [Writer(cloud, number) for number in range(WRITERS)]
    for each in writers:
        each.start()
    try:
        yield writers
    finally:
        for each in writers:
            each.stopping.set()
        for each in writers:
            each.join()
            each.s3.close()
    assert [each.problem for each in writers] == [None] * WRITERS


def settle(s3: Any) -> str:
    """Make the buckets and what nobody changes any more; return the id of an upload."""
    s3.create_bucket(Bucket=PLAIN)
    s3.create_bucket(Bucket=VERSIONS)
    s3.put_bucket_versioning(Bucket=VERSIONS, VersioningConfiguration={"Status": "Enabled"})
    s3.create_bucket(Bucket=LOCKED, ObjectLockEnabledForBucket=True)
    s3.put_object(
        Bucket=LOCKED, Key="kept", Body=b"kept", ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=UNTIL, Metadata={"color": "blue"}, Tagging="a=1",
    )  # fmt: skip
    s3.create_bucket(Bucket=QUIET)
    for number in range(KNOWN):
        body = random.Random(number).randbytes(60_000)
        s3.put_object(Bucket=QUIET, Key=f"{number % 7}/{number}", Body=body)
    s3.put_object(Bucket=QUIET, Key="large", Body=bytes(9 << 20) + b"end")
    policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*",' + (
        f' "Action": "s3:GetObject", "Resource": "arn:aws:s3:::{QUIET}/*"}}]}}'
    )
    s3.put_bucket_policy(Bucket=QUIET, Policy=policy)
    upload_id: str = s3.create_multipart_upload(Bucket=QUIET, Key="parts")["UploadId"]
    s3.upload_part(
        Bucket=QUIET, Key="parts", UploadId=upload_id, PartNumber=1, Body=b"p" * (5 << 20)
    )
    return upload_id


@contextmanager
def restored(
    folder: Path,
    file: Path,
    secret: Path,
    settings: dict[str, str],
    node: str = "",
    network: str = "",
) -> Iterator[Running]:
    """A second eucabox, on the restored backup of the first, whose keys are tried."""
    cloud = Running(folder, free_port(), free_port(), "eutbackup0", free_port(), settings)
    cloud.config_file.write_text(
        f"[cloud]\ndata_dir = {cloud.data}\n"
        f"[api]\nport = {cloud.port}\nhttps_port = {cloud.https_port}\n"
        f"[console]\nport = {cloud.console_port}\n"
        f"[network]\nown_bridge = {cloud.bridge}\n{network}[node]\nvirt_type = qemu\n{node}"
    )
    cloud.command("restore", str(file), "--passphrase-file", str(secret))
    try:
        cloud.start()
        yield cloud
    finally:
        cloud.stop()
        cloud.command("stop", "--purge", check=False)


def states_of(s3: Any, bucket: str, key: str) -> State:
    """What a key is in a restored cloud, in the words of its history."""
    if bucket == PLAIN:
        try:
            body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as problem:
            assert problem.response["Error"]["Code"] == "NoSuchKey"
            return (GONE,)
        return (hashlib.md5(body).hexdigest(),)
    answer = s3.list_object_versions(Bucket=bucket, Prefix=key)
    assert not answer["IsTruncated"]
    kinds = [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]
    rows = [each for each in kinds if each["Key"] == key]
    if rows:
        assert sum(each["IsLatest"] for each in rows) == 1
    # a version id begins with the time that is left
    return tuple(sorted(each["VersionId"] for each in rows))


def tree(folder: Path) -> dict[str, tuple[bytes, bytes, int]]:
    """Content, attributes and time of each file of a bucket, but for its generation."""
    return {
        str(path.relative_to(folder)): (
            path.read_bytes(),
            b"".join(os.getxattr(path, name) for name in sorted(os.listxattr(path))),
            path.stat().st_mtime_ns,
        )
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("mark", "bucket.json")
    }


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "passphrase"
    file.write_text("a cat on the keyboard\n")
    return file


def test_backups_under_load_restore_to_states_that_were(tmp_path: Path, secret: Path) -> None:
    with running("[node]\nvirt_type = qemu\n") as cloud:
        s3 = cloud.client("s3")
        upload_id = settle(s3)
        s3.close()
        taken = []
        with load(cloud) as writers:
            for number in range(BACKUPS):
                time.sleep(SECONDS)
                taken.append(take(cloud, tmp_path / f"{number}.backup", secret))
            time.sleep(1)
        for file, first, last in taken:
            changes = sum(
                first < began < last
                for writer in writers
                for history in writer.histories.values()
                for began, _, _ in history.states
            )
            assert changes > 20, "the load did not meet the backup"
            folder = file.with_suffix("")
            folder.mkdir()
            with restored(folder, file, secret, cloud.settings) as other:
                check_bytes(cloud, other)
                compare(other, writers, first, last)
                check_what_stood_still(other, upload_id)


def take(cloud: Running, file: Path, secret: Path) -> tuple[Path, float, float]:
    """Take a backup; return its file, and the times between which it was made."""
    first = time.monotonic()
    made = cloud.command("backup", "create", str(file), "--passphrase-file", str(secret))
    last = time.monotonic()
    assert "objects" in made.stdout
    assert secret.read_bytes().strip() not in file.read_bytes()
    assert QUIET.encode() not in file.read_bytes()
    cloud.command("backup", "verify", str(file), "--passphrase-file", str(secret))
    return file, first, last


def check_bytes(cloud: Running, other: Running) -> None:
    """Compare what nobody changes, byte by byte, and the keys and certificates."""
    both = (cloud.data / "buckets" / QUIET, other.data / "buckets" / QUIET)
    before, after = map(tree, both)
    assert len(before) > KNOWN
    assert after == before
    for name in ("key", "bucket-keys", "ca/ca.crt", "ca/ca.key", "ca/cloud.key"):
        assert (other.data / name).read_bytes() == (cloud.data / name).read_bytes()
        assert (other.data / name).stat().st_mode == (cloud.data / name).stat().st_mode
    keys = [each.credentials("admin")["AWS_SECRET_KEY"] for each in (cloud, other)]
    assert keys[0] == keys[1]


def compare(other: Running, writers: list[Writer], first: float, last: float) -> None:
    s3 = other.client("s3")
    compared = 0
    for writer in writers:
        for (bucket, key), history in writer.histories.items():
            state = states_of(s3, bucket, key)
            assert state in history.between(first, last), (bucket, key, state, history)
            for version in state if bucket == VERSIONS else ():
                compared += check_version(s3, key, version, writer.content)
    assert compared > 5
    s3.close()


def check_version(s3: Any, key: str, version: str, content: dict[str, str]) -> int:
    """Compare the bytes of a version with what was put; 0 for a delete marker."""
    if version not in content:
        return 0
    body = s3.get_object(Bucket=VERSIONS, Key=key, VersionId=version)["Body"].read()
    assert hashlib.md5(body).hexdigest() == content[version]
    return 1


def check_what_stood_still(other: Running, upload_id: str) -> None:
    s3 = other.client("s3")
    for number in range(0, KNOWN, 13):
        body = s3.get_object(Bucket=QUIET, Key=f"{number % 7}/{number}")["Body"].read()
        assert body == random.Random(number).randbytes(60_000)
    kept = s3.get_object(Bucket=LOCKED, Key="kept")
    assert (kept["Metadata"], kept["TagCount"]) == ({"color": "blue"}, 1)
    assert kept["ObjectLockRetainUntilDate"] == UNTIL
    with pytest.raises(ClientError) as caught:
        s3.delete_object(Bucket=LOCKED, Key="kept", VersionId=kept["VersionId"])
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert QUIET in s3.get_bucket_policy(Bucket=QUIET)["Policy"]
    s3.upload_part(Bucket=QUIET, Key="parts", UploadId=upload_id, PartNumber=2, Body=b"end")
    parts = s3.list_parts(Bucket=QUIET, Key="parts", UploadId=upload_id)["Parts"]
    named = [{"PartNumber": each["PartNumber"], "ETag": each["ETag"]} for each in parts]
    s3.complete_multipart_upload(
        Bucket=QUIET, Key="parts", UploadId=upload_id, MultipartUpload={"Parts": named}
    )
    assert s3.head_object(Bucket=QUIET, Key="parts")["ContentLength"] == (5 << 20) + 3
    s3.close()
