"""Quotas: what is let in, what is refused, and how often all is counted."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eucabox.bucket import ObjectProperties, Store
from eucabox.config import LimitsSection
from eucabox.errors import ObjectTooLarge, QuotaExceeded, TooManyBuckets
from eucabox.store.temp_file import ExpectedBody

MIB = 1 << 20
FACTS = ObjectProperties()


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    store.create_bucket("one", "a")
    store.create_bucket("two", "a")
    yield store
    store.close()


def put(store: Store, bucket: str, key: str, size: int, known: bool = True) -> None:
    store.put(bucket, key, io.BytesIO(bytes(size)), FACTS, ExpectedBody(size if known else None))


def test_without_limits_nothing_is_counted(store: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr(store.quota, "_count", lambda: 1 / 0)
    store.quota.limits = LimitsSection()
    put(store, "one", "k", MIB)
    put(store, "one", "k", MIB, known=False)


def test_buckets_of_an_account(store: Store) -> None:
    store.quota.limits = LimitsSection(buckets=2)
    with pytest.raises(TooManyBuckets, match="has 2 buckets"):
        store.create_bucket("three", "a")
    store.create_bucket("three", "b")
    store.delete_bucket("two")
    store.create_bucket("four", "a")


@pytest.mark.parametrize("known", [True, False])
def test_an_object(store: Store, known: bool) -> None:
    store.quota.limits = LimitsSection(object_mb=1)
    put(store, "one", "k", MIB, known)
    with pytest.raises(ObjectTooLarge):
        put(store, "one", "k", MIB + 1, known)
    assert store.head("one", "k").size == MIB


def test_an_object_of_parts(store: Store) -> None:
    upload = store.create_upload("one", "k", FACTS)
    parts: list[tuple[int, str, dict[str, str]]] = []
    for number in (1, 2):
        body = io.BytesIO(bytes(5 * MIB))
        part = store.put_part("one", "k", upload, number, body, ExpectedBody(5 * MIB))
        parts.append((number, part.e_tag, {}))
    store.quota.limits = LimitsSection(object_mb=9)
    with pytest.raises(ObjectTooLarge):
        store.complete_upload("one", "k", upload, parts)
    store.quota.limits = LimitsSection(object_mb=10)
    made = store.complete_upload("one", "k", upload, parts)
    assert store.complete_upload("one", "k", upload, parts) == made  # its answer was lost


@pytest.mark.parametrize("known", [True, False])
def test_a_bucket(store: Store, known: bool) -> None:
    put(store, "one", "before", MIB)
    store.quota.limits = LimitsSection(bucket_mb=3)
    put(store, "one", "a", MIB, known)
    put(store, "one", "b", MIB, known)
    put(store, "two", "b", 3 * MIB, known)
    with pytest.raises(QuotaExceeded, match="bucket one"):
        put(store, "one", "c", 1, known)
    with pytest.raises(QuotaExceeded):
        store.copy("one", "a", "one", "c")
    store.delete("one", "a")
    put(store, "one", "c", MIB, known)


def test_an_overwrite_frees_the_old_bytes(store: Store) -> None:
    store.quota.limits = LimitsSection(bucket_mb=2)
    put(store, "one", "k", 2 * MIB)
    put(store, "one", "k", 2 * MIB)
    store.copy("one", "k", "one", "k")
    with pytest.raises(QuotaExceeded):
        put(store, "one", "k", 2 * MIB + 1)
    store.set_bucket_setting("one", "versioning", {"status": "Enabled"})
    with pytest.raises(QuotaExceeded):
        put(store, "one", "k", 1)


def test_an_account(store: Store) -> None:
    store.create_bucket("bobs", "b")
    store.quota.limits = LimitsSection(account_mb=2)
    put(store, "one", "k", MIB)
    put(store, "two", "k", MIB)
    with pytest.raises(QuotaExceeded, match="account a"):
        put(store, "one", "l", 1)
    put(store, "bobs", "k", 2 * MIB)


def test_parts_and_older_versions_count(store: Store) -> None:
    store.quota.limits = LimitsSection(bucket_mb=4)
    store.set_bucket_setting("one", "versioning", {"status": "Enabled"})
    put(store, "one", "k", MIB)
    put(store, "one", "k", MIB)
    upload = store.create_upload("one", "p", FACTS)
    store.put_part("one", "p", upload, 1, io.BytesIO(bytes(2 * MIB)), ExpectedBody(2 * MIB))
    with pytest.raises(QuotaExceeded):
        put(store, "one", "l", MIB)
    store.abort_upload("one", "p", upload)
    put(store, "one", "l", MIB)


def test_a_full_bucket_is_not_counted_for_each_put(store: Store, monkeypatch: Any) -> None:
    counted = []

    def count() -> dict[str, int]:
        counted.append(1)
        return store._bytes_per_bucket()

    monkeypatch.setattr(store.quota, "_count", count)
    store.quota.limits = LimitsSection(bucket_mb=1)
    for number in range(100):
        put(store, "one", str(number), 10)
    assert len(counted) == 1
    for number in range(50):
        with pytest.raises(QuotaExceeded):
            put(store, "one", str(number), 2 * MIB)
    assert len(counted) <= 5


def test_overwriting_again_and_again_is_not_refused(store: Store) -> None:
    store.quota.limits = LimitsSection(bucket_mb=4)
    for _ in range(20):
        put(store, "one", "k", MIB)


def test_of_an_upload_only_its_parts_count(store: Store) -> None:
    store.quota.limits = LimitsSection(bucket_mb=1)
    put(store, "one", "k", MIB)
    store.create_upload("one", "other", FACTS)
    put(store, "one", "k", MIB)


def test_a_refusal_names_the_setting(store: Store) -> None:
    store.quota.limits = LimitsSection(object_mb=1)
    with pytest.raises(ObjectTooLarge, match="object_mb") as refused:
        put(store, "one", "k", MIB + 1)
    assert "key" not in refused.value.facts  # which documents of errors show as the object's


def test_an_account_with_limits_of_its_own_keeps_to_those(store: Store) -> None:
    store.quota.own_limits = {"a": LimitsSection(buckets=2, bucket_mb=2), "b": LimitsSection()}
    store.quota.limits = LimitsSection(buckets=1, bucket_mb=1)
    with pytest.raises(TooManyBuckets, match="allows 2"):
        store.create_bucket("three", "a")
    store.create_bucket("four", "b")
    store.create_bucket("five", "b")
    store.create_bucket("six", "c")
    put(store, "one", "k", 2 * MIB)
    put(store, "four", "k", 3 * MIB)
    with pytest.raises(QuotaExceeded, match=r"more than 2 MiB.*the account's policy"):
        put(store, "one", "more", 1)
    with pytest.raises(QuotaExceeded, match=r"more than 1 MiB.*\[limits\] bucket_mb"):
        put(store, "six", "k", MIB + 1)
    with pytest.raises(TooManyBuckets, match="allows 1"):
        store.create_bucket("seven", "c")


def test_limits_of_one_account_alone_are_counted_too(store: Store) -> None:
    store.quota.own_limits = {"a": LimitsSection(account_mb=1)}
    store.quota.limits = LimitsSection()
    with pytest.raises(QuotaExceeded):
        put(store, "one", "k", MIB + 1)
