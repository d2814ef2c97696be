"""What is remembered of an object that is read counts for nothing that was changed since."""

import io
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eucabox.bucket import Store
from eucabox.errors import NotModified, PreconditionFailed
from eucabox.store.types import ObjectProperties
from eucabox.wire.s3 import descriptions
from eucabox.wire.s3.descriptions import Description, describe

OWNER = "012345678901"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    descriptions._describe_usual.cache_clear()
    store = Store(tmp_path / "buckets")
    store.create_bucket("box", OWNER)
    put(store, b"content")
    yield store
    store.close()


def put(store: Store, body: bytes, **properties: Any) -> None:
    store.put("box", "k", io.BytesIO(body), ObjectProperties(owner=OWNER, **properties))


def read(store: Store, owner: str = OWNER, mode: str = "", **headers: str) -> Description | None:
    passage: Any = SimpleNamespace(
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        habit=SimpleNamespace(fixed={"x-amz-checksum-mode": mode}),
        bucket=SimpleNamespace(owner=owner),
        operation="GetObject",
    )
    with store.open("box", "k") as opened:
        return describe(opened, passage)


def lines(store: Store) -> str:
    found = read(store)
    assert found is not None
    return found.lines


def test_the_second_of_two_reads_is_remembered(store: Store) -> None:
    assert read(store) == read(store)
    assert descriptions._describe_usual.cache_info()[:2] == (1, 1)


def test_each_change_of_an_object_is_seen_at_once(store: Store) -> None:
    seen = [lines(store)]
    put(store, b"CONTENT")
    seen.append(lines(store))
    put(store, b"CONTENT", content_type="text/plain")
    seen.append(lines(store))
    store.change_object("box", "k", lambda found: replace(found, metadata={"a": "b"}))
    seen.append(lines(store))
    assert "x-amz-meta-a: b" in seen[-1]
    store.change_object("box", "k", lambda found: replace(found, metadata={}))
    seen.append(lines(store))
    assert seen[4] == seen[2]
    assert len(set(seen[:4])) == 4


def test_tags_and_another_owner_are_for_the_general_road(store: Store) -> None:
    assert read(store)
    assert read(store, owner="999999999999") is None
    store.change_object("box", "k", lambda found: replace(found, tags={"a": "b"}))
    assert read(store) is None


def test_a_file_that_was_edited_by_hand_is_described_anew(store: Store, tmp_path: Path) -> None:
    before = lines(store)
    file = tmp_path / "buckets" / "box" / "k"
    status = file.stat()
    file.write_bytes(b"CONTENT")
    os.utime(file, ns=(status.st_mtime_ns + 1000,) * 2)
    assert lines(store) != before
    file.write_bytes(b"longer than before")
    assert "Content-Length: 18" in lines(store)


def test_no_text_of_a_client_makes_a_description(store: Store) -> None:
    assert read(store) == read(store, mode="x" * 3000) == read(store, mode="Enable")
    assert read(store, mode="enabled") == read(store, mode="ENABLED")
    assert descriptions._describe_usual.cache_info().currsize == 2


def test_ranges_and_conditions_are_asked_each_time(store: Store) -> None:
    whole = read(store)
    part = read(store, range="bytes=1-3")
    assert whole
    assert part
    assert (whole.status, whole.start, whole.length) == (200, 0, 7)
    assert (part.status, part.start, part.length) == (206, 1, 3)
    with pytest.raises(PreconditionFailed):
        read(store, if_match='"other"')
    with pytest.raises(NotModified):
        read(store, if_none_match="*")
    assert read(store) == whole
