"""Object lock: who gets which, what may change, and what keeps a version from deletion."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eucabox.errors import Fault
from eucabox.s3 import object_lock
from eucabox.store.types import Bucket, ObjectProperties

NOW = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
SOON, LATER = NOW + timedelta(days=1), NOW + timedelta(days=2)


def bucket(**retention: Any) -> Bucket:
    rule = {"rule": {"default_retention": retention}} if retention else {}
    setting = object_lock.validate({"object_lock_enabled": "Enabled", **rule})  # type: ignore[typeddict-item]
    return Bucket("b", "o", NOW, settings={object_lock.SETTING: setting})


def make_properties(**lock: str) -> ObjectProperties:
    return ObjectProperties(extra={"other": 1, **({"lock": lock} if lock else {})})


def code(call: Any, *given: Any, **named: Any) -> str:
    with pytest.raises(Fault) as caught:
        call(*given, **named)
    assert caught.value.message.isascii()
    return caught.value.code


GOVERNED = make_properties(mode="GOVERNANCE", until=SOON.isoformat())
COMPLIED = make_properties(mode="COMPLIANCE", until=SOON.isoformat())


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({}, "MalformedXML"),
        ({"object_lock_enabled": "Disabled"}, "MalformedXML"),
        ({"rule": {}}, "MalformedXML"),
        ({"rule": {"default_retention": {"mode": "GOVERNANCE"}}}, "MalformedXML"),
        ({"rule": {"default_retention": {"days": 1}}}, "MalformedXML"),
        ({"rule": {"default_retention": {"mode": "governance", "days": 1}}}, "MalformedXML"),
        (
            {"rule": {"default_retention": {"mode": "GOVERNANCE", "days": 1, "years": 1}}},
            "MalformedXML",
        ),
        (
            {"rule": {"default_retention": {"mode": "GOVERNANCE", "days": 0}}},
            "InvalidRetentionPeriod",
        ),
        (
            {"rule": {"default_retention": {"mode": "COMPLIANCE", "years": 101}}},
            "InvalidRetentionPeriod",
        ),
    ],
)
def test_configurations_that_are_refused(wrong: Any, expected: str) -> None:
    enabled = {"object_lock_enabled": "Enabled"} if wrong else {}
    assert code(object_lock.validate, {**enabled, **wrong}) == expected


def test_a_new_object_gets_the_default_retention_of_its_bucket() -> None:
    assert object_lock.for_new_object({}, Bucket("b", "o", NOW), NOW) == {}
    assert object_lock.for_new_object({}, bucket(), NOW) == {}
    lock = object_lock.for_new_object({}, bucket(mode="GOVERNANCE", days=2), NOW)["lock"]
    assert lock == {"mode": "GOVERNANCE", "until": LATER.isoformat()}
    lock = object_lock.for_new_object({}, bucket(mode="COMPLIANCE", years=1), NOW)["lock"]
    assert lock["until"].startswith("2027-01-15")


def test_the_lock_of_a_request_outranks_the_default() -> None:
    members = {"object_lock_mode": "COMPLIANCE", "object_lock_retain_until_date": SOON}
    lock = object_lock.for_new_object(members, bucket(mode="GOVERNANCE", days=2), NOW)["lock"]
    assert lock == {"mode": "COMPLIANCE", "until": SOON.isoformat()}
    hold = {"object_lock_legal_hold_status": "ON"}
    lock = object_lock.for_new_object(hold, bucket(mode="GOVERNANCE", days=2), NOW)["lock"]
    assert lock == {"mode": "GOVERNANCE", "until": LATER.isoformat(), "hold": "ON"}


@pytest.mark.parametrize(
    "members",
    [
        {"object_lock_mode": "COMPLIANCE"},
        {"object_lock_retain_until_date": SOON},
        {"object_lock_mode": "abc", "object_lock_retain_until_date": SOON},
        {"object_lock_mode": "COMPLIANCE", "object_lock_retain_until_date": NOW},
        {"object_lock_legal_hold_status": "on"},
    ],
)
def test_headers_that_are_refused(members: Any) -> None:
    assert code(object_lock.for_new_object, members, bucket(), NOW) == "InvalidArgument"
    assert code(object_lock.for_new_object, members, Bucket("b", "o", NOW), NOW) == "InvalidRequest"


def retain(
    properties: ObjectProperties, mode: str, until: datetime, *, bypass: bool = False
) -> Any:
    wanted: object_lock.Retention = {"mode": mode, "retain_until_date": until}
    return object_lock.with_retention(properties, wanted, NOW, bypass=bypass)["lock"]


def test_a_retention_grows() -> None:
    for properties, mode in (
        (make_properties(), "COMPLIANCE"),
        (GOVERNED, "GOVERNANCE"),
        (COMPLIED, "COMPLIANCE"),
    ):
        assert retain(properties, mode, LATER) == {"mode": mode, "until": LATER.isoformat()}
    assert retain(make_properties(hold="ON"), "GOVERNANCE", SOON)["hold"] == "ON"
    naive = SOON.replace(tzinfo=None)
    assert retain(make_properties(), "GOVERNANCE", naive)["until"] == SOON.isoformat()


def test_a_retention_shrinks_for_who_may_bypass_governance() -> None:
    earlier = NOW + timedelta(hours=1)
    assert code(retain, GOVERNED, "GOVERNANCE", earlier) == "AccessDenied"
    assert code(retain, GOVERNED, "COMPLIANCE", LATER) == "AccessDenied"
    assert code(object_lock.with_retention, GOVERNED, {}, NOW, bypass=False) == "AccessDenied"
    assert retain(GOVERNED, "GOVERNANCE", earlier, bypass=True)["until"] == earlier.isoformat()
    assert retain(GOVERNED, "COMPLIANCE", SOON, bypass=True)["mode"] == "COMPLIANCE"
    assert object_lock.with_retention(GOVERNED, {}, NOW, bypass=True) == {"other": 1}


def test_nobody_weakens_compliance() -> None:
    for bypass in (False, True):
        earlier = SOON - timedelta(seconds=1)
        assert code(retain, COMPLIED, "COMPLIANCE", earlier, bypass=bypass) == "AccessDenied"
        assert code(retain, COMPLIED, "GOVERNANCE", LATER, bypass=bypass) == "AccessDenied"
        assert code(object_lock.with_retention, COMPLIED, {}, NOW, bypass=bypass) == "AccessDenied"
        assert code(object_lock.check_deletion, COMPLIED, NOW, bypass=bypass) == "AccessDenied"


def test_an_expired_retention_may_be_changed_and_removed() -> None:
    over = make_properties(mode="COMPLIANCE", until=(NOW - timedelta(days=1)).isoformat())
    assert retain(over, "GOVERNANCE", SOON)["mode"] == "GOVERNANCE"
    object_lock.check_deletion(over, NOW)


@pytest.mark.parametrize(
    "wanted",
    [
        {"mode": "COMPLIANCE"},
        {"retain_until_date": SOON},
        {"mode": "abc", "retain_until_date": SOON},
    ],
)
def test_retentions_that_are_refused(wanted: Any) -> None:
    assert (
        code(object_lock.with_retention, make_properties(), wanted, NOW, bypass=False)
        == "MalformedXML"
    )
    past: Any = {"mode": "COMPLIANCE", "retain_until_date": NOW}
    assert (
        code(object_lock.with_retention, make_properties(), past, NOW, bypass=False)
        == "InvalidArgument"
    )


def test_deletion() -> None:
    assert code(object_lock.check_deletion, GOVERNED, NOW) == "AccessDenied"
    object_lock.check_deletion(GOVERNED, NOW, bypass=True)
    object_lock.check_deletion(make_properties(), NOW)
    held = ObjectProperties(extra=object_lock.with_legal_hold(GOVERNED, {"status": "ON"}))
    assert code(object_lock.check_deletion, held, NOW, bypass=True) == "AccessDenied"
    free = ObjectProperties(extra=object_lock.with_legal_hold(held, {"status": "OFF"}))
    object_lock.check_deletion(free, NOW, bypass=True)
    assert code(object_lock.with_legal_hold, held, {"status": "abc"}) == "MalformedXML"
    assert code(object_lock.with_legal_hold, held, {}) == "MalformedXML"


def test_headers_for_readers() -> None:
    held = ObjectProperties(extra=object_lock.with_legal_hold(GOVERNED, {"status": "ON"}))
    assert object_lock.headers(object_lock.get_stored_lock(held)) == {
        "object_lock_mode": "GOVERNANCE",
        "object_lock_retain_until_date": "2026-01-16T10:30:00.000Z",
        "object_lock_legal_hold_status": "ON",
    }
    assert object_lock.headers({}) == {}
