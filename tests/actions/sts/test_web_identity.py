"""AssumeRoleWithWebIdentity: whose tokens count, and what their claims decide."""

import hmac
import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from eucabox.errors import Fault, IdentityProviderUnreachable
from eucabox.iam import provider_keys
from eucabox.iam.caller import Caller
from eucabox.iam.rows import OidcProviderRow
from eucabox.server import provider_documents
from tests.actions.sts.conftest import Doors, trust
from tests.issuer import CLIENT, Issuer, serving

ACTION = "sts:AssumeRoleWithWebIdentity"
TAGS = "https://aws.amazon.com/tags"


@pytest.fixture(scope="module")
def served() -> Iterator[Issuer]:
    with serving(path="/auth/realms/demo") as made:
        yield made


@pytest.fixture
def issuer(served: Issuer) -> Iterator[Issuer]:
    documents = dict(served.documents)
    served.asked.clear()
    yield served
    served.documents = documents


class Realm:
    """A provider of an account and a role that trusts it."""

    def __init__(self, doors: Doors, root: Caller, issuer: Issuer) -> None:
        self.doors, self.root, self.issuer = doors, root, issuer
        doors.accounts.provider_keys.fetch = lambda url: provider_documents.fetch(
            url, {"localhost"}
        )
        self.name = issuer.url.removeprefix("http://")
        self.arn = f"arn:aws:iam::{root.account_id}:oidc-provider/{self.name}"
        row = {
            "provider_id": "oidc-1",
            "account_id": root.account_id,
            "url": issuer.url,
            "client_ids": json.dumps([CLIENT]),
            "created": "2026-11-30T00:00:00.000Z",
        }
        doors.state.insert("oidc_providers", row)
        self.role_arn = self.add_role("reader")

    def add_role(self, name: str, *actions: str, **more: Any) -> str:
        document = trust({"Federated": self.arn}, ACTION, *actions, **more)
        return self.doors.add_role(self.root, name, document)

    def assume(self, token: str = "", role_arn: str = "", **params: Any) -> Any:
        params = {
            "role_arn": role_arn or self.role_arn,
            "role_session_name": "tuesday",
            "web_identity_token": token or self.issuer.token(),
            **params,
        }
        return self.doors.do("AssumeRoleWithWebIdentity", None, **params)

    def refuse(self, token: str = "", role_arn: str = "", **params: Any) -> Fault:
        with pytest.raises(Fault) as caught:
            self.assume(token, role_arn, **params)
        return caught.value


@pytest.fixture
def realm(doors: Doors, ann: Caller, issuer: Issuer) -> Realm:
    return Realm(doors, ann, issuer)


def test_a_person_gets_a_role(realm: Realm) -> None:
    answer = realm.assume()
    assert answer["subject_from_web_identity_token"] == "person-1"
    assert (answer["audience"], answer["provider"]) == (CLIENT, realm.arn)
    caller = realm.doors.caller_of(answer)
    assert caller.arn == answer["assumed_role_user"]["arn"]
    assert caller.session is not None
    assert caller.session.federated == realm.arn


def test_keys_are_fetched_once(realm: Realm) -> None:
    for _ in range(3):
        realm.assume()
    assert len(realm.issuer.asked) == 2


def test_a_new_key_is_found_but_not_asked_for_again_and_again(
    realm: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    realm.assume()
    token = realm.issuer.token(kid="two")
    path = "/auth/realms/demo/keys"
    realm.issuer.documents[path] = {"keys": [realm.issuer.jwk(kid="two")]}
    assert realm.refuse(token).code == "InvalidIdentityToken"  # within a minute of the last time
    assert len(realm.issuer.asked) == 2
    monkeypatch.setattr(provider_keys, "AGAIN", 0)
    assert realm.assume(token)
    assert realm.refuse(realm.issuer.token(kid="three")).code == "InvalidIdentityToken"


def test_keys_given_as_a_file_are_not_fetched(realm: Realm) -> None:
    jwks = json.dumps({"keys": [realm.issuer.jwk()]})
    realm.doors.state.update("oidc_providers", {"provider_id": "oidc-1"}, jwks=jwks)
    assert realm.assume()
    assert realm.issuer.asked == []


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("claims", "code", "words"),
    [
        ({"exp": 1000}, "ExpiredTokenException", "Token expired"),
        ({"exp": None}, "InvalidIdentityToken", "exp"),
        ({"exp": float("inf")}, "InvalidIdentityToken", "can't be verified"),
        ({"nbf": float("inf")}, "InvalidIdentityToken", "can't be verified"),
        ({"iat": None}, "InvalidIdentityToken", "iat"),
        ({"sub": None}, "InvalidIdentityToken", "sub"),
        ({"sub": ""}, "InvalidIdentityToken", "sub"),
        ({"sub": "x" * 256}, "InvalidIdentityToken", "sub"),
        ({"aud": None}, "InvalidIdentityToken", "aud"),
        ({"aud": "other"}, "InvalidIdentityToken", "Incorrect token audience"),
        ({"aud": ["other", "more"]}, "InvalidIdentityToken", "Incorrect token audience"),
        ({"iss": "https://example.com"}, "InvalidIdentityToken", "No OpenIDConnect provider"),
        ({"iss": None}, "InvalidIdentityToken", "No OpenIDConnect provider"),
        ({"iss": "\ud800"}, "InvalidIdentityToken", "No OpenIDConnect provider"),
        ({"nbf": 2**40}, "InvalidIdentityToken", "not yet valid"),
        ({TAGS: "x"}, "InvalidIdentityToken", "session tags"),
        ({TAGS: {"principal_tags": []}}, "InvalidIdentityToken", "session tags"),
        ({TAGS: {"principal_tags": {"a": ["b", "c"]}}}, "InvalidIdentityToken", "not one value"),
        ({TAGS: {"principal_tags": {"aws:a": ["b"]}}}, "InvalidIdentityToken", "reserved"),
        ({TAGS: {"principal_tags": {"a": ["b"]}}}, "AccessDenied", "sts:TagSession"),
    ],
)
def test_claims_that_do_not_do(realm: Realm, claims: dict[str, Any], code: str, words: str) -> None:
    fault = realm.refuse(realm.issuer.token(claims))
    assert (fault.code, words in fault.message) == (code, True), fault.message


@pytest.mark.parametrize("token", ["abcd", "a.b.c", "e30.e30.", "e30.e30.e30", ".." + "x" * 9])
def test_what_is_no_token(realm: Realm, token: str) -> None:
    assert realm.refuse(token).code == "InvalidIdentityToken"


def test_a_token_of_more_than_the_limit(realm: Realm) -> None:
    assert realm.refuse("x" * 20_001).code == "ValidationError"
    assert realm.refuse("abc").code == "ValidationError"


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_forged_tokens(realm: Realm) -> None:
    public = json.dumps(realm.issuer.jwk()).encode()
    claims = jwt.decode(realm.issuer.token(), options={"verify_signature": False})
    header = _encode(b'{"alg":"HS256","kid":"one"}')
    message = f"{header}.{_encode(json.dumps(claims).encode())}"
    mac = hmac.digest(public, message.encode(), "sha256")
    with_public_key = f"{message}.{_encode(mac)}"
    unsigned = jwt.encode(claims, "", algorithm="none", headers={"kid": "one"})
    other = jwt.encode(
        claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": "one"}
    )
    head, body, signature = realm.issuer.token().split(".")
    for token in (with_public_key, unsigned, other, f"{head}.{body}.{signature[::-1]}"):
        assert realm.refuse(token).code == "InvalidIdentityToken"
    assert realm.assume()


def test_the_authorized_party_counts_as_an_audience(realm: Realm) -> None:
    name = realm.name
    condition = {"StringEquals": {f"{name}:aud": CLIENT, f"{name}:sub": "person-1"}}
    arn = realm.add_role("azp", Condition=condition)
    assert realm.assume(realm.issuer.token(aud="account", azp=CLIENT), arn)
    assert realm.assume(realm.issuer.token(aud=["account", CLIENT], azp=CLIENT), arn)
    assert realm.assume(realm.issuer.token(), arn)


def test_claims_are_conditions(realm: Realm) -> None:
    name = realm.name
    conditions: dict[str, Any] = {
        "sub": {"StringLike": {f"{name}:sub": "person-*"}},
        "app": {"StringEquals": {f"{name}:app_id": CLIENT}},
        "amr": {"ForAnyValue:StringEquals": {f"{name}:amr": "mfa"}},
        "name": {"StringEquals": {"sts:RoleSessionName": "tuesday"}},
    }
    roles = {each: realm.add_role(each, Condition=conditions[each]) for each in conditions}
    token = realm.issuer.token(amr=["pwd", "mfa"])
    for arn in roles.values():
        assert realm.assume(token, arn)
    for name, claims in (("sub", {"sub": "robot"}), ("amr", {"amr": ["pwd"]}), ("amr", {})):
        fault = realm.refuse(realm.issuer.token(claims), roles[name])
        assert fault.code == "AccessDenied"
        assert fault.message == f"Not authorized to perform {ACTION}"
    assert realm.refuse(token, roles["name"], role_session_name="monday").code == "AccessDenied"


def test_another_role_than_the_trusted_and_none_are_told_alike(realm: Realm) -> None:
    other = realm.doors.add_role(realm.root, "other", trust({"AWS": realm.root.account_id}))
    missing = other.replace("other", "missing")
    texts = {realm.refuse("", arn).message for arn in (other, missing)}
    assert texts == {f"Not authorized to perform {ACTION}"}


def test_a_provider_of_another_account_vouches_for_nobody(realm: Realm, bob: Caller) -> None:
    arn = realm.doors.add_role(bob, "reader", trust({"Federated": realm.arn}, ACTION))
    assert realm.refuse("", arn).code == "InvalidIdentityToken"


def test_tags_and_source_identity_of_a_token(realm: Realm) -> None:
    condition = {"StringEquals": {"aws:RequestTag/team": "b"}}
    arn = realm.add_role("tagged", "sts:TagSession", "sts:SetSourceIdentity", Condition=condition)
    claim = {"principal_tags": {"team": ["b"], "floor": "2"}, "transitive_tag_keys": ["team"]}
    source: dict[str, Any] = {"https://aws.amazon.com/source_identity": "ann"}
    answer = realm.assume(realm.issuer.token({TAGS: claim, **source}), arn)
    session = realm.doors.caller_of(answer).session
    assert session is not None
    assert session.tags == {"team": "b", "floor": "2"}
    assert (session.transitive_tags, session.source_identity) == (("team",), "ann")
    assert realm.refuse(realm.issuer.token(), arn).code == "AccessDenied"


def test_a_session_policy_and_the_time_are_as_for_assume_role(realm: Realm) -> None:
    assert realm.refuse(policy="{").code == "MalformedPolicyDocument"
    assert realm.refuse(duration_seconds=899).code == "ValidationError"
    assert realm.refuse(duration_seconds=3601).code == "ValidationError"
    assert realm.refuse(provider_id="www.amazon.com").code == "UnsupportedOperation"


def _redirect(handler: Any) -> None:
    handler.send_response(302)
    handler.send_header("Location", "http://localhost:1/keys")
    handler.end_headers()


def _drip(handler: Any) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        time.sleep(0.1)
        handler.wfile.write(b" ")


@pytest.mark.parametrize(
    ("discovery", "words"),
    [
        (None, "status 404"),
        (_redirect, "status 302"),
        (b"[]", "no JSON object"),
        (b"{", "no JSON object"),
        (b"[" * 100_000, "no JSON object"),
        (b"{" + b" " * 300_000 + b"}", "more than"),
        ({"issuer": "http://localhost:1", "jwks_uri": "http://localhost:1"}, "another issuer"),
        ({"issuer": "URL"}, "no jwks_uri"),
        ({"issuer": "URL", "jwks_uri": "http://192.0.2.1/keys"}, "no jwks_uri"),
        ({"issuer": "URL", "jwks_uri": "file:///etc/passwd"}, "no jwks_uri"),
        ({"issuer": "URL", "jwks_uri": "https://127.0.0.1:1/keys"}, "private"),
        ({"issuer": "URL", "jwks_uri": "https://no.such.host.invalid/keys"}, "can't be asked"),
    ],
)
def test_a_provider_that_does_not_answer_rightly(realm: Realm, discovery: Any, words: str) -> None:
    if isinstance(discovery, dict):
        discovery = {n: v.replace("URL", realm.issuer.url) for n, v in discovery.items()}
    realm.issuer.documents["/auth/realms/demo/.well-known/openid-configuration"] = discovery
    fault = realm.refuse()
    assert (fault.code, words in fault.message) == ("IDPCommunicationError", True), fault.message
    asked = len(realm.issuer.asked)
    assert realm.refuse().code == "IDPCommunicationError"
    assert len(realm.issuer.asked) == asked


@pytest.mark.not_fast
def test_a_provider_that_sends_byte_by_byte_is_left(
    realm: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_documents, "SECONDS", 0.5)
    realm.issuer.documents["/auth/realms/demo/.well-known/openid-configuration"] = _drip
    began = time.monotonic()
    assert realm.refuse().code == "IDPCommunicationError"
    assert time.monotonic() - began < 5


class Hanging:
    """Providers that answer nothing until they are let go."""

    def __init__(self, realm: Realm) -> None:
        self.asked: list[str] = []
        self.free = threading.Event()
        self.realm = realm
        realm.doors.accounts.provider_keys.fetch = self.fetch

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        self.free.wait(30)
        raise IdentityProviderUnreachable(reason="no answer")

    def wait_until_asked(self, count: int) -> None:
        deadline = time.monotonic() + 30
        while len(self.asked) < count:
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def find(self, number: int, account_id: str) -> str:
        """Ask for the keys of a provider; return what is wrong."""
        provider: OidcProviderRow = {
            "provider_id": f"oidc-{number}", "account_id": account_id, "url": "https://x.org",
            "client_ids": "[]", "thumbprints": "[]", "jwks": "", "created": "",
        }  # fmt: skip
        with pytest.raises(IdentityProviderUnreachable) as caught:
            self.realm.doors.accounts.provider_keys.find(provider, "one")
        return caught.value.message


def test_a_provider_that_hangs_takes_few_threads(realm: Realm) -> None:
    hanging, token, most = Hanging(realm), realm.issuer.token(), provider_keys.MOST_WAITING
    with ThreadPoolExecutor(most) as pool:
        waiting = [pool.submit(realm.refuse, token) for _ in range(most)]
        hanging.wait_until_asked(1)
        known = realm.doors.accounts.provider_keys._known
        deadline = time.monotonic() + 10
        while sum(each.waiting for each in known.values()) < most:  # or this one takes a place
            assert time.monotonic() < deadline
            time.sleep(0.001)
        assert "is being asked" in realm.refuse(token).message
        hanging.free.set()
        assert {each.result(30).code for each in waiting} == {"IDPCommunicationError"}
    assert len(hanging.asked) == 1, "the others took the first one's outcome"


def test_providers_that_hang_leave_places_to_those_of_other_accounts(
    realm: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_keys, "PATIENCE", 0.01)
    hanging = Hanging(realm)
    most, in_all = provider_keys.MOST_OF_ACCOUNT, provider_keys.MOST_FETCHING
    for number in range(most):
        assert "takes longer than 0.01 s" in hanging.find(number, "1")
    assert "is being asked" in hanging.find(most, "1")
    for number in range(most, in_all):
        assert "takes longer than" in hanging.find(number, str(number))
    assert "is being asked" in hanging.find(in_all, "other")
    hanging.wait_until_asked(in_all)
    hanging.free.set()
    deadline = time.monotonic() + 30
    while "no answer" not in (text := hanging.find(in_all + 1, "1")):
        assert time.monotonic() < deadline, text


def test_keys_that_are_known_serve_on_while_their_provider_hangs(
    realm: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    realm.assume()
    monkeypatch.setattr(provider_keys, "FRESH", 0.0)
    monkeypatch.setattr(provider_keys, "AGAIN", 0.0)
    monkeypatch.setattr(provider_keys, "PATIENCE", 0.01)
    hanging = Hanging(realm)
    assert realm.assume()
    assert hanging.asked
    hanging.free.set()


def test_keys_that_check_no_token(realm: Realm) -> None:
    weak = {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "one"}
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "one"}
    broken = {"kty": "RSA", "kid": "one"}
    keys = [weak, secret, broken, "x", realm.issuer.jwk(use="enc"), realm.issuer.jwk(alg="RSA1_5")]
    path = "/auth/realms/demo/keys"
    realm.issuer.documents[path] = {"keys": keys}
    assert "no RSA or EC key" in realm.refuse().message


@pytest.mark.not_fast
def test_private_addresses_are_asked_only_by_the_administrators_leave(
    realm: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    realm.doors.accounts.provider_keys.fetch = lambda url: provider_documents.fetch(url, ())
    fault = realm.refuse()
    assert fault.code == "IDPCommunicationError"
    assert "the administrator may name localhost in [iam] private_providers" in fault.message
    assert realm.issuer.asked == []
