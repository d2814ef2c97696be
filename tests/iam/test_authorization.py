"""What is permitted at once is permitted by the whole judgement too; policies count as they are."""

import json
import threading
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucabox.actions import Call
from eucabox.iam.accounts import Accounts
from eucabox.iam.authorization import CallerPolicies
from eucabox.iam.policy import AuthorizationRequest, compile_identity_policy
from eucabox.iam.policy.decision import ApplicablePolicies, NamedPolicy
from eucabox.state import State

ACTION = "s3:GetObject"
SOURCES = ("127.0.0.1", "10.0.0.7", "::1", "")
KEYS = ("arn:aws:s3:::box/k", "arn:aws:s3:::box/", "arn:aws:s3:::other/k")
CONDITIONS: tuple[dict[str, object], ...] = (
    {},
    {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}},
    {"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "::1"]}},
    {"IpAddressIfExists": {"aws:SourceIp": "10.0.0.0/8"}},
    {"Null": {"aws:SourceIp": "true"}},
    {"Null": {"aws:SourceIp": "false"}},
    {"Bool": {"aws:SecureTransport": "true"}},
    {"StringEquals": {"aws:UserAgent": "curl"}},
    {"StringLike": {"aws:SourceIp": "${aws:username}"}},
)
RESOURCES = (
    {"Resource": "*"},
    {"Resource": "arn:aws:s3:::box/*"},
    {"Resource": ["arn:aws:s3:::other/?", "arn:aws:s3:::${aws:username}/*"]},
    {"NotResource": "arn:aws:s3:::box/k"},
    {"NotResource": "arn:aws:s3:::${aws:missing}/k"},
)
statements = st.builds(
    lambda effect, action, resource, condition: {
        "Effect": effect,
        "Action": action,
        **resource,
        **({"Condition": condition} if condition else {}),
    },
    st.sampled_from(["Allow", "Allow", "Allow", "Deny"]),
    st.sampled_from([ACTION, "s3:*", "s3:PutObject"]),
    st.sampled_from(RESOURCES),
    st.sampled_from(CONDITIONS),
)


def compiled(each: list[dict[str, object]]) -> tuple[NamedPolicy, ...]:
    text = json.dumps({"Version": "2012-10-17", "Statement": each})
    return (NamedPolicy(compile_identity_policy(text), "p"),)


@pytest.mark.not_fast
@settings(max_examples=150, deadline=None)
@given(st.lists(statements, min_size=1, max_size=3), st.none() | st.lists(statements, min_size=1))
def test_what_is_permitted_at_once_is_permitted(
    own: list[dict[str, object]], limit: list[dict[str, object]] | None
) -> None:
    boundary = compiled(limit) if limit else None
    policies = CallerPolicies(ApplicablePolicies(identity=compiled(own), boundary=boundary))
    for source, secure, resource in product(SOURCES, ("true", "false"), KEYS):
        known = {"aws:sourceip": (source,), "aws:username": ("box",), "aws:useragent": ("curl",)}
        known["aws:securetransport"] = (secure,)
        values = {key: value for key, value in known.items() if value[0]}
        request = AuthorizationRequest(ACTION, resource, None, values.get)
        permitted = policies.permit(request)
        context = {"source_ip": source, "secure": secure}
        assert permitted or not policies.permit_plainly(ACTION, resource, context)
        everywhere = policies.permit_everywhere_plainly(ACTION, context)
        assert policies.permit_everywhere(request) or not everywhere
        assert policies.permit_plainly(ACTION, resource, context) or not everywhere


def test_the_usual_policy_is_decided_at_once() -> None:
    near = {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}
    own: list[dict[str, object]] = [
        {"Effect": "Allow", "Action": "s3:*", "Resource": KEYS[0], "Condition": near}
    ]
    policies = CallerPolicies(ApplicablePolicies(identity=compiled(own)))
    context = {"source_ip": "127.0.0.1", "secure": "false"}
    request = AuthorizationRequest(ACTION, KEYS[0], None, {"aws:sourceip": ("127.0.0.1",)}.get)
    assert not policies.permit_plainly(ACTION, KEYS[0], context)  # nothing is known of it yet
    assert policies.permit(request)
    assert policies.permit_plainly(ACTION, KEYS[0], context)
    assert not policies.permit_plainly(ACTION, KEYS[2], context)
    assert not policies.permit_plainly(ACTION, KEYS[0], {**context, "source_ip": "10.0.0.7"})
    assert not policies.permit_everywhere_plainly(ACTION, context)


def test_what_is_allowed_of_everything_is_decided_at_once() -> None:
    near = {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}
    own: list[dict[str, object]] = [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": near}
    ]
    policies = CallerPolicies(ApplicablePolicies(identity=compiled(own)))
    context = {"source_ip": "127.0.0.1", "secure": "false"}
    assert not policies.permit_everywhere_plainly(ACTION, context)  # nothing is known of it yet
    policies.permit(AuthorizationRequest(ACTION, KEYS[0], None, lambda key: None))
    assert policies.permit_everywhere_plainly(ACTION, context)
    assert not policies.permit_everywhere_plainly(ACTION, {**context, "source_ip": "10.0.0.7"})


def allow(state: State, user_id: str, *statements: dict[str, object]) -> None:
    """Replace a user's inline policy, from another thread, whose connection is another one too."""
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})

    def write() -> None:
        with state.transaction():
            state.delete("inline_policies", {"owner_id": user_id})
            row = {"owner_id": user_id, "policy_name": "p", "document": text}
            state.insert("inline_policies", row)

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()


def may(policies: CallerPolicies) -> bool:
    return policies.permit(AuthorizationRequest(ACTION, KEYS[0], None, lambda key: None))


@pytest.fixture
def key(accounts: Accounts, state: State) -> str:
    """The access key of a user who is not the root of its account."""
    user = accounts.create_user("ann")
    state.update("users", {"user_id": user.user_id}, is_root=0)
    return accounts.find_newest_key(user).caller.access_key_id


def test_policies_count_for_a_request_that_has_begun(
    accounts: Accounts, state: State, key: str
) -> None:
    def begin() -> Call:
        found = accounts.known_keys.credential(key)
        assert found is not None and found.caller.is_limited
        cloud: Any = SimpleNamespace(accounts=accounts)
        return Call(cloud, found.caller, "r")

    everything: dict[str, object] = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    user_id = begin().user.user_id
    assert not may(begin().find_policies())
    allow(state, user_id, everything)
    call = begin()
    assert may(call.find_policies())
    allow(state, user_id, {**everything, "Effect": "Deny"})
    assert not may(call.find_policies())  # of the same request, which asks a second time
    assert not may(begin().find_policies())
