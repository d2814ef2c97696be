"""Policies are asked before anything else: which action, on which resource, under which
conditions."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from eucabox.ec2.needed_permissions import Ec2Request
from eucabox.errors import (
    AccessDenied,
    DryRunOperation,
    Fault,
    GroupNotFound,
    InstanceNotFound,
    InvalidAuthorizationMessage,
    InvalidParameterValue,
    SessionRefused,
    SessionWithoutMfa,
    UnauthorizedOperation,
    UnsupportedParameter,
)
from eucabox.iam.caller import Caller, Session
from eucabox.iam.needed_permission import NeededValues
from eucabox.iam.policy import AuthorizationRequest
from eucabox.iam.policy.decision import decide
from tests.actions.people import People, document, statement
from tests.actions.stand_ins import ADMIN, ALICE, BOB

HOME = ALICE.account_id
EC2 = f"arn:aws:ec2:eucabox:{HOME}:"
GONE = "i-" + "0" * 17


def refused(people: People, key: str, caller: Caller, /, **params: Any) -> str:
    """Return the sentence of a refusal, without what is sealed."""
    with pytest.raises((UnauthorizedOperation, AccessDenied)) as fault:
        people.do(key, caller, **params)
    return re.sub(r"(failure message: ).+", r"\1...", fault.value.message)


def may(people: People, key: str, caller: Caller, /, **params: Any) -> bool:
    """True unless policies refuse; what the verb itself says does not matter."""
    try:
        people.do(key, caller, **params)
    except (UnauthorizedOperation, AccessDenied):
        return False
    except Fault:
        pass
    return True


def launch(people: People, **params: Any) -> str:
    """An instance of Alice's."""
    return str(people.world.run(ALICE, **params)["instances"][0]["instance_id"])


def test_a_user_may_what_its_policy_allows_and_ec2_refuses_the_rest(people: People) -> None:
    eve = people.user("eve", statement("ec2:Describe*"))
    assert people.do("ec2:DescribeInstances", eve)["reservations"] == []
    assert refused(people, "ec2:MonitorInstances", eve, instance_ids=[GONE]) == (
        "You are not authorized to perform this operation."
        f" User: arn:aws:iam::{HOME}:user/eve is not authorized to perform: ec2:MonitorInstances"
        f" on resource: {EC2}instance/{GONE} because no identity-based policy allows the"
        " ec2:MonitorInstances action. Encoded authorization failure message: ..."
    )
    people.allow(eve.user_id, statement("ec2:*"), statement("ec2:MonitorInstances", Effect="Deny"))
    assert "with an explicit deny in an identity-based policy: own" in refused(
        people, "ec2:MonitorInstances", eve, instance_ids=[GONE]
    )


def test_iam_refuses_in_its_own_words(people: People) -> None:
    eve = people.user("eve")
    assert refused(people, "iam:SimulateCustomPolicy", eve) == (
        f"User: arn:aws:iam::{HOME}:user/eve is not authorized to perform:"
        " iam:SimulateCustomPolicy because no identity-based policy allows the"
        " iam:SimulateCustomPolicy action"
    )


def test_roots_and_the_administrator_need_no_policy(people: People) -> None:
    instance_id = launch(people)
    assert people.do("ec2:MonitorInstances", ADMIN, instance_ids=[instance_id])
    assert people.do("ec2:DescribeInstances", ALICE)["reservations"]


def test_who_may_comes_before_members_and_before_a_dry_run(people: People) -> None:
    eve = people.user("eve")
    refused(people, "ec2:MonitorInstances", eve, no_such_member=1)
    refused(people, "ec2:MonitorInstances", eve, instance_ids=5)
    refused(people, "ec2:MonitorInstances", eve, instance_ids=[launch(people)], dry_run=True)
    people.allow(eve.user_id, statement("ec2:*"))
    with pytest.raises(UnsupportedParameter):
        people.do("ec2:MonitorInstances", eve, no_such_member=1)
    with pytest.raises(DryRunOperation):
        people.do("ec2:DescribeInstances", eve, dry_run=True)


def test_a_refusal_does_not_tell_what_exists(people: People) -> None:
    eve = people.user("eve", statement("ec2:MonitorInstances", f"{EC2}instance/i-1"))
    there, group = launch(people), people.do("ec2:CreateSecurityGroup", ALICE, group_name="web",
                                             description="x")["group_id"]  # fmt: skip
    key = people.do("ec2:CreateKeyPair", ALICE, key_name="dev", key_type="ed25519")

    def shape(key: str, name: str, **params: Any) -> str:
        return refused(people, key, eve, **params).replace(name, "NAME")

    for verb, member, exists, missing in (
        ("MonitorInstances", "instance_id", there, GONE),
        ("DeleteSecurityGroup", "group_name", "web", "none"),
        ("DeleteSecurityGroup", "group_id", group, "sg-" + "0" * 17),
        ("DeleteKeyPair", "key_name", "dev", "none"),
        ("DeleteKeyPair", "key_pair_id", key["key_pair_id"], "key-" + "0" * 17),
    ):
        told = [shape(f"ec2:{verb}", name, **{member: name}) for name in (exists, missing)]
        assert told[0] == told[1]
        assert "dev" not in told[0]


def test_each_of_several_resources_is_asked_for(people: People) -> None:
    first, second = launch(people), launch(people)
    eve = people.user("eve", statement("ec2:MonitorInstances", f"{EC2}instance/{first}"))
    assert people.do("ec2:MonitorInstances", eve, instance_ids=[first])
    assert second in refused(people, "ec2:MonitorInstances", eve, instance_ids=[first, second])
    rows = {row["instance_id"]: row for row in people.state.query("select * from instances")}
    assert [rows[each]["monitoring"] for each in (first, second)] == [1, 0]
    with pytest.raises(InvalidParameterValue, match="1000"):
        people.do("ec2:MonitorInstances", eve, instance_ids=[first] * 1001)


def test_a_group_is_the_same_by_name_and_by_id(people: People) -> None:
    group_id = people.do("ec2:CreateSecurityGroup", ALICE, group_name="web", description="x")
    group_id = group_id["group_id"]
    arn = f"{EC2}security-group/{group_id}"
    eve = people.user("eve", statement("ec2:*"), statement("ec2:*", arn, Effect="Deny"))
    for named in ({"group_name": "web"}, {"group_id": group_id}, {"group_name": group_id}):
        refused(people, "ec2:DeleteSecurityGroup", eve, **named)
        refused(people, "ec2:AuthorizeSecurityGroupIngress", eve, **named)
    with pytest.raises(GroupNotFound):
        people.do("ec2:DeleteSecurityGroup", eve, group_name="other")


def test_a_key_pair_is_the_same_by_name_and_by_id(people: People) -> None:
    made = people.do("ec2:CreateKeyPair", ALICE, key_name="prod", key_type="ed25519")
    denial = statement("ec2:*", f"{EC2}key-pair/prod", Effect="Deny")
    eve = people.user("eve", statement("ec2:*"), denial)
    refused(people, "ec2:DeleteKeyPair", eve, key_name="prod")
    refused(people, "ec2:DeleteKeyPair", eve, key_pair_id=made["key_pair_id"])
    refused(people, "ec2:DeleteKeyPair", eve, key_name="dev", key_pair_id=made["key_pair_id"])
    assert people.do("ec2:DescribeKeyPairs", ALICE)["key_pairs"]


def test_the_groups_of_an_instance_are_asked_for_in_each_form(people: People) -> None:
    instance_id = launch(people)
    groups = [
        people.do("ec2:CreateSecurityGroup", ALICE, group_name=name, description="x")["group_id"]
        for name in ("own", "open")
    ]
    allowed = [f"{EC2}instance/*", f"{EC2}security-group/{groups[0]}"]
    eve = people.user("eve", statement("ec2:ModifyInstanceAttribute", allowed))
    verb, there = "ec2:ModifyInstanceAttribute", {"instance_id": instance_id}
    assert people.do(verb, eve, **there, groups=[groups[0]])
    refused(people, verb, eve, **there, groups=groups)
    refused(people, verb, eve, **there, attribute="groupSet", value=groups[1])
    assert people.do(verb, eve, **there, disable_api_stop={"value": True})


# --- launches -----------------------------------------------------------------------------------

ASKED_FOR = ("image", "instance", "network-interface", "subnet", "security-group", "key-pair")


@pytest.mark.parametrize("missing", ["", *ASKED_FOR])
def test_a_launch_asks_for_each_kind_of_resource(people: People, missing: str) -> None:
    people.do("ec2:CreateKeyPair", ALICE, key_name="dev", key_type="ed25519")
    where = {kind: f"{EC2}{kind}/*" for kind in ASKED_FOR} | {
        "image": "arn:aws:ec2:eucabox::image/*"
    }
    resources = [arn for kind, arn in where.items() if kind != missing]
    eve = people.user("eve", statement("ec2:RunInstances", resources))
    request = {"image_id": people.world.image(), "min_count": 1, "max_count": 1,
               "instance_type": "m1.tiny", "key_name": "dev"}  # fmt: skip
    if missing:
        assert missing in refused(people, "ec2:RunInstances", eve, **request)
    else:
        assert people.do("ec2:RunInstances", eve, **request)["instances"]


def test_a_launch_may_be_held_to_a_type_an_image_and_a_group(people: People) -> None:
    image, other = people.world.image(), people.world.image()
    other_group = people.do("ec2:CreateSecurityGroup", ALICE, group_name="g", description="x")
    eve = people.user(
        "eve",
        statement("ec2:RunInstances"),
        statement(
            "ec2:RunInstances",
            f"{EC2}instance/*",
            Effect="Deny",
            Condition={"StringNotEquals": {"ec2:InstanceType": "m1.tiny"}},
        ),
        statement("ec2:RunInstances", f"arn:aws:ec2:eucabox::image/{other}", Effect="Deny"),
        statement(
            "ec2:RunInstances",
            f"{EC2}security-group/*",
            Effect="Deny",
            Condition={"StringEquals": {"ec2:SecurityGroupID": other_group["group_id"]}},
        ),
    )
    request = {"image_id": image, "min_count": 1, "max_count": 1, "instance_type": "m1.tiny"}
    assert people.do("ec2:RunInstances", eve, **request)
    refused(people, "ec2:RunInstances", eve, **{**request, "instance_type": "m1.small"})
    del request["instance_type"]
    refused(people, "ec2:RunInstances", eve, **request)
    request["instance_type"] = "m1.tiny"
    refused(people, "ec2:RunInstances", eve, **{**request, "image_id": other})
    refused(people, "ec2:RunInstances", eve, **{**request, "security_groups": ["g"]})
    interface = {"device_index": 0, "groups": [other_group["group_id"]]}
    refused(people, "ec2:RunInstances", eve, **{**request, "network_interfaces": [interface]})


def test_tags_at_a_launch_need_create_tags_and_can_be_demanded(people: People) -> None:
    condition = {
        "StringEquals": {"aws:RequestTag/team": "${aws:username}"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]},
    }
    others = [f"{EC2}{kind}/*" for kind in ASKED_FOR if kind != "instance"]
    eve = people.user(
        "eve",
        statement("ec2:RunInstances", [*others, "arn:aws:ec2:*::image/*"]),
        statement("ec2:RunInstances", f"{EC2}instance/*", Condition=condition),
    )
    spec = {"resource_type": "instance", "tags": [{"key": "team", "value": "eve"}]}
    request = {"image_id": people.world.image(), "min_count": 1, "max_count": 1,
               "instance_type": "m1.tiny"}  # fmt: skip
    refused(people, "ec2:RunInstances", eve, **request)
    assert "ec2:CreateTags" in refused(
        people, "ec2:RunInstances", eve, **request, tag_specifications=[spec]
    )
    at_launch = {"StringEquals": {"ec2:CreateAction": "RunInstances"}}
    people.allow(eve.user_id, statement("ec2:CreateTags", Condition=at_launch), name="tags")
    made = people.do("ec2:RunInstances", eve, **request, tag_specifications=[spec])
    instance_id = made["instances"][0]["instance_id"]
    tag = {"key": "team", "value": "bob"}
    refused(people, "ec2:CreateTags", eve, resources=[instance_id], tags=[tag])
    spec = {"resource_type": "instance", "tags": [{"key": "team", "value": "eve"}, {"key": "x"}]}
    refused(people, "ec2:RunInstances", eve, **request, tag_specifications=[spec])


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}},
        {"StringEquals": {"ec2:InstanceType": "m1.tiny"}},
        {"StringNotEquals": {"aws:ResourceTag/a": "b"}},
        {"StringNotEquals": {"aws:UserAgent": "${aws:PrincipalTag/a, 'x'}"}},
    ],
)
def test_what_is_allowed_everywhere_is_decided_as_for_each_resource(
    people: People, condition: dict[str, Any]
) -> None:
    eve = people.user("eve", statement("ec2:RunInstances", Condition=condition))
    call = people.call(eve)
    policies = call.find_policies()
    call.params = {"instance_type": "m1.small", "image_id": "emi-1"}
    request = Ec2Request("RunInstances", call.params, people.state, HOME, "eucabox")
    asked = [
        AuthorizationRequest(
            each.action, each.resource, eve, NeededValues(each, eve, {}, call.context)
        )
        for each in request.list_needed()
    ]
    assert len(asked) == 5
    everywhere = policies.permit_everywhere(asked[0])
    assert all(map(policies.permit, asked)) or not everywhere
    assert everywhere == (condition == {} or "IpAddress" in condition)
    for each in asked:
        assert policies.permit(each) == decide(each, policies.applicable).allowed
    people.allow(eve.user_id, statement("ec2:*", f"{EC2}instance/{GONE}", Effect="Deny"), name="d")
    assert not people.call(eve).find_policies().permit_everywhere(asked[0])


# --- tags ---------------------------------------------------------------------------------------


def test_stored_tags_decide_who_may_stop_an_instance(people: People) -> None:
    own, other = launch(people), launch(people)
    tags = [{"key": "owner", "value": "eve"}]
    people.do("ec2:CreateTags", ALICE, resources=[own], tags=tags)
    condition = {"StringEquals": {"aws:ResourceTag/owner": "${aws:username}"}}
    eve = people.user("eve", statement("ec2:*Instances", Condition=condition))
    assert people.do("ec2:MonitorInstances", eve, instance_ids=[own])
    refused(people, "ec2:MonitorInstances", eve, instance_ids=[other])
    refused(people, "ec2:MonitorInstances", eve, instance_ids=[own, other])
    refused(people, "ec2:DescribeInstances", eve)  # it acts on `*`, which has no tags
    refused(people, "ec2:CreateTags", eve, resources=[other], tags=tags)


def test_tags_of_another_account_decide_nothing(people: People) -> None:
    foreign = str(people.world.run(BOB)["instances"][0]["instance_id"])
    tags = [{"key": "owner", "value": "eve"}]
    people.do("ec2:CreateTags", BOB, resources=[foreign], tags=tags)
    condition = {"StringEquals": {"aws:ResourceTag/owner": "eve"}}
    eve = people.user("eve", statement("ec2:*", Condition=condition))
    refused(people, "ec2:MonitorInstances", eve, instance_ids=[foreign])
    people.allow(eve.user_id, statement("ec2:*"))
    with pytest.raises(InstanceNotFound):
        people.do("ec2:CreateTags", eve, resources=[foreign], tags=tags)


def test_all_tags_are_named_where_a_request_removes_all(people: People) -> None:
    own = launch(people)
    tags = [{"key": "team", "value": "a"}, {"key": "cost", "value": "b"}]
    people.do("ec2:CreateTags", ALICE, resources=[own], tags=tags)
    condition = {"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}
    eve = people.user("eve", statement("ec2:DeleteTags", Condition=condition))
    refused(people, "ec2:DeleteTags", eve, resources=[own])
    assert people.do("ec2:DeleteTags", eve, resources=[own], tags=[{"key": "team"}])


# --- words --------------------------------------------------------------------------------------


def test_an_action_has_no_case(people: People) -> None:
    eve = people.user("eve", statement("EC2:describeINSTANCES"))
    assert may(people, "ec2:DescribeInstances", eve)
    people.allow(eve.user_id, statement("*"), statement("ec2:monitorinstances", Effect="Deny"))
    assert not may(people, "ec2:MonitorInstances", eve, instance_ids=[GONE])


def test_a_variable_without_a_value_widens_nothing(people: People) -> None:
    own = launch(people)
    arn = f"{EC2}instance/${{aws:PrincipalTag/box}}"
    eve = people.user("eve", statement("ec2:MonitorInstances", arn))
    assert not may(people, "ec2:MonitorInstances", eve, instance_ids=[own])
    people.allow(
        eve.user_id,
        {"Effect": "Allow", "Action": "ec2:MonitorInstances", "NotResource": arn},
    )
    assert not may(people, "ec2:MonitorInstances", eve, instance_ids=[own])
    people.allow(eve.user_id, statement("ec2:MonitorInstances", arn))
    people.state.insert("iam_tags", {"resource_id": eve.user_id, "key": "box", "value": own})
    assert may(people, "ec2:MonitorInstances", eve, instance_ids=[own])


def test_wildcards_in_a_name_are_the_name(people: People) -> None:
    dev = statement("ec2:*KeyPair", f"{EC2}key-pair/dev-?")
    eve = people.user("eve", dev)
    assert may(people, "ec2:CreateKeyPair", eve, key_name="dev-1", key_type="ed25519")
    for name in ("*", "dev*", "dev-*?", "d", f"x {EC2}key-pair/dev-1", "${dev-1}"):
        assert not may(people, "ec2:CreateKeyPair", eve, key_name=name, key_type="ed25519")


def test_what_is_not_denied_is_not_allowed_for_that(people: People) -> None:
    but = {"Effect": "Deny", "NotAction": "ec2:Describe*", "Resource": "*"}
    eve = people.user("eve", but)
    assert not may(people, "ec2:DescribeInstances", eve)
    people.allow(eve.user_id, but, statement("*"))
    assert may(people, "ec2:DescribeInstances", eve)
    assert not may(people, "ec2:CreateSecurityGroup", eve, group_name="a", description="b")


# --- groups, boundaries, sessions ---------------------------------------------------------------


def test_a_group_gives_its_policies_and_takes_them_along(people: People) -> None:
    eve = people.user("eve")
    group = {"group_id": "AGPA1", "account_id": HOME, "group_name": "g", "created": ""}
    people.state.insert("groups", group)
    people.allow("AGPA1", statement("ec2:DescribeInstances"))
    assert not may(people, "ec2:DescribeInstances", eve)
    member = {"group_id": "AGPA1", "user_id": eve.user_id}
    people.state.insert("group_members", member)
    assert may(people, "ec2:DescribeInstances", eve)
    people.state.delete("group_members", member)
    assert not may(people, "ec2:DescribeInstances", eve)


def test_a_managed_policy_counts_in_its_default_version(people: People) -> None:
    eve = people.user("eve")
    arn = add_policy(people, "reader", statement("ec2:DescribeInstances"))
    people.state.insert("attached_policies", {"owner_id": eve.user_id, "policy_arn": arn})
    assert may(people, "ec2:DescribeInstances", eve)
    people.state.insert("attached_policies", {"owner_id": eve.user_id, "policy_arn":
                        "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"})  # fmt: skip
    assert may(people, "ec2:DescribeImages", eve)
    assert not may(people, "ec2:MonitorInstances", eve, instance_ids=[GONE])


def test_a_boundary_limits_and_one_that_is_gone_allows_nothing(people: People) -> None:
    arn = add_policy(people, "fence", statement("ec2:DescribeInstances"))
    eve = people.user("eve", statement("*"), permissions_boundary=arn)
    assert may(people, "ec2:DescribeInstances", eve)
    assert "no permissions boundary allows" in refused(people, "ec2:DescribeImages", eve)
    people.state.delete("policies", {"policy_name": "fence"})
    assert not may(people, "ec2:DescribeInstances", eve)


def test_a_role_has_its_own_policies_and_a_session_less(people: People) -> None:
    job = people.session("Job", statement("ec2:Describe*"))
    assert may(people, "ec2:DescribeInstances", job)
    told = refused(people, "ec2:MonitorInstances", job, instance_ids=[GONE])
    assert f"User: arn:aws:sts::{HOME}:assumed-role/Job/job is not authorized" in told
    session = job.session
    assert session is not None
    only = (document(statement("ec2:DescribeImages")),)
    narrow = replace(job, session=replace(session, access_key_id="ASIA2", policies=only))
    assert may(people, "ec2:DescribeImages", narrow)
    assert "no session policy allows" in refused(people, "ec2:DescribeInstances", narrow)
    shut = replace(job, session=replace(session, access_key_id="ASIA3", policies=()))
    assert not may(people, "ec2:DescribeImages", shut)


def test_the_tags_of_a_session_are_its_principals(people: People) -> None:
    own = launch(people)
    people.do("ec2:CreateTags", ALICE, resources=[own], tags=[{"key": "team", "value": "a"}])
    same = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    job = people.session(
        "Job", statement("ec2:MonitorInstances", Condition=same), tags={"team": "a"}
    )
    assert may(people, "ec2:MonitorInstances", job, instance_ids=[own])
    other = people.session("Other", statement("ec2:MonitorInstances", Condition=same))
    assert not may(people, "ec2:MonitorInstances", other, instance_ids=[own])


def test_a_session_of_a_user_reaches_neither_iam_nor_sts(people: People) -> None:
    session = Session("ASIAEVE", "", "2100-01-01T00:00:00Z")
    eve = people.user("eve", statement("*"))
    for who in (replace(eve, session=session), replace(ALICE, session=session)):
        assert may(people, "ec2:DescribeInstances", who)
        assert people.do("sts:GetCallerIdentity", who)["account"] == HOME
        with pytest.raises(SessionWithoutMfa):
            people.do("iam:SimulateCustomPolicy", who)
        with pytest.raises(SessionRefused):
            people.do("sts:DecodeAuthorizationMessage", who, encoded_message="x")
    sure = replace(ALICE, session=replace(session, mfa=True))
    with pytest.raises(Fault) as missing:
        people.do("iam:SimulateCustomPolicy", sure)
    assert missing.value.code == "MissingParameter"


def test_a_change_of_a_policy_holds_at_once(people: People) -> None:
    eve = people.user("eve", statement("ec2:Describe*"))
    for _ in range(3):
        assert may(people, "ec2:DescribeInstances", eve)
        people.allow(eve.user_id, statement("ec2:DescribeImages"))
        assert not may(people, "ec2:DescribeInstances", eve)
        people.allow(eve.user_id, statement("ec2:Describe*"))


def test_conditions_on_the_request_hold(people: People) -> None:
    here = {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}
    eve = people.user("eve", statement("ec2:Describe*", Condition=here))
    assert may(people, "ec2:DescribeInstances", eve)
    for condition in (
        {"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}},
        {"Bool": {"aws:SecureTransport": "true"}},
        {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
        {"DateGreaterThan": {"aws:CurrentTime": "2100-01-01T00:00:00Z"}},
        {"StringEquals": {"ec2:Region": "elsewhere"}},
        {"StringEquals": {"aws:username": "ann"}},
    ):
        people.allow(eve.user_id, statement("ec2:Describe*", Condition=condition))
        assert not may(people, "ec2:DescribeInstances", eve), condition
    people.allow(
        eve.user_id,
        statement("ec2:Describe*", Condition={"StringEquals": {"ec2:Region": "eucabox"}}),
    )
    assert may(people, "ec2:DescribeInstances", eve)


# --- roles that are passed -----------------------------------------------------------------------


def test_who_gives_an_instance_a_role_must_be_allowed_to_pass_it(people: People) -> None:
    people.session("Job")
    profile = {"instance_profile_id": "AIPA1", "account_id": HOME, "role_id": "AROAJOB"}
    people.state.insert(
        "instance_profiles", {**profile, "instance_profile_name": "p", "created": ""}
    )
    eve = people.user("eve", statement("ec2:*"))
    request = {"image_id": people.world.image(), "min_count": 1, "max_count": 1,
               "instance_type": "m1.tiny"}  # fmt: skip
    by_name, by_arn = {"name": "p"}, {"arn": f"arn:aws:iam::{HOME}:instance-profile/p"}
    for named in (by_name, by_arn, {"name": "none"}):
        told = refused(people, "ec2:RunInstances", eve, **request, iam_instance_profile=named)
        assert f"iam:PassRole on resource: arn:aws:iam::{HOME}:role/* because" in told
    to_ec2 = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    role = f"arn:aws:iam::{HOME}:role/Job"
    people.allow(eve.user_id, statement("iam:PassRole", role, Condition=to_ec2), name="pass")
    for named in (by_name, by_arn):
        assert may(people, "ec2:RunInstances", eve, **request, iam_instance_profile=named)
    assert not may(people, "ec2:RunInstances", eve, **request, iam_instance_profile={"name": "q"})
    elsewhere = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    people.allow(eve.user_id, statement("iam:PassRole", role, Condition=elsewhere), name="pass")
    assert not may(people, "ec2:RunInstances", eve, **request, iam_instance_profile=by_name)


# --- what a refusal seals ------------------------------------------------------------------------


def test_only_the_account_and_only_who_may_decodes_a_refusal(people: People) -> None:
    eve = people.user("eve")
    with pytest.raises(UnauthorizedOperation) as fault:
        people.do("ec2:MonitorInstances", eve, instance_ids=[GONE])
    message = fault.value.message.rpartition(" ")[2]
    verb = "sts:DecodeAuthorizationMessage"
    decoded = json.loads(people.do(verb, ALICE, encoded_message=message)["decoded_message"])
    assert decoded["allowed"] is decoded["explicitDeny"] is False
    assert decoded["context"]["principal"]["arn"] == eve.arn
    assert decoded["context"]["action"] == "ec2:MonitorInstances"
    assert decoded["context"]["resource"] == f"{EC2}instance/{GONE}"
    refused(people, verb, eve, encoded_message=message)
    for sent in (message[:-4], message + "A", "x", "", "\N{SNOWMAN}", "A" * 20000):
        with pytest.raises(InvalidAuthorizationMessage):
            people.do(verb, ALICE, encoded_message=sent)
    with pytest.raises(InvalidAuthorizationMessage):
        people.do(verb, BOB, encoded_message=message)
    people.allow(eve.user_id, statement(verb))
    assert people.do(verb, eve, encoded_message=message)


def add_policy(people: People, name: str, *statements: Any) -> str:
    row = {"policy_id": f"ANPA{name}", "account_id": HOME, "policy_name": name}
    times = {"created": "", "updated": "", "default_version_id": "v1"}
    people.state.insert("policies", {**row, **times})
    version = {"policy_id": row["policy_id"], "version_id": "v1", "created": ""}
    people.state.insert("policy_versions", {**version, "document": document(*statements)})
    return f"arn:aws:iam::{HOME}:policy/{name}"
