"""The language of policies: patterns, variables, operators, verdicts."""

import json
import re
import time
import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucabox.errors import MalformedPolicy
from eucabox.iam.policy import AuthorizationRequest, Policy, compile_policy, parse
from eucabox.iam.policy.s3_vocabulary import S3Vocabulary
from eucabox.iam.policy.wildcards import glob

ANN = SimpleNamespace(
    account_id="111111111111", account_name="ann", user_name="ann", canonical_id="a" * 64
)
INSIDE = "arn:aws:s3:::b/*"


def ask(
    action: str = "s3:GetObject", key: str = "k", who: Any = ANN, **values: Any
) -> AuthorizationRequest:
    members = {name.replace("__", ":").replace("_", "-"): each for name, each in values.items()}

    def value(name: str) -> Any:
        found = members.get(name)
        return (found,) if isinstance(found, str) else found

    return AuthorizationRequest(action, f"arn:aws:s3:::b/{key}", who, value)


def read(version: str = "2012-10-17", **members: Any) -> Policy:
    statement = {
        "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": INSIDE,
        **members,
    }  # fmt: skip
    text = json.dumps({"Version": version, "Statement": statement})
    return parse(text, S3Vocabulary("b"))


def allows(question: AuthorizationRequest, version: str = "2012-10-17", **members: Any) -> bool:
    return read(version, **members).evaluate(question) == "Allow"


@pytest.mark.parametrize(
    ("pattern", "text", "like"),
    [
        ("", "", True), ("", "a", False), ("a", "a", True), ("a", "A", False), ("*", "", True),
        ("*", "a/b\n", True), ("a*", "a", True), ("a*c", "abcbc", True), ("a*c", "abcb", False),
        ("a?c", "abc", True), ("a?c", "ac", False), ("*a*b*", "xaxbx", True),
        ("*ab*ab", "abab", True), ("*ab*ab", "ab", False), ("a*b*c", "a.c.b", False),
        ("[a]", "a", False), ("a.c", "abc", False), ("**", "x", True), ("?*", "", False),
        ("*a?b*", "xxa-bxx", True), ("*a?b*", "ab", False), ("*a?b?c", "a-ba-b-c", True),
        ("*a?b", "aab", True), ("*?*", "a", True), ("*??*", "a", False), ("*?a?*", "xa", False),
        ("*?a?*", "aaa", True), ("a*?", "a", False), ("??", "ab", True), ("??", "abc", False),
        ("*\u00e4?\u00f6*", "\u00fc\u00e4\u00df\u00f6", True), ("*a?b*a?b*", "a1b2b", False),
    ],
)  # fmt: skip
def test_wildcards(pattern: str, text: str, like: bool) -> None:
    assert glob(pattern)(text) == like


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("*a" * 5000 + "b", "a" * 1024),
        ("*a?" * 5000, "ab" * 500 + "c"),
        ("*" + "a" * 9000 + "b" + "a" * 9000 + "*", "a" * 120_000),
        ("*" + "a?" * 4500 + "b*", "a" * 16_000),
        ("*a?b" * 4000 + "c", "aab" * 5000),
        ("*" + "?a" * 9000 + "*", "a" * 17_999),
        ("?" * 18_000 + "*b", "a" * 120_000),
    ],
)
def test_no_pattern_takes_long(pattern: str, text: str) -> None:
    started = time.process_time()
    assert not glob(pattern)(text)
    assert time.process_time() - started < 1


@pytest.mark.not_fast
@settings(max_examples=300, deadline=None)
@given(st.text("ab*?", max_size=12), st.text("ab", max_size=14))
def test_wildcards_mean_what_a_regular_expression_of_them_means(pattern: str, text: str) -> None:
    written = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    assert glob(pattern)(text) == bool(re.fullmatch(written, text))


@pytest.mark.not_fast
def test_variables_neither_take_long_nor_are_remembered() -> None:
    """Each request could bring another pattern: what was made of it a moment ago is let go."""
    policy = read(Condition={"StringLike": {"aws:UserAgent": "${aws:referer}N*" * 1200}})
    agent = "aws:UserAgent"
    same = read(Condition={"StringEquals": {agent: "${aws:referer}" * 1400}})
    fold = read(Condition={"StringEqualsIgnoreCase": {agent: "${aws:referer}" * 1400}})
    arn = read(
        Condition={"ArnLike": {"aws:PrincipalArn": "arn:a:b:c:d:" + "${aws:referer}*" * 1200}}
    )
    tracemalloc.start()
    started, before = time.process_time(), tracemalloc.get_traced_memory()[0]
    for number in range(100):
        members = {"aws__referer": f"{number}" + "r" * 4000, "aws__UserAgent": "r" * 4000}
        question = ask(
            **{name.lower(): each for name, each in members.items()}, aws__principalarn="a" * 99
        )
        assert not any(each.evaluate(question) for each in (policy, same, fold, arn))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert time.process_time() - started < 2
    assert grown < 1 << 20


def test_a_default_full_of_blanks_takes_no_time() -> None:
    started = time.process_time()
    assert not allows(ask(), Resource="arn:aws:s3:::b/${a" + " " * 19_000 + "b}")
    assert time.process_time() - started < 0.5
    assert allows(ask(key="it's"), Resource="arn:aws:s3:::b/${aws:username , 'it's'}")


def test_what_is_kept_of_compiled_policies_is_bounded() -> None:
    """Compiled, a policy of 20 KiB can be 4 MiB."""

    def text(number: int) -> str:
        statement = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": INSIDE}
        return json.dumps({"Id": f"{number}" + "x" * 19_000, "Statement": statement})

    first = compile_policy(text(0))
    assert compile_policy(text(0)) is first
    for number in range(1, 10):
        compile_policy(text(number))
    assert compile_policy(text(0)) is first
    for number in range(1, 16):
        compile_policy(text(number))
    assert compile_policy(text(0)) is not first
    assert compile_policy(text(15)) is compile_policy(text(15))


@pytest.mark.parametrize(
    ("members", "action", "fits"),
    [
        ({"Action": "*"}, "s3:DeleteObject", True),
        ({"Action": "s3:*"}, "s3:DeleteObject", True),
        ({"Action": "S3:getobject"}, "s3:GetObject", True),
        ({"Action": ["s3:Put*", "s3:Get*"]}, "s3:GetObject", True),
        ({"Action": "s3:GetObject"}, "s3:GetObjectAcl", False),
        ({"Action": None, "NotAction": "s3:Put*"}, "s3:GetObject", True),
        ({"Action": None, "NotAction": "s3:Get*"}, "s3:GetObject", False),
        ({"Resource": None, "NotResource": "arn:aws:s3:::b/x*"}, "s3:GetObject", True),
        ({"Resource": None, "NotResource": INSIDE}, "s3:GetObject", False),
        ({"Resource": "arn:aws:s3:::*"}, "s3:GetObject", True),
        ({"Resource": "*"}, "s3:GetObject", True),
        ({"Resource": "arn:aws:s3:::b"}, "s3:GetObject", False),
    ],
)
def test_a_statement_applies_to_matching_actions_and_resources(
    members: dict[str, Any], action: str, fits: bool
) -> None:
    document = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": INSIDE}
    statement = {name: each for name, each in {**document, **members}.items() if each is not None}
    text = json.dumps({"Statement": [statement]})
    assert (parse(text, S3Vocabulary("b")).evaluate(ask(action)) == "Allow") == fits


def test_variables() -> None:
    home = {"Resource": "arn:aws:s3:::b/home/${aws:username}/*"}
    assert allows(ask(key="home/ann/k", aws__username="ann"), **home)
    assert not allows(ask(key="home/bob/k", aws__username="ann"), **home)
    assert not allows(ask(key="home//k"), **home)
    assert not allows(ask(key="home/anna/k", aws__username="*"), **home)
    assert allows(ask(key="home/*/k", aws__username="*"), **home)
    assert not allows(ask(key="home/ann/k", aws__username="ann"), "2008-10-17", **home)
    default = {"Resource": "arn:aws:s3:::b/${aws:username, 'shared'}"}
    assert allows(ask(key="shared"), **default)
    assert allows(ask(key="a*"), Resource="arn:aws:s3:::b/a${*}")
    assert not allows(ask(key="ab"), Resource="arn:aws:s3:::b/a${*}")
    condition = {"StringLike": {"s3:prefix": ["${aws:username}/*"]}}
    assert allows(ask(aws__username="ann", s3__prefix="ann/x"), Condition=condition)
    assert not allows(ask(aws__username="ann", s3__prefix="bob/x"), Condition=condition)
    assert not allows(ask(s3__prefix="/x"), Condition=condition)
    old = ask(aws__username="ann", s3__prefix="${aws:username}/x")
    assert allows(old, "2008-10-17", Condition=condition)


IP, AGENT, LENGTH, WHEN = "aws:SourceIp", "aws:UserAgent", "s3:max-keys", "aws:CurrentTime"


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "value", "holds"),
    [
        ("StringEquals", AGENT, "a", "a", True),
        ("StringEquals", AGENT, ["a", "b"], "b", True),
        ("StringEquals", AGENT, "a*", "ab", False),
        ("StringNotEquals", AGENT, ["a", "b"], "b", False),
        ("StringNotEquals", AGENT, "a", None, True),
        ("StringEqualsIgnoreCase", AGENT, "A", "a", True),
        ("StringNotEqualsIgnoreCase", AGENT, "A", "a", False),
        ("StringLike", AGENT, "a*", "ab", True),
        ("StringNotLike", AGENT, "a*", "ab", False),
        ("StringEquals", AGENT, "a", None, False),
        ("StringEqualsIfExists", AGENT, "a", None, True),
        ("StringEqualsIfExists", AGENT, "a", "b", False),
        ("NumericEquals", LENGTH, "10", "10.0", True),
        ("NumericNotEquals", LENGTH, 10, "11", True),
        ("NumericLessThan", LENGTH, 10, "9", True),
        ("NumericLessThanEquals", LENGTH, 10, "11", False),
        ("NumericGreaterThan", LENGTH, 10, "9", False),
        ("NumericGreaterThanEquals", LENGTH, 10, "10", True),
        ("NumericEquals", LENGTH, 10, "ten", False),
        ("DateLessThan", WHEN, "2026-01-01T00:00:00Z", "2025-12-31T23:59:59+00:00", True),
        ("DateGreaterThan", WHEN, "2026-01-01", "2025-12-31T23:59:59Z", False),
        ("DateEquals", "aws:EpochTime", "0", "1970-01-01T00:00:00Z", True),
        ("DateNotEquals", WHEN, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", False),
        ("DateLessThanEquals", WHEN, "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z", True),
        ("DateGreaterThanEquals", WHEN, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", True),
        ("Bool", "aws:SecureTransport", False, "false", True),
        ("Bool", "aws:SecureTransport", "true", "false", False),
        ("BinaryEquals", AGENT, "YQ==", "a", True),
        ("BinaryEquals", AGENT, "YQ==", "b", False),
        ("IpAddress", IP, "10.0.0.0/8", "10.1.2.3", True),
        ("IpAddress", IP, ["192.0.2.1", "10.0.0.0/8"], "192.0.2.1", True),
        ("IpAddress", IP, "10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("IpAddress", IP, "10.0.0.0/8", "11.1.2.3", False),
        ("IpAddress", IP, "2001:db8::/32", "2001:db8::1", True),
        ("IpAddress", IP, "2001:db8::/32", "10.0.0.1", False),
        ("NotIpAddress", IP, "10.0.0.0/8", "10.1.2.3", False),
        ("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::*:user/ann",
         "arn:aws:iam::1:user/ann", True),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:user/ann", "arn:aws:iam::1:x:y", False),
        ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:user/*", "arn:aws:iam::1:root", True),
        ("Null", AGENT, "true", None, True),
        ("Null", AGENT, True, "x", False),
        ("Null", AGENT, "false", "x", True),
    ],
)  # fmt: skip
def test_operators(operator: str, key: str, wanted: Any, value: Any, holds: bool) -> None:
    request = ask(**{key.lower().replace(":", "__").replace("-", "_"): value})
    assert allows(request, Condition={operator: {key: wanted}}) == holds


@pytest.mark.parametrize(
    ("operator", "members", "holds"),
    [
        ("ForAllValues:StringEquals", ("a", "b"), True),
        ("ForAllValues:StringEquals", ("a", "c"), False),
        ("ForAllValues:StringEquals", None, True),
        ("ForAnyValue:StringEquals", ("c", "b"), True),
        ("ForAnyValue:StringEquals", ("c",), False),
        ("ForAnyValue:StringEquals", None, False),
        ("ForAnyValue:StringNotEquals", ("a", "c"), True),
        ("ForAllValues:StringNotEquals", ("c", "d"), True),
        ("ForAnyValue:StringLikeIfExists", None, True),
    ],
)
def test_sets_of_values(operator: str, members: Any, holds: bool) -> None:
    condition = {operator: {"s3:RequestObjectTagKeys": ["a", "b"]}}
    assert allows(ask(s3__requestobjecttagkeys=members), Condition=condition) == holds


def test_tags_keep_their_letters() -> None:
    condition = {"StringEquals": {"s3:ExistingObjectTag/Security": "public"}}
    assert allows(ask(**{"s3__existingobjecttag/Security": "public"}), Condition=condition)
    assert not allows(ask(**{"s3__existingobjecttag/security": "public"}), Condition=condition)


def test_all_conditions_must_hold() -> None:
    condition = {"StringEquals": {AGENT: "a", "aws:Referer": "r"}, "Bool": {"aws:ViaAWSService": 0}}
    with pytest.raises(MalformedPolicy, match="true or false"):
        read(Condition=condition)
    condition["Bool"] = {"aws:SecureTransport": "true"}
    members = {"aws__useragent": "a", "aws__referer": "r", "aws__securetransport": "true"}
    assert allows(ask(**members), Condition=condition)
    for missing in members:
        assert not allows(ask(**{**members, missing: "x"}), Condition=condition)


def test_a_service_is_only_meant_by_its_name() -> None:
    service = "logging.s3.amazonaws.com"
    policy = read(Action="s3:PutObject", Principal={"Service": service})
    where = "arn:aws:s3:::b/log"
    question = AuthorizationRequest("s3:PutObject", where, None, lambda key: None, service)
    assert policy.evaluate(question) == "Allow"
    assert policy.evaluate(ask("s3:PutObject")) == ""
    everybody = read(Action="s3:PutObject")
    assert everybody.evaluate(question) == ""


def test_who_denies_everyone_denies_services_and_strangers_with_a_voucher() -> None:
    service, where = "logging.s3.amazonaws.com", "arn:aws:s3:::b/log"
    for principal in ("*", {"AWS": "*"}):
        denial = read(Action="s3:PutObject", Effect="Deny", Principal=principal)
        for named in ({"service": service}, {"federated": "arn:aws:iam::1:oidc-provider/issuer"}):
            request = AuthorizationRequest("s3:PutObject", where, None, lambda key: None, **named)
            assert denial.evaluate(request) == "Deny"
            assert read(Action="s3:PutObject", Principal=principal).evaluate(request) == ""
    but = {"Effect": "Deny", "NotPrincipal": {"Service": service}, "Action": "s3:*"}
    text = json.dumps({"Statement": {**but, "Resource": INSIDE}})
    others = parse(text, S3Vocabulary("b"))
    request = AuthorizationRequest("s3:PutObject", where, None, lambda key: None, service)
    assert others.evaluate(request) == ""


def test_a_kept_policy_that_cannot_be_read_denies_all() -> None:
    assert compile_policy("nonsense").evaluate(ask()) == "Deny"
    assert compile_policy('{"Statement": 3}').evaluate(ask()) == "Deny"


def test_a_verdict_takes_microseconds() -> None:
    text = json.dumps({"Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": INSIDE,
        "Condition": {"IpAddress": {IP: "10.0.0.0/8"}},
    }]})  # fmt: skip
    request = ask(aws__sourceip="10.0.0.1")
    compile_policy(text)
    started = time.process_time()
    for _ in range(1000):
        compile_policy(text).evaluate(request)
    assert time.process_time() - started < 0.5
