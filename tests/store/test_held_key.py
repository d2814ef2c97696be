"""A key's files held while other threads change it: each is one of the states that it had."""

import hashlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from eucabox.bucket import Store
from eucabox.errors import SourceChanged
from eucabox.store import attributes, held_key, key_files, version_files
from eucabox.store.bucket_folder import BucketFolder
from eucabox.store.fsync import RELAXED, Flush
from eucabox.store.held_key import HeldKey, hold_key
from eucabox.store.key_plan import KeyPlan
from tests.store.conftest import Put

SECONDS = 2.0


def look(root: Path, bucket: str = "box") -> BucketFolder:
    """The bucket as another process sees it."""
    folder = BucketFolder(root / bucket, Flush(RELAXED))
    folder.has_hashed = folder.has_sidecars = True
    return folder


@contextmanager
def changing(change: Callable[[], object]) -> Iterator[None]:
    """Have another thread make one change after the other within the block."""
    stopping = threading.Event()

    def work() -> None:
        while not stopping.is_set():
            change()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def content_of(held: HeldKey) -> tuple[bytes, str]:
    """The content of the current file, and the ETag in its attributes."""
    assert held.current is not None
    assert held.current.attributes is not None
    status = held.current.status
    obj, fresh = attributes.decode(held.current.attributes, "box", "key", status)
    assert fresh
    return b"".join(held.current.chunks()), obj.e_tag


@pytest.mark.not_fast
@pytest.mark.parametrize("key", ["a/b", "../x"])
def test_content_and_attributes_are_of_one_object(
    store: Store, put: Put, root: Path, key: str
) -> None:
    folder, numbers = look(root), itertools.count()
    put(key, b"first")

    def change() -> None:
        number = next(numbers)
        put(key, b"%d" % number * (number % 9000))

    with changing(change):
        ends, seen = time.monotonic() + SECONDS, set()
        while time.monotonic() < ends:
            with hold_key(folder, key.encode()) as held:
                body, e_tag = content_of(held)
                assert hashlib.md5(body).hexdigest() == e_tag
                seen.add(e_tag)
    assert len(seen) > 5


@pytest.mark.not_fast
def test_versions_and_the_current_object_are_of_one_moment(
    store: Store, put: Put, root: Path
) -> None:
    """Each put has the next number, and the oldest go first: no gap is ever seen."""
    store.set_bucket_setting("box", "versioning", {"status": "Enabled"})
    folder = look(root)
    puts: list[str] = []

    def change() -> None:
        puts.append(put("key", b"%d" % len(puts)).version_key)
        if len(puts) % 3 == 0:
            store.delete("box", "key", owner="1")
        if len(puts) % 20 == 0:
            for each in reversed(store.versions("box", "key").versions[3:]):
                store.delete("box", "key", version_id=each.object.version_id)

    with changing(change):
        ends, looks = time.monotonic() + SECONDS, 0
        while time.monotonic() < ends:
            with hold_key(folder, b"key") as held:
                numbers = [
                    int(b"".join(file.chunks()))
                    for entry, file in held.read_versions()
                    if not entry.is_marker
                ]
                if held.current is not None:
                    newest = int(content_of(held)[0])
                    numbers = [each for each in numbers if each < newest] + [newest]
                first = min(numbers, default=0)
                assert numbers == list(range(first, first + len(numbers)))
                looks += 1
    assert looks > 10
    assert len(puts) > 10


def once_before(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, change: Callable[[], object]
) -> None:
    """Have a change come just before a function is called for the first time."""
    function: Callable[..., Any] = getattr(module, name)
    is_done = False

    def call(*arguments: Any) -> Any:
        nonlocal is_done
        if not is_done:
            is_done = True
            change()
        return function(*arguments)

    monkeypatch.setattr(module, name, call)


def test_a_change_between_two_looks_makes_it_look_again(
    store: Store, put: Put, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without that the key would have been object 2 alone, which it never was."""
    store.set_bucket_setting("box", "versioning", {"status": "Enabled"})
    first = put("key", b"1").version_id
    put("key", b"2")

    def change() -> None:
        put("key", b"3")
        store.delete("box", "key", version_id=first)

    folder = look(root)
    once_before(monkeypatch, version_files, "list_entries", change)
    with hold_key(folder, b"key") as held:
        assert content_of(held)[0] == b"3"
        assert [b"".join(file.chunks()) for _, file in held.read_versions()] == [b"2"]


def test_a_version_that_goes_while_others_are_opened_makes_it_look_again(
    store: Store, put: Put, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.set_bucket_setting("box", "versioning", {"status": "Enabled"})
    versions = [put("key", b"%d" % number).version_id for number in range(3)]
    folder = look(root)

    def change() -> None:
        store.delete("box", "key", version_id=versions[0])
        put("key", b"3")

    once_before(monkeypatch, version_files, "open_entry", change)
    with hold_key(folder, b"key") as held:
        assert content_of(held)[0] == b"3"
        assert [b"".join(file.chunks()) for _, file in held.read_versions()] == [b"1", b"2"]


def test_a_file_that_moves_to_its_path_meanwhile_is_not_missed(
    store: Store, put: Put, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a", b"in the way")
    put("a/b", b"under its hash")

    def change() -> None:
        store.delete("box", "a")
        put("a/b", b"at its path")

    folder = look(root)
    once_before(monkeypatch, key_files, "path_by_hash", change)
    with hold_key(folder, b"a/b") as held:
        assert held.current is not None and not held.is_hashed
        assert b"".join(held.current.chunks()) == b"at its path"


def test_what_is_held_outlives_its_deletion(store: Store, put: Put, root: Path) -> None:
    put("key", b"content")
    with hold_key(look(root), b"key") as held:
        store.delete("box", "key")
        assert content_of(held)[0] == b"content"
    with hold_key(look(root), b"key") as held:
        assert held.current is None and held.versions == []


def test_more_versions_than_files_may_be_open_are_opened_one_by_one(
    store: Store, put: Put, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_key, "MOST_HELD", 3)
    store.set_bucket_setting("box", "versioning", {"status": "Enabled"})
    versions = [put("key", b"%d" % number).version_id for number in range(9)]
    with hold_key(look(root), b"key") as held:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # its own descriptor is in it
        store.delete("box", "key", version_id=versions[2])
        read = [b"".join(file.chunks()) for _, file in held.read_versions()]
        assert read == [b"0", b"1", b"3", b"4", b"5", b"6", b"7"]
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_no_descriptor_stays_open(store: Store, put: Put, root: Path) -> None:
    store.set_bucket_setting("box", "versioning", {"status": "Enabled"})
    for number in range(5):
        put("key", b"%d" % number)
    folder = look(root)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with hold_key(folder, b"key"), hold_key(folder, b"none"):
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_that_is_cut_by_hand_is_said(put: Put, root: Path) -> None:
    put("key", b"x" * 1000)
    with hold_key(look(root), b"key") as held:
        os.truncate(root / "box" / "key", 10)
        assert held.current is not None
        with pytest.raises(SourceChanged, match="box/key was changed by hand"):
            list(held.current.chunks())


# --- the plan ----------------------------------------------------------------------------------


def plan_of(root: Path) -> list[bytes]:
    plan = KeyPlan()
    plan.add_bucket(look(root))
    found = list(plan.read_keys("box"))
    plan.close()
    return found


def test_a_plan_has_every_key_once_and_sorted(store: Store, put: Put, root: Path) -> None:
    store.set_bucket_setting("box", "versioning", {"status": "Enabled"})
    names = [
        "b",
        "a",
        "a/b",
        "é",
        "../x",
        ".eucabox/y",
        "s" * 300,
        "d/e/f/g",
        "\U0001f600",
        "\ue000",
    ]
    for name in names:
        put(name)
        put(name)
    store.delete("box", "b", owner="1")
    (root / "box" / os.fsdecode(b"\xff")).write_bytes(b"no key")
    (root / "box" / "by-hand").write_bytes(b"a key")
    (root / "box" / "link").symlink_to("/etc/passwd")
    assert plan_of(root) == sorted(name.encode() for name in [*names, "by-hand"])


def test_keys_that_only_journal_or_index_name_are_planned_too(
    store: Store, put: Put, root: Path
) -> None:
    def plan(after: bytes = b"") -> list[bytes]:
        made = KeyPlan()
        made.add_index(root / ".eucabox", ["box"])
        found = list(made.read_keys("box", after))
        made.close()
        return found

    put("b")
    assert plan() == [b"b"]  # the index has not been written yet
    put("a")
    store.list("box")
    for file in (root / ".eucabox").glob("journal.*"):
        os.truncate(file, 0)
    assert plan() == [b"a", b"b"]
    assert plan(b"a") == [b"b"]


def test_a_damaged_index_is_no_matter(put: Put, root: Path) -> None:
    put("a")
    (root / ".eucabox" / "index.db").write_bytes(b"no database" * 100)
    plan = KeyPlan()
    plan.add_bucket(look(root))
    plan.add_index(root / ".eucabox", ["box"])
    assert list(plan.read_keys("box")) == [b"a"]
    plan.close()


def test_a_plan_counts_bytes(put: Put, root: Path) -> None:
    put("a", b"x" * 100)
    put("../b", b"x" * 200)
    plan = KeyPlan()
    plan.add_bucket(look(root))
    assert 300 <= plan.bytes < 2000
    plan.close()
