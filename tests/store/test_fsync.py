import contextlib
import io
import os
import threading
from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eucabox.bucket import ObjectProperties, Store
from eucabox.store import buckets, fsync
from eucabox.store.fsync import COMMIT, RELAXED, Flush


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> int:
    return os.open(tmp_path, os.O_RDONLY)


class Disk:
    """Counts flushes, and holds the first until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, problems: Container[int] = ()) -> None:
        self.flushes, self.problems = 0, problems
        self.began, self.goes = threading.Event(), threading.Event()
        monkeypatch.setattr(os, "fsync", self.flush)
        monkeypatch.setattr(os, "fdatasync", self.flush)

    def flush(self, _: int) -> None:
        self.flushes += 1
        number = self.flushes
        self.began.set()
        assert number > 1 or self.goes.wait(5)
        if number in self.problems:
            raise OSError(5, "Input/output error")


def _threads(count: int, work: Callable[[], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_callers_that_come_during_a_flush_share_the_next_one(
    folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, flush, done = Disk(monkeypatch), Flush(COMMIT), list[int]()

    def work() -> None:
        flush.folder(folder)
        done.append(1)

    first = _threads(1, work)
    assert disk.began.wait(5)
    rest = _threads(9, work)
    while next(iter(flush._queues.values())).users < 10:
        assert not done
    disk.goes.set()
    for thread in (*first, *rest):
        thread.join(5)
    assert (disk.flushes, len(done)) == (2, 10)
    assert not flush._queues


def test_a_failed_flush_raises_for_its_caller_and_others_flush_again(
    folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, flush, ends = Disk(monkeypatch, problems=(1,)), Flush(), list[str]()

    def work() -> None:
        try:
            flush.folder(folder)
            ends.append("safe")
        except OSError:
            ends.append("told")

    first = _threads(1, work)
    assert disk.began.wait(5)
    rest = _threads(3, work)
    while next(iter(flush._queues.values())).users < 4:
        pass
    disk.goes.set()
    for thread in (*first, *rest):
        thread.join(5)
    assert sorted(ends) == ["safe", "safe", "safe", "told"]


def test_a_failed_flush_fails_for_all_who_waited_for_it(
    folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, flush, ends = Disk(monkeypatch, problems=(2,)), Flush(), list[str]()

    def work() -> None:
        try:
            flush.folder(folder)
            ends.append("safe")
        except OSError as problem:
            ends.append(str(problem))

    first = _threads(1, work)
    assert disk.began.wait(5)
    rest = _threads(3, work)
    while next(iter(flush._queues.values())).users < 4:
        pass
    disk.goes.set()
    for thread in (*first, *rest):
        thread.join(5)
    assert sorted(ends) == [*["[Errno 5] Input/output error"] * 3, "safe"]
    assert disk.flushes == 2


OTHER = "22 1 0:20 / /proc rw - proc proc rw"


@pytest.mark.parametrize(
    ("line", "ordered"),
    [
        ("/ / rw,relatime - ext4 /dev/vda rw,discard", True),
        ("/a /b rw master:1 - ext4 /dev/vda rw,data_err=abort,data=ordered", True),
        ("/ / rw - ext4 /dev/vda rw,data=writeback", False),
        ("/ / rw - ext4 /dev/vda rw,data=journal", False),
        ("/ / rw - ext4 /dev/vda rw,dax=always", False),
        ("/ / rw - xfs /dev/vda rw", False),
        ("/ / rw - fuse.sshfs host:/ rw", False),
    ],
)
def test_only_an_ext4_with_a_journal_and_ordered_data_is_ordered(
    line: str, ordered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr(fsync, "MOUNTS", mounts)
    mounts.write_text(f"{OTHER}\n30 1 {number} {line}\n")
    monkeypatch.setattr(fsync, "SYSTEM", tmp_path)
    task = tmp_path / "fs" / "ext4" / "vda1" / "journal_task"
    for folder in ("dev/block", "fs/ext4/vda1", "devices/vda1"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "dev" / "block" / number).symlink_to("../../devices/vda1")
    assert not fsync.is_ordered(tmp_path)  # nothing tells of a journal
    task.write_text("<none>\n")
    assert not fsync.is_ordered(tmp_path)
    task.write_text("104\n")
    assert fsync.is_ordered(tmp_path) is ordered
    mounts.write_text(f"{OTHER}\n")
    assert not fsync.is_ordered(tmp_path)


def test_content_is_written_without_a_flush_where_the_folders_flush_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    disk.goes.set()
    with (tmp_path / "file").open("wb", buffering=0) as file:
        file.write(b"x" * 9000)
        Flush(is_ordered=True).content(file.fileno())
        assert disk.flushes == 0
        Flush().content(file.fileno())
        assert disk.flushes == 1
        monkeypatch.setattr(fsync, "_sync_file_range", lambda: None)
        Flush(is_ordered=True).content(file.fileno())
        assert disk.flushes == 2


def test_content_that_can_not_be_written_is_told() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader), os.fdopen(writer), pytest.raises(OSError, match="Illegal seek"):
        Flush(is_ordered=True).content(writer)


@pytest.mark.parametrize(("durability", "flushes"), [(COMMIT, True), (RELAXED, False)])
def test_a_store_flushes_objects_by_its_durability(
    durability: str, flushes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, durability=durability)
    store.create_bucket("bench", "111122223333")
    store.put("bench", "a/first", io.BytesIO(b"x"), ObjectProperties())
    disk = Disk(monkeypatch)
    disk.goes.set()
    monkeypatch.setattr(fsync, "_write_now", disk.flush)
    store.put("bench", "a/b", io.BytesIO(b"x"), ObjectProperties())
    store.delete("bench", "a/b")
    upload = store.create_upload("bench", "a/c", ObjectProperties())
    part = store.put_part("bench", "a/c", upload, 1, io.BytesIO(b"y"))
    store.complete_upload("bench", "a/c", upload, [(1, part.e_tag, {})])
    # made either way: the folder of the upload, and its small file
    assert disk.flushes > 8 if flushes else disk.flushes <= 3
    monkeypatch.undo()
    store.close()
    with contextlib.closing(Store(tmp_path, durability=durability)) as again:
        assert again.head("bench", "a/c").size == 1


def test_a_bucket_on_a_disk_of_its_own_is_flushed_as_that_disk_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "is_ordered", lambda folder: folder.name != "mounted")
    with contextlib.closing(Store(tmp_path)) as store:
        for name in ("mounted", "here"):
            store.create_bucket(name, "111122223333")
    stat = Path.stat

    def mount(path: Path, **how: bool) -> os.stat_result:
        status = stat(path, **how)
        device = 1 if path.name == "mounted" else status.st_dev
        return os.stat_result((*status[:2], device, *status[3:]))

    monkeypatch.setattr(Path, "stat", mount)
    with contextlib.closing(Store(tmp_path)) as store:
        for name in ("mounted", "here"):
            store.put(name, "first", io.BytesIO(b"x"), ObjectProperties())
        disk = Disk(monkeypatch)
        disk.goes.set()
        for name, flushes in (("here", 1), ("mounted", 3)):  # the folder's, and the file's own
            store.put(name, "key", io.BytesIO(b"x"), ObjectProperties())
            assert disk.flushes == flushes


def test_relaxed_flushes_nothing(folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, flush = Disk(monkeypatch), Flush(RELAXED)
    flush.file(folder)
    flush.folder(folder)
    assert disk.flushes == 0


def _trace(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[tuple[str, int]]:
    """Note each call of the operating system, and of which file it is."""
    calls: list[tuple[str, int]] = []

    def traced(name: str) -> Callable[..., Any]:
        call = getattr(os, name)

        def note(descriptor: int, *rest: Any) -> Any:
            calls.append((name, os.fstat(descriptor).st_ino))
            return call(descriptor, *rest)

        return note

    for name in names:
        monkeypatch.setattr(os, name, traced(name))
    return calls


LONG_TAGS = {str(number): "x" * 250 for number in range(300)}  # no inode has place for them


@pytest.mark.parametrize("tags", [{"a": "b"}, LONG_TAGS], ids=["short", "long"])
def test_attributes_that_change_alone_are_flushed_with_fsync(
    tags: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fdatasync may leave them out; those that a sidecar replaces must be gone for good."""
    with contextlib.closing(Store(tmp_path)) as store:
        store.create_bucket("box", "111122223333")
        store.put("box", "a", io.BytesIO(b"x"), ObjectProperties(tags={"old": "old"}))
        calls = _trace(monkeypatch, "fsync", "setxattr", "removexattr")
        store.change_object("box", "a", lambda old: replace(old, tags=tags))
        monkeypatch.undo()
    inode = (tmp_path / "box" / "a").stat().st_ino
    of_file = [name for name, each in calls if each == inode]
    assert of_file[-2:] == ["setxattr" if len(tags) == 1 else "removexattr", "fsync"]


def test_relaxed_flushes_what_belongs_to_older_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty name of a key would stay for good, and hide the key from every rescan."""
    with contextlib.closing(Store(tmp_path, durability=RELAXED)) as store:
        store.create_bucket("box", "111122223333")
        store.set_bucket_setting("box", "versioning", {"status": "Enabled"})
        calls = _trace(monkeypatch, "fsync")
        store.put("box", "a//b", io.BytesIO(b"old"), ObjectProperties())
        store.put("box", "a//b", io.BytesIO(b"new"), ObjectProperties(tags=LONG_TAGS))
        store.delete("box", "a//b")
        monkeypatch.undo()
    flushed = {inode for _, inode in calls}
    reserved = tmp_path / "box" / ".eucabox"
    small = [
        path
        for folder in ("versions", "attributes")
        for path in (reserved / folder).rglob("*")
        if path.is_file() and path.stat().st_size > 3
    ]
    assert len(small) == 3, "a key's name, a marker and a sidecar"
    assert {each.stat().st_ino for each in small} <= flushed


def test_several_changes_wait_for_the_flush_of_the_last(tmp_path: Path, flushed: list[int]) -> None:
    flush, postponed = Flush(COMMIT, is_ordered=True), fsync.PostponedFlush()
    with _opened(tmp_path) as folder, _opened(tmp_path / "other") as other:
        with postponed.postponing():
            for each in (folder, folder, other, folder, other):
                flush.folder(each)
        assert flushed == []
        postponed.flush()
        assert flushed == [os.fstat(other).st_ino]
        postponed.flush()
        flush.folder(folder)
        assert len(flushed) == 2, "nothing is postponed any more, and nothing owed"


@pytest.mark.parametrize("how", [{}, {"is_ordered": True, "is_apart": True}])
def test_where_steps_need_their_order_nothing_is_postponed(
    tmp_path: Path, flushed: list[int], how: dict[str, bool]
) -> None:
    flush, postponed = Flush(COMMIT, **how), fsync.PostponedFlush()
    with _opened(tmp_path) as folder, postponed.postponing():
        flush.folder(folder)
    assert len(flushed) == 1


def test_a_postponed_flush_that_fails_is_told_and_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, postponed = Flush(COMMIT, is_ordered=True), fsync.PostponedFlush()

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with _opened(tmp_path) as folder, _opened(tmp_path / "other") as other:
        before = len(list(Path("/proc/self/fd").iterdir()))
        with postponed.postponing():
            flush.folder(folder)
            flush.folder(other)
        with pytest.raises(OSError, match="Input/output"):
            postponed.flush()
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_is_owed_stays_owed_where_there_is_no_descriptor_for_the_next(
    tmp_path: Path, flushed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, postponed = Flush(COMMIT, is_ordered=True), fsync.PostponedFlush()

    def fail(_: int) -> int:
        raise OSError(24, "Too many open files")

    with _opened(tmp_path) as folder, _opened(tmp_path / "other") as other:
        with postponed.postponing():
            flush.folder(folder)
            monkeypatch.setattr(os, "dup", fail)
            with pytest.raises(OSError, match="Too many"):
                flush.folder(other)
        postponed.flush()
        assert flushed == [os.fstat(folder).st_ino]


@pytest.mark.parametrize("key", ["a", "b/c/d", "x//y"], ids=["root", "pruned", "by hash"])
def test_what_another_has_deleted_and_not_flushed_is_flushed_by_who_finds_it_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(buckets, "is_ordered", lambda _: True)
    postponed, mine = fsync.PostponedFlush(), fsync.PostponedFlush()
    with contextlib.closing(Store(tmp_path)) as store:
        store.create_bucket("box", "owner")
        store.put("box", key, io.BytesIO(b"content"), ObjectProperties())
        calls = _trace(monkeypatch, "fsync")
        with postponed.postponing():
            assert store.delete("box", key).removed
            assert not store.delete("box", key).removed
        assert not calls, "one's own is owed already"
        with mine.postponing():
            assert not store.delete("box", key).removed
        assert calls
        calls.clear()
        assert not store.delete("box", key).removed
        assert calls
        postponed.flush()
        calls.clear()
        assert not store.delete("box", key).removed
        assert not calls, "nobody owes anything"


@pytest.fixture(name="flushed")
def _flushed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes that are flushed."""
    inodes = list[int]()
    monkeypatch.setattr(os, "fsync", lambda each: inodes.append(os.fstat(each).st_ino))
    return inodes


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    path.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)
