"""A pass over a bucket does what is due, to versions too, and yields to whoever comes between."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from eucabox.bucket import Object, ObjectProperties, Store
from eucabox.errors import DiskFull
from eucabox.s3.lifecycle import configuration, sweep
from eucabox.s3.lifecycle.sweep import Sweep
from eucabox.store.types import to_nanoseconds, unique_time
from tests.changes import set_tags

DAY = 86_400
OWNER = "111122223333"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(sweep, "PAGE", 2)
    opened = Store(tmp_path / "buckets")
    opened.create_bucket("box", OWNER)
    yield opened
    opened.close()


def put(store: Store, key: str, content: bytes = b"x", **tags: str) -> Object:
    return store.put("box", key, io.BytesIO(content), ObjectProperties(owner=OWNER, tags=tags))


def setup(store: Store, *rules: Any, minimum: str = "") -> None:
    made = [{"id": str(at), "status": "Enabled", **each} for at, each in enumerate(rules)]
    for each in made:
        if "filter" not in each:
            each.setdefault("prefix", "")
    setting = configuration.validate({"rules": made}, minimum)  # type: ignore[typeddict-item]
    store.set_bucket_setting("box", configuration.SETTING, setting)


def work(store: Store, days: float) -> Sweep:
    now = unique_time() // 10**9 + int(days * DAY)
    return Sweep(store, store.bucket("box"), now, DAY, lambda: False)


def swept(store: Store, days: float) -> dict[str, int]:
    made = work(store, days)
    made.run()
    return {name: count for name, count in made.counts.items() if count}


def keys(store: Store) -> list[str]:
    return [each.key for each in store.list("box").objects]


def versions(store: Store) -> list[tuple[str, bool]]:
    return [(each.object.key, each.is_marker) for each in store.versions("box").versions]


def keep_versions(store: Store) -> None:
    store.set_bucket_setting("box", "versioning", {"status": "Enabled"})


def test_objects_that_are_old_enough_expire(store: Store) -> None:
    for key in ("a/1", "a/2", "a/3", "b"):
        put(store, key)
    setup(store, {"prefix": "a/", "expiration": {"days": 1}})
    assert swept(store, 0) == {}
    assert swept(store, 2) == {"expired": 3}
    assert keys(store) == ["b"]
    assert swept(store, 2) == {}


def test_rules_match_by_tags_and_sizes(store: Store) -> None:
    put(store, "small", b"x" * 5)
    put(store, "large", b"x" * 50)
    put(store, "tagged", tom="sawyer")
    put(store, "other", tom="thumb")
    setup(
        store,
        {"filter": {"object_size_greater_than": 10}, "expiration": {"days": 1}},
        {"filter": {"tag": {"key": "tom", "value": "sawyer"}}, "expiration": {"days": 1}},
    )
    assert swept(store, 2) == {"expired": 2}
    assert keys(store) == ["other", "small"]


def test_a_past_date_is_due_and_a_disabled_rule_never(store: Store) -> None:
    put(store, "past")
    put(store, "off")
    date = store.head("box", "past").last_modified.replace(hour=0, minute=0, second=0)
    date = date.replace(microsecond=0) - timedelta(days=30)
    setup(
        store,
        {"prefix": "past", "expiration": {"date": date}},
        {"prefix": "off", "expiration": {"days": 1}, "status": "Disabled"},
    )
    assert swept(store, 0) == {"expired": 1}
    assert keys(store) == ["off"]


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("content", [b"x", b"new"])
def test_an_overwrite_in_between_wins(
    store: Store, monkeypatch: pytest.MonkeyPatch, content: bytes, versioned: bool
) -> None:
    put(store, "k")
    if versioned:
        keep_versions(store)
    setup(store, {"expiration": {"days": 1}})
    real = store.delete

    def late(*named: str, **options: Any) -> Any:
        put(store, "k", content)
        return real(*named, **options)

    monkeypatch.setattr(store, "delete", late)
    assert swept(store, 2) == {}
    assert keys(store) == ["k"]


def test_a_tag_that_was_taken_away_in_between_wins(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "k", a="1")
    setup(store, {"filter": {"tag": {"key": "a", "value": "1"}}, "expiration": {"days": 1}})
    real = store.delete

    def late(*named: str, **options: Any) -> Any:
        set_tags(store, "box", "k", {})
        return real(*named, **options)

    monkeypatch.setattr(store, "delete", late)
    assert swept(store, 2) == {}
    assert keys(store) == ["k"]


def test_an_expired_object_in_a_versioned_bucket_gets_a_delete_marker(store: Store) -> None:
    keep_versions(store)
    put(store, "k")
    setup(store, {"expiration": {"days": 1}})
    assert swept(store, 2) == {"expired": 1}
    assert versions(store) == [("k", True), ("k", False)]
    assert swept(store, 2) == {}


def test_noncurrent_versions_go_but_the_newest_of_them(store: Store) -> None:
    keep_versions(store)
    for _ in range(6):
        put(store, "k")
    put(store, "other")
    ends = {"noncurrent_days": 1, "newer_noncurrent_versions": 2}
    setup(store, {"noncurrent_version_expiration": ends})
    newest = [each.object.version_id for each in store.versions("box").versions][:3]
    assert swept(store, 0) == {}
    assert swept(store, 2) == {"deleted": 3}
    left = [each.object.version_id for each in store.versions("box", "k").versions]
    assert left == newest


def test_a_null_version_that_goes_between_two_pages_counts_no_other_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_versions(store)
    put(store, "k", b"oldest")
    store.set_bucket_setting("box", "versioning", {"status": "Suspended"})
    put(store, "k", b"null")
    keep_versions(store)
    put(store, "k", b"newer")
    put(store, "k", b"newest")
    rule = {"noncurrent_days": 1, "newer_noncurrent_versions": 3}
    setup(store, {"noncurrent_version_expiration": rule})
    monkeypatch.setattr(sweep, "PAGE", 3)
    listed = store.versions

    def late(*args: Any, **named: Any) -> Any:
        page = listed(*args, **named)
        if page.next_version_id == "null":
            store.delete("box", "k", version_id="null")
        return page

    monkeypatch.setattr(store, "versions", late)
    assert swept(store, 5) == {}
    assert len(versions(store)) == 3


def test_a_version_ages_from_when_another_took_its_place(store: Store) -> None:
    keep_versions(store)
    old = put(store, "k")
    put(store, "k")
    setup(store, {"noncurrent_version_expiration": {"noncurrent_days": 3}})
    assert swept(store, 2.9) == {}
    assert swept(store, 4.1) == {"deleted": 1}
    assert old.version_id not in [each.object.version_id for each in store.versions("box").versions]


def test_a_delete_marker_without_versions_is_removed(store: Store) -> None:
    keep_versions(store)
    put(store, "k")
    store.delete("box", "k", owner=OWNER)
    setup(
        store,
        {"expiration": {"expired_object_delete_marker": True}},
        {"noncurrent_version_expiration": {"noncurrent_days": 1}},
    )
    assert swept(store, 0) == {}
    assert swept(store, 2) == {"deleted": 1}
    assert versions(store) == [("k", True)]
    assert swept(store, 2) == {"deleted": 1}
    assert versions(store) == []


def test_a_marker_that_hides_nothing_expires_like_an_object(store: Store) -> None:
    keep_versions(store)
    store.delete("box", "k", owner=OWNER)
    setup(store, {"expiration": {"days": 2}})
    assert swept(store, 0) == {}
    assert swept(store, 3) == {"deleted": 1}


def test_noncurrent_markers_go_too_but_not_by_tags(store: Store) -> None:
    keep_versions(store)
    store.delete("box", "k", owner=OWNER)
    put(store, "k")
    ends = {"noncurrent_days": 1}
    tagged = {"tag": {"key": "a", "value": "1"}}
    setup(store, {"filter": tagged, "noncurrent_version_expiration": ends})
    assert swept(store, 2) == {}
    setup(store, {"noncurrent_version_expiration": ends})
    assert swept(store, 2) == {"deleted": 1}
    assert versions(store) == [("k", False)]


def test_a_version_that_is_current_again_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_versions(store)
    put(store, "k")
    newer = put(store, "k")
    setup(store, {"noncurrent_version_expiration": {"noncurrent_days": 1}})
    real = store.delete

    def late(*named: str, **options: Any) -> Any:
        real("box", "k", version_id=newer.version_id)
        return real(*named, **options)

    monkeypatch.setattr(store, "delete", late)
    assert swept(store, 2) == {}
    assert keys(store) == ["k"]


def test_a_locked_version_stays_until_its_time(store: Store) -> None:
    keep_versions(store)
    put(store, "k")
    until = datetime.now(UTC) + timedelta(hours=1)
    lock = {"mode": "COMPLIANCE", "until": until.isoformat()}
    store.change_object("box", "k", lambda properties: replace(properties, extra={"lock": lock}))
    setup(
        store,
        {"expiration": {"days": 1}, "noncurrent_version_expiration": {"noncurrent_days": 1}},
    )
    assert swept(store, 2) == {"expired": 1}
    assert swept(store, 4) == {}
    assert versions(store) == [("k", True), ("k", False)]
    version_id = versions_of(store)[1].version_id
    free = {"mode": "COMPLIANCE", "until": (until - timedelta(hours=2)).isoformat()}
    store.change_object(
        "box", "k", lambda properties: replace(properties, extra={"lock": free}), version_id
    )
    assert swept(store, 4) == {"deleted": 1}


def versions_of(store: Store) -> list[Object]:
    return [each.object for each in store.versions("box").versions]


def test_a_transition_changes_only_the_storage_class(store: Store) -> None:
    put(store, "large", b"x" * (128 << 10))
    put(store, "small")
    moves = [{"days": 1, "storage_class": "GLACIER_IR"}, {"days": 5, "storage_class": "GLACIER"}]
    setup(store, {"transitions": moves})
    before = store.head("box", "large")
    assert swept(store, 2) == {"moved": 1}
    after = store.head("box", "large")
    assert after.properties.storage_class == "GLACIER_IR"
    assert (after.last_modified, after.e_tag) == (before.last_modified, before.e_tag)
    assert swept(store, 2) == {}
    setup(store, {"transitions": moves}, minimum="varies_by_storage_class")
    assert swept(store, 6) == {"moved": 2}
    classes = {each.key: each.properties.storage_class for each in store.list("box").objects}
    assert classes == {"large": "GLACIER", "small": "GLACIER"}


def test_classes_go_down_and_never_up(store: Store) -> None:
    properties = ObjectProperties(owner=OWNER, storage_class="GLACIER")
    store.put("box", "k", io.BytesIO(b"x"), properties)
    setup(
        store,
        {
            "filter": {"object_size_greater_than": 0},
            "transitions": [{"days": 1, "storage_class": "GLACIER_IR"}],
        },
    )
    assert swept(store, 2) == {}
    assert store.head("box", "k").properties.storage_class == "GLACIER"


def test_noncurrent_versions_change_their_class(store: Store) -> None:
    keep_versions(store)
    old, new = put(store, "k"), put(store, "k")
    moves = [{"noncurrent_days": 1, "storage_class": "GLACIER"}]
    condition = {"object_size_greater_than": 0}
    setup(store, {"filter": condition, "noncurrent_version_transitions": moves})
    assert swept(store, 2) == {"moved": 1}
    assert store.head("box", "k", old.version_id).properties.storage_class == "GLACIER"
    assert store.head("box", "k", new.version_id).properties.storage_class == "STANDARD"


def test_incomplete_uploads_are_aborted(store: Store) -> None:
    for key in ("a/1", "a/2", "a/3", "b"):
        store.create_upload("box", key, ObjectProperties(owner=OWNER))
    abort = {"days_after_initiation": 1}
    setup(store, {"prefix": "a/", "abort_incomplete_multipart_upload": abort})
    assert swept(store, 0) == {}
    assert swept(store, 2) == {"aborted": 3}
    assert [each.key for each in store.uploads("box").uploads] == ["b"]


def test_a_fault_of_one_leaves_the_others(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "a")
    put(store, "b")
    setup(store, {"expiration": {"days": 1}})
    real = store.delete

    def full(bucket: str, key: str, **options: Any) -> Any:
        if key == "a":
            raise DiskFull
        return real(bucket, key, **options)

    monkeypatch.setattr(store, "delete", full)
    assert swept(store, 2) == {"expired": 1, "failed": 1}
    assert keys(store) == ["a"]


def test_a_sweep_stops_when_it_is_asked_to(store: Store) -> None:
    put(store, "a")
    setup(store, {"expiration": {"days": 1}})
    made = work(store, 2)
    made._stopped = lambda: True
    made.run()
    assert keys(store) == ["a"]
    assert to_nanoseconds(store.head("box", "a").last_modified)


def during(store: Store, days: float, act: Any) -> Sweep:
    """A pass in which something happens once it has begun, before it reads its first page."""
    made = work(store, days)
    called: list[bool] = []
    versions_of = store.versions

    def page(*given: Any, **args: Any) -> Any:
        if not called:
            called.append(True)
            act()
        return versions_of(*given, **args)

    store.versions = page  # type: ignore[method-assign]
    made.run()
    store.versions = versions_of  # type: ignore[method-assign]
    return made


@pytest.mark.parametrize("versioned", [False, True])
def test_a_pass_leaves_a_new_bucket_of_the_same_name_alone(store: Store, versioned: bool) -> None:
    setup(store, {"expiration": {"days": 1}})
    other = "999988887777"

    def replace_bucket() -> None:
        store.delete_bucket("box")
        store.create_bucket("box", other)
        if versioned:
            keep_versions(store)
        for key in ("a", "b", "c"):
            put(store, key)

    made = during(store, 3, replace_bucket)
    assert not any(made.counts.values())
    assert keys(store) == ["a", "b", "c"]
    gone = during(store, 3, lambda: None)
    assert not any(gone.counts.values()), "the new bucket has no rules"


def test_a_pass_ends_when_its_rules_are_removed(store: Store) -> None:
    setup(
        store,
        {"expiration": {"days": 1}},
        {"abort_incomplete_multipart_upload": {"days_after_initiation": 1}},
    )
    for key in ("a", "b", "c", "d"):
        put(store, key)
    store.create_upload("box", "u", ObjectProperties(owner=OWNER))
    made = during(store, 3, lambda: store.set_bucket_setting("box", configuration.SETTING, None))
    assert not any(made.counts.values())
    assert keys(store) == ["a", "b", "c", "d"]
    assert store.uploads("box").uploads


def test_the_bucket_is_checked_again_for_markers_and_old_versions_too(store: Store) -> None:
    keep_versions(store)
    put(store, "a")
    put(store, "a")
    store.delete("box", "b", owner=OWNER)
    rule = {"noncurrent_version_expiration": {"noncurrent_days": 1}}
    setup(store, rule, {"expiration": {"expired_object_delete_marker": True}})
    before = versions(store)
    made = during(store, 3, lambda: store.set_bucket_setting("box", configuration.SETTING, None))
    assert not any(made.counts.values())
    assert versions(store) == before
