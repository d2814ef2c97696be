"""Inline and attached policies, and boundaries, of users, groups and roles, as IAM answers."""

from typing import Any

import pytest

from tests.actions.iam.entities import DENY_ALL, OTHER_ROOT, Entities, allow
from tests.actions.stand_ins import World

KINDS = ("user", "group", "role")
LIMITS = {"user": 2048, "group": 5120, "role": 10_240}


@pytest.fixture
def iam(world: World) -> Entities:
    return Entities(world)


@pytest.fixture
def owners(iam: Entities) -> Entities:
    iam.add_user("one")
    iam.add_group("one")
    iam.add_role("one")
    return iam


def verb(form: str, kind: str) -> str:
    return form.replace("X", kind.capitalize())


@pytest.mark.parametrize("kind", KINDS)
def test_an_inline_policy_is_put_told_listed_and_deleted(owners: Entities, kind: str) -> None:
    own: dict[str, Any] = {f"{kind}_name": "ONE"}
    put = verb("PutXPolicy", kind)
    for name in ("b", "a", "c"):
        owners.do(put, **own, policy_name=name, policy_document=allow())
    owners.do(put, **own, policy_name="a", policy_document=allow("s3:Other"))
    listed = owners.page_all(verb("ListXPolicies", kind), "policy_names", **own)
    assert listed == ["a", "b", "c"]
    assert owners.do(verb("GetXPolicy", kind), **own, policy_name="a") == {
        f"{kind}_name": "one", "policy_name": "a", "policy_document": allow("s3:Other"),
    }  # fmt: skip
    owners.do(verb("DeleteXPolicy", kind), **own, policy_name="a")
    for gone in ("GetXPolicy", "DeleteXPolicy"):
        assert owners.refused(verb(gone, kind), **own, policy_name="a") == (
            "NoSuchEntity", f"The {kind} policy with name a cannot be found.",
        )  # fmt: skip
    assert owners.do(verb("ListXPolicies", kind), **own)["policy_names"] == ["b", "c"]


@pytest.mark.parametrize("kind", KINDS)
def test_who_is_not_there_has_no_policies(iam: Entities, kind: str) -> None:
    own = {f"{kind}_name": "none"}
    sentence = ("NoSuchEntity", f"The {kind} with name none cannot be found.")
    one = {"policy_name": "a"}
    assert iam.refused(verb("PutXPolicy", kind), **own, **one, policy_document=allow()) == sentence
    assert iam.refused(verb("GetXPolicy", kind), **own, **one) == sentence
    assert iam.refused(verb("DeleteXPolicy", kind), **own, **one) == sentence
    assert iam.refused(verb("ListXPolicies", kind), **own) == sentence
    assert iam.refused(verb("AttachXPolicy", kind), **own, policy_arn=DENY_ALL) == sentence
    assert iam.refused(verb("DetachXPolicy", kind), **own, policy_arn=DENY_ALL) == sentence
    assert iam.refused(verb("ListAttachedXPolicies", kind), **own) == sentence


@pytest.mark.parametrize("kind", KINDS)
def test_all_inline_policies_of_one_have_a_limit_without_white_space(
    owners: Entities, kind: str
) -> None:
    own: dict[str, Any] = {f"{kind}_name": "one"}
    put, most = verb("PutXPolicy", kind), LIMITS[kind]
    frame = len("".join(allow("s3:").split()))
    half, spaced = allow("s3:" + "x" * (most // 2 - frame)), " " * 5000
    owners.do(put, **own, policy_name="a", policy_document=half.replace(" ", spaced))
    owners.do(put, **own, policy_name="b", policy_document=half)
    more = allow("s3:" + "x" * (most // 2 - frame + 1))
    for name in ("b", "c"):
        assert owners.refused(put, **own, policy_name=name, policy_document=more) == (
            "LimitExceeded", f"Maximum policy size of {most} bytes exceeded for {kind} one",
        )  # fmt: skip
    told = owners.do(verb("GetXPolicy", kind), **own, policy_name="b")
    assert told["policy_document"] == half


def test_a_bad_inline_policy_is_refused(owners: Entities) -> None:
    own = {"role_name": "one"}
    for members, code in (
        ({"policy_name": "a/b", "policy_document": allow()}, "ValidationError"),
        ({"policy_name": "a", "policy_document": "{}"}, "MalformedPolicyDocument"),
        ({"policy_name": "a", "policy_document": ""}, "ValidationError"),
        ({"policy_name": "a", "policy_document": allow(Principal="*")}, "MalformedPolicyDocument"),
    ):
        assert owners.refused("PutRolePolicy", **own, **members)[0] == code
    assert owners.do("ListRolePolicies", **own)["policy_names"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_policies_are_attached_listed_and_detached(owners: Entities, kind: str) -> None:
    own: dict[str, Any] = {f"{kind}_name": "one"}
    beta, alpha = owners.add_policy("beta", path="/x/"), owners.add_policy("Alpha")
    for arn in (beta, alpha, DENY_ALL, alpha):
        owners.do(verb("AttachXPolicy", kind), **own, policy_arn=arn)
    listed = owners.page_all(verb("ListAttachedXPolicies", kind), "attached_policies", **own)
    assert listed == [
        {"policy_name": "Alpha", "policy_arn": alpha},
        {"policy_name": "AWSDenyAll", "policy_arn": DENY_ALL},
        {"policy_name": "beta", "policy_arn": beta},
    ]
    under = owners.do(verb("ListAttachedXPolicies", kind), **own, path_prefix="/x/")
    assert under["attached_policies"] == [listed[2]]
    owners.do(verb("DetachXPolicy", kind), **own, policy_arn=beta)
    assert owners.refused(verb("DetachXPolicy", kind), **own, policy_arn=beta) == (
        "NoSuchEntity", f"Policy {beta} was not found.",
    )  # fmt: skip
    left = owners.do(verb("ListAttachedXPolicies", kind), **own)["attached_policies"]
    assert left == listed[:2]


@pytest.mark.parametrize("kind", KINDS)
def test_ten_policies_can_be_attached(owners: Entities, kind: str) -> None:
    own: dict[str, Any] = {f"{kind}_name": "one"}
    arns = [owners.add_policy(f"p{number}") for number in range(11)]
    for arn in arns[:10]:
        owners.do(verb("AttachXPolicy", kind), **own, policy_arn=arn)
    owners.do(verb("AttachXPolicy", kind), **own, policy_arn=arns[0])
    assert owners.refused(verb("AttachXPolicy", kind), **own, policy_arn=arns[10]) == (
        "LimitExceeded", f"Cannot exceed quota for PoliciesPer{kind.capitalize()}: 10",
    )  # fmt: skip
    none = arns[0] + "none"
    assert owners.refused(verb("AttachXPolicy", kind), **own, policy_arn=none) == (
        "NoSuchEntity", f"Policy {none} does not exist or is not attachable.",
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["user", "role"])
def test_a_boundary_is_put_and_taken_away(owners: Entities, kind: str) -> None:
    own = {f"{kind}_name": "one"}
    put = verb("PutXPermissionsBoundary", kind)
    sql = f"select permissions_boundary as arn from {kind}s where {kind}_name = 'one'"
    arn = owners.add_policy("Most")
    owners.do(put, **own, permissions_boundary=arn)
    owners.do(put, **own, permissions_boundary=DENY_ALL)
    assert owners.state.query(sql) == [{"arn": DENY_ALL}]
    code, message = owners.refused(put, **own, permissions_boundary=arn + "none")
    assert (code, message) == (
        "NoSuchEntity", f"Scope ARN: {arn}none does not exist or is not attachable.",
    )  # fmt: skip
    assert owners.state.query(sql) == [{"arn": DENY_ALL}]
    for _ in range(2):
        owners.do(verb("DeleteXPermissionsBoundary", kind), **own)
    assert owners.state.query(sql) == [{"arn": ""}]


def test_a_user_is_made_with_a_boundary_that_exists(iam: Entities) -> None:
    none = DENY_ALL + "none"
    members = {"user_name": "ann", "permissions_boundary": none}
    assert iam.refused("CreateUser", **members) == (
        "NoSuchEntity", f"Scope ARN: {none} does not exist or is not attachable.",
    )  # fmt: skip
    user = iam.do("CreateUser", user_name="ann", permissions_boundary=DENY_ALL)["user"]
    assert user["permissions_boundary"]["permissions_boundary_arn"] == DENY_ALL


def test_another_account_reaches_nothing(owners: Entities) -> None:
    own = {"role_name": "one"}
    refusal = owners.refused("PutRolePolicy", OTHER_ROOT, **own, policy_name="a",
        policy_document=allow())  # fmt: skip
    assert refusal[0] == "NoSuchEntity"
    bound = {"permissions_boundary": DENY_ALL}
    assert owners.refused("PutRolePermissionsBoundary", OTHER_ROOT, **own, **bound)[0] == (
        "NoSuchEntity"
    )


def test_the_root_of_an_account_has_no_policies(iam: Entities) -> None:
    user_id = iam.add_user("alice")
    iam.state.update("users", {"user_id": user_id}, is_root=1)
    attach = {"user_name": "alice", "policy_arn": DENY_ALL}
    assert iam.refused("AttachUserPolicy", **attach)[0] == "NoSuchEntity"
    assert iam.do("ListEntitiesForPolicy", policy_arn=DENY_ALL)["policy_users"] == []


@pytest.mark.parametrize(
    ("entity", "own"),
    [
        ("Role", {"role_name": "one"}),
        ("InstanceProfile", {"instance_profile_name": "one"}),
        ("Policy", {}),
    ],
)
def test_entities_have_tags(owners: Entities, entity: str, own: dict[str, Any]) -> None:
    owners.do("CreateInstanceProfile", instance_profile_name="one")
    own = own or {"policy_arn": owners.add_policy("one")}
    owners.do(f"Tag{entity}", **own, tags=[{"key": k, "value": "v"} for k in ("b", "a", "c")])
    owners.do(f"Untag{entity}", **own, tag_keys=["b", "none"])
    tags = owners.page_all(f"List{entity}Tags", "tags", **own)
    assert tags == [{"key": "a", "value": "v"}, {"key": "c", "value": "v"}]
    bad = [{"key": "aws:a", "value": "v"}]
    assert owners.refused(f"Tag{entity}", **own, tags=bad)[0] == "InvalidInput"
