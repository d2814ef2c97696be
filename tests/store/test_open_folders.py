"""How many descriptors buckets take, and that none is closed under who uses it."""

import io
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from eucabox.bucket import ObjectProperties, Store
from eucabox.errors import NoSuchBucket
from eucabox.store import bucket_folder, open_folders
from eucabox.store.open_folders import OpenFolders

OWNER = "111122223333"
MANY = 40


@pytest.fixture(name="few")
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_folder, "OPEN_FOLDERS", OpenFolders(3))


@pytest.fixture(name="store")
def _store(few: None, tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "buckets")
    for number in range(MANY):
        opened.create_bucket(f"box{number}", OWNER)
    yield opened
    opened.close()


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _put(store: Store, bucket: str, key: str, body: bytes) -> None:
    store.put(bucket, key, io.BytesIO(body), ObjectProperties(owner=OWNER))


def _get(store: Store, bucket: str, key: str) -> bytes:
    with store.open(bucket, key) as found:
        return bytes(found.read())


def test_the_number_of_buckets_does_not_change_that_of_descriptors(store: Store) -> None:
    before = _descriptors()
    for number in range(MANY):
        store.create_bucket(f"more{number}", OWNER)
        _put(store, f"more{number}", "a/b", b"%d" % number)
    for number in range(MANY):
        assert _get(store, f"more{number}", "a/b") == b"%d" % number
    assert _descriptors() <= before + 3


def test_threads_that_use_many_buckets_at_once_lose_no_folder(store: Store) -> None:
    problems: list[BaseException] = []

    def work(mine: int) -> None:
        try:
            for number in range(MANY):
                bucket = f"box{(number * 7 + mine) % MANY}"
                _put(store, bucket, f"deep/{mine}", b"%d" % mine)
                assert _get(store, bucket, f"deep/{mine}") == b"%d" % mine
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert problems == []


def test_a_folder_in_use_stays_open_after_its_bucket_closed_it(store: Store) -> None:
    used = store._get_folder("box0").reserved
    store._get_folder("box0").close_folders()
    assert os.fstat(used)
    number = int(used)
    del used
    with pytest.raises(OSError):
        os.fstat(number)


@pytest.mark.not_fast
@pytest.mark.parametrize("back", [False, True])
def test_a_bucket_whose_folder_was_removed_is_not_opened_again(
    store: Store, tmp_path: Path, back: bool
) -> None:
    store._get_folder("box1").close_folders()
    (tmp_path / "buckets" / "box1").rename(tmp_path / "elsewhere")
    if back:  # another folder of that name is not the bucket
        shutil.copytree(tmp_path / "elsewhere", tmp_path / "buckets" / "box1")
    with pytest.raises(NoSuchBucket):
        _put(store, "box1", "key", b"")


def test_the_owner_not_used_lately_closes_its_folders_first() -> None:
    class Kept:
        used = True
        open = True

        def close_folders(self) -> None:
            self.open = False

    some = [Kept() for _ in range(4)]
    few = OpenFolders(3)
    for each in some[:3]:
        few.add(each)
    some[1].used = False
    few.add(some[3])
    assert [each.open for each in some] == [True, False, True, True]


LIMITED = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from eucabox.store import buckets
buckets.MOST_FILES = 256
from eucabox.bucket import Store
root = Path(sys.argv[1])
store = Store(root)
for number in range(1000):
    store.create_bucket(f"box{number}", "111122223333")
store.close()
store = Store(root)
print(len(store.buckets()), len(list(Path("/proc/self/fd").iterdir())))
store.close()
"""


@pytest.mark.slow
def test_a_thousand_buckets_fit_under_256_descriptors(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", LIMITED, str(tmp_path / "buckets")]
    found = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=True)
    count, descriptors = map(int, found.stdout.split())
    assert count == 1000
    assert descriptors <= 3 * open_folders.MOST_OPEN + 30
