"""Which principals a statement names."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from eucabox.errors import MalformedPolicy
from eucabox.iam.policy import AuthorizationRequest, RoleSession
from eucabox.iam.policy.principals import TRUST_KINDS, NamedAs, read

HOME = "111111111111"
ANN = SimpleNamespace(account_id=HOME, account_name="ann", user_name="ann", canonical_id="a" * 64)
SESSION = RoleSession(HOME, "reader", "tuesday", account_name="ann", canonical_id="a" * 64)


class Directory:
    """Knows one account with one user."""

    def knows_principal(self, account: str, user: str = "") -> bool:
        return account in (HOME, "ann") and user in ("", "ann")

    def get_by_canonical_id(self, canonical_id: str) -> Mapping[str, Any] | None:
        return None


class DirectoryWithRoles(Directory):
    """Knows one role too."""

    def knows_role(self, account: str, role: str) -> bool:
        return (account, role) == (HOME, "reader")


def request(caller: Any) -> AuthorizationRequest:
    return AuthorizationRequest("s3:GetObject", "*", caller, lambda key: None)


@pytest.mark.parametrize(
    ("names", "caller", "named"),
    [
        ("*", ANN, NamedAs.ANYONE),
        ("*", None, NamedAs.ANYONE),
        (HOME, ANN, NamedAs.ACCOUNT),
        (HOME, SESSION, NamedAs.ACCOUNT),
        (f"arn:aws:iam::{HOME}:root", SESSION, NamedAs.ACCOUNT),
        (f"arn:aws:iam::{HOME}:user/ann", ANN, NamedAs.ITSELF),
        (f"arn:aws:iam::{HOME}:user/staff/ann", ANN, NamedAs.ITSELF),
        ("arn:aws:iam::ann:user/ann", ANN, NamedAs.ITSELF),
        (f"arn:aws:iam::{HOME}:user/ann", SESSION, NamedAs.NOBODY),
        (f"arn:aws:iam::{HOME}:role/reader", SESSION, NamedAs.ROLE),
        (f"arn:aws:iam::{HOME}:role/service/reader", SESSION, NamedAs.ROLE),
        ("arn:aws:iam::ann:role/reader", SESSION, NamedAs.ROLE),
        (f"arn:aws:iam::{HOME}:role/writer", SESSION, NamedAs.NOBODY),
        ("arn:aws:iam::222222222222:role/reader", SESSION, NamedAs.NOBODY),
        (f"arn:aws:iam::{HOME}:role/reader", ANN, NamedAs.NOBODY),
        (f"arn:aws:sts::{HOME}:assumed-role/reader/tuesday", SESSION, NamedAs.ITSELF),
        (f"arn:aws:sts::{HOME}:assumed-role/reader/monday", SESSION, NamedAs.NOBODY),
        (f"arn:aws:sts::{HOME}:assumed-role/reader/tuesday", None, NamedAs.NOBODY),
    ],
)
def test_a_principal_is_named_more_or_less_closely(names: Any, caller: Any, named: NamedAs) -> None:
    principals = read({"AWS": names}, None)
    assert principals.match_closely(request(caller)) is named
    assert principals.matches(request(caller)) == (named is not NamedAs.NOBODY)


def test_of_several_names_the_closest_counts() -> None:
    arn = f"arn:aws:iam::{HOME}:"
    assert read({"AWS": ["*", f"{arn}user/ann"]}, None).match_closely(request(ANN)) == 4
    assert read({"AWS": [HOME, f"{arn}role/reader"]}, None).match_closely(request(SESSION)) == 2
    assert read({"CanonicalUser": "a" * 64}, None).match_closely(request(ANN)) == 1


def test_all_but_some_are_anyone() -> None:
    others = read({"AWS": f"arn:aws:iam::{HOME}:role/reader"}, None, others=True)
    assert others.match_closely(request(ANN)) is NamedAs.ANYONE
    assert others.match_closely(request(SESSION)) is NamedAs.NOBODY


@pytest.mark.parametrize(
    "name",
    [
        f"arn:aws:iam::{HOME}:role/*", f"arn:aws:iam::{HOME}:role/", f"arn:aws:iam::{HOME}:group/g",
        f"arn:aws:sts::{HOME}:assumed-role/reader", f"arn:aws:sts::{HOME}:assumed-role/reader/*",
        f"arn:aws:sts::{HOME}:federated-user/ann", "reader",
    ],
)  # fmt: skip
def test_other_names_are_no_principals(name: str) -> None:
    with pytest.raises(MalformedPolicy, match="Invalid principal in policy"):
        read({"AWS": name}, None)


@pytest.mark.parametrize(
    "name",
    [f"arn:aws:iam::{HOME}:role/reader", f"arn:aws:sts::{HOME}:assumed-role/reader/tuesday"],
)
def test_a_role_must_exist_where_a_directory_is_asked(name: str) -> None:
    assert read({"AWS": name}, DirectoryWithRoles())
    for directory, other in (
        (Directory(), name),
        (DirectoryWithRoles(), name.replace("reader", "writer")),
    ):
        with pytest.raises(MalformedPolicy, match="There is no such role here"):
            read({"AWS": other}, directory)


def test_only_a_trust_policy_names_an_identity_provider() -> None:
    provider = {"Federated": f"arn:aws:iam::{HOME}:oidc-provider/issuer.example.com"}
    assert read(provider, None, kinds=TRUST_KINDS)
    with pytest.raises(MalformedPolicy, match="Use one of AWS, CanonicalUser, Service"):
        read(provider, None)
