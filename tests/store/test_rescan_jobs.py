import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from eucabox.bucket import Store
from eucabox.errors import NoSuchBucket
from eucabox.store.rescan_jobs import Rescan, Rescans


def finished(rescans: Rescans) -> list[Rescan]:
    thread = rescans._thread
    if thread:
        thread.join(10)
    return rescans.all()


def test_a_rescan_reports_its_count_or_why_it_failed() -> None:
    def work(bucket: str, progress: Callable[[int], None]) -> int:
        progress(1000)
        if bucket == "lost":
            raise NoSuchBucket(name=bucket)
        return 1500

    rescans = Rescans(work)
    rescans.begin(["shop", "lost"])
    failed, done = finished(rescans)
    assert (done.bucket, done.state, done.objects) == ("shop", "complete", 1500)
    assert (failed.state, failed.message) == ("failed", NoSuchBucket(name="lost").message)


def test_a_bucket_is_not_rescanned_twice_at_once_and_close_ends_it() -> None:
    reached, go = threading.Event(), threading.Event()
    begun: list[str] = []

    def work(bucket: str, progress: Callable[[int], None]) -> int:
        begun.append(bucket)
        reached.set()
        assert go.wait(10)
        progress(1)
        return 1

    rescans = Rescans(work)
    rescans.begin(["shop", "other"])
    assert reached.wait(10)
    rescans.begin(["shop"])
    closing = threading.Thread(target=rescans.close)
    closing.start()
    while not rescans._closed:
        pass
    go.set()
    closing.join(10)
    assert begun == ["shop"]
    assert [each.state for each in rescans.all()] == ["pending", "failed"]


def test_a_folder_that_was_copied_in_becomes_a_bucket(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "hand").mkdir()
    (tmp_path / "hand" / "file").write_bytes(b"content")
    with pytest.raises(NoSuchBucket):
        store.scan_folders(["nobody"])
    store.rescans.begin(store.scan_folders())
    assert [each.state for each in finished(store.rescans)] == ["complete"]
    assert [each.key for each in store.list("hand").objects] == ["file"]
    store.close()
