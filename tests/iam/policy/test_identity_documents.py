"""Documents of IAM: what they may hold, in whose words they are refused, what they mean."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucabox.errors import MalformedPolicyDocument
from eucabox.iam.policy import (
    AuthorizationRequest,
    compile_identity_policy,
    compile_policy,
    compile_trust_policy,
    parse_identity_policy,
    parse_trust_policy,
)
from eucabox.iam.policy.identity_documents import parse_resource_policy
from eucabox.iam.policy.positions import locate_statements
from tests.iam.policy.test_decision import ANN, OBJECT

ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def write(*, version: str = "2012-10-17", **members: Any) -> str:
    statement = {name: each for name, each in {**ALLOW, **members}.items() if each is not None}
    return json.dumps({"Version": version, "Statement": statement})


def allows(text: str, action: str = "s3:GetObject", resource: str = OBJECT, **values: str) -> bool:
    return verdict(text, action, resource, **values) == "Allow"


def verdict(text: str, action: str, resource: str, **values: str) -> str:
    known = {name.replace("__", ":"): (value,) for name, value in values.items()}
    request = AuthorizationRequest(action, resource, ANN, known.get)
    return parse_identity_policy(text).evaluate(request)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"Principal": "*"}, "Policy document should not specify a principal."),
        ({"NotPrincipal": {"AWS": "*"}}, "Policy document should not specify a principal."),
        ({"Action": None}, "Policy statement must contain actions."),
        ({"Action": []}, "Policy statement must contain actions."),
        ({"Resource": None}, "Policy statement must contain resources."),
        ({"Resource": []}, "Policy statement must contain resources."),
        (
            {"Action": "GetObject"},
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (
            {"Action": ""},
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        ({"Action": "s3:List:Bucket"}, "Actions/Condition can contain only one colon."),
        ({"Action": [[]]}, "Syntax errors in policy. The Action of a statement is text"),
        ({"Resource": {}}, "Syntax errors in policy. The Resource of a statement is text"),
        ({"Resource": ""}, 'Resource  must be in ARN format or "*".'),
        (
            {"Resource": "a:b:c"},
            'Partition "b" is not valid for resource "arn:b:c:*:*:*".',
        ),
        (
            {"Resource": "arn:aws"},
            "Resource vendor must be fully qualified and cannot contain regexes.",
        ),
        (
            {"Resource": "arn:aws:s*:::x"},
            "Resource vendor must be fully qualified and cannot contain regexes.",
        ),
        ({"Resource": "arn:aws::::x"}, "The policy failed legacy parsing. The ARN arn:aws::::x"),
        ({"Resource": "arn:aws:s3::x"}, "The policy failed legacy parsing. The ARN arn:aws:s3::x"),
        (
            {"Condition": {"DateLessThan": {"aws:CurrentTime": "soon"}}},
            "The policy failed legacy parsing. The condition DateLessThan on aws:CurrentTime",
        ),
        ({"Action": "s3!:GetObject"}, "Vendor s3! is not valid"),
        ({"Resource": "photos"}, 'Resource photos must be in ARN format or "*".'),
        (
            {"Resource": "arn:bws:s3:::photos"},
            'Partition "bws" is not valid for resource "arn:bws:s3:::photos".',
        ),
        (
            {"Resource": "arn:aws:s3:eu::photos"},
            "Resource arn:aws:s3:eu::photos can not contain region information.",
        ),
        (
            {"Resource": "arn:aws:iam:eu:1:user/ann"},
            "IAM resource arn:aws:iam:eu:1:user/ann cannot contain region information.",
        ),
        ({"Resource": "arn:aws:iam::1:usr/ann"}, 'IAM resource path must either be "*" or start'),
        (
            {"Sid": "a b"},
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the"
            " regular expression [0-9A-Za-z]*",
        ),
        ({"Effect": "allow"}, "The policy failed legacy parsing. Invalid effect: allow."),
        ({"Effect": "Permit"}, "Syntax errors in policy. Invalid effect: Permit."),
        ({"Extra": 1}, "Syntax errors in policy. Unknown field Extra"),
        ({"Condition": {"StringIs": {"aws:username": "a"}}}, "Syntax errors in policy. Invalid"),
    ],
)
def test_a_bad_document_is_refused_in_the_words_of_iam(
    members: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(MalformedPolicyDocument) as caught:
        parse_identity_policy(write(**members))
    assert caught.value.message.startswith(sentence)


def test_two_statements_have_no_sid_in_common() -> None:
    text = json.dumps({"Statement": [{**ALLOW, "Sid": "One"}, {**ALLOW, "Sid": "One"}]})
    with pytest.raises(MalformedPolicyDocument, match=r"Statement IDs \(SID\) in a single policy"):
        parse_identity_policy(text)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"Statement": 3}', '{"Statement": []}', "{}"])
def test_what_is_no_document_is_a_syntax_error(text: str) -> None:
    with pytest.raises(MalformedPolicyDocument, match=r"^Syntax errors in policy\."):
        parse_identity_policy(text)


@pytest.mark.parametrize("version", ["2008-10-17", None])
def test_a_managed_policy_is_of_the_newer_version(version: str | None) -> None:
    older = json.dumps({"Statement": ALLOW, **({"Version": version} if version else {})})
    assert parse_identity_policy(older)
    with pytest.raises(MalformedPolicyDocument, match=r"must be version 2012-10-17 or greater\."):
        parse_identity_policy(older, managed=True)
    assert parse_identity_policy(write(), managed=True)


@pytest.mark.parametrize(
    ("condition", "allow", "deny"),
    [
        ({"StringEquals": {}}, True, True),
        ({"NoSuchOperator": {}}, True, True),
        ({"StringEquals": {"aws:username": []}}, False, False),
        ({"StringNotEquals": {"aws:username": []}}, False, True),
        ({"StringEquals": {"username": "ann"}}, False, False),
    ],
)
def test_an_empty_condition_makes_no_allow_wider(
    condition: dict[str, Any], allow: bool, deny: bool
) -> None:
    assert allows(write(Condition=condition), aws__username="ann") == allow
    text = write(Effect="Deny", Condition=condition)
    denied = verdict(text, "s3:GetObject", OBJECT, aws__username="ann") == "Deny"
    assert denied == deny


def test_words_of_other_services_are_taken_and_match_nothing_else() -> None:
    """AWS's own managed policies name services that this cloud does not have."""
    text = write(Action=["dynamodb:*", "ec2:NoSuchAction"], Condition={"Bool": {"kms:x": "true"}})
    assert not allows(text)
    assert allows(write(Action=None, NotAction=["iam:*", "organizations:*"]))


@pytest.mark.parametrize(
    ("pattern", "resource", "fits"),
    [
        ("arn:aws:ec2", "arn:aws:ec2:eu:1:instance/i-1", True),
        ("arn:aws:ec2:eu", "arn:aws:ec2:eu:1:instance/i-1", True),
        ("arn:aws:ec2:us", "arn:aws:ec2:eu:1:instance/i-1", False),
        ("arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:eu:1:instance/i-1", True),
        ("arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:eu::image/ami-1", False),
        ("arn:aws:ec2:*:*:instance/*", "*", False),
        ("arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::1:user/ann", True),
    ],
)
def test_resources_are_named_by_arns_that_may_end_early(
    pattern: str, resource: str, fits: bool
) -> None:
    text = write(Action="*", Resource=pattern)
    assert allows(text, "ec2:StartInstances", resource, aws__username="ann") == fits


MISSING = "${aws:PrincipalTag/team}"


@pytest.mark.parametrize(
    "members",
    [
        {"Resource": None, "NotResource": f"arn:aws:s3:::photos/{MISSING}/*"},
        {"Resource": None, "NotResource": ["arn:aws:s3:::x", f"arn:aws:s3:::photos/{MISSING}/*"]},
        {"Resource": f"arn:aws:s3:::photos/{MISSING}*"},
        {"Condition": {"StringNotEquals": {"aws:username": MISSING}}},
        {"Condition": {"StringNotLike": {"aws:username": ["x", f"{MISSING}*"]}}},
        {"Condition": {"StringNotEqualsIgnoreCase": {"aws:username": MISSING}}},
        {"Condition": {"StringNotEqualsIfExists": {"s3:prefix": MISSING}}},
        {"Condition": {"ForAllValues:StringNotEquals": {"aws:username": MISSING}}},
        {"Condition": {"ForAllValues:StringNotEquals": {"aws:TagKeys": MISSING}}},
        {"Condition": {"ForAnyValue:StringNotEquals": {"aws:username": MISSING}}},
        {"Condition": {"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::1:user/{MISSING}"}}},
        {"Condition": {"StringEquals": {"aws:username": MISSING}}},
    ],
)
def test_a_variable_without_a_value_makes_no_allow_wider(members: dict[str, Any]) -> None:
    text = write(**members)
    mine = {"aws__username": "ann", "aws__principalarn": "arn:aws:iam::1:user/ann"}
    assert not allows(text, **mine)
    if "Resource" not in members or members["Resource"] is None:
        positive = "Equals" in text and "Not" not in text
        assert allows(text, **mine, **{"aws__principaltag/team": "red"}) != positive


def test_a_denial_of_others_still_denies_where_a_variable_has_no_value() -> None:
    others = write(Effect="Deny", Resource=None, NotResource=f"arn:aws:s3:::{MISSING}/*")
    unless = write(Effect="Deny", Condition={"StringNotEquals": {"aws:username": MISSING}})
    for text in (others, unless):
        assert verdict(text, "s3:GetObject", OBJECT, aws__username="ann") == "Deny"


def test_a_default_is_a_value() -> None:
    text = write(Resource=None, NotResource="arn:aws:s3:::${aws:PrincipalTag/team, 'red'}/*")
    assert allows(text)
    assert not allows(text, resource="arn:aws:s3:::red/cat")


def test_the_older_version_has_no_variables() -> None:
    text = write(version="2008-10-17", Resource=None, NotResource=f"arn:aws:s3:::{MISSING}")
    assert allows(text)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"Principal": None}, "Syntax errors in policy. Missing required field Principal."),
        ({"Resource": "*"}, "Has prohibited field Resource."),
        ({"NotResource": "*"}, "Has prohibited field NotResource."),
        ({"Action": "s3:*"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        ({"Action": "*"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        ({"Principal": {"CanonicalUser": "a"}}, "Invalid principal in policy: CanonicalUser."),
        ({"Principal": {"AWS": "ann"}}, "Invalid principal in policy: ann."),
        ({"Principal": {"Federated": "google"}}, "Invalid principal in policy: google."),
    ],
)
def test_a_trust_policy_names_who_may_assume_a_role(members: dict[str, Any], sentence: str) -> None:
    trusting: dict[str, Any] = {
        "Resource": None,
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": "1" * 12},
    }
    assert parse_trust_policy(write(**trusting))
    with pytest.raises(MalformedPolicyDocument) as caught:
        parse_trust_policy(write(**{**trusting, **members}))
    assert caught.value.message.startswith(sentence)


def test_a_stored_document_is_compiled_once_by_its_own_grammar() -> None:
    text = write()
    assert compile_identity_policy(text) is compile_identity_policy(text)
    request = AuthorizationRequest("s3:GetObject", OBJECT, ANN, lambda key: None)
    assert compile_identity_policy(text).evaluate(request) == "Allow"
    assert compile_policy(text).evaluate(request) == "Deny"  # it has no Principal
    assert compile_trust_policy(text).evaluate(request) == "Deny"
    assert compile_identity_policy("nonsense").evaluate(request) == "Deny"


def test_a_document_has_a_size() -> None:
    with pytest.raises(MalformedPolicyDocument, match="maximum allowed document size"):
        parse_identity_policy(write(Sid="a" * 200_000))


ODD = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8)
    | st.sampled_from(["*", "Allow", "s3:*", "arn:aws", "${", "${}", "aws:x", "true"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["StringLike", "Null", "ArnLike", "AWS", "aws:x", "Effect", "Sid"]), inner
    ),
    max_leaves=5,
)  # fmt: skip
MEMBERS = ("Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "Condition")


@pytest.mark.not_fast
@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(MEMBERS), ODD), st.sampled_from(["2012-10-17", None, 1]))
def test_whatever_a_document_holds_it_is_read_or_refused(odd: dict[str, Any], version: Any) -> None:
    statement = {**ALLOW, **odd}
    text = json.dumps({"Version": version or "2012-10-17", "Statement": [statement]})
    assert len(locate_statements(text)) == 1
    request = AuthorizationRequest("s3:GetObject", OBJECT, ANN, lambda key: None)
    for parse in (parse_identity_policy, parse_trust_policy, parse_resource_policy):
        try:
            policy = parse(text)
        except MalformedPolicyDocument as refusal:
            assert refusal.message.isascii()
        else:
            assert policy.evaluate(request) in ("Allow", "Deny", "")
