"""Folders that come and go under a key while others are put and deleted, on either file system."""

import errno
import io
import os
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from eucabox.bucket import Store
from eucabox.errors import NoSuchBucket, StorageFailed
from eucabox.store import attributes, dirfd, key_files
from eucabox.store.temp_file import TempFile
from tests.store.conftest import FACTS, Put, content, keys, leftovers, names


def test_puts_beside_deletes_that_prune(store: Store, root: Path) -> None:
    failures: list[BaseException] = []

    def work(key: str) -> None:
        try:
            for _ in range(40):
                store.put("box", key, io.BytesIO(key.encode()), FACTS)
                assert content(store, key) == key.encode()
                assert store.delete("box", key).removed
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(f"a/b/c/{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert names(root / "box") == [".eucabox"]
    assert leftovers(root) == []


def test_readers_beside_overwrites(store: Store, put: Put) -> None:
    """A reader always finds the object, with the metadata of the very content it reads."""
    put("key", b"0")
    stop, failures = threading.Event(), list[BaseException]()

    def read() -> None:
        try:
            while not stop.is_set():
                with store.open("box", "key") as found:
                    body = b"".join(found.chunks())
                    assert len(body) == found.object.size
                    assert replace(found.object.properties, checksums={}, checksum_type="") == FACTS
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(60):
        put("key", b"1" * (number % 3))
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_file_that_is_stale_as_it_was_just_replaced_is_opened_again(
    store: Store, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As GlusterFS has it; no local file system does that, so one answer is replaced."""
    put("key", b"new")
    right, numbers = attributes.read, [errno.ESTALE]

    def fail_once(descriptor: int) -> bytes | None:
        if numbers:
            raise OSError(numbers.pop(), "it fails")
        return right(descriptor)

    monkeypatch.setattr(attributes, "read", fail_once)
    assert content(store, "key") == b"new"
    numbers.append(errno.EIO)
    with pytest.raises(StorageFailed):
        content(store, "key")


def test_an_empty_folder_is_replaced_by_a_file(put: Put, root: Path) -> None:
    (root / "box/a/b").mkdir(parents=True)
    put("a/b")
    assert (root / "box/a/b").is_file()


def test_a_bucket_knows_that_no_key_lies_under_its_hash_until_one_does(
    store: Store, put: Put, root: Path
) -> None:
    put("a/b")
    assert not store._get_folder("box").has_hashed
    put("a")  # the folder a is in its way
    assert store._get_folder("box").has_hashed
    store.delete("box", "a/b")
    put("a", b"at its path")
    assert not [file for file in (root / "box/.eucabox/objects").rglob("*") if file.is_file()]
    assert content(store, "a") == b"at its path"


def test_a_bucket_knows_its_hashed_keys_and_sidecars_after_a_start(tmp_path: Path) -> None:
    with closing(Store(tmp_path)) as store:
        store.create_bucket("box", "111122223333")
        store.put("box", "x//y", io.BytesIO(b"hashed"), FACTS)
        store.put("box", "k", io.BytesIO(b"plain"), FACTS)
    with closing(Store(tmp_path)) as store:
        assert store._get_folder("box").has_hashed
        assert content(store, "x//y") == b"hashed"
        assert store.delete("box", "x//y").removed
        assert keys(store) == ["k"]


def test_leftovers_of_a_killed_put_of_a_hashed_key_are_removed(
    store: Store, put: Put, root: Path
) -> None:
    put("x//y")
    folder = store._get_folder("box")
    path = root / "box/.eucabox" / "/".join(key_files.path_by_hash(b"x//y"))
    path.unlink()
    store._objects.clean_leftovers(folder, b"x//y")
    assert not path.with_name(path.name + ".key").exists()
    assert store.rescan("box") == 0
    assert keys(store) == []


def test_leftovers_of_a_killed_delete_are_removed(store: Store, put: Put, root: Path) -> None:
    put("deep/er/still")
    put("deep/kept")
    (root / "box/deep/er/still").unlink()
    store._objects.clean_leftovers(store._get_folder("box"), b"deep/er/still")
    assert names(root / "box/deep") == ["kept"]
    (root / "box/other").mkdir()  # its inner folders went before the kill
    store._objects.clean_leftovers(store._get_folder("box"), b"other/inner/most/file")
    assert not (root / "box/other").exists()


def test_clearing_never_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/kept").touch()
    (tmp_path / "inside/folder").mkdir(parents=True)
    (tmp_path / "inside/link").symlink_to(tmp_path / "outside")
    with dirfd.closing(os.open(tmp_path / "inside", dirfd.FOLDER)) as inside:
        dirfd.clear(inside)
    assert names(tmp_path / "inside") == []
    assert names(tmp_path / "outside") == ["kept"]


def test_a_bucket_that_is_deleted_meanwhile_is_not_found(store: Store) -> None:
    store.create_bucket("brief", "1")
    folder = store._get_folder("brief")
    store.delete_bucket("brief")
    assert folder.deleted
    with pytest.raises(NoSuchBucket):
        store._objects.open(folder, "key")
    with pytest.raises(NoSuchBucket):
        TempFile(folder)
