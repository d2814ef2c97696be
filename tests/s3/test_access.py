"""The one place that judges: services, uploads in progress, what the administrator may."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from eucabox.errors import AccessDenied
from eucabox.iam.authorization import WITHOUT
from eucabox.iam.caller import Caller
from eucabox.s3 import access
from eucabox.s3.request_context import DetachedRequest
from eucabox.store.types import Acl, Bucket, Object, ObjectProperties, Upload

NOW = datetime.now(UTC)
ANN = Caller("111111111111", "ann", "a" * 64, "AIDA", "ann", False, is_root=True)
BOB = Caller("222222222222", "bob", "b" * 64, "AIDB", "bob", False, is_root=True)
ROOT = Caller("999999999999", "eucalyptus", "c" * 64, "AIDC", "admin", True, is_root=True)


def bucket(*statements: dict[str, Any], **settings: Any) -> Bucket:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    all_settings = {**settings, "policy": json.dumps(document)} if statements else settings
    return Bucket("b", ANN.account_id, NOW, settings=all_settings)


def statement(action: str, **members: Any) -> dict[str, Any]:
    statement_members = {
        "Effect": "Allow",
        "Principal": "*",
        "Resource": ["arn:aws:s3:::b/*"],
        **members,
    }
    return {"Action": action, **statement_members}


def may(who: Caller | None, where: Bucket, action: str, key: str = "k") -> bool:
    try:
        access.check(DetachedRequest(who), where, key, action=action)
    except AccessDenied:
        return False
    return True


def test_the_owner_may_do_everything_and_others_nothing() -> None:
    for action in ("s3:GetObject", "s3:BypassGovernanceRetention", "s3:PutLifecycleConfiguration"):
        assert may(ANN, bucket(), action)
        assert not may(BOB, bucket(), action)
        assert not may(None, bucket(), action)
    assert may(ROOT, bucket(), "s3:GetObject")
    assert not may(ROOT, bucket(), "s3:PutObject")
    lost = Bucket("b", "", NOW)
    assert may(ROOT, lost, "s3:PutObject")
    assert not may(ANN, lost, "s3:PutObject")


def test_a_policy_allows_and_denies_single_actions() -> None:
    given = bucket(statement("s3:BypassGovernanceRetention"))
    assert may(BOB, given, "s3:BypassGovernanceRetention")
    assert not may(BOB, given, "s3:DeleteObject")
    taken = bucket(statement("s3:BypassGovernanceRetention", Effect="Deny"))
    assert not may(ANN, taken, "s3:BypassGovernanceRetention")


def test_the_administrator_is_an_owner_like_others_at_home() -> None:
    denial = statement("s3:GetObject", Effect="Deny")
    assert may(ROOT, bucket(denial), "s3:GetObject"), "of another account: as on the disk"
    home = replace(bucket(denial), owner=ROOT.account_id)
    assert not may(ROOT, home, "s3:GetObject")
    assert may(ROOT, home, "s3:PutObject")
    assert may(ROOT, home, "s3:DeleteBucketPolicy", "")
    home = replace(bucket(), owner=ROOT.account_id)
    theirs = ObjectProperties(owner=BOB.account_id)
    access.check(DetachedRequest(ROOT), home, "k", theirs, action="s3:GetObject")


def reason(who: Caller | None, where: Bucket, action: str) -> str:
    with pytest.raises(AccessDenied) as refused:
        access.check(DetachedRequest(who), where, "k", ObjectProperties(), action=action)
    return refused.value.message


def test_access_denied_names_what_denies() -> None:
    denial = bucket(statement("s3:GetObject", Effect="Deny"))
    assert "The policy of the bucket b denies s3:GetObject." in reason(ANN, denial, "s3:GetObject")
    shut = bucket(statement("s3:GetObject"), public_access_block={"restrict_public_buckets": True})
    assert "(RestrictPublicBuckets)" in reason(None, shut, "s3:GetObject")
    assert "object k does not grant you READ" in reason(BOB, bucket(), "s3:GetObject")
    assert "does not grant you READ" in reason(BOB, shut, "s3:GetObjectAcl")


def test_services_are_allowed_by_name_and_source() -> None:
    service = "logging.s3.amazonaws.com"
    source = {"StringEquals": {"aws:SourceAccount": BOB.account_id}}
    logs = bucket(statement("s3:PutObject", Principal={"Service": service}, Condition=source))
    ours, theirs = {"aws:sourceaccount": BOB.account_id}, {"aws:sourceaccount": ANN.account_id}
    judge = access.judge_service
    assert judge(logs, "k", "s3:PutObject", service, ours) == "Allow"
    assert judge(logs, "k", "s3:PutObject", service, theirs) == ""
    assert judge(logs, "k", "s3:GetObject", service, ours) == ""
    assert judge(logs, "k", "s3:PutObject", "s3.amazonaws.com", ours) == ""
    assert judge(bucket(), "k", "s3:PutObject", service, ours) == ""
    assert not may(BOB, logs, "s3:PutObject")


def test_a_denial_for_all_but_services_lets_them_through() -> None:
    service, judge = "logging.s3.amazonaws.com", access.judge_service
    allow = statement("s3:PutObject", Principal={"Service": service})

    def verdict(**deny: Any) -> str:
        return judge(
            bucket(allow, statement("s3:*", Effect="Deny", **deny)),
            "k",
            "s3:PutObject",
            service,
            {},
        )

    assert verdict() == "Deny"
    assert verdict(Condition={"Bool": {"aws:PrincipalIsAWSService": "false"}}) == "Allow"
    assert verdict(Condition={"BoolIfExists": {"aws:SecureTransport": "false"}}) == "Allow"
    name = {"StringNotEquals": {"aws:PrincipalServiceName": service}}
    assert verdict(Condition=name) == "Allow"


@pytest.mark.parametrize(
    ("who", "begun_by", "action", "allowed"),
    [
        (BOB, BOB, "UploadPart", True),
        (BOB, ANN, "UploadPart", False),  # the policy lets him begin others
        (BOB, ANN, "UploadPartCopy", False),
        (BOB, ANN, "CompleteMultipartUpload", False),
        (None, ANN, "UploadPart", False),
        (None, ANN, "CompleteMultipartUpload", False),
        (BOB, ANN, "AbortMultipartUpload", False),
        (BOB, BOB, "AbortMultipartUpload", True),
        (ANN, BOB, "AbortMultipartUpload", True),
        (None, ANN, "AbortMultipartUpload", False),
        (BOB, BOB, "ListParts", False),  # denied
    ],
)
def test_uploads(who: Caller | None, begun_by: Caller, action: str, allowed: bool) -> None:
    deny = statement("s3:ListMultipartUploadParts", Effect="Deny")
    where = bucket(statement("s3:PutObject"), deny)
    upload = Upload("b", "k", "u", NOW, ObjectProperties(owner=begun_by.account_id))
    if allowed:
        access.check_upload(DetachedRequest(who, action), upload, where)
    else:
        with pytest.raises(AccessDenied):
            access.check_upload(DetachedRequest(who, action), upload, where)


def test_versions_are_actions_of_their_own() -> None:
    where = bucket(statement("s3:GetObject"))
    properties = ObjectProperties(owner=ANN.account_id)
    access.check(DetachedRequest(BOB, "GetObject"), where, "k", properties)
    named = DetachedRequest(BOB, "GetObject", {"version_id": "v"})
    with pytest.raises(AccessDenied, match="s3:GetObjectVersion"):
        access.check(named, where, "k", properties)
    access.check(named, bucket(statement("s3:GetObjectVersion")), "k", properties)


def test_locks_need_more_than_a_grant_to_write() -> None:
    acl: Acl = {"canned": "public-read-write"}
    where = Bucket("b", ANN.account_id, NOW, acl)
    access.check(DetachedRequest(BOB, "PutObject"), where, "k")
    access.check(DetachedRequest(BOB, "PutObject", {"tagging": {"tag_set": []}}), where, "k")
    for params in ({"object_lock_mode": "GOVERNANCE"}, {"object_lock_legal_hold_status": "ON"}):
        with pytest.raises(AccessDenied):
            access.check(DetachedRequest(BOB, "PutObject", params), where, "k")
        access.check(DetachedRequest(ANN, "PutObject", params), where, "k")


def may_read(
    caller: Caller | None, where: Bucket, properties: ObjectProperties, version: str = ""
) -> bool:
    found = Object("b", "k", 1, "e", NOW, properties)
    try:
        access.check_read(caller, where, found, find_policies=lambda: WITHOUT, version_id=version)
    except AccessDenied:
        return False
    return True


def test_check_read_needs_what_get_object_needs() -> None:
    hers, his = ObjectProperties(owner=ANN.account_id), ObjectProperties(owner=BOB.account_id)
    shared = ObjectProperties(owner=BOB.account_id, acl={"canned": "bucket-owner-read"})
    assert may_read(ANN, bucket(), hers)
    assert not may_read(ANN, bucket(), his), "the owner of the bucket is not that of the object"
    assert may_read(ANN, bucket(), shared)
    assert may_read(BOB, bucket(), his)
    assert not may_read(BOB, bucket(), hers)
    assert not may_read(ANN, bucket(statement("s3:GetObject", Effect="Deny")), hers)
    assert may_read(ROOT, bucket(), his)
    allowed = bucket(statement("s3:GetObject"))
    assert may_read(BOB, allowed, hers)
    assert not may_read(BOB, allowed, hers, version="v")
