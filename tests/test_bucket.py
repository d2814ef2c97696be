"""The store: buckets, objects, expected bodies, conditions, copies, threads."""

import base64
import contextlib
import hashlib
import io
import os
import threading
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from eucabox.bucket import Object, ObjectProperties, Store
from eucabox.errors import (
    BadDigest,
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    ChecksumUnknown,
    EntityTooLarge,
    IncompleteBody,
    InvalidBucketName,
    InvalidDigest,
    MalformedChecksum,
    NoSuchBucket,
    NoSuchKey,
    PreconditionFailed,
    StoreInUse,
)
from eucabox.store import copying, temp_file
from eucabox.store.temp_file import ExpectedBody
from eucabox.store.types import Acl
from tests.changes import set_acl, set_tags

OWNER, OTHER = "111122223333", "444455556666"
FACTS = ObjectProperties(
    "text/x-test",
    {"color": "grün"},
    {"cache_control": "no-cache"},
    OWNER,
    {"grants": [{"grantee": {"uri": "all"}, "permission": "READ"}]},
    tags={"a": "b"},
    storage_class="STANDARD_IA",
    extra={"website": "/x"},
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "buckets")
    opened.create_bucket("box", OWNER)
    yield opened
    opened.close()


def put(
    store: Store,
    key: str = "key",
    body: bytes = b"body",
    *,
    if_none_match: str = "",
    if_match: str = "",
    **expected: Any,
) -> Object:
    return store.put(
        "box",
        key,
        io.BytesIO(body),
        FACTS,
        ExpectedBody(**expected),
        if_none_match=if_none_match,
        if_match=if_match,
    )


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


def crc(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


# --- buckets -----------------------------------------------------------------------------------


def test_other_users_of_the_host_do_not_read_objects(store: Store, tmp_path: Path) -> None:
    assert (tmp_path / "buckets").stat().st_mode & 0o777 == 0o750


def test_buckets_come_and_go(store: Store, tmp_path: Path) -> None:
    made = store.create_bucket("abc", OTHER, {"grants": []}, "EU")
    assert store.bucket("abc") == made
    assert datetime.now(UTC) - made.created < timedelta(minutes=1)
    assert [each.name for each in store.buckets()] == ["abc", "box"]
    assert store.buckets(OTHER) == [made]
    with pytest.raises(BucketAlreadyOwnedByYou):
        store.create_bucket("abc", OTHER)
    with pytest.raises(BucketAlreadyExists):
        store.create_bucket("abc", OWNER)
    store.delete_bucket("abc")
    with pytest.raises(NoSuchBucket):
        store.delete_bucket("abc")
    with pytest.raises(NoSuchBucket):
        store.list("abc")
    with pytest.raises(NoSuchBucket):
        store.put("abc", "k", io.BytesIO(), FACTS)
    (tmp_path / "buckets/file").touch()
    with pytest.raises(BucketAlreadyExists, match="something is called file that is no bucket"):
        store.create_bucket("file", OWNER)


def test_settings_of_a_bucket_are_stored(store: Store, tmp_path: Path) -> None:
    store.set_bucket_acl("box", {"canned": "private"})
    store.set_bucket_setting("box", "policy", {"a": 1})
    store.set_bucket_setting("box", "versioning", "Enabled")
    store.set_bucket_setting("box", "versioning", None)
    before = store.bucket("box")
    assert (before.acl, before.owner) == ({"canned": "private"}, OWNER)
    assert before.settings == {"policy": {"a": 1}}
    store.close()
    again = Store(tmp_path / "buckets")
    assert again.bucket("box") == before
    again.close()


@pytest.mark.parametrize(
    "name",
    [
        "abc",
        "a-b",
        "a.b",
        "1.2",
        "a" * 63,
        "My_Bucket",
        "A" * 255,
        "EMI_store",
        "a--b",
        "0-0",
    ],
)
def test_names_that_can_be(store: Store, name: str) -> None:
    assert store.create_bucket(name, OWNER).name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "a" * 64,
        "A" * 256,
        "-ab",
        "ab-",
        ".ab",
        "ab.",
        "a..b",
        "a.-b",
        "a-.b",
        "1.2.3.4",
        "_ab",
        "a/b",
        "../up",
        "a b",
        "\u00e4bc",
        "abc\n",
        ".eucabox",
        "ab\0c",
        "A/..",
        "AB\u0660",
    ],
)
def test_names_that_cannot_be(store: Store, name: str) -> None:
    with pytest.raises(InvalidBucketName):
        store.create_bucket(name, OWNER)


def test_a_bucket_with_anything_in_it_stays(store: Store, tmp_path: Path) -> None:
    put(store)
    with pytest.raises(BucketNotEmpty):
        store.delete_bucket("box")
    store.delete("box", "key")
    (tmp_path / "buckets/box/by hand").touch()
    with pytest.raises(BucketNotEmpty):
        store.delete_bucket("box")
    (tmp_path / "buckets/box/by hand").unlink()
    put(store, "gone by hand")
    (tmp_path / "buckets/box/gone by hand").unlink()
    store.create_upload("box", "upload", FACTS)
    store.delete_bucket("box")
    assert store.create_bucket("box", OTHER).owner == OTHER
    assert store.list("box").objects == []
    assert store.uploads("box").uploads == []


# --- objects -----------------------------------------------------------------------------------


def test_an_object_is_stored_with_its_properties(store: Store, tmp_path: Path) -> None:
    made = put(store)
    assert (made.size, made.e_tag) == (4, md5(b"body"))
    assert made.properties == replace(
        FACTS, checksums={"CRC64NVME": "mI+Ji1NHP80="}, checksum_type="FULL_OBJECT"
    )
    assert datetime.now(UTC) - made.last_modified < timedelta(minutes=1)
    assert store.head("box", "key") == made
    store.close()
    again = Store(tmp_path / "buckets")
    assert again.head("box", "key") == made
    again.close()


def test_ranges(store: Store) -> None:
    body = os.urandom((2 << 20) + 5)
    put(store, body=body)
    with store.open("box", "key") as found:
        assert b"".join(found.chunks()) == body
        assert max(map(len, found.chunks())) <= 1 << 20
        assert b"".join(found.chunks(7, (1 << 20) + 3)) == body[7 : 10 + (1 << 20)]
        assert b"".join(found.chunks(len(body) - 1)) == body[-1:]
        assert os.pread(found.fileno(), 3, 1) == body[1:4]
        assert found.read(3) + found.read() == body[: 3 + temp_file.CHUNK]
    found.close()


def test_an_open_object_outlives_its_key(store: Store) -> None:
    put(store, body=b"old")
    with store.open("box", "key") as first:
        put(store, body=b"newer")
        with store.open("box", "key") as second:
            store.delete("box", "key")
            assert b"".join(first.chunks()) == b"old"
            assert b"".join(second.chunks()) == b"newer"


def test_a_body_that_is_as_stated_is_stored_with_its_checksums(store: Store) -> None:
    sums = {"CRC32": crc(b"body")}
    digest = hashlib.md5(b"body").digest()
    made = put(store, size=4, content_md5=digest, checksums=sums, algorithms=["CRC64NVME"])
    assert made.properties.checksums["CRC32"] == sums["CRC32"]
    assert set(made.properties.checksums) == {"CRC32", "CRC64NVME"}
    assert made.properties.checksum_type == "FULL_OBJECT"
    assert put(store, trailers=lambda: sums).properties.checksums.items() >= sums.items()
    assert put(store, algorithms=["CRC32"], trailers=lambda: sums).properties.checksums == sums


@pytest.mark.parametrize(
    ("expected", "fault"),
    [
        ({"size": 5}, IncompleteBody),
        ({"size": 3}, IncompleteBody),
        ({"size": 6 << 30}, EntityTooLarge),
        ({"content_md5": b"short"}, InvalidDigest),
        ({"content_md5": bytes(16)}, BadDigest),
        ({"checksums": {"CRC32": "AAAAAA=="}}, BadDigest),
        ({"checksums": {"CRC32": "?"}}, MalformedChecksum),
        ({"checksums": {"MD4": "AAAA"}}, ChecksumUnknown),
        ({"algorithms": ["MD4"]}, ChecksumUnknown),
        ({"trailers": lambda: {"SHA1": base64.b64encode(bytes(20)).decode()}}, BadDigest),
        ({"trailers": lambda: {"CRC32C": "x"}}, MalformedChecksum),
    ],
)
def test_a_body_that_is_not_as_stated_leaves_the_old_object(
    store: Store, tmp_path: Path, expected: dict[str, Any], fault: type[Exception]
) -> None:
    old = put(store, body=b"old")
    with pytest.raises(fault):
        put(store, "key", b"body", **expected)
    assert store.head("box", "key") == old
    assert not list((tmp_path / "buckets/box/.eucabox/temporary").iterdir())


def test_a_body_that_breaks_leaves_the_old_object(store: Store, tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(2) or self.fail()

        def fail(self) -> bytes:
            raise ConnectionResetError

    old = put(store, body=b"old")
    with pytest.raises(ConnectionResetError):
        store.put("box", "key", Broken(b"half"), FACTS)
    assert store.head("box", "key") == old
    assert not list((tmp_path / "buckets/box/.eucabox/temporary").iterdir())


def test_a_body_without_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temp_file, "LARGEST", 3)
    with pytest.raises(EntityTooLarge):
        put(store)


def test_conditions(store: Store) -> None:
    with pytest.raises(NoSuchKey):
        put(store, if_match="*")
    made = put(store, if_none_match="*")
    with pytest.raises(PreconditionFailed):
        put(store, if_none_match="*")
    with pytest.raises(PreconditionFailed):
        put(store, if_match="0" * 32)
    with pytest.raises(PreconditionFailed):
        store.delete("box", "key", if_match="0" * 32)
    put(store, body=b"two", if_match=f'"{made.e_tag}"')
    with pytest.raises(PreconditionFailed):
        store.copy("box", "key", "box", "key", if_match=made.e_tag)
    assert store.delete("box", "key", if_match="*").removed


def test_properties_change_and_the_content_stays(store: Store) -> None:
    made = put(store, checksums={"CRC32": crc(b"body")})
    acl: Acl = {"canned": "x" * 30_000}  # more than an attribute takes on some file systems
    assert set_acl(store, "box", "key", acl).properties.acl == acl
    assert store.head("box", "key") == replace(made, properties=replace(made.properties, acl=acl))
    set_tags(store, "box", "key", {"new": "tag"})
    set_acl(store, "box", "key", None)
    assert store.head("box", "key").properties == replace(
        made.properties, acl=None, tags={"new": "tag"}
    )
    assert store.head("box", "key").last_modified == made.last_modified
    with pytest.raises(NoSuchKey):
        set_acl(store, "box", "none", None)


def test_copies(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create_bucket("other", OTHER)
    made = put(store, body=b"x" * 3_000_000, checksums={"CRC32": crc(b"x" * 3_000_000)})
    same = store.copy("box", "key", "other", "a//copy")
    assert (same.properties, same.e_tag, same.size) == (made.properties, made.e_tag, made.size)
    new = store.copy("box", "key", "box", "key", ObjectProperties("a/b"), algorithm="SHA256")
    assert (new.properties.content_type, list(new.properties.checksums)) == ("a/b", ["SHA256"])
    assert new.last_modified > made.last_modified

    def refuse(source: Object) -> None:
        raise PreconditionFailed(condition=source.key)

    with pytest.raises(PreconditionFailed):
        store.copy("box", "key", "other", "refused", check=refuse)
    with pytest.raises(NoSuchKey):
        store.copy("box", "none", "other", "key")
    monkeypatch.setattr(copying, "LARGEST", 100)
    with pytest.raises(EntityTooLarge):
        store.copy("box", "key", "other", "key")
    assert [each.key for each in store.list("other").objects] == ["a//copy"]


# --- the whole ---------------------------------------------------------------------------------


def test_usage(store: Store) -> None:
    put(store, "a", b"12")
    put(store, "b", b"345")
    store.create_bucket("empty", OWNER)
    usage = store.usage()
    assert usage["buckets"] == {
        "box": {"objects": 2, "bytes": 5},
        "empty": {"objects": 0, "bytes": 0},
    }
    assert (usage["objects"], usage["bytes"]) == (2, 5)
    assert usage["free_bytes"] == pytest.approx(store.free_bytes(), rel=0.1)


@pytest.mark.not_fast
def test_one_process_has_the_store(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreInUse):
        Store(tmp_path / "buckets")
    store.close()
    Store(tmp_path / "buckets").close()


@pytest.mark.not_fast
def test_many_threads_on_few_keys(store: Store) -> None:
    """Every reader sees a whole body and its own ETag; folders come and go meanwhile."""
    keys = ["a", "a/b", "a/b/c", "x//y", "d/e/f/g"]
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for turn in range(40):
                key = keys[(seed + turn) % len(keys)]
                body = bytes([seed]) * (1 + (turn * 977) % 5000)
                assert put(store, key, body).e_tag == md5(body)
                try:
                    with store.open("box", keys[turn % len(keys)]) as found:
                        assert md5(b"".join(found.chunks())) == found.object.e_tag
                except NoSuchKey:
                    pass
                store.delete("box", keys[(seed * 3 + turn) % len(keys)])
                store.list("box", delimiter="/")
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    listed = {each.key: each for each in store.list("box").objects}
    for key in keys:
        try:
            found = store.head("box", key)
        except NoSuchKey:
            assert key not in listed
        else:
            assert (listed[key].size, listed[key].e_tag) == (found.size, found.e_tag)
    before = store.list("box")
    store.rescan("box")
    assert store.list("box") == before


def test_one_of_many_creates(store: Store) -> None:
    made: list[Object] = []

    def work(body: bytes) -> None:
        with contextlib.suppress(PreconditionFailed):
            made.append(put(store, body=body, if_none_match="*"))

    threads = [threading.Thread(target=work, args=(bytes([n]),)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.head("box", "key")] == made


def test_a_bucket_deleted_under_writers(store: Store) -> None:
    """A put either is in the bucket, so that it can't be deleted, or says it is gone."""
    for _ in range(10):
        store.create_bucket("brief", OWNER)
        created: list[str] = []

        def work(key: str, created: list[str] = created) -> None:
            with contextlib.suppress(NoSuchBucket):
                store.put("brief", key, io.BytesIO(b"x"), FACTS)
                created.append(key)

        threads = [threading.Thread(target=work, args=(f"d/{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        with contextlib.suppress(BucketNotEmpty):
            store.delete_bucket("brief")
        for thread in threads:
            thread.join()
        if created:
            assert [each.key for each in store.list("brief").objects] == sorted(created)
            for key in created:
                store.delete("brief", key)
            store.delete_bucket("brief")
        else:
            with pytest.raises(NoSuchBucket):
                store.bucket("brief")
