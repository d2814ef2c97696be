"""Bodies on their way to the disk, above all to a disk that is full."""

import contextlib
import errno
import gc
import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from eucabox.bucket import Object, Store
from eucabox.errors import DiskFull, NoSuchKey, StorageFailed
from eucabox.store import fsync
from tests.store.conftest import FACTS, OWNER, Put, content, keys, leftovers, names

SIZE = 2 << 20


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 2 MiB; where it may not be mounted, a limit on what files may take."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0
    if not mounted:
        monkeypatch.setattr(os, "write", _limited(folder))
    yield folder
    if mounted:
        gc.collect()  # since Python 3.13 contextlib leaves an error's frames in a cycle
        subprocess.run(["umount", str(folder)], check=True)


def _limited(folder: Path) -> object:
    write = os.write

    def limited(descriptor: int, data: bytes) -> int:
        inside = Path(f"/proc/self/fd/{descriptor}").resolve().is_relative_to(folder)
        used = sum(path.lstat().st_size for path in folder.rglob("*")) if inside else 0
        if inside and used + len(data) > SIZE:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    return limited


@pytest.mark.not_fast
def test_a_full_disk_keeps_the_old_objects(small_disk: Path) -> None:
    store = Store(small_disk / "buckets")
    store.create_bucket("box", OWNER)
    store.put("box", "old", io.BytesIO(b"old"), FACTS)
    upload_id = store.create_upload("box", "up", FACTS)
    for fill in (_put_large, _overwrite, lambda each: _part(each, upload_id)):
        with pytest.raises(DiskFull):
            fill(store)
        assert content(store, "old") == b"old"
        assert leftovers(store._root) == []
    assert keys(store) == ["old"]
    assert names(small_disk / "buckets/box") == [".eucabox", "old"]
    store.put("box", "later", io.BytesIO(b"1" * 1000), FACTS)
    store.close()
    again = Store(small_disk / "buckets")
    assert keys(again) == ["later", "old"]
    again.close()


def _put_large(store: Store) -> Object:
    return store.put("box", "a/b/new", io.BytesIO(bytes(SIZE)), FACTS)


def _overwrite(store: Store) -> Object:
    return store.put("box", "old", io.BytesIO(bytes(SIZE)), FACTS)


def _part(store: Store, upload_id: str) -> object:
    return store.put_part("box", "up", upload_id, 1, io.BytesIO(bytes(SIZE)))


@pytest.mark.not_fast
def test_objects_can_be_deleted_on_a_full_disk(small_disk: Path) -> None:
    store = Store(small_disk / "buckets")
    store.create_bucket("box", OWNER)
    count = 0
    for size in (100_000, 10_000, 1000):
        with contextlib.suppress(DiskFull):
            while True:
                store.put("box", f"f/{count}", io.BytesIO(bytes(size)), FACTS)
                count += 1
    for number in range(count):
        assert store.delete("box", f"f/{number}").removed
        with pytest.raises(NoSuchKey):
            store.head("box", f"f/{number}")
    assert keys(store) == []
    assert leftovers(store._root) == []
    store.close()


@pytest.mark.parametrize("call", ["rename", "fsync", "utime"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_each_error_of_the_disk_is_a_fault(
    store: Store, put: Put, root: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    put("old", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, _failing(number))
        if call == "fsync":  # what does it where the file system keeps order
            patch.setattr(fsync, "_write_now", _failing(number))
        with pytest.raises(DiskFull if number == errno.ENOSPC else StorageFailed):
            put("new/a", b"new")
    assert leftovers(root) == []
    present = {each: content(store, each) for each in keys(store)}
    assert present in ({"old": b"old"}, {"old": b"old", "new/a": b"new"})
    assert store.rescan("box") == len(present)


def _failing(number: int) -> object:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_copying_where_the_kernel_cannot(
    store: Store, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a", bytes(range(256)) * 10_000)
    monkeypatch.setattr(os, "copy_file_range", _failing(errno.EXDEV))
    store.copy("box", "a", "box", "b")
    assert content(store, "b") == content(store, "a")


def test_short_writes(store: Store, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:100_000])))
    body = os.urandom(1_500_000)
    put("a", body)
    assert content(store, "a") == body


@pytest.mark.not_fast
def test_a_disk_filled_to_the_brim_is_listed_and_emptied(small_disk: Path) -> None:
    store = Store(small_disk / "buckets")
    store.create_bucket("box", OWNER)
    store.set_bucket_setting("box", "versioning", {"status": "Enabled"})
    for number in range(50):
        store.put("box", f"k{number:02}", io.BytesIO(b"x"), FACTS)
    _brim(small_disk / "other")
    with pytest.raises(DiskFull):
        store.put("box", "k50", io.BytesIO(b"x"), FACTS)
    assert len(keys(store)) == 50
    for each in store.versions("box").versions:
        store.delete("box", each.object.key, version_id=each.object.version_id)
        assert each.object.key not in keys(store)
    assert store.versions("box").versions == []
    store.close()


def _brim(file: Path) -> None:
    """Fill the disk with a file of another program."""
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY)
    for size in (1 << 16, 1 << 12, 1):
        with contextlib.suppress(OSError):
            while True:
                os.write(descriptor, b"x" * size)
    os.close(descriptor)
