"""The keys that changed last: what one who follows a bucket is told."""

import io
from pathlib import Path

import pytest

from eucabox.bucket import Store
from eucabox.errors import NoSuchBucket
from eucabox.store import recent_changes
from eucabox.store.types import ObjectProperties


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "buckets")
    for name in ("a", "b"):
        store.create_bucket(f"box-{name}", "1")
    return store


def put(store: Store, key: str, bucket: str = "box-a") -> None:
    store.put(bucket, key, io.BytesIO(b"x"), ObjectProperties())


def test_changes_of_the_bucket_are_told_once_in_their_order(store: Store) -> None:
    first = store.list_changes("box-a", "")
    assert (first.is_complete, first.keys) == (False, [])
    for key in ("z", "ä", "z"):
        put(store, key)
    put(store, "other", "box-b")
    store.delete("box-a", "z")
    store.change_object("box-a", "ä", lambda properties: properties)
    second = store.list_changes("box-a", first.position)
    assert (second.is_complete, second.keys) == (True, ["z", "ä"])
    assert store.list_changes("box-a", second.position) == second.__class__(
        second.position, True, []
    )
    assert store.list_changes("box-b", first.position).keys == ["other"]
    store.close()


def test_pages_leave_no_key_out(store: Store) -> None:
    position = store.list_changes("box-a", "").position
    keys = [f"k{number}" for number in range(25)]
    for key in keys:
        put(store, key)
        put(store, "k0")
    found: list[str] = []
    for _ in range(20):
        page = store.list_changes("box-a", position, 4)
        assert page.is_complete
        position = page.position
        found += [key for key in page.keys if key not in found]
    assert found == keys
    store.close()


def test_versions_and_markers_are_changes(store: Store) -> None:
    store.set_bucket_setting("box-a", "versioning", {"status": "Enabled"})
    put(store, "k")
    position = store.list_changes("box-a", "").position
    marker = store.delete("box-a", "k")
    after = store.list_changes("box-a", position)
    assert after.keys == ["k"]
    store.delete("box-a", "k", version_id=marker.version_id)
    assert store.list_changes("box-a", after.position).keys == ["k"]
    store.close()


@pytest.mark.parametrize("position", ["", "x", "x-", "x-1", "-", "9" * 40, "{run}-999", "{run}-x"])
def test_an_unknown_position_is_not_complete(store: Store, position: str) -> None:
    run = store.list_changes("box-a", "").position.partition("-")[0]
    put(store, "k")
    changes = store.list_changes("box-a", position.format(run=run))
    assert (changes.is_complete, changes.keys) == (False, [])
    store.close()


def test_one_too_far_behind_has_to_compare(store: Store) -> None:
    position = store.list_changes("box-a", "").position
    for number in range(recent_changes.MOST_CHANGES):
        store._index._changes.note("box-b", str(number))
    assert store.list_changes("box-a", position).is_complete
    store._index._changes.note("box-b", "one more")
    assert not store.list_changes("box-a", position).is_complete
    with pytest.raises(NoSuchBucket):
        store.list_changes("box-c", position)
    store.close()
