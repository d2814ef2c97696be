"""When a rule is due, which objects it is about, and what readers are told of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from eucabox.s3.lifecycle import configuration, rules
from eucabox.s3.lifecycle.rules import When
from eucabox.store.types import Bucket, Object, ObjectProperties

NOON = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
ONE: configuration.RuleMembers = {
    "id": "one",
    "prefix": "p/",
    "status": "Enabled",
    "expiration": {"days": 3},
}


def bucket(*some: Any, minimum: str = "") -> Bucket:
    setting = configuration.validate({"rules": list(some)}, minimum)
    return Bucket("b", "o", NOON, settings={configuration.SETTING: setting})


def thing(key: str, size: int = 5, **tags: str) -> Object:
    return Object("b", key, size, "e", NOON, ObjectProperties(tags=tags))


def seconds(*date: int) -> int:
    year, month, day = date
    return int(datetime(year, month, day, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("when", "date"),
    [
        (When(3), (2026, 1, 19)),  # the example of S3's manual
        (When(0), (2026, 1, 16)),
        (When(365), (2027, 1, 16)),
        (When(date=seconds(2025, 1, 1)), (2025, 1, 1)),
    ],
)
def test_a_day_ends_at_midnight(when: When, date: tuple[int, ...]) -> None:
    assert when.due_time(NOON) == seconds(*date)


def test_what_is_made_at_midnight_ends_at_midnight() -> None:
    midnight = datetime(2026, 1, 15, tzinfo=UTC)
    assert When(1).due_time(midnight) == seconds(2026, 1, 16)


def test_days_may_be_short() -> None:
    assert When(2).due_time(datetime.fromtimestamp(1003, UTC), day=10) == 1030


def test_the_farthest_day_is_one() -> None:
    assert When(2**31 - 1).due_time(NOON) > 0
    far = bucket({**ONE, "expiration": {"days": 2**31 - 1}})
    assert "9999" in rules.expiration(far, thing("p/x"))["expiration"]


def chosen(condition: dict[str, Any], found: Object) -> bool:
    rule = {key: value for key, value in ONE.items() if key != "prefix"}
    (only,) = rules.rules_for(bucket({**rule, "filter": condition})).rules
    return only.matches(found)


def test_filters() -> None:
    tag = {"key": "a", "value": "1"}
    assert chosen({}, thing("any"))
    assert chosen({"prefix": "p"}, thing("px"))
    assert not chosen({"prefix": "p"}, thing("q"))
    assert chosen({"tag": tag}, thing("x", a="1", b="2"))
    assert not chosen({"tag": tag}, thing("x", a="2"))
    assert not chosen({"object_size_greater_than": 5}, thing("x"))
    assert chosen({"object_size_greater_than": 4}, thing("x"))
    assert not chosen({"object_size_less_than": 5}, thing("x"))
    every = {"and": {"prefix": "p", "tags": [tag], "object_size_less_than": 6}}
    assert chosen(every, thing("p", a="1"))
    assert not chosen(every, thing("p"))
    assert not chosen(every, thing("p", size=6, a="1"))


def test_the_earliest_of_the_rules_is_told() -> None:
    later = {**ONE, "id": "two words", "prefix": "", "expiration": {"days": 2}}
    off = {**ONE, "id": "off", "status": "Disabled", "expiration": {"days": 1}}
    told = rules.expiration(bucket(ONE, later, off), thing("p/x"))
    date = "Sun, 18 Jan 2026 00:00:00 GMT"
    assert told == {"expiration": f'expiry-date="{date}", rule-id="two%20words"'}
    assert rules.expiration(bucket(ONE), thing("q")) == {}
    assert rules.expiration(Bucket("b", "o", NOON), thing("p/x")) == {}


def test_an_upload_is_told_its_end() -> None:
    abort = {"id": "a", "prefix": "p/", "status": "Enabled"}
    told = {**abort, "abort_incomplete_multipart_upload": {"days_after_initiation": 1}}
    assert rules.abort_date(bucket(told), "p/x", NOON) == {
        "abort_date": datetime(2026, 1, 17, tzinfo=UTC),
        "abort_rule_id": "a",
    }
    assert rules.abort_date(bucket(told), "q", NOON) == {}


def test_prefixes_cover_each_key_once() -> None:
    some = [{**ONE, "id": each, "prefix": each} for each in ("b/c", "a", "b/", "b/d")]
    assert rules.prefixes(rules.rules_for(bucket(*some)).rules) == ["a", "b/"]
    assert rules.prefixes(()) == []


def test_rules_are_read_once_for_each_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_CACHED", 2)
    rule = {"id": "r", "status": "Enabled", "filter": {"prefix": "a/"}, "expiration": {"days": 1}}
    first, second = bucket(rule), bucket({**rule, "id": "other"})
    assert rules.rules_for(first) is rules.rules_for(first)
    for each in (first, second, first, bucket(rule), first):
        (only,) = rules.rules_for(each).rules
        assert only.id == ("other" if each is second else "r")
    assert rules.rules_for(Bucket("b", "o", NOON)).rules == ()
