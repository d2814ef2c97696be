"""Managed policies, their versions, and AWS's own, as IAM answers."""

from typing import Any

import pytest

from eucabox.iam import attached_policies
from eucabox.iam.aws_policies import list_aws_policies
from eucabox.iam.effective_policies import read_user_policies
from eucabox.iam.policy_owners import PolicyOwner
from tests.actions.iam.entities import DENY_ALL, HOME, OTHER_ROOT, Entities, allow, write
from tests.actions.stand_ins import World
from tests.growth import LINEAR, measure_growth

READS = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


@pytest.fixture
def iam(world: World) -> Entities:
    return Entities(world)


def names(policies: list[Any]) -> list[str]:
    return [each["policy_name"] for each in policies]


def test_a_policy_is_told_as_it_was_created(iam: Entities) -> None:
    tags = [{"key": "team", "value": "red"}]
    created = iam.do(
        "CreatePolicy", policy_name="Reads", policy_document=allow(), path="/team/",
        description="Lets read.", tags=tags,
    )["policy"]  # fmt: skip
    assert created == {
        "policy_name": "Reads",
        "policy_id": created["policy_id"],
        "arn": f"arn:aws:iam::{HOME}:policy/team/Reads",
        "path": "/team/",
        "default_version_id": "v1",
        "attachment_count": 0,
        "permissions_boundary_usage_count": 0,
        "is_attachable": True,
        "create_date": created["create_date"],
        "update_date": created["create_date"],
        "description": "Lets read.",
        "tags": tags,
    }
    assert created["policy_id"].startswith("ANPA")
    assert iam.do("GetPolicy", policy_arn=created["arn"])["policy"] == created
    assert iam.do("ListPolicyTags", policy_arn=created["arn"])["tags"] == tags
    version = iam.do("GetPolicyVersion", policy_arn=created["arn"], version_id="v1")
    assert version["policy_version"] == {
        "version_id": "v1",
        "is_default_version": True,
        "create_date": created["create_date"],
        "document": allow(),
    }


def test_names_are_unique_whatever_their_case_and_path(iam: Entities) -> None:
    iam.add_policy("Reads")
    members = {"policy_name": "reads", "policy_document": allow(), "path": "/x/"}
    assert iam.refused("CreatePolicy", **members) == (
        "EntityAlreadyExists",
        "A policy called reads already exists. Duplicate names are not allowed.",
    )
    iam.do("CreatePolicy", OTHER_ROOT, **members)


@pytest.mark.parametrize(
    ("members", "code", "sentence"),
    [
        ({"policy_name": "a/b"}, "ValidationError", "specified value for policyName is invalid"),
        ({"policy_name": "a" * 129}, "ValidationError", "less than or equal to 128"),
        ({"description": "x" * 1001}, "ValidationError", "less than or equal to 1000"),
        ({"path": "x"}, "ValidationError", "specified value for path is invalid"),
        ({"policy_document": "no"}, "MalformedPolicyDocument", "Syntax errors in policy"),
        ({"policy_document": "x" * 131_073}, "ValidationError", "less than or equal to 131072"),
        (
            {"policy_document": write(Version="2008-10-17")},
            "MalformedPolicyDocument",
            "must be version 2012-10-17 or greater",
        ),
        (
            {"policy_document": allow("s3:" + "x" * 6144)},
            "LimitExceeded",
            "Cannot exceed quota for PolicySize: 6144",
        ),
    ],
)
def test_a_bad_policy_is_refused_and_not_made(
    iam: Entities, members: dict[str, Any], code: str, sentence: str
) -> None:
    whole = {"policy_name": "Reads", "policy_document": allow(), **members}
    refusal = iam.refused("CreatePolicy", **whole)
    assert refusal[0] == code
    assert sentence in refusal[1]
    assert iam.do("ListPolicies", scope="Local")["policies"] == []


def test_white_space_does_not_count_in_a_policy(iam: Entities) -> None:
    iam.add_policy("Spaced", policy_document=allow().replace(" ", " " * 2000))
    (row,) = iam.state.query("select document from policy_versions")
    assert row["document"] == allow().replace(", ", ",").replace(": ", ":")
    blanks = allow(Condition={"StringEquals": {"aws:username": " " * 6144}})
    assert "PolicySize" in iam.refused("CreatePolicy", policy_name="b", policy_document=blanks)[1]


def test_a_policy_has_at_most_five_versions_of_which_one_is_in_force(iam: Entities) -> None:
    user_id = iam.add_user("ann")
    arn = iam.add_policy("Reads")
    iam.do("AttachUserPolicy", user_name="ann", policy_arn=arn)
    own = {"policy_arn": arn}
    for number in range(2, 6):
        document = allow(f"s3:Number{number}")
        made = iam.do("CreatePolicyVersion", **own, policy_document=document)["policy_version"]
        assert (made["version_id"], made["is_default_version"]) == (f"v{number}", False)
    assert iam.refused("CreatePolicyVersion", **own, policy_document=allow()) == (
        "LimitExceeded",
        "A managed policy can have up to 5 versions. Before you create a new version, you must"
        " delete an existing version.",
    )
    assert read_user_policies(iam.state, user_id) == [(arn, allow())]
    iam.do("SetDefaultPolicyVersion", **own, version_id="v3")
    assert read_user_policies(iam.state, user_id) == [(arn, allow("s3:Number3"))]
    listed = iam.page_all("ListPolicyVersions", "versions", **own)
    assert [each["version_id"] for each in listed] == ["v5", "v4", "v3", "v2", "v1"]
    assert [each["is_default_version"] for each in listed] == [False, False, True, False, False]
    assert "document" not in listed[0]
    assert iam.refused("DeletePolicyVersion", **own, version_id="v3") == (
        "DeleteConflict", "Cannot delete the default version of a policy.",
    )  # fmt: skip
    iam.do("DeletePolicyVersion", **own, version_id="v5")
    made = iam.do(
        "CreatePolicyVersion", **own, policy_document=allow("s3:Six"), set_as_default=True
    )["policy_version"]
    assert (made["version_id"], made["is_default_version"]) == ("v6", True)
    assert iam.do("GetPolicy", **own)["policy"]["default_version_id"] == "v6"
    assert read_user_policies(iam.state, user_id) == [(arn, allow("s3:Six"))]


def test_a_version_that_is_not_there_is_no_entity(iam: Entities) -> None:
    arn = iam.add_policy("Reads")
    for verb in ("GetPolicyVersion", "SetDefaultPolicyVersion", "DeletePolicyVersion"):
        assert iam.refused(verb, policy_arn=arn, version_id="v2") == (
            "NoSuchEntity", f"Policy {arn} version v2 does not exist or is not attachable.",
        )  # fmt: skip
        code, message = iam.refused(verb, policy_arn=arn, version_id="two")
        assert code == "ValidationError"
        assert "v[1-9][0-9]*" in message


def test_a_policy_in_use_or_with_versions_is_not_deleted(iam: Entities) -> None:
    iam.add_user("ann")
    arn = iam.add_policy("Reads")
    conflict = ("DeleteConflict", "Cannot delete a policy attached to entities.")
    iam.do("AttachUserPolicy", user_name="ann", policy_arn=arn)
    assert iam.refused("DeletePolicy", policy_arn=arn) == conflict
    iam.do("DetachUserPolicy", user_name="ann", policy_arn=arn)
    iam.do("PutUserPermissionsBoundary", user_name="ann", permissions_boundary=arn)
    assert iam.refused("DeletePolicy", policy_arn=arn) == conflict
    iam.do("DeleteUserPermissionsBoundary", user_name="ann")
    iam.do("CreatePolicyVersion", policy_arn=arn, policy_document=allow())
    code, message = iam.refused("DeletePolicy", policy_arn=arn)
    assert code == "DeleteConflict"
    assert message.startswith("This policy has more than one version.")
    iam.do("DeletePolicyVersion", policy_arn=arn, version_id="v2")
    iam.do("DeletePolicy", policy_arn=arn)
    assert iam.refused("GetPolicy", policy_arn=arn) == (
        "NoSuchEntity", f"Policy {arn} was not found.",
    )  # fmt: skip
    assert iam.state.query("select * from policy_versions") == []


def test_policies_are_listed_by_scope_path_and_use(iam: Entities) -> None:
    iam.add_user("ann")
    iam.add_role("web")
    beta, alpha = iam.add_policy("beta", path="/x/"), iam.add_policy("Alpha")
    iam.do("CreatePolicy", OTHER_ROOT, policy_name="Theirs", policy_document=allow())
    of_aws = [each.policy_name for each in list_aws_policies()]
    local = iam.page_all("ListPolicies", "policies", scope="Local")
    assert names(local) == ["Alpha", "beta"]
    assert not {"description", "tags"} & local[0].keys()
    assert names(iam.page_all("ListPolicies", "policies", scope="AWS")) == of_aws
    everything = sorted([*of_aws, "Alpha", "beta"], key=str.lower)
    assert names(iam.do("ListPolicies")["policies"]) == everything
    assert names(iam.do("ListPolicies", path_prefix="/x/")["policies"]) == ["beta"]
    iam.do("AttachUserPolicy", user_name="ann", policy_arn=READS)
    iam.do("AttachRolePolicy", role_name="web", policy_arn=READS)
    iam.do("AttachRolePolicy", role_name="web", policy_arn=beta)
    iam.do("PutRolePermissionsBoundary", role_name="web", permissions_boundary=alpha)
    used = iam.do("ListPolicies", only_attached=True)["policies"]
    assert names(used) == ["Alpha", "AmazonS3ReadOnlyAccess", "beta"]
    counts = [(e["attachment_count"], e["permissions_boundary_usage_count"]) for e in used]
    assert counts == [(0, 1), (2, 0), (1, 0)]
    permissions = iam.do("ListPolicies", policy_usage_filter="PermissionsPolicy")["policies"]
    assert names(permissions) == ["AmazonS3ReadOnlyAccess", "beta"]
    bounding = iam.do("ListPolicies", policy_usage_filter="PermissionsBoundary")["policies"]
    assert names(bounding) == ["Alpha"]
    theirs = iam.do("ListPolicies", OTHER_ROOT, only_attached=True)["policies"]
    assert theirs == []
    for members in ({"scope": "Mine"}, {"policy_usage_filter": "x"}, {"path_prefix": "x"}):
        assert iam.refused("ListPolicies", **members)[0] == "ValidationError"


def test_a_policy_tells_what_it_is_attached_to(iam: Entities) -> None:
    user_id = iam.add_user("ann", path="/x/")
    group_id = iam.add_group("dev")
    role_id = iam.add_role("web")["role_id"]
    iam.add_user("bounded")
    arn = iam.add_policy("Reads")
    iam.do("AttachUserPolicy", user_name="ann", policy_arn=arn)
    iam.do("AttachGroupPolicy", group_name="dev", policy_arn=arn)
    iam.do("AttachRolePolicy", role_name="web", policy_arn=arn)
    iam.do("PutUserPermissionsBoundary", user_name="bounded", permissions_boundary=arn)
    iam.do("PutUserPermissionsBoundary", user_name="ann", permissions_boundary=arn)

    def ask(**members: Any) -> list[list[str]]:
        answer = iam.do("ListEntitiesForPolicy", policy_arn=arn, **members)
        kinds = ("group", "role", "user")
        return [[each[f"{kind}_name"] for each in answer[f"policy_{kind}s"]] for kind in kinds]

    assert ask() == [["dev"], ["web"], ["ann", "bounded"]]
    assert ask(policy_usage_filter="PermissionsPolicy") == [["dev"], ["web"], ["ann"]]
    assert ask(policy_usage_filter="PermissionsBoundary") == [[], [], ["ann", "bounded"]]
    assert ask(entity_filter="Role") == [[], ["web"], []]
    assert ask(entity_filter="LocalManagedPolicy") == [[], [], []]
    assert ask(path_prefix="/x/") == [[], [], ["ann"]]
    whole = iam.do("ListEntitiesForPolicy", policy_arn=arn)
    assert whole["policy_groups"] == [{"group_name": "dev", "group_id": group_id}]
    assert whole["policy_roles"] == [{"role_name": "web", "role_id": role_id}]
    assert whole["policy_users"][0] == {"user_name": "ann", "user_id": user_id}
    first = iam.do("ListEntitiesForPolicy", policy_arn=arn, max_items=3)
    assert (first["is_truncated"], len(first["policy_users"])) == (True, 1)
    rest = iam.do("ListEntitiesForPolicy", policy_arn=arn, marker=first["marker"])
    assert [each["user_name"] for each in rest["policy_users"]] == ["bounded"]
    assert (rest["policy_groups"], rest["policy_roles"]) == ([], [])
    assert iam.do("GetPolicy", policy_arn=arn)["policy"]["attachment_count"] == 3
    assert iam.do("GetPolicy", policy_arn=arn)["policy"]["permissions_boundary_usage_count"] == 2


def test_many_who_have_a_policy_are_joined_at_once(
    iam: Entities, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = iam.do("CreatePolicy", policy_name="p", policy_document=allow())["policy"]["arn"]

    def ask(count: int) -> None:
        owners = [PolicyOwner("user", f"{n}", HOME, f"u{n}", "/") for n in range(count)]
        monkeypatch.setattr(attached_policies, "list_holders", lambda *_: owners)
        monkeypatch.setattr(attached_policies, "list_bounded", lambda *_: owners)
        assert len(iam.do("ListEntitiesForPolicy", policy_arn=arn)["policy_users"]) == 100

    assert measure_growth(ask, 600) < LINEAR


def test_nobody_changes_a_policy_of_aws(iam: Entities) -> None:
    own = {"policy_arn": DENY_ALL}
    for verb, members in (
        ("DeletePolicy", {}),
        ("CreatePolicyVersion", {"policy_document": allow()}),
        ("SetDefaultPolicyVersion", {"version_id": "v1"}),
        ("DeletePolicyVersion", {"version_id": "v1"}),
        ("TagPolicy", {"tags": [{"key": "a", "value": "b"}]}),
        ("UntagPolicy", {"tag_keys": ["a"]}),
    ):
        assert iam.refused(verb, **own, **members)[0] == "AccessDenied"
    assert iam.do("ListPolicyTags", **own)["tags"] == []
    (version,) = iam.do("ListPolicyVersions", **own)["versions"]
    assert version["version_id"] == iam.do("GetPolicy", **own)["policy"]["default_version_id"]
    told = iam.do("GetPolicyVersion", **own, version_id="v1")["policy_version"]
    assert '"Deny"' in told["document"]


def test_a_policy_of_another_account_is_not_found(iam: Entities) -> None:
    members = {"policy_name": "Theirs", "policy_document": allow()}
    arn = iam.do("CreatePolicy", OTHER_ROOT, **members)["policy"]["arn"]
    iam.add_user("ann")
    for verb in ("GetPolicy", "DeletePolicy", "ListPolicyVersions", "ListEntitiesForPolicy"):
        assert iam.refused(verb, policy_arn=arn)[0] == "NoSuchEntity"
    attach = {"user_name": "ann", "policy_arn": arn}
    assert iam.refused("AttachUserPolicy", **attach)[0] == "NoSuchEntity"


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        ("arn", "ValidationError"),
        ("x" * 2049, "ValidationError"),
        ("x" * 30, "InvalidInput"),
        (f"arn:aws:iam::{HOME}:role/web-of-somebody", "InvalidInput"),
        (f"arn:aws:iam::{HOME}:policy/none", "NoSuchEntity"),
    ],
)
def test_an_odd_arn_is_refused(iam: Entities, arn: str, code: str) -> None:
    iam.add_user("ann")
    assert iam.refused("GetPolicy", policy_arn=arn)[0] == code
    for verb in ("AttachUserPolicy", "DetachUserPolicy"):
        assert iam.refused(verb, user_name="ann", policy_arn=arn)[0] == code
