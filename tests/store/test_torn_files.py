"""A file that lost its content with the power, as `relaxed` may let it, is no object any more."""

import contextlib
import errno
import io
import json
import math
import os
import time
from pathlib import Path

import pytest

from eucabox.bucket import Store
from eucabox.errors import NoSuchKey, NoSuchVersion
from eucabox.store.fsync import COMMIT, RELAXED
from eucabox.store.upload_parts import SMALLEST
from tests.store.conftest import FACTS, OWNER, Put, content, keys


def tear(file: Path, size: int) -> None:
    """Cut a file, and give it the time back that it had: what was flushed of it is its inode."""
    status = file.stat()
    os.truncate(file, size)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def rescan_in_doubt(store: Store) -> None:
    """Rescan as the first start after a loss of power does."""
    store._objects.doubtful_from = 0
    store.rescan("box")
    store._objects.doubtful_from = math.inf


@pytest.mark.parametrize("size", [0, 3])
@pytest.mark.parametrize("key", ["a/key", "no//path"])
def test_a_torn_object_is_removed_by_a_rescan(
    store: Store, put: Put, root: Path, key: str, size: int
) -> None:
    put(key)
    put("whole")
    (file,) = (each for each in root.rglob("*") if each.is_file() and _is_content(each, b"content"))
    tear(file, size)
    rescan_in_doubt(store)
    assert keys(store) == ["whole"]
    with pytest.raises(NoSuchKey):
        store.open("box", key)
    assert not file.exists()
    put(key, b"again")
    assert content(store, key) == b"again"


def _is_content(file: Path, expected: bytes) -> bool:
    return file.read_bytes() == expected and file.name != "whole"


def test_a_torn_current_version_gives_way_to_the_one_before(
    store: Store, put: Put, root: Path
) -> None:
    store.set_bucket_setting("box", "versioning", {"status": "Enabled"})
    put("key", b"first")
    put("key", b"second")
    tear(root / "box" / "key", 2)
    rescan_in_doubt(store)
    assert content(store, "key") == b"first"
    assert len(store.versions("box").versions) == 1


def test_a_torn_older_version_is_gone(store: Store, put: Put, root: Path) -> None:
    store.set_bucket_setting("box", "versioning", {"status": "Enabled"})
    old = put("key", b"first")
    put("key", b"second")
    (file,) = (
        each
        for each in (root / "box" / ".eucabox" / "versions").rglob("*")
        if each.is_file() and each.read_bytes() == b"first"
    )
    tear(file, 1)
    rescan_in_doubt(store)
    with pytest.raises(NoSuchVersion):
        store.open("box", "key", old.version_id)
    assert [each.is_latest for each in store.versions("box").versions] == [True]
    assert content(store, "key") == b"second"


def test_what_a_bad_disk_cut_is_not_removed(store: Store, put: Put, root: Path) -> None:
    put("key")
    tear(root / "box" / "key", 3)
    assert store.rescan("box") == 1
    assert (root / "box" / "key").read_bytes() == b"con"


def test_a_file_that_was_cut_by_hand_stays_an_object(store: Store, put: Put, root: Path) -> None:
    """It has a time of its own."""
    put("key")
    with contextlib.suppress(OSError):
        os.truncate(root / "box" / "key", 3)
    assert store.rescan("box") == 1
    assert content(store, "key") == b"con"


def spoil(file: Path) -> None:
    """Take the middle of a file, whose end came to the disk before it."""
    status = file.stat()
    with file.open("r+b") as opened:
        opened.seek(1)
        opened.write(bytes(2))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def lose_power(root: Path) -> None:
    """Let the next start find another boot than the last one's."""
    state = root / ".eucabox" / "state"
    state.write_text(json.dumps({"clean": False, "boot": "another"}))


PARTS = [b"x" * SMALLEST, b"the last part"]


def upload(store: Store, key: str) -> None:
    made = store.create_upload("box", key, FACTS)
    parts: list[tuple[int, str, dict[str, str]]] = [
        (number, store.put_part("box", key, made, number, io.BytesIO(each)).e_tag, {})
        for number, each in enumerate(PARTS, 1)
    ]
    store.complete_upload("box", key, made, parts)


@pytest.mark.parametrize("durability", [RELAXED, COMMIT])
def test_relaxed_reads_what_was_written_last_after_a_loss_of_power(
    root: Path, durability: str
) -> None:
    store = Store(root, durability=durability)
    store.create_bucket("box", OWNER)
    store.set_bucket_setting("box", "versioning", {"status": "Enabled"})
    for key in ("whole", "spoilt", "version", "version"):
        store.put("box", key, io.BytesIO(b"some content"), FACTS)
    upload(store, "joined")
    upload(store, "spoilt joined")
    files = [each for each in (root / "box").rglob("*") if each.is_file()]
    (version,) = (each for each in files if each.read_bytes() == b"some content" and
                  ".eucabox" in each.parts)  # fmt: skip
    for file in (root / "box" / "spoilt", root / "box" / "spoilt joined", version):
        spoil(file)
    store._process.release()  # it is as good as dead
    lose_power(root)
    with contextlib.closing(Store(root, durability=durability)) as again:
        left = keys(again)
        versions = len(again.versions("box").versions)
        again.put("box", "spoilt", io.BytesIO(b"new"), FACTS)
    every = ["joined", "spoilt", "spoilt joined", "version", "whole"]
    relaxed = durability == RELAXED
    assert left == (["joined", "version", "whole"] if relaxed else every)
    assert versions == (3 if relaxed else 6)


def test_a_file_that_the_disk_does_not_give_keeps_no_start(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sector that was written when the power went is often one that can't be read."""
    store = Store(root, durability=RELAXED)
    store.create_bucket("box", OWNER)
    for key in ("bad", "good"):
        store.put("box", key, io.BytesIO(key.encode()), FACTS)
    bad, read = (root / "box" / "bad").stat().st_ino, os.pread

    def fail(descriptor: int, count: int, offset: int) -> bytes:
        if os.fstat(descriptor).st_ino == bad:
            raise OSError(errno.EIO, "Input/output error")
        return read(descriptor, count, offset)

    monkeypatch.setattr(os, "pread", fail)
    store._process.release()
    lose_power(root)
    with contextlib.closing(Store(root, durability=RELAXED)) as again:
        assert keys(again) == ["bad", "good"]
        assert content(again, "good") == b"good"
        with pytest.raises(OSError, match="Input/output"):
            content(again, "bad")


def test_what_is_older_is_not_read(root: Path) -> None:
    store = Store(root, durability=RELAXED)
    store.create_bucket("box", OWNER)
    store.put("box", "old", io.BytesIO(b"some content"), FACTS)
    spoil(root / "box" / "old")
    late = time.time() + 3600
    for journal in (root / ".eucabox").glob("journal.*"):
        os.utime(journal, (late, late))
    store._process.release()
    lose_power(root)
    with contextlib.closing(Store(root, durability=RELAXED)) as again:
        assert keys(again) == ["old"]


@pytest.mark.parametrize("killed", [False, True])
def test_an_index_that_is_gone_is_no_loss_of_power(root: Path, killed: bool) -> None:
    store = Store(root, durability=RELAXED)
    store.create_bucket("box", OWNER)
    store.put("box", "key", io.BytesIO(b"some content"), FACTS)
    spoil(root / "box" / "key")
    if killed:
        store._process.release()
    else:
        store.close()
    for index in (root / ".eucabox").glob("index*"):
        index.unlink()
    with contextlib.closing(Store(root, durability=RELAXED)) as again:
        assert keys(again) == ["key"]
