"""Roles: CreateRole and what follows, as IAM answers."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from eucabox.iam.caller import Session
from eucabox.iam.policy import AuthorizationRequest, RoleSession, compile_trust_policy
from tests.actions.iam.entities import (
    AWAY,
    DENY_ALL,
    EC2_TRUST,
    HOME,
    OTHER_ROOT,
    ROOT,
    Entities,
    allow,
    trust,
)
from tests.actions.stand_ins import World


@pytest.fixture
def iam(world: World) -> Entities:
    return Entities(world)


def test_a_role_is_told_as_it_was_created(iam: Entities) -> None:
    tags = [{"key": "team", "value": "red"}]
    created = iam.add_role(
        "web", path="/app/", description="Serves.", max_session_duration=7200, tags=tags,
        permissions_boundary=DENY_ALL,
    )  # fmt: skip
    assert created == {
        "path": "/app/",
        "role_name": "web",
        "role_id": created["role_id"],
        "arn": f"arn:aws:iam::{HOME}:role/app/web",
        "create_date": created["create_date"],
        "assume_role_policy_document": EC2_TRUST,
        "description": "Serves.",
        "max_session_duration": 7200,
        "permissions_boundary": {
            "permissions_boundary_type": "Policy", "permissions_boundary_arn": DENY_ALL,
        },
        "role_last_used": {},
        "tags": tags,
    }  # fmt: skip
    assert created["role_id"].startswith("AROA")
    assert isinstance(created["create_date"], datetime)
    assert iam.do("GetRole", role_name="web") == {"role": created}
    assert iam.do("ListRoleTags", role_name="web") == {"tags": tags, "is_truncated": False}


def test_a_role_has_few_members_where_nothing_is_given(iam: Entities) -> None:
    created = iam.add_role("web")
    assert created["max_session_duration"] == 3600
    assert created["path"] == "/"
    assert not {"description", "permissions_boundary", "tags"} & created.keys()


def test_a_role_tells_when_and_where_it_was_last_used(iam: Entities) -> None:
    role_id = iam.add_role("web")["role_id"]
    moment = "2026-11-30T01:02:03.000Z"
    where = {"role_id": role_id}
    iam.state.update("roles", where, last_used=moment, last_used_region="eucabox")
    used = iam.do("GetRole", role_name="web")["role"]["role_last_used"]
    assert used["region"] == "eucabox"
    assert used["last_used_date"].isoformat() == "2026-11-30T01:02:03+00:00"


def test_names_are_unique_and_looked_up_whatever_their_case(iam: Entities) -> None:
    iam.add_role("Web")
    members = {"role_name": "wEB", "assume_role_policy_document": EC2_TRUST}
    assert iam.refused("CreateRole", **members) == (
        "EntityAlreadyExists", "Role with name wEB already exists.",
    )  # fmt: skip
    assert iam.do("GetRole", role_name="web")["role"]["role_name"] == "Web"
    iam.add_role("web", OTHER_ROOT)
    iam.do("DeleteRole", role_name="web")
    assert iam.refused("GetRole", role_name="Web") == (
        "NoSuchEntity", "The role with name Web cannot be found.",
    )  # fmt: skip
    assert iam.do("GetRole", OTHER_ROOT, role_name="web")["role"]["arn"].split(":")[4] == AWAY


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("members", "code", "sentence"),
    [
        ({"role_name": "a" * 65}, "ValidationError", "less than or equal to 64"),
        ({"role_name": "a b"}, "ValidationError", "specified value for roleName is invalid"),
        ({"role_name": ""}, "ValidationError", "greater than or equal to 1"),
        ({"path": "app/"}, "ValidationError", "specified value for path is invalid"),
        ({"path": "/a*/"}, "ValidationError", "specified value for path is invalid"),
        ({"path": "/" + "a" * 511 + "/"}, "ValidationError", "less than or equal to 512"),
        ({"max_session_duration": 3599}, "ValidationError", "greater than or equal to 3600"),
        ({"max_session_duration": 43201}, "ValidationError", "less than or equal to 43200"),
        ({"description": "x" * 1001}, "ValidationError", "less than or equal to 1000"),
        ({"description": "\x00"}, "ValidationError", "regular expression pattern"),
        ({"permissions_boundary": "arn"}, "ValidationError", "'permissionsBoundary'"),
        ({"permissions_boundary": f"arn:aws:iam::{HOME}:user/ann"}, "InvalidInput", "not valid"),
        (
            {"permissions_boundary": f"arn:aws:iam::{HOME}:policy/none"},
            "NoSuchEntity",
            f"Scope ARN: arn:aws:iam::{HOME}:policy/none does not exist or is not attachable.",
        ),
        ({"tags": [{"key": "a", "value": ""}] * 2}, "InvalidInput", "Duplicate tag keys"),
        ({"assume_role_policy_document": "{"}, "MalformedPolicyDocument", "invalid Json"),
        (
            {"assume_role_policy_document": EC2_TRUST.replace("ec2", "\\ud800")},
            "MalformedPolicyDocument",
            "no characters alone",
        ),
        ({"assume_role_policy_document": ""}, "ValidationError", "assumeRolePolicyDocument"),
        ({"assume_role_policy_document": "{\x00"}, "ValidationError", "regular expression"),
        (
            {"assume_role_policy_document": trust({"AWS": HOME}, Resource="*")},
            "MalformedPolicyDocument",
            "field Resource",
        ),
        (
            {"assume_role_policy_document": trust({"AWS": [HOME] * 200})},
            "LimitExceeded",
            "Cannot exceed quota for ACLSizePerRole: 2048",
        ),
    ],
)
def test_a_bad_role_is_refused_and_not_made(
    iam: Entities, members: dict[str, Any], code: str, sentence: str
) -> None:
    whole = {"role_name": "web", "assume_role_policy_document": EC2_TRUST, **members}
    refusal = iam.refused("CreateRole", **whole)
    assert refusal[0] == code
    assert sentence in refusal[1]
    assert iam.do("ListRoles")["roles"] == []


def test_roles_are_listed_by_name_and_path_in_pages(iam: Entities) -> None:
    for name, path in (("b", "/x/"), ("A", "/x/y/"), ("c", "/")):
        iam.add_role(name, path=path, description=name, tags=[{"key": "k", "value": "v"}])
    iam.add_role("d", OTHER_ROOT)
    listed = iam.do("ListRoles")
    assert [each["role_name"] for each in listed["roles"]] == ["A", "b", "c"]
    assert listed["is_truncated"] is False
    assert not {"tags", "role_last_used"} & listed["roles"][0].keys()
    assert iam.page_all("ListRoles", "roles") == listed["roles"]
    under = iam.do("ListRoles", path_prefix="/x/")["roles"]
    assert [each["role_name"] for each in under] == ["A", "b"]
    assert iam.do("ListRoles", path_prefix="/X/")["roles"] == []
    assert iam.refused("ListRoles", path_prefix="x")[0] == "ValidationError"


def test_a_role_is_changed(iam: Entities) -> None:
    iam.add_role("web", description="old")
    iam.do("UpdateRole", role_name="web", max_session_duration=43200)
    role = iam.do("GetRole", role_name="web")["role"]
    assert (role["description"], role["max_session_duration"]) == ("old", 43200)
    told = iam.do("UpdateRoleDescription", role_name="web", description="new")["role"]
    assert told["description"] == "new"
    iam.do("UpdateRole", role_name="web", description="")
    assert "description" not in iam.do("GetRole", role_name="web")["role"]
    assert iam.refused("UpdateRole", role_name="web", max_session_duration=1)[0] == (
        "ValidationError"
    )
    iam.do("UpdateRole", role_name="web")


def test_a_role_that_still_has_something_is_not_deleted(iam: Entities) -> None:
    role_id = iam.add_role("web", tags=[{"key": "k", "value": "v"}])["role_id"]
    both = {"role_name": "web", "instance_profile_name": "web"}
    iam.do("CreateInstanceProfile", instance_profile_name="web")
    iam.do("AddRoleToInstanceProfile", **both)
    iam.do("AttachRolePolicy", role_name="web", policy_arn=DENY_ALL)
    iam.do("PutRolePolicy", role_name="web", policy_name="p", policy_document=allow())
    for what, verb, members in (
        ("remove roles from instance profile", "RemoveRoleFromInstanceProfile", both),
        ("detach all policies", "DetachRolePolicy", {"role_name": "web", "policy_arn": DENY_ALL}),
        ("delete policies", "DeleteRolePolicy", {"role_name": "web", "policy_name": "p"}),
    ):
        assert iam.refused("DeleteRole", role_name="web") == (
            "DeleteConflict", f"Cannot delete entity, must {what} first.",
        )  # fmt: skip
        iam.do(verb, **members)
    iam.do("DeleteRole", role_name="web")
    assert iam.state.query("select * from iam_tags where resource_id = ?", (role_id,)) == []
    assert iam.refused("DeleteRole", role_name="web")[0] == "NoSuchEntity"


# --- who may assume it --------------------------------------------------------------------------


def trusts(iam: Entities, role: str, principal: Any) -> bool:
    sql = "select trust_policy from roles where role_name = ?"
    stored = iam.state.query(sql, (role,))[0]["trust_policy"]
    request = AuthorizationRequest("sts:AssumeRole", "arn", principal, lambda key: None)
    return compile_trust_policy(stored).evaluate(request) == "Allow"


def shown(iam: Entities, role: str) -> Any:
    told = iam.do("GetRole", role_name=role)["role"]["assume_role_policy_document"]
    return json.loads(told)["Statement"][0]["Principal"]["AWS"]


def ann(user_id: str) -> Any:
    return replace(ROOT, user_id=user_id, user_name="ann", is_root=False)


def test_a_user_who_is_deleted_is_not_replaced_by_one_of_the_same_name(iam: Entities) -> None:
    first = iam.add_user("ann", path="/x/")
    arn = f"arn:aws:iam::{HOME}:user/x/ann"
    iam.add_role("web", assume_role_policy_document=trust({"AWS": [arn, HOME]}))
    iam.add_role("own", assume_role_policy_document=trust({"AWS": arn}))
    assert shown(iam, "web") == [arn, HOME]
    assert shown(iam, "own") == arn
    assert trusts(iam, "own", ann(first))
    iam.state.delete("users", {"user_id": first})
    second = iam.add_user("ann", path="/x/")
    assert shown(iam, "own") == first
    assert not trusts(iam, "own", ann(second))
    document = iam.do("GetRole", role_name="own")["role"]["assume_role_policy_document"]
    members = {"role_name": "own", "policy_document": document}
    code, message = iam.refused("UpdateAssumeRolePolicy", **members)
    assert code == "MalformedPolicyDocument"
    assert message.startswith("Invalid principal in policy")
    iam.do("UpdateAssumeRolePolicy", role_name="own", policy_document=trust({"AWS": arn}))
    assert trusts(iam, "own", ann(second))


def test_a_user_who_is_renamed_stays_trusted(iam: Entities) -> None:
    user_id = iam.add_user("ann")
    iam.add_role("web", assume_role_policy_document=trust({"AWS": f"arn:aws:iam::{HOME}:user/ann"}))
    iam.state.update("users", {"user_id": user_id}, user_name="anna")
    assert shown(iam, "web") == f"arn:aws:iam::{HOME}:user/anna"
    assert trusts(iam, "web", ann(user_id))


def test_roles_and_sessions_are_trusted_by_the_id_of_their_role(iam: Entities) -> None:
    first = iam.add_role("first", path="/x/")["role_id"]
    role, session = (
        f"arn:aws:iam::{HOME}:role/x/first", f"arn:aws:sts::{HOME}:assumed-role/first/s",
    )  # fmt: skip
    iam.add_role("by-role", assume_role_policy_document=trust({"AWS": role}))
    iam.add_role("by-session", assume_role_policy_document=trust({"AWS": [session]}))
    assert (shown(iam, "by-role"), shown(iam, "by-session")) == (role, [session])
    caller = RoleSession(HOME, "first", "s", role_id=first)
    assert trusts(iam, "by-role", caller)
    assert trusts(iam, "by-session", caller)
    assert not trusts(iam, "by-session", RoleSession(HOME, "first", "t", role_id=first))
    iam.do("DeleteRole", role_name="first")
    again = RoleSession(HOME, "first", "s", role_id=iam.add_role("first", path="/x/")["role_id"])
    assert not trusts(iam, "by-role", again)
    assert not trusts(iam, "by-session", again)
    assert (shown(iam, "by-role"), shown(iam, "by-session")) == (first, [f"{first}:s"])


@pytest.mark.not_fast
@pytest.mark.parametrize(
    "principal",
    [
        {"AWS": f"arn:aws:iam::{HOME}:user/nobody"},
        {"AWS": f"arn:aws:iam::{HOME}:user/elsewhere/ann"},
        {"AWS": f"arn:aws:iam::{HOME}:user/Ann"},
        {"AWS": f"arn:aws:iam::{HOME}:role/none"},
        {"AWS": f"arn:aws:sts::{HOME}:assumed-role/none/s"},
        {"AWS": "999999999999"},
        {"AWS": "arn:aws:iam::999999999999:root"},
        {"AWS": "AIDAAAAAAAAAAAAAAAAAA"},
        {"CanonicalUser": "0" * 64},
        {"AWS": f"arn:aws:iam::{HOME}:user/root-of-home"},
    ],
)
def test_a_principal_that_does_not_exist_is_invalid(iam: Entities, principal: Any) -> None:
    iam.add_user("ann")
    root_id = iam.add_user("root-of-home")
    iam.state.update("users", {"user_id": root_id}, is_root=1)
    document = trust(principal)
    code, message = iam.refused("CreateRole", role_name="web", assume_role_policy_document=document)
    assert code == "MalformedPolicyDocument"
    if "AWS" in principal:
        assert message.startswith("Invalid principal in policy")


@pytest.mark.parametrize(
    "principal",
    [
        "*",
        {"AWS": "*"},
        {"AWS": AWAY},
        {"AWS": f"arn:aws:iam::{AWAY}:root"},
        {"AWS": "arn:aws:iam::bob:user/ben"},
        {"Service": ["ec2.amazonaws.com"]},
        {"Federated": f"arn:aws:iam::{HOME}:oidc-provider/example.com"},
    ],
)
def test_accounts_services_and_providers_are_taken_as_they_are_written(
    iam: Entities, principal: Any
) -> None:
    iam.add_user("ben", AWAY)
    members: Any = {"Action": "sts:AssumeRoleWithWebIdentity"} if "Federated" in principal else {}
    document = trust(principal, **members)
    told = iam.add_role("web", assume_role_policy_document=document)
    if principal == {"AWS": "arn:aws:iam::bob:user/ben"}:
        assert shown(iam, "web") == f"arn:aws:iam::{AWAY}:user/ben"
    else:
        assert told["assume_role_policy_document"] == document


def test_an_account_is_trusted_by_its_number_even_if_its_name_was_written(iam: Entities) -> None:
    iam.add_role("web", assume_role_policy_document=trust({"AWS": "arn:aws:iam::bob:root"}))
    assert shown(iam, "web") == f"arn:aws:iam::{AWAY}:root"


def test_a_session_of_a_role_may_call_too(iam: Entities) -> None:
    session = Session("ASIA", "", "", RoleSession(HOME, "web", "s", role_id="AROAX"))
    caller = replace(ROOT, user_id="", user_name="", is_root=False, session=session)
    row = {"owner_id": "AROAX", "policy_name": "all", "document": allow("iam:*")}
    iam.state.insert("inline_policies", row)
    iam.add_role("own", caller)
    assert iam.do("GetRole", role_name="own")["role"]["role_name"] == "own"
