import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eucabox.image.cache import Cache

KIB64 = 65536


class Room:
    """A cache whose limit and users a test sets."""

    def __init__(self, folder: Path) -> None:
        self.limit, self.users = 10 * KIB64, set[str]()
        self.cache = Cache(folder / "cache", lambda: self.limit, lambda: self.users)

    def add(self, name: str, size: int = KIB64) -> None:
        with self.cache.partial() as file:
            file.write(os.urandom(size))
            file.flush()
            self.cache.adopt(Path(file.name), name, "raw", kind="data", size=size)

    def names(self) -> set[str]:
        return {path.stem for path in self.cache.folder.glob("*.raw")}


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_an_entry_is_found_with_its_facts(room: Room) -> None:
    room.add("a")
    entry = room.cache.find("a")
    assert entry is not None
    assert (entry.format, entry.facts["size"]) == ("raw", KIB64)
    assert entry.path.stat().st_size == KIB64
    assert room.cache.find("b") is None
    assert room.cache.find("") is None


def test_the_least_used_goes_first(room: Room) -> None:
    for name in "abc":
        room.add(name)
        time.sleep(0.02)
    room.cache.find("a")
    room.limit = 3 * KIB64
    room.add("d")
    assert room.names() == {"a", "d"}  # each has a note of a few KiB too


def test_what_is_in_use_stays(room: Room) -> None:
    for name in "abc":
        room.add(name)
    room.users, room.limit = {"a"}, 0
    with room.cache.pin("b"):
        assert room.cache.evict() == ["c"]
    assert room.cache.evict() == ["b"]
    assert room.names() == {"a"}


def test_a_new_entry_is_kept_even_if_too_large(room: Room) -> None:
    room.limit = KIB64 // 2
    room.add("a")
    assert room.names() == {"a"}


def test_an_entry_is_never_replaced(room: Room) -> None:
    room.add("a")
    entry = room.cache.find("a")
    assert entry is not None
    before = entry.path.read_bytes()
    room.add("a")
    assert entry.path.read_bytes() == before


def test_a_content_is_dropped_with_what_was_composed_of_it(room: Room) -> None:
    for name in ("abc", "abc-1024-0-key", "abc-2048-0-key", "abcd"):
        room.add(name)
    room.users = {"abc-2048-0-key"}
    room.cache.drop("abc")
    assert room.names() == {"abc-2048-0-key", "abcd"}


def test_sweep_removes_what_a_crash_left(room: Room) -> None:
    room.add("whole")
    room.add("cut")
    room.add("used")
    room.users = {"used"}
    for name in ("cut", "used"):
        with (room.cache.folder / f"{name}.raw").open("r+b") as file:
            file.truncate(10)
    (room.cache.folder / "partial-0123").write_bytes(b"half")
    (room.cache.folder / "unnoted.raw").write_bytes(b"data")
    (room.cache.folder / "dataless.json").write_text('{"format": "raw", "bytes": 4}')
    (room.cache.folder / "nonsense.json").write_text("[")
    room.cache.sweep()
    assert {path.name for path in room.cache.folder.iterdir()} == {
        "whole.raw", "whole.json", "used.raw", "used.json",
    }  # fmt: skip


def test_an_abandoned_partial_file_is_gone(room: Room) -> None:
    with pytest.raises(InterruptedError), room.cache.partial():
        raise InterruptedError
    assert list(room.cache.folder.iterdir()) == []


def test_one_at_a_time_works_on_a_key(room: Room) -> None:
    at_work: list[str] = []
    most: list[int] = []

    def work(key: str) -> None:
        with room.cache.only_one(key):
            at_work.append(key)
            time.sleep(0.02)
            most.append(at_work.count(key))
            at_work.remove(key)

    threads = [threading.Thread(target=work, args=(key,)) for key in "aabab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5


def test_usage_counts_what_the_disk_gives(room: Room) -> None:
    assert room.cache.usage() == 0
    room.add("a")
    assert KIB64 <= room.cache.usage() <= 2 * KIB64


def test_a_start_takes_back_what_libvirt_gave_to_its_own_user(room: Room) -> None:
    room.add("a")
    os.chown(room.cache.folder / "a.raw", 64055, 64055)
    room.cache.sweep()
    assert (room.cache.folder / "a.raw").stat().st_uid == os.geteuid()


def test_who_waits_for_anothers_work_may_give_up(room: Room) -> None:
    def give_up() -> None:
        raise InterruptedError

    with room.cache.only_one("key"), ThreadPoolExecutor(1) as others:
        waiting = others.submit(lambda: room.cache.only_one("key", give_up).__enter__())
        assert isinstance(waiting.exception(10), InterruptedError)


SWEEP = """\
import sys
from pathlib import Path
from eucabox.image.cache import Cache
cache = Cache(Path(sys.argv[1]), lambda: 2**30, set)
cache.sweep()
print(len(cache.find("a").path.read_bytes()))
cache.drop("a")
"""


@pytest.mark.slow
def test_a_start_as_a_user_of_its_own_leaves_it_there_and_still_reads_and_drops_it(
    room: Room,
) -> None:
    room.add("a")
    os.chown(room.cache.folder / "a.raw", 64055, 64055)
    without_chown = ["setpriv", "--bounding-set", "-chown"]
    argv = [*without_chown, sys.executable, "-c", SWEEP, str(room.cache.folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{KIB64}\n", "")
    assert list(room.cache.folder.iterdir()) == []
