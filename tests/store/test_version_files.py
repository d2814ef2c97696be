"""Versions of a key: stored, opened, hidden, restored, deleted; also changed by hand."""

import contextlib
import io
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eucabox.bucket import Store, Version
from eucabox.errors import (
    BucketNotEmpty,
    InvalidVersionId,
    IsDeleteMarker,
    NoSuchKey,
    NoSuchVersion,
    PreconditionFailed,
)
from eucabox.store import version_ids
from eucabox.store.paths import digest
from tests.changes import set_tags
from tests.store.conftest import FACTS, OWNER, Put, content, names, refuse

KEYS = ["key", "a/b/c", "x//y", "dir/", "p" * 300]


def enable(store: Store, status: str = "Enabled", bucket: str = "box") -> None:
    store.set_bucket_setting(bucket, "versioning", {"status": status})


def every(store: Store, key: str = "", bucket: str = "box") -> list[Version]:
    """All versions of a key, or of the bucket, in small pages so that paging is met everywhere."""
    whole = store.versions(bucket).versions
    for limit in (1, 2):
        assert list(paged(store, bucket, limit)) == whole
    return [each for each in whole if key in ("", each.object.key)]


def paged(store: Store, bucket: str, limit: int) -> Iterator[Version]:
    after: tuple[str | None, str | None] = ("", "")
    while after[0] is not None:
        page = store.versions(
            bucket, key_marker=after[0], version_id_marker=after[1] or "", limit=limit
        )
        yield from page.versions
        after = page.next_key, page.next_version_id


def ids(store: Store, key: str = "") -> list[str]:
    return [each.object.version_id for each in every(store, key)]


def read(store: Store, key: str, version_id: str = "") -> bytes:
    with store.open("box", key, version_id) as found:
        return b"".join(found.chunks())


def folder(root: Path, key: str = "key") -> Path:
    name = digest(key.encode())
    return root / "box/.eucabox/versions" / name[:2] / name


def same_after_restart(store: Store, root: Path, *, rescan: bool) -> None:
    """The index is lost, or the bucket read again: nothing changes."""
    before = every(store)
    if rescan:
        store.rescan("box")
        assert every(store) == before
    else:
        store.close()
        (root / ".eucabox/index.db").unlink()
        again = Store(root)
        assert every(again) == before
        again.close()


@pytest.mark.parametrize("key", KEYS)
def test_every_version_stays(store: Store, put: Put, root: Path, key: str) -> None:
    enable(store)
    made = [put(key, str(number).encode()) for number in range(3)]
    assert len({each.version_id for each in made}) == 3
    assert ids(store) == [each.version_id for each in reversed(made)]
    assert [each.is_latest for each in every(store)] == [True, False, False]
    assert content(store, key) == b"2"
    for number, each in enumerate(made):
        assert read(store, key, each.version_id) == str(number).encode()
        assert store.head("box", key, each.version_id) == each
    assert [each.key for each in store.list("box").objects] == [key]
    store.rescan("box")
    assert ids(store) == [each.version_id for each in reversed(made)]
    same_after_restart(store, root, rescan=False)


@pytest.mark.parametrize("key", KEYS)
def test_a_delete_marker_hides_an_object_until_it_is_deleted(
    store: Store, put: Put, key: str
) -> None:
    enable(store)
    made = put(key)
    hidden = store.delete("box", key, owner=OWNER)
    assert (hidden.removed, hidden.delete_marker) == (False, True)
    with pytest.raises(NoSuchKey) as caught:
        store.open("box", key)
    assert caught.value.facts["delete_marker"] == hidden.version_id
    with pytest.raises(IsDeleteMarker):
        store.open("box", key, hidden.version_id)
    assert store.list("box").objects == []
    assert content_of(every(store)) == [("marker", True), (made.e_tag, False)]
    assert every(store)[0].object.properties.owner == OWNER
    assert read(store, key, made.version_id) == b"content"
    store.rescan("box")
    assert content_of(every(store)) == [("marker", True), (made.e_tag, False)]
    gone = store.delete("box", key, version_id=hidden.version_id)
    assert (gone.removed, gone.delete_marker, gone.version_id) == (True, True, hidden.version_id)
    assert store.head("box", key) == made
    assert content_of(every(store)) == [(made.e_tag, True)]


def content_of(found: list[Version]) -> list[tuple[str, bool]]:
    return [("marker" if e.is_marker else e.object.e_tag, e.is_latest) for e in found]


def test_deleting_the_current_version_restores_the_one_before(
    store: Store, put: Put, root: Path
) -> None:
    enable(store)
    made = [put("a/key", str(number).encode()) for number in range(3)]
    assert store.delete("box", "a/key", version_id=made[2].version_id).removed
    assert (content(store, "a/key"), store.head("box", "a/key")) == (b"1", made[1])
    assert store.delete("box", "a/key", version_id=made[0].version_id).removed
    assert ids(store) == [made[1].version_id]
    assert store.delete("box", "a/key", version_id=made[1].version_id).removed
    assert every(store) == [] and not folder(root, "a/key").exists()
    assert not (root / "box/a").exists()
    assert not store.delete("box", "a/key", version_id=made[1].version_id).removed
    with pytest.raises(NoSuchVersion):
        store.open("box", "a/key", made[1].version_id)
    store.delete_bucket("box")


def test_a_marker_below_the_current_version_stays_one(store: Store, put: Put) -> None:
    enable(store)
    first = put("key", b"1")
    marker = store.delete("box", "key")
    third = put("key", b"3")
    assert ids(store) == [third.version_id, marker.version_id, first.version_id]
    store.delete("box", "key", version_id=third.version_id)
    with pytest.raises(NoSuchKey):
        store.open("box", "key")
    assert content_of(every(store)) == [("marker", True), (first.e_tag, False)]


def test_an_object_older_than_versioning_is_the_null_version(store: Store, put: Put) -> None:
    old = put("key", b"old")
    assert ids(store) == ["null"]
    enable(store)
    new = put("key", b"new")
    assert ids(store) == [new.version_id, "null"]
    assert (read(store, "key", "null"), old.version_id) == (b"old", "null")
    store.delete("box", "key", version_id=new.version_id)
    assert (content(store, "key"), ids(store)) == (b"old", ["null"])
    store.delete("box", "key")
    assert store.delete("box", "key", version_id="null").removed
    assert [each.is_marker for each in every(store)] == [True]


def test_suspended_keeps_versions_and_replaces_the_null_one(store: Store, put: Put) -> None:
    put("key", b"first")
    enable(store)
    stored = put("key", b"kept")
    enable(store, "Suspended")
    put("key", b"second")
    assert ids(store) == ["null", stored.version_id]
    assert content(store, "key") == b"second"
    put("key", b"third")
    assert (ids(store), content(store, "key")) == (["null", stored.version_id], b"third")
    marker = store.delete("box", "key")
    assert (marker.version_id, marker.removed) == ("null", True)
    assert [each.is_marker for each in every(store)] == [True, False]
    store.delete("box", "key")
    assert [each.is_marker for each in every(store)] == [True, False]
    put("key", b"fourth")
    assert [each.is_marker for each in every(store)] == [False, False]
    store.delete("box", "key", version_id="null")
    assert content(store, "key") == b"kept"
    store.delete("box", "key")
    assert ids(store) == ["null", stored.version_id]
    store.rescan("box")
    assert ids(store) == ["null", stored.version_id]


def test_each_version_has_its_own_properties(store: Store, put: Put) -> None:
    enable(store)
    old, new = put("key", b"1"), put("key", b"2")
    set_tags(store, "box", "key", {"age": "old"}, old.version_id)
    set_tags(store, "box", "key", {"age": "new"})
    assert store.head("box", "key", old.version_id).properties.tags == {"age": "old"}
    assert store.head("box", "key").properties.tags == {"age": "new"}
    store.delete("box", "key", version_id=new.version_id)
    store.rescan("box")
    assert store.head("box", "key").properties.tags == {"age": "old"}
    assert store.copy("box", "key", "box", "copy", version_id=old.version_id).e_tag == old.e_tag


def test_malformed_version_ids_are_refused(store: Store, put: Put) -> None:
    put("key")
    for wrong in ("x", "NULL", "0" * 32, "f" * 33, "../../../key"):
        with pytest.raises(InvalidVersionId):
            store.open("box", "key", wrong)
        with pytest.raises(InvalidVersionId):
            store.delete("box", "key", version_id=wrong)
        with pytest.raises(InvalidVersionId):
            store.versions("box", key_marker="key", version_id_marker=wrong)
    absent = version_ids.make(1, null=False)
    with pytest.raises(NoSuchVersion):
        store.open("box", "key", absent)
    assert not store.delete("box", "key", version_id=absent).removed
    assert content(store, "key") == b"content"
    assert store.delete("box", "key", version_id="null").removed


def test_a_bucket_with_a_version_or_a_marker_is_not_empty(store: Store, put: Put) -> None:
    enable(store)
    made = put("key")
    marker = store.delete("box", "key")
    for version_id in (made.version_id, marker.version_id):
        with pytest.raises(BucketNotEmpty):
            store.delete_bucket("box")
        store.delete("box", "key", version_id=version_id)
    store.delete_bucket("box")


def test_a_reader_reads_on_while_its_version_is_deleted(store: Store, put: Put) -> None:
    enable(store)
    made = put("key", b"old")
    with store.open("box", "key") as found:
        put("key", b"new")
        store.delete("box", "key", version_id=made.version_id)
        assert b"".join(found.chunks()) == b"old"


def test_a_check_may_forbid_what_would_be_lost(store: Store, put: Put) -> None:
    def forbid(found: object) -> None:
        raise PreconditionFailed(condition="locked")

    enable(store)
    made = put("key")
    with pytest.raises(PreconditionFailed):
        store.delete("box", "key", version_id=made.version_id, check=forbid)
    assert store.delete("box", "key", check=forbid).delete_marker  # nothing is lost
    assert read(store, "key", made.version_id) == b"content"


# --- by hand ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["rescan", "lost index", "read"])
def test_the_file_is_removed_by_hand(store: Store, put: Put, root: Path, how: str) -> None:
    enable(store)
    old = put("key", b"old")
    put("key", b"new")
    (root / "box/key").unlink()
    if how == "rescan":
        store.rescan("box")
    with pytest.raises(NoSuchKey):
        store.open("box", "key")
    assert content_of(every(store)) == [("marker", True), (old.e_tag, False)]
    if how == "lost index":
        same_after_restart(store, root, rescan=False)


def test_a_file_is_copied_over_by_hand(store: Store, put: Put, root: Path) -> None:
    enable(store)
    old = put("key", b"old")
    put("key", b"current")
    (root / "by hand").write_bytes(b"by hand")
    (root / "by hand").rename(root / "box/key")
    os.utime(root / "box/key", (1, 1))
    store.rescan("box")
    latest, *rest = every(store)
    assert latest.is_latest and latest.object.version_id not in ("null", old.version_id)
    assert [each.object.version_key for each in rest] == [old.version_key]
    assert (content(store, "key"), store.head("box", "key").version_key) == (
        b"by hand",
        latest.object.version_key,
    )
    same_after_restart(store, root, rescan=True)


def test_an_older_version_is_put_back_by_hand(store: Store, put: Put, root: Path) -> None:
    enable(store)
    made = [put("key", str(number).encode()) for number in range(3)]
    shutil.copy2(folder(root) / made[0].version_key, root / "box/new")
    (root / "box/new").rename(root / "box/key")
    store.rescan("box")
    assert content(store, "key") == b"0"
    latest, *rest = every(store)
    assert latest.is_latest and latest.object.e_tag == made[0].e_tag
    assert [each.object.version_key for each in rest] == [made[1].version_key, made[0].version_key]
    same_after_restart(store, root, rescan=True)


def test_versions_are_removed_by_hand(store: Store, put: Put, root: Path) -> None:
    enable(store)
    put("key", b"old")
    new = put("key", b"new")
    shutil.rmtree(root / "box/.eucabox/versions")
    store.rescan("box")
    assert ids(store) == [new.version_id]
    put("key", b"newer")
    assert len(ids(store)) == 2


def test_a_configuration_that_was_lost_loses_no_version(store: Store, put: Put, root: Path) -> None:
    enable(store)
    put("key", b"old")
    put("key", b"new")
    before = every(store)
    store.close()
    (root / "box/.eucabox/bucket.json").unlink()
    again = Store(root)
    again.rescan("box")
    assert every(again) == before
    again.close()


@pytest.mark.parametrize("root", ["attributes"], indirect=True)
def test_without_hard_links(
    store: Store, put: Put, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", refuse)
    enable(store)
    old = put("key", b"old")
    put("key", b"new")
    assert store.head("box", "key", old.version_id) == old
    assert names(folder(root)) == sorted([old.version_key, "key"])


# --- a clock that runs backwards, and many at once ---------------------------------------------


def test_newest_first_though_the_clock_goes_back(store: Store, put: Put) -> None:
    enable(store)
    made = [put("key", b"1")]
    future = version_ids.make(1 << 62, null=False)
    entry = folder(store._root).joinpath(future + ".marker")
    made.append(put("key", b"2"))
    entry.write_bytes(b"")
    store.delete("box", "key")
    put("key", b"3")
    store.rescan("box")
    kinds = [(each.is_marker, each.is_latest) for each in every(store)]
    assert kinds == [(False, True), (True, False), (True, False), (False, False), (False, False)]


def test_the_listing_of_versions(store: Store, put: Put) -> None:
    enable(store)
    for name in ("a", "dir/1", "dir/2", "z"):
        put(name, b"1")
        put(name, b"2")
    store.delete("box", "dir/1")
    page = store.versions("box", delimiter="/")
    assert ([each.object.key for each in page.versions], page.prefixes) == (
        ["a", "a", "z", "z"],
        ["dir/"],
    )
    page = store.versions("box", prefix="dir/", limit=4)
    assert [each.object.key for each in page.versions] == ["dir/1"] * 3 + ["dir/2"]
    assert page.truncated and (page.next_key, page.next_version_id) == (
        "dir/2",
        page.versions[-1].object.version_id,
    )
    page = store.versions("box", delimiter="/", limit=3)
    assert (page.next_key, page.next_version_id) == ("dir/", None)
    page = store.versions("box", delimiter="/", key_marker="dir/")
    assert [each.object.key for each in page.versions] == ["z", "z"]
    assert store.versions("box", key_marker="a").versions[0].object.key == "dir/1"


def test_a_page_is_removed_before_the_next(store: Store, put: Put) -> None:
    put("key")
    enable(store)
    for number in range(9):
        put("key", str(number).encode())
    after: tuple[str | None, str | None] = ("", "")
    while after[0] is not None:
        page = store.versions("box", key_marker=after[0], version_id_marker=after[1] or "", limit=3)
        for each in page.versions:
            store.delete("box", each.object.key, version_id=each.object.version_id)
        after = page.next_key, page.next_version_id
    assert every(store) == []


def test_a_copy_is_a_version(store: Store, put: Put) -> None:
    enable(store)
    put("key", b"1")
    put("other", b"2")
    store.copy("box", "other", "box", "key", FACTS)
    assert len(ids(store, "key")) == 2 and content(store, "key") == b"2"
    store.put("box", "key", io.BytesIO(b"3"), FACTS)
    assert len(ids(store, "key")) == 3


def test_many_write_one_key(store: Store) -> None:
    enable(store)
    made: list[str] = []

    def write(number: int) -> None:
        body = io.BytesIO(str(number).encode())
        made.append(store.put("box", "key", body, FACTS).version_id)
        if number % 4 == 0:
            made.append(store.delete("box", "key").version_id)
        if number % 4 == 2:
            store.delete("box", "key", version_id=made.pop(0))

    def look(_: int) -> None:
        with contextlib.suppress(NoSuchKey):
            found = store.head("box", "key")
            assert read(store, "key", found.version_id)

    with ThreadPoolExecutor(8) as threads:
        futures = [threads.submit(step, number) for number in range(40) for step in (write, look)]
        for each in futures:
            with contextlib.suppress(NoSuchVersion):  # removed while it was looked at
                each.result()
    found = every(store)
    assert sorted(each.object.version_id for each in found) == sorted(made)
    assert [each.is_latest for each in found] == [True] + [False] * (len(found) - 1)
    before = found
    store.rescan("box")
    assert every(store) == before


def test_of_many_conditional_creates_one_succeeds(store: Store) -> None:
    enable(store)
    store.delete("box", "key")

    def write(number: int) -> bool:
        try:
            store.put("box", "key", io.BytesIO(b"x" * number), FACTS, if_none_match="*")
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(write, range(24))) == 1
    assert len(every(store)) == 2


def test_a_reader_never_misses_an_object_that_is_overwritten(store: Store, put: Put) -> None:
    enable(store)
    put("key", b"0")
    done = threading.Event()

    def write() -> None:
        for number in range(60):
            made = put("key", str(number).encode())
            if number % 3 == 0:
                store.delete("box", "key", version_id=made.version_id)
        done.set()

    with ThreadPoolExecutor(2) as threads:
        writing = threads.submit(write)
        while not done.is_set():
            assert content(store, "key").isdigit()
        writing.result()


def test_an_upload_that_became_an_older_version_answers_the_same(store: Store, put: Put) -> None:
    enable(store)
    upload_id = store.create_upload("box", "key", FACTS)
    part = store.put_part("box", "key", upload_id, 1, io.BytesIO(b"part"))
    wanted = [(1, part.e_tag, part.checksums)]
    made = store.complete_upload("box", "key", upload_id, wanted)
    put("key", b"newer")
    assert store.complete_upload("box", "key", upload_id, wanted) == made
    assert len(ids(store)) == 2
