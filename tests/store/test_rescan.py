"""What an operator does by hand, and what happens when the index or attributes are lost."""

import hashlib
import io
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from eucabox.bucket import Store
from eucabox.errors import NoSuchBucket, NoSuchKey
from eucabox.store import rescan, rescan_jobs
from eucabox.store.attributes import NAME
from tests.store.conftest import FACTS, OWNER, Put, content, keys


def test_a_file_copied_in_becomes_an_object(store: Store, root: Path) -> None:
    (root / "box/new").mkdir()
    (root / "box/new/page.html").write_bytes(b"<p>")
    assert keys(store) == []
    seen: list[int] = []
    assert store.rescan("box", seen.append) == 1
    assert seen == [1]
    (found,) = store.list("box").objects
    assert (found.key, found.size) == ("new/page.html", 3)
    assert found.e_tag == hashlib.md5(b"<p>").hexdigest()
    assert store.head("box", "new/page.html").properties.content_type == "text/html"
    assert store.head("box", "new/page.html").properties.owner == OWNER


def test_a_file_copied_in_can_be_read_at_once(store: Store, root: Path) -> None:
    (root / "box/file").write_bytes(b"x")
    assert store.head("box", "file").e_tag == hashlib.md5(b"x").hexdigest()
    assert content(store, "file") == b"x"
    assert keys(store) == ["file"]


@pytest.mark.parametrize("nanoseconds", [0, 1, 999, 1000, 123_456_789])
def test_a_file_copied_in_is_read_whole_only_once(
    store: Store, root: Path, nanoseconds: int
) -> None:
    (root / "box/file").write_bytes(b"x")
    os.utime(root / "box/file", ns=(1_700_000_000_000_000_000 + nanoseconds,) * 2)
    found = store.head("box", "file")
    position = store.list_changes("box", "").position
    for _ in range(2):
        assert store.head("box", "file") == found
    assert store.list_changes("box", position).keys == []
    (root / "box/file").write_bytes(b"y")
    assert store.head("box", "file").e_tag == hashlib.md5(b"y").hexdigest()


def test_a_file_deleted_by_hand(store: Store, put: Put, root: Path) -> None:
    put("a/b")
    put("a//b")
    (root / "box/a/b").unlink()
    with pytest.raises(NoSuchKey):
        store.head("box", "a/b")
    assert store.rescan("box") == 1
    assert keys(store) == ["a//b"]


def test_a_file_edited_by_hand(store: Store, put: Put, root: Path) -> None:
    made = put("key", checksums={}, algorithms=["CRC32"])
    with (root / "box/key").open("ab") as file:
        file.write(b"more")
    found = store.head("box", "key")
    assert found.e_tag == hashlib.md5(b"contentmore").hexdigest()
    assert found.properties.checksums == {}
    assert found.properties.owner == made.properties.owner
    assert store.head("box", "key") == found
    (listed,) = store.list("box").objects
    assert (listed.e_tag, listed.size) == (found.e_tag, 11)


def test_an_object_in_the_way_by_hand(store: Store, put: Put, root: Path) -> None:
    put("a", b"file")
    put("a/b", b"hidden")
    (root / "box/a").unlink()
    (root / "box/a").mkdir()
    (root / "box/a/b").write_bytes(b"by hand")
    assert store.rescan("box") == 1
    assert content(store, "a/b") == b"by hand"
    store.delete("box", "a/b")
    assert store.rescan("box") == 0
    assert keys(store) == []


def test_files_whose_names_are_no_keys_are_ignored(store: Store, root: Path) -> None:
    (Path(os.fsdecode(os.fsencode(root / "box") + b"/\xff\xfe"))).touch()
    deep = root / "box" / "/".join(["d" * 250] * 5)
    deep.mkdir(parents=True)
    (deep / "file").touch()
    assert store.rescan("box") == 0
    assert keys(store) == []


@pytest.mark.parametrize("harm", ["deleted", "scribbled", "older", "emptied", "mark"])
def test_the_index_is_lost(store: Store, put: Put, root: Path, harm: str) -> None:
    names = ["a", "a/b", "dir/", "x" * 300, *(f"n{number}" for number in range(20))]
    for name in names:
        put(name, name.encode())
    before = store.list("box")
    store.close()
    file = root / ".eucabox/index.db"
    if harm == "deleted":
        file.unlink()
    elif harm == "scribbled":
        file.write_bytes(b"scribble" * 1000)
    elif harm == "emptied":
        file.write_bytes(b"")
    elif harm == "mark":
        (root / ".eucabox/state").write_text("?")
    else:
        connection = sqlite3.connect(file)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
    again = Store(root)
    assert again.list("box") == before
    again.close()


def test_the_index_breaks_while_it_is_used(store: Store, put: Put, root: Path) -> None:
    for number in range(300):
        put(f"n{number:03}")
    before = store.list("box")
    store.close()
    file = root / ".eucabox/index.db"
    raw = file.read_bytes()
    file.write_bytes(raw[:4096] + os.urandom(len(raw) - 4096))
    again = Store(root)
    assert again.list("box") == before
    assert again.usage()["objects"] == 300
    again.close()


def test_attributes_are_lost(store: Store, put: Put, root: Path) -> None:
    put("a.txt", b"1")
    put("a.txt/b", b"2")
    for path in (root / "box/a.txt", *root.glob("box/.eucabox/objects/*/*")):
        if NAME in os.listxattr(path):
            os.removexattr(path, NAME)
    shutil.rmtree(root / "box/.eucabox/attributes")
    store.rescan("box")
    assert keys(store) == ["a.txt", "a.txt/b"]
    found = store.head("box", "a.txt")
    assert (found.e_tag, found.properties.metadata) == (hashlib.md5(b"1").hexdigest(), {})
    assert found.properties.content_type == "text/plain"
    assert content(store, "a.txt/b") == b"2"


def test_a_sidecar_is_cut_short(store: Store, put: Put, root: Path) -> None:
    put("gr\u00fcn")
    folder = root / "box/.eucabox/attributes"
    for sidecar in folder.glob("*/*"):
        sidecar.write_bytes(sidecar.read_bytes()[:-2])
    (folder / "00").mkdir(exist_ok=True)
    (folder / "00/0.1-2").write_bytes(b"2\n{}gr\xc3")
    assert store.rescan("box") == 1
    assert content(store, "gr\u00fcn") == b"content"


def test_foreign_attributes(store: Store, put: Put, root: Path) -> None:
    for foreign in (b"", b"\xff", b"[]", b"{}", b'{"e":1}', b'{"s":0,"m":0,"e":"x","u":1,"zz":2}'):
        (root / "box/key").write_bytes(foreign)
        os.setxattr(root / "box/key", NAME, foreign) if _has_attributes() else None
        assert store.head("box", "key").e_tag == hashlib.md5(foreign).hexdigest()


def _has_attributes() -> bool:
    return os.setxattr.__module__ == "posix"


def test_configuration_is_lost(store: Store, put: Put, root: Path) -> None:
    put("a")
    store.close()
    shutil.rmtree(root / "box/.eucabox")
    again = Store(root)
    assert again.bucket("box").owner == ""
    assert keys(again) == ["a"]
    assert content(again, "a") == b"content"
    again.close()


def test_a_whole_bucket_is_copied_in(store: Store, put: Put, root: Path) -> None:
    made = put("a/b")
    put("a")
    shutil.copytree(root / "box", root / "twin")
    with pytest.raises(NoSuchBucket):
        store.list("twin")
    assert store.rescan("twin") == 2
    assert keys(store, "twin") == ["a", "a/b"]
    assert content(store, "a/b", "twin") == b"content"
    assert store.head("twin", "a/b").properties == made.properties
    assert store.bucket("twin").owner == OWNER
    shutil.rmtree(root / "twin")
    store.close()
    again = Store(root)
    with pytest.raises(NoSuchBucket):
        again.bucket("twin")
    again.close()


def test_a_rescan_beside_writers(store: Store, put: Put) -> None:
    for number in range(30):
        put(f"old{number}")
    seen: list[int] = []

    def meddle(count: int) -> None:
        seen.append(count)

    for number in range(5):
        put(f"new{number}")
        store.delete("box", f"old{number}")
        store.put("box", "old9", io.BytesIO(b"changed"), FACTS)
        assert store.rescan("box", meddle) == len(keys(store))
    assert len(keys(store)) == 30
    assert len(seen) == 5


def test_a_file_deleted_by_hand_is_listed_until_it_is_missed(
    store: Store, put: Put, root: Path
) -> None:
    put("a/b")
    put("a/c")
    assert keys(store) == ["a/b", "a/c"]
    (root / "box/a/b").unlink()
    with pytest.raises(NoSuchKey):
        store.head("box", "a/b")
    assert keys(store) == ["a/c"]


def test_a_start_that_rescans_logs_its_progress(
    store: Store, put: Put, root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    for number in range(3):
        put(f"k{number}")
    store.close()
    (root / ".eucabox/index.db").unlink()
    monkeypatch.setattr(rescan, "PAGE", 1)
    monkeypatch.setattr(rescan_jobs, "SECONDS", 0)
    with caplog.at_level("INFO", "eucabox.bucket"):
        Store(root).close()
    assert "the index is not that of the bucket box" in caplog.text
    assert "reading the bucket box: 2 objects so far" in caplog.text
    assert "read the bucket box: 3 objects" in caplog.text


def test_a_removed_folder_is_no_bucket(store: Store, put: Put, root: Path) -> None:
    put("a")
    store.create_bucket("moved", OWNER)
    store.put("moved", "k", io.BytesIO(b"x"), FACTS)
    (root / "moved").rename(root.parent / "elsewhere")
    shutil.rmtree(root / "box")
    with pytest.raises(NoSuchBucket):
        store.delete_bucket("box")
    assert store.scan_folders() == []
    for name in ("box", "moved"):
        with pytest.raises(NoSuchBucket):
            store.list(name)
    store.create_bucket("box", OWNER)
    assert keys(store) == []
    (root.parent / "elsewhere").rename(root / "moved")
    store.rescan("moved")
    assert [each.key for each in store.list("moved").objects] == ["k"]


def test_a_bucket_whose_folder_is_gone_can_be_made_again(store: Store, root: Path) -> None:
    shutil.rmtree(root / "box")
    store.create_bucket("box", OWNER)
    store.put("box", "k", io.BytesIO(b"x"), FACTS)
    assert keys(store) == ["k"]


def test_without_its_folder_a_bucket_can_not_be_read_or_written(
    store: Store, put: Put, root: Path
) -> None:
    put("a")
    shutil.rmtree(root / "box")
    for ask in (
        lambda: store.put("box", "k", io.BytesIO(b"x"), FACTS),
        lambda: store.head("box", "a"),
        lambda: store.head("box", "a", "null"),
        lambda: store.create_upload("box", "k", FACTS),
    ):
        with pytest.raises(NoSuchBucket):
            ask()
