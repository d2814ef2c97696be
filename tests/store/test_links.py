"""Symbolic links that another user plants in the store's folders are never followed."""

import io
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from eucabox.bucket import Store
from eucabox.errors import Fault, NoSuchBucket, NoSuchKey, StorageFailed
from tests.changes import set_acl
from tests.store.conftest import FACTS, Put, content, keys

KEYS = ["plain", "dir/file", "x//y", "p" * 300]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    made = tmp_path / "outside"
    (made / "dir").mkdir(parents=True)
    (made / "secret").write_bytes(b"secret")
    return made


def left(outside: Path) -> list[str]:
    return sorted(str(each.relative_to(outside)) for each in outside.rglob("*"))


def plant(at: Path, to: Path) -> None:
    if at.is_dir() and not at.is_symlink():
        shutil.rmtree(at)
    elif at.exists():
        at.unlink()
    at.symlink_to(to)


def every_way(store: Store) -> list[Callable[[], object]]:
    def upload(key: str) -> None:
        upload_id = store.create_upload("box", key, FACTS)
        part = store.put_part("box", key, upload_id, 1, io.BytesIO(b"x"))
        store.complete_upload("box", key, upload_id, [(1, part.e_tag, {})])

    def put(key: str) -> object:
        return store.put("box", key, io.BytesIO(b"new"), FACTS)

    ways: list[Callable[[], object]] = []

    def share(key: str) -> object:
        return set_acl(store, "box", key, {"grants": []})

    steps = (put, upload, partial(content, store), share, partial(store.delete, "box"), put)
    for key in KEYS:
        ways += [partial(step, key) for step in steps]
    ways += [
        lambda: store.set_bucket_setting("box", "color", "blue"),
        lambda: store.uploads("box"),
        lambda: store.rescan("box"),
        lambda: store.create_bucket("fresh", "1"),
        lambda: store.delete_bucket("fresh"),
    ]
    return ways


@pytest.mark.parametrize(
    "place",
    [
        *("box/.eucabox/objects", "box/.eucabox/uploads", "box/.eucabox/attributes"),
        *("box/.eucabox/temporary", "box/.eucabox/versions", "box/.eucabox/bucket.json"),
        *("box/.eucabox", "box/dir", "box/plain", ".eucabox/new", ".eucabox/gone"),
    ],
)
def test_a_link_planted_while_it_runs(
    store: Store, put: Put, root: Path, outside: Path, place: str
) -> None:
    for key in KEYS:
        put(key)
    before = left(outside)
    plant(root / place, outside / "secret" if place.endswith(("json", "plain")) else outside)
    for way in every_way(store):
        try:
            way()
        except Fault as fault:
            assert isinstance(fault, (StorageFailed, NoSuchKey, NoSuchBucket)), fault
    assert left(outside) == before
    assert (outside / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize("place", ["box/.eucabox", "box/.eucabox/objects", "box"])
def test_a_link_planted_before_the_start(
    store: Store, put: Put, root: Path, outside: Path, place: str
) -> None:
    put("x//y")
    store.create_bucket("other", "1")
    store.close()
    before = left(outside)
    plant(root / place, outside)
    again = Store(root)
    assert [each.name for each in again.buckets()] == ["other"]
    assert left(outside) == before
    again.close()
    (root / place).unlink()
    if place == "box":
        (root / place).mkdir()
    whole = Store(root)
    assert keys(whole) == []
    whole.close()


def test_links_to_other_objects_are_none(store: Store, put: Put, root: Path) -> None:
    put("a")
    (root / "box/b").symlink_to("a")
    (root / "box/up").symlink_to("..")
    assert store.rescan("box") == 1
    for key in ("b", "up/box/a"):
        with pytest.raises(NoSuchKey):
            content(store, key)
    put("b", b"own")
    assert content(store, "a") == b"content"
    assert content(store, "b") == b"own"
