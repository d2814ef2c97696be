"""Which policies apply to a user, a group and a role."""

import json
from typing import Any

import pytest

from eucabox import ids
from eucabox.iam.aws_policies import FILE, find_aws_document, find_aws_policy, list_aws_policies
from eucabox.iam.effective_policies import (
    read_group_policies,
    read_role_boundary,
    read_role_policies,
    read_user_boundary,
    read_user_policies,
)
from eucabox.iam.managed_policies import find_policy
from eucabox.iam.policy import compile_identity_policy, parse_identity_policy
from eucabox.iam.policy.statements import NOTHING
from eucabox.state import State

ACCOUNT, OTHER = "200000000002", "300000000003"
MINE = f"arn:aws:iam::{ACCOUNT}:policy/team/Mine"
S3_READS = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


@pytest.fixture
def people(state: State) -> State:
    moment = ids.now()
    own: dict[str, Any] = {"account_id": ACCOUNT, "created": moment}
    canonical = {"canonical_id": "b" * 64, "account_name": "alice"}
    state.insert("accounts", {**own, **canonical})
    state.insert("users", {**own, "user_id": "AIDAANN", "user_name": "ann"})
    state.insert("groups", {**own, "group_id": "AGPADEV", "group_name": "dev"})
    state.insert("group_members", {"group_id": "AGPADEV", "user_id": "AIDAANN"})
    state.insert("roles", {**own, "role_id": "AROAWEB", "role_name": "web", "trust_policy": "{}"})
    policy = {
        "policy_id": "ANPAMINE", "policy_name": "Mine", "path": "/team/", "updated": moment,
        "default_version_id": "v2",
    }  # fmt: skip
    state.insert("policies", {**own, **policy})
    for version in ("v1", "v2"):
        row = {"policy_id": "ANPAMINE", "version_id": version, "created": moment}
        state.insert("policy_versions", {**row, "document": f"mine {version}"})
    return state


def put(state: State, owner_id: str, name: str) -> None:
    row = {"owner_id": owner_id, "policy_name": name, "document": f"text {name}"}
    state.insert("inline_policies", row)


def attach(state: State, owner_id: str, arn: str) -> None:
    state.insert("attached_policies", {"owner_id": owner_id, "policy_arn": arn})


def test_a_user_has_the_policies_of_its_groups_too(people: State) -> None:
    put(people, "AIDAANN", "own")
    put(people, "AGPADEV", "common")
    put(people, "AROAWEB", "of-role")
    attach(people, "AIDAANN", MINE)
    attach(people, "AGPADEV", MINE)
    attach(people, "AGPADEV", S3_READS)
    s3 = (S3_READS, find_aws_document(S3_READS))
    assert read_user_policies(people, "AIDAANN") == [
        ("own", "text own"), ("common", "text common"), (MINE, "mine v2"), s3,
    ]  # fmt: skip
    assert read_group_policies(people, "AGPADEV") == [
        ("common", "text common"), (MINE, "mine v2"), s3,
    ]  # fmt: skip
    assert read_role_policies(people, "AROAWEB") == [("of-role", "text of-role")]
    assert read_user_policies(people, "AIDANOBODY") == []


def test_who_leaves_a_group_leaves_its_policies(people: State) -> None:
    put(people, "AGPADEV", "common")
    people.delete("group_members", {"user_id": "AIDAANN"})
    assert read_user_policies(people, "AIDAANN") == []


def test_boundaries_are_read_with_their_arn(people: State) -> None:
    assert read_user_boundary(people, "AIDAANN") is None
    assert read_role_boundary(people, "AROAWEB") is None
    people.update("users", {"user_id": "AIDAANN"}, permissions_boundary=MINE)
    people.update("roles", {"role_id": "AROAWEB"}, permissions_boundary=S3_READS)
    assert read_user_boundary(people, "AIDAANN") == (MINE, "mine v2")
    assert read_role_boundary(people, "AROAWEB") == (S3_READS, find_aws_document(S3_READS))


def test_a_policy_that_is_gone_denies_everything(people: State) -> None:
    attach(people, "AROAWEB", f"arn:aws:iam::{ACCOUNT}:policy/Gone")
    ((_, text),) = read_role_policies(people, "AROAWEB")
    assert compile_identity_policy(text) is NOTHING


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:iam::{ACCOUNT}:policy/Mine",
        f"arn:aws:iam::{ACCOUNT}:policy/team/mine",
        f"arn:aws:iam::{OTHER}:policy/team/Mine",
        f"arn:aws:iam::{ACCOUNT}:policy/team/*",
        "arn:aws:iam::aws:policy/Nothing",
        "arn:aws:iam::aws:policy/administratoraccess",
        "",
    ],
)
def test_a_policy_is_found_by_its_exact_arn_alone(people: State, arn: str) -> None:
    assert find_policy(people, ACCOUNT, arn) is None


def test_an_account_uses_its_own_policies_and_those_of_aws(people: State) -> None:
    policy = find_policy(people, ACCOUNT, MINE)
    assert policy is not None
    assert (policy.arn, policy.policy_id, policy.is_of_aws) == (MINE, "ANPAMINE", False)
    assert find_policy(people, OTHER, MINE) is None
    assert find_policy(people, OTHER, S3_READS) == find_aws_policy(S3_READS)


def test_each_policy_of_aws_is_a_good_document_with_an_id_of_its_own() -> None:
    policies = list_aws_policies()
    assert len(json.loads(FILE.read_text())) == len(policies) >= 10
    assert len({each.policy_id for each in policies}) == len(policies)
    for each in policies:
        assert each.is_of_aws
        parse_identity_policy(find_aws_document(each.arn) or "", managed=True)
