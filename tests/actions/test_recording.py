"""Which verbs become events, with which facts, and which do not."""

from typing import Any

import pytest

from eucabox.actions import load
from eucabox.errors import DryRunOperation, Fault
from eucabox.events import Event
from tests.actions.people import People
from tests.actions.shop import Shop
from tests.actions.stand_ins import ADMIN, ALICE

OF_OBJECTS = ("Object", "MultipartUpload", "UploadPart")


def kept(people: People) -> list[Event]:
    events: list[Event] = people.cloud.events.kept
    return events


def test_a_change_is_an_event_with_what_it_was_about_and_what_it_made(people: People) -> None:
    group = {"group_name": "web", "description": "for the web"}
    made = people.do("ec2:CreateSecurityGroup", ALICE, **group)
    (event,) = kept(people)
    assert (event.service, event.action, event.outcome) == ("ec2", "CreateSecurityGroup", "ok")
    assert (event.account_id, event.user) == (ALICE.account_id, ALICE.label)
    assert list(event.resources) == ["web", made["group_id"]]
    assert event.request_id
    assert people.cloud.events.topics == ["security-groups"]


def test_a_refusal_is_an_event_with_its_code_and_reason_and_changes_no_page(
    people: People,
) -> None:
    bob = people.user("bob")
    with pytest.raises(Fault) as refused:
        people.do("ec2:DeleteSecurityGroup", bob, group_name="web")
    (event,) = kept(people)
    assert (event.outcome, event.reason) == (refused.value.code, refused.value.message)
    assert (event.user, list(event.resources)) == (bob.label, ["web"])
    assert people.cloud.events.topics == []


def test_reads_dry_runs_and_what_is_no_verb_are_none(people: People) -> None:
    people.do("ec2:DescribeInstances", ALICE)
    people.do("sts:GetCallerIdentity", ALICE)
    group = {"group_name": "web", "description": "for the web"}
    with pytest.raises(DryRunOperation):
        people.do("ec2:CreateSecurityGroup", ALICE, dry_run=True, **group)
    with pytest.raises(Fault):
        people.do("ec2:MakeCoffee", ALICE)
    assert kept(people) == []


def test_what_strangers_fail_at_is_none(people: People) -> None:
    with pytest.raises(Fault):
        people.do("ec2:RunInstances", None)
    assert kept(people) == []


def test_the_administrator_who_acts_for_an_account_is_named(people: People) -> None:
    people.do("iam:CreateUser", ADMIN, delegate_account="alice", user_name="carol")
    (event,) = kept(people)
    assert (event.account_id, event.user) == (ALICE.account_id, ADMIN.label)
    assert "carol" in event.resources


def test_buckets_are_events_and_their_objects_are_not(shop: Shop) -> None:
    events: Any = shop.cloud.events
    before = len(events.kept)
    shop.ask("PutBucketVersioning", bucket="shop", versioning_configuration={"status": "Enabled"})
    assert [each.action for each in events.kept[before:]] == ["PutBucketVersioning"]
    assert list(events.kept[-1].resources) == ["shop"]
    recorded = {key for key, definition in load().items() if definition.is_recorded}
    assert {name for service, name in recorded if service == "s3"} >= {
        "CreateBucket", "DeleteBucket", "PutBucketPolicy", "PutObjectLockConfiguration",
    }  # fmt: skip
    assert [
        name for service, name in recorded
        if service == "s3" and name != "PutObjectLockConfiguration"
        and any(word in name for word in OF_OBJECTS)
    ] == []  # fmt: skip
    assert [name for service, name in recorded if service in ("metadata", "website")] == []
