"""What a request says for each condition key."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eucabox.errors import AccessDenied
from eucabox.iam.caller import Caller, Session
from eucabox.iam.policy import s3_vocabulary
from eucabox.iam.policy.request import RoleSession
from eucabox.s3.condition_keys import CONTEXT, MEMBERS, OTHERS, ConditionValues
from eucabox.s3.request_context import DetachedRequest
from eucabox.store.types import Bucket, ObjectProperties

NOW = datetime.now(UTC)
ANN = Caller("111111111111", "ann", "a" * 64, "AIDA", "ann", False, is_root=True)
HOME = Bucket("b", "222222222222", NOW)


def value_of(
    key: str, caller: Any = ANN, properties: ObjectProperties | None = None, **params: Any
) -> Any:
    context = params.pop("context", {})
    asking = DetachedRequest(caller, params.pop("verb", "PutObject"), params, context)
    return ConditionValues(asking, HOME, properties)(key)


def test_every_key_with_a_value_may_be_asked_for() -> None:
    assert {*MEMBERS, *CONTEXT, *OTHERS} <= s3_vocabulary.KEYS


def test_keys_about_a_root_match_in_both_spellings() -> None:
    arns = ("arn:aws:iam::111111111111:root", "arn:aws:iam::111111111111:user/ann")
    assert value_of("aws:principalarn") == arns
    assert value_of("aws:userid") == ("111111111111", "AIDA")
    assert value_of("aws:principaltype") == ("Account", "User")
    assert value_of("aws:username") == ("ann",)


def test_keys_about_a_role_are_those_of_its_session() -> None:
    session = Session("ASIA", "", "", RoleSession("111111111111", "Job", "s", role_id="AROA"))
    job = replace(ANN, is_root=False, user_id="", user_name="", session=session)
    assert value_of("aws:principalarn", job) == ("arn:aws:iam::111111111111:role/Job",)
    assert value_of("aws:userid", job) == ("AROA:s",)
    assert value_of("aws:principaltype", job) == ("AssumedRole",)
    assert value_of("aws:username", job) is None
    assert value_of("aws:multifactorauthpresent") is None


def test_keys_about_the_caller() -> None:
    eve = replace(ANN, is_root=False, user_name="eve")
    assert value_of("aws:username", eve) == ("eve",)
    assert value_of("aws:userid", eve) == ("AIDA",)
    assert value_of("aws:principalarn", eve) == ("arn:aws:iam::111111111111:user/eve",)
    assert value_of("aws:principalaccount") == ("111111111111",)
    assert value_of("aws:principaltype", eve) == ("User",)
    assert value_of("aws:username", None) is None
    assert value_of("aws:principalarn", None) is None
    assert value_of("aws:principaltype", None) == ("Anonymous",)
    assert value_of("aws:resourceaccount") == ("222222222222",)


def test_keys_about_the_request() -> None:
    assert value_of("s3:x-amz-acl", acl="private") == ("private",)
    assert value_of("s3:x-amz-acl") is None
    assert value_of("s3:max-keys", max_keys=10) == ("10",)
    assert value_of("s3:prefix", prefix="") == ("",)
    assert value_of("s3:prefix") is None
    source = {"bucket": "x", "key": "a/b"}
    assert value_of("s3:x-amz-copy-source", copy_source=source) == ("x/a/b",)
    assert value_of("s3:objectcreationoperation") == ("true",)
    assert value_of("s3:objectcreationoperation", verb="UploadPart") is None
    assert value_of("s3:versionid", version_id="v") == ("v",)
    assert value_of("aws:referer", context={"referer": ""}) is None
    assert value_of("aws:referer", context={"referer": "r"}) == ("r",)
    assert value_of("aws:sourcevpc") is None


def test_tags() -> None:
    tags = {"tag_set": [{"key": "a", "value": "1"}, {"key": "b", "value": ""}]}
    assert value_of("s3:requestobjecttag/a", tagging=tags) == ("1",)
    assert value_of("s3:requestobjecttag/b", tagging=tags) == ("",)
    assert value_of("s3:requestobjecttag/c", tagging=tags) is None
    assert value_of("s3:requestobjecttagkeys", tagging=tags) == ("a", "b")
    assert value_of("s3:requestobjecttagkeys") is None
    properties = ObjectProperties(tags={"a": "1"})
    assert value_of("s3:existingobjecttag/a", properties=properties) == ("1",)
    assert value_of("s3:existingobjecttag/b", properties=properties) is None
    assert value_of("s3:existingobjecttag/a") is None


def test_time_and_locks() -> None:
    until = datetime.now(UTC) + timedelta(days=9, hours=12)
    assert value_of(
        "s3:object-lock-remaining-retention-days", object_lock_retain_until_date=until
    ) == ("10",)
    retention = {"mode": "GOVERNANCE", "retain_until_date": until}
    assert value_of("s3:object-lock-mode", retention=retention) == ("GOVERNANCE",)
    assert value_of("s3:object-lock-mode", object_lock_mode="COMPLIANCE") == ("COMPLIANCE",)
    assert value_of("s3:object-lock-retain-until-date", retention=retention) == (until.isoformat(),)
    assert value_of("s3:object-lock-legal-hold", legal_hold={"status": "ON"}) == ("ON",)
    assert datetime.fromisoformat(value_of("aws:currenttime")[0]) >= NOW
    assert int(value_of("aws:epochtime")[0]) >= int(NOW.timestamp())
    signed = (datetime.now(UTC) - timedelta(seconds=60)).strftime("%Y%m%dT%H%M%SZ")
    age = int(value_of("s3:signatureage", context={"signed_at": signed})[0])
    assert 59_000 <= age <= 90_000
    assert value_of("s3:signatureage", context={"signed_at": "soon"}) is None


def test_a_value_too_long_for_a_policy_is_denied_and_not_ignored() -> None:
    assert value_of("aws:useragent", context={"user_agent": "a" * 4096}) == ("a" * 4096,)
    with pytest.raises(AccessDenied, match="aws:useragent"):
        value_of("aws:useragent", context={"user_agent": "a" * 4097})
    tags = {"tag_set": [{"key": f"k{number}", "value": ""} for number in range(65)]}
    with pytest.raises(AccessDenied, match="requestobjecttagkeys"):
        value_of("s3:requestobjecttagkeys", tagging=tags)
