import contextlib
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from eucabox.bucket import ObjectProperties, Store
from eucabox.store.fsync import COMMIT, RELAXED, Flush


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> int:
    return os.open(tmp_path, os.O_RDONLY)


class Disk:
    """Counts flushes, and holds the first until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, problems: int = 0) -> None:
        self.flushes, self.problems = 0, problems
        self.began, self.goes = threading.Event(), threading.Event()
        monkeypatch.setattr(os, "fsync", self.flush)
        monkeypatch.setattr(os, "fdatasync", self.flush)

    def flush(self, _: int) -> None:
        self.flushes += 1
        number = self.flushes
        self.began.set()
        assert number > 1 or self.goes.wait(5)
        if number <= self.problems:
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
    disk, flush, ends = Disk(monkeypatch, problems=1), Flush(), list[str]()

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


@pytest.mark.parametrize(("durability", "flushes"), [(COMMIT, True), (RELAXED, False)])
def test_a_store_flushes_objects_by_its_durability(
    durability: str, flushes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, durability=durability)
    store.create_bucket("bench", "111122223333")
    store.put("bench", "a/first", io.BytesIO(b"x"), ObjectProperties())
    disk = Disk(monkeypatch)
    disk.goes.set()
    store.put("bench", "a/b", io.BytesIO(b"x"), ObjectProperties())
    store.delete("bench", "a/b")
    upload = store.create_upload("bench", "a/c", ObjectProperties())
    part = store.put_part("bench", "a/c", upload, 1, io.BytesIO(b"y"))
    store.complete_upload("bench", "a/c", upload, [(1, part.e_tag, {})])
    # made either way: the folder of the upload
    assert disk.flushes > 8 if flushes else disk.flushes <= 1
    monkeypatch.undo()
    store.close()
    with contextlib.closing(Store(tmp_path, durability=durability)) as again:
        assert again.head("bench", "a/c").size == 1


def test_relaxed_flushes_nothing(folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, flush = Disk(monkeypatch), Flush(RELAXED)
    flush.file(folder)
    flush.folder(folder)
    assert disk.flushes == 0
