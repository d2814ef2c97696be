"""The values of condition keys that a request has."""

from datetime import UTC, datetime
from typing import Any

import pytest

from eucabox.iam.caller import Caller
from eucabox.iam.policy import RoleSession
from eucabox.iam.policy.request_values import RequestValues

HOME = "111111111111"
ANN = Caller(HOME, "ann", "a" * 64, "AIDAANN", "ann", admin=False)
SESSION = RoleSession(HOME, "reader", "tuesday", role_path="/service/", role_id="AROAREADER")
WHEN = datetime(2026, 1, 31, 12, tzinfo=UTC)
CONTEXT = {"source_ip": "10.0.0.1", "secure": "true", "region": "eu", "user_agent": "x"}


def values(principal: Any = ANN, **members: Any) -> RequestValues:
    return RequestValues(principal, CONTEXT, now=lambda: WHEN, **members)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("aws:sourceip", "10.0.0.1"), ("aws:securetransport", "true"), ("aws:useragent", "x"),
        ("aws:requestedregion", "eu"), ("ec2:region", "eu"), ("aws:referer", None),
        ("aws:currenttime", "2026-01-31T12:00:00+00:00"), ("aws:epochtime", "1769860800"),
        ("aws:username", "ann"), ("aws:userid", "AIDAANN"), ("aws:principaltype", "User"),
        ("aws:principalarn", f"arn:aws:iam::{HOME}:user/ann"), ("aws:principalaccount", HOME),
        ("aws:multifactorauthpresent", None), ("aws:viaawsservice", "false"),
        ("aws:principaltag/team", None), ("aws:resourceaccount", None), ("s3:prefix", None),
    ],
)  # fmt: skip
def test_keys_of_a_user(key: str, value: str | None) -> None:
    assert values()(key) == (None if value is None else (value,))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("aws:principalarn", f"arn:aws:iam::{HOME}:role/service/reader"),
        ("aws:principaltype", "AssumedRole"), ("aws:userid", "AROAREADER:tuesday"),
        ("aws:username", None), ("aws:principalaccount", HOME),
    ],
)  # fmt: skip
def test_keys_of_a_session_are_those_of_its_role(key: str, value: str | None) -> None:
    assert values(SESSION)(key) == (None if value is None else (value,))


def test_an_anonymous_caller_has_neither_name_nor_arn() -> None:
    asked = values(None)
    assert asked("aws:principaltype") == ("Anonymous",)
    assert asked("aws:userid") == ("anonymous",)
    for key in ("aws:principalarn", "aws:username", "aws:principalaccount"):
        assert asked(key) is None


def test_tags_of_caller_request_and_resource() -> None:
    asked = values(
        principal_tags={"team": "red"},
        request_tags={"cost": "1", "team": "blue"},
        resource_tags={"Name": "web"},
    )
    assert asked("aws:principaltag/team") == ("red",)
    assert asked("aws:requesttag/team") == ("blue",)
    assert asked("aws:tagkeys") == ("cost", "team")
    for service in ("aws", "ec2", "iam"):
        assert asked(f"{service}:resourcetag/Name") == ("web",)
    assert asked("aws:resourcetag/name") is None
    assert asked("s3:existingobjecttag/Name") is None
    assert values()("aws:tagkeys") is None


def test_an_action_adds_what_only_it_knows() -> None:
    more = {
        "ec2:InstanceType": "m1.small",
        "iam:PassedToService": "ec2.amazonaws.com",
        "aws:SourceIp": ["192.0.2.1", "192.0.2.2"],
    }
    asked = values(more=more, mfa=True, resource_account=HOME)
    assert asked("ec2:instancetype") == ("m1.small",)
    assert asked("iam:passedtoservice") == ("ec2.amazonaws.com",)
    assert asked("aws:sourceip") == ("192.0.2.1", "192.0.2.2")
    assert asked("aws:multifactorauthpresent") == ("true",)
    assert asked("aws:resourceaccount") == (HOME,)
