"""AssumeRole: who may, what is refused, and what a session has."""

import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eucabox.errors import Fault
from eucabox.iam.caller import Caller
from tests.actions.sts.conftest import STATEMENT, Doors, trust, write

ASSUME = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}


def refused(doors: Doors, caller: Caller, arn: str, **params: Any) -> Fault:
    with pytest.raises(Fault) as caught:
        doors.assume(caller, arn, **params)
    return caught.value


def test_a_role_that_trusts_the_user(doors: Doors, ann: Caller) -> None:
    eve = doors.add_user(ann, "eve")
    arn = doors.add_role(ann, "reader", trust({"AWS": eve.arn}), path="/apps/")
    answer = doors.assume(eve, arn)
    session_arn = f"arn:aws:sts::{ann.account_id}:assumed-role/reader/tuesday"
    assert answer["assumed_role_user"] == {
        "arn": session_arn,
        "assumed_role_id": f"{doors.role_id('reader')}:tuesday",
    }
    assert "packed_policy_size" not in answer
    left = answer["credentials"]["expiration"] - datetime.now(UTC)
    assert timedelta(seconds=3590) < left <= timedelta(seconds=3600)
    caller = doors.caller_of(answer)
    assert doors.do("GetCallerIdentity", caller)["arn"] == session_arn


def test_a_role_that_trusts_the_account_needs_the_users_policy(doors: Doors, ann: Caller) -> None:
    arn = doors.add_role(ann, "reader", trust({"AWS": ann.account_id}))
    eve, joe = doors.add_user(ann, "eve", ASSUME), doors.add_user(ann, "joe")
    assert doors.assume(eve, arn)
    fault = refused(doors, joe, arn)
    assert fault.code == "AccessDenied"
    who = f"User: {joe.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    assert fault.message.startswith(who)
    assert "no identity-based policy allows" in fault.message


def test_across_accounts_both_must_allow(doors: Doors, ann: Caller, bob: Caller) -> None:
    eve, joe = doors.add_user(bob, "eve", ASSUME), doors.add_user(bob, "joe")
    arn = doors.add_role(ann, "reader", trust({"AWS": bob.account_id}))
    named = doors.add_role(ann, "named", trust({"AWS": [eve.arn, joe.arn]}))
    closed = doors.add_role(ann, "closed", trust({"AWS": ann.account_id}))
    caller = doors.caller_of(doors.assume(eve, arn))
    assert caller.account_id == ann.account_id
    assert doors.assume(eve, named)
    for who, role in ((joe, arn), (joe, named), (eve, closed)):
        assert refused(doors, who, role).code == "AccessDenied"


def test_a_strangers_role_and_none_are_refused_in_the_same_words(
    doors: Doors, ann: Caller, bob: Caller
) -> None:
    arn = doors.add_role(ann, "reader", trust({"AWS": ann.account_id}))
    there = refused(doors, bob, arn)
    missing = refused(doors, bob, arn.replace("reader", "writer"))
    assert missing.message.replace("writer", "reader") == there.message
    assert there.message.endswith(f"sts:AssumeRole on resource: {arn}")
    wrong_path = refused(doors, bob, arn.replace("role/", "role/x/"))
    assert wrong_path.code == "AccessDenied"


def test_a_denial_counts_before_all(doors: Doors, ann: Caller) -> None:
    eve = doors.add_user(ann, "eve", {**ASSUME, "Effect": "Deny"})
    arn = doors.add_role(ann, "reader", trust({"AWS": eve.arn}))
    assert "with an explicit deny" in refused(doors, eve, arn).message


def test_an_external_id(doors: Doors, ann: Caller, bob: Caller) -> None:
    condition = {"StringEquals": {"sts:ExternalId": "secret/1"}}
    arn = doors.add_role(ann, "reader", trust({"AWS": bob.account_id}, Condition=condition))
    assert doors.assume(bob, arn, external_id="secret/1")
    assert refused(doors, bob, arn).code == "AccessDenied"
    assert refused(doors, bob, arn, external_id="other").code == "AccessDenied"
    assert refused(doors, bob, arn, external_id="a b").code == "ValidationError"


@pytest.mark.parametrize(
    ("params", "code", "words"),
    [
        ({"role_session_name": "x"}, "ValidationError", "'roleSessionName'"),
        ({"role_session_name": "x" * 65}, "ValidationError", "'roleSessionName'"),
        ({"role_session_name": "a/b"}, "ValidationError", "'roleSessionName'"),
        ({"role_session_name": "\u00e4\u00f6"}, "ValidationError", "'roleSessionName'"),
        ({"duration_seconds": 899}, "ValidationError", "'durationSeconds'"),
        ({"duration_seconds": 43_201}, "ValidationError", "'durationSeconds'"),
        ({"duration_seconds": 3601}, "ValidationError", "exceeds the MaxSessionDuration"),
        ({"policy": "{"}, "MalformedPolicyDocument", ""),
        ({"policy": "x" * 2049}, "ValidationError", "'policy'"),
        ({"policy_arns": [{"arn": "arn:aws:iam::aws:policy/None"}]}, "ValidationError", "exist"),
        ({"policy_arns": [{"arn": "x" * 20}] * 11}, "ValidationError", "'policyArns'"),
        ({"policy_arns": [{}]}, "ValidationError", "'policyArns.1.member.arn'"),
        ({"transitive_tag_keys": ["a"]}, "ValidationError", "must be included"),
        ({"tags": [{"key": "a", "value": "b"}, {"key": "A"}]}, "InvalidInput", "Duplicate"),
        ({"tags": [{"key": "", "value": "b"}]}, "ValidationError", "tags.1.member.key"),
        ({"source_identity": "x"}, "ValidationError", "'sourceIdentity'"),
        ({"external_id": "x"}, "ValidationError", "'externalId'"),
        ({"role_arn": "arn:aws:iam::1:role/x"}, "ValidationError", "is invalid"),
        ({"role_arn": "x"}, "ValidationError", "'roleArn'"),
        ({"provided_contexts": []}, "UnsupportedOperation", "ProvidedContexts"),
    ],
)
def test_what_no_role_gives(
    doors: Doors, ann: Caller, params: dict[str, Any], code: str, words: str
) -> None:
    arn = doors.add_role(ann, "reader", trust({"AWS": ann.account_id}))
    fault = refused(doors, ann, arn, **params)
    assert (fault.code, words in fault.message) == (code, True), fault.message
    assert not doors.state.query("select 1 from sessions")


def test_too_many_tags_are_called_packed(doors: Doors, ann: Caller) -> None:
    arn = doors.add_role(ann, "reader", trust({"AWS": "*"}, "sts:AssumeRole", "sts:TagSession"))
    tags = [{"key": f"{number}", "value": secrets.token_hex(128)} for number in range(50)]
    few = doors.assume(ann, arn, tags=tags[:10])
    assert 0 < few["packed_policy_size"] < 100
    fault = refused(doors, ann, arn, tags=tags)
    assert fault.code == "PackedPolicyTooLarge"


def test_a_long_session_of_a_role_that_allows_it(doors: Doors, ann: Caller) -> None:
    long = {"max_session_duration": 43_200}
    arn = doors.add_role(ann, "reader", trust({"AWS": ann.account_id}), **long)
    answer = doors.assume(ann, arn, duration_seconds=43_200)
    assert answer["credentials"]["expiration"] - datetime.now(UTC) > timedelta(hours=11)


def test_a_chain_of_roles_gets_an_hour(doors: Doors, ann: Caller) -> None:
    first = doors.add_role(ann, "first", trust({"AWS": ann.account_id}))
    long = {"max_session_duration": 43_200}
    second = doors.add_role(ann, "second", trust({"AWS": first}), **long)
    caller = doors.caller_of(doors.assume(ann, first))
    fault = refused(doors, caller, second, duration_seconds=3601)
    assert "1 hour session limit for roles assumed by role chaining" in fault.message
    assert doors.assume(caller, second, duration_seconds=3600)


def test_a_sessions_policies_are_the_texts_of_both_kinds(doors: Doors, ann: Caller) -> None:
    arn = doors.add_role(ann, "reader", trust({"AWS": ann.account_id}))
    inline = write(STATEMENT)
    managed = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    answer = doors.assume(ann, arn, policy=inline, policy_arns=[{"arn": managed}])
    session = doors.caller_of(answer).session
    assert session is not None
    assert session.policies is not None
    assert session.policies[0] == inline
    assert "s3:Get*" in session.policies[1]
    assert 0 < answer["packed_policy_size"] <= 100
    assert json.loads(session.policies[1])


def test_tags_need_a_right_of_their_own(doors: Doors, ann: Caller) -> None:
    tags = [{"key": "team", "value": "b"}]
    plain = doors.add_role(ann, "plain", trust({"AWS": ann.account_id}))
    assert "sts:TagSession" in refused(doors, ann, plain, tags=tags).message
    condition = {"StringEquals": {"aws:RequestTag/team": "b"}}
    both = ("sts:AssumeRole", "sts:TagSession")
    arn = doors.add_role(ann, "tagged", trust({"AWS": ann.account_id}, *both, Condition=condition))
    session = doors.caller_of(doors.assume(ann, arn, tags=tags)).session
    assert session is not None
    assert session.tags == {"team": "b"}
    assert refused(doors, ann, arn).code == "AccessDenied"


def test_transitive_tags_go_down_a_chain(doors: Doors, ann: Caller) -> None:
    both = ("sts:AssumeRole", "sts:TagSession")
    first = doors.add_role(ann, "first", trust({"AWS": ann.account_id}, *both))
    second = doors.add_role(ann, "second", trust({"AWS": ann.account_id}, *both))
    doors.add_policy(doors.role_id("first"), STATEMENT)
    tags = [{"key": "team", "value": "b"}, {"key": "floor", "value": "2"}]
    caller = doors.caller_of(doors.assume(ann, first, tags=tags, transitive_tag_keys=["team"]))
    chained = doors.caller_of(doors.assume(caller, second)).session
    assert chained is not None
    assert (chained.tags, chained.transitive_tags) == ({"team": "b"}, ("team",))
    fault = refused(doors, caller, second, tags=[{"key": "Team", "value": "c"}])
    assert "conflicts with a transitive tag key" in fault.message
    third = doors.add_role(ann, "third", trust({"AWS": ann.account_id}))
    assert "sts:TagSession" in refused(doors, caller, third).message
    plain = doors.caller_of(doors.assume(ann, first, tags=tags))
    assert doors.assume(plain, third), "tags that stay behind need no right"


def test_a_chain_gathers_no_more_tags_than_a_session_has(doors: Doors, ann: Caller) -> None:
    both = ("sts:AssumeRole", "sts:TagSession")
    arn = doors.add_role(ann, "looping", trust({"AWS": ann.account_id}, *both))
    doors.add_policy(doors.role_id("looping"), STATEMENT)
    keys = [f"{number}" for number in range(30)]
    tags = [{"key": key, "value": ""} for key in keys]
    caller = doors.caller_of(doors.assume(ann, arn, tags=tags, transitive_tag_keys=keys))
    more = [{"key": f"more-{key}", "value": ""} for key in keys]
    assert doors.assume(caller, arn, tags=more[:20])
    assert "at 'tags' failed" in refused(doors, caller, arn, tags=more[:21]).message


def test_sessions_that_are_denied_by_their_age_get_no_new_ones(doors: Doors, ann: Caller) -> None:
    arn = doors.add_role(ann, "looping", trust({"AWS": ann.account_id}))
    doors.add_policy(doors.role_id("looping"), STATEMENT)
    caller = doors.caller_of(doors.assume(ann, arn))
    assert doors.assume(caller, arn)
    condition = {"DateLessThan": {"aws:TokenIssueTime": "2100-01-01T00:00:00Z"}}
    revoked = {**STATEMENT, "Effect": "Deny", "Condition": condition}
    doors.add_policy(doors.role_id("looping"), revoked)
    assert "with an explicit deny" in refused(doors, caller, arn).message
    assert doors.assume(ann, arn)


def test_a_source_identity_stays(doors: Doors, ann: Caller) -> None:
    both = ("sts:AssumeRole", "sts:SetSourceIdentity")
    plain = doors.add_role(ann, "plain", trust({"AWS": ann.account_id}))
    assert "SetSourceIdentity" in refused(doors, ann, plain, source_identity="eve").message
    first = doors.add_role(ann, "first", trust({"AWS": ann.account_id}, *both))
    doors.add_policy(doors.role_id("first"), STATEMENT)
    answer = doors.assume(ann, first, source_identity="eve")
    assert answer["source_identity"] == "eve"
    caller = doors.caller_of(answer)
    assert doors.assume(caller, first)["source_identity"] == "eve"
    assert "SetSourceIdentity" in refused(doors, caller, plain).message
    assert refused(doors, caller, first, source_identity="joe").code == "AccessDenied"


def test_a_role_tells_when_it_was_used(doors: Doors, ann: Caller) -> None:
    arn = doors.add_role(ann, "reader", trust({"AWS": ann.account_id}))
    doors.assume(ann, arn)
    row = doors.state.one("select last_used, last_used_region from roles")
    assert row is not None
    assert row["last_used"] > "2026"
    assert row["last_used_region"] == "eucabox-1"


def test_a_session_is_asked_for_the_policies_of_its_role(doors: Doors, ann: Caller) -> None:
    first = doors.add_role(ann, "first", trust({"AWS": ann.account_id}))
    second = doors.add_role(ann, "second", trust({"AWS": ann.account_id}))
    caller = doors.caller_of(doors.assume(ann, first))
    assert refused(doors, caller, second).code == "AccessDenied"
    doors.add_policy(doors.role_id("first"), ASSUME)
    assert doors.assume(caller, second)
    limited = doors.assume(ann, first, policy=write({**STATEMENT, "Action": "s3:*"}))
    assert refused(doors, doors.caller_of(limited), second).code == "AccessDenied"
