"""The account's alias, GetAccountSummary, and the lists that are empty."""

import pytest
from botocore import xform_name

from eucabox import actions
from eucabox.errors import Fault
from eucabox.wire import model
from eucabox.wire.shapes import MapShape, StructureShape
from tests.actions.iam.conftest import OTHER_ROOT, ROOT, People

OF_USERS = ("ListSSHPublicKeys", "ListServiceSpecificCredentials")
# what the oldest botocore that we run with does not know yet
NEWER_COUNTS = (
    "AccountPasswordPresent", "AssumeRolePolicySizeQuota", "InstanceProfiles",
    "InstanceProfilesQuota", "Providers", "RolePolicySizeQuota", "Roles", "RolesQuota",
)  # fmt: skip
EMPTY = {
    "ListSSHPublicKeys": "SSHPublicKeys",
    "ListServiceSpecificCredentials": "ServiceSpecificCredentials",
    "ListServerCertificates": "ServerCertificateMetadataList",
    "ListSAMLProviders": "SAMLProviderList",
}


def test_an_alias_is_one_accounts(people: People) -> None:
    assert people.do("ListAccountAliases")["account_aliases"] == []
    people.do("CreateAccountAlias", account_alias="first")
    people.do("CreateAccountAlias", account_alias="red-team")
    assert people.do("ListAccountAliases")["account_aliases"] == ["red-team"]
    people.do("CreateAccountAlias", OTHER_ROOT, account_alias="first")
    for taken in ("red-team", "alice"):
        with pytest.raises(Fault, match=f"The account alias {taken} already exists") as caught:
            people.do("CreateAccountAlias", OTHER_ROOT, account_alias=taken)
        assert caught.value.code == "EntityAlreadyExists"
    with pytest.raises(Fault, match="The account alias first cannot be found") as caught:
        people.do("DeleteAccountAlias", account_alias="first")
    assert caught.value.code == "NoSuchEntity"
    people.do("DeleteAccountAlias", account_alias="red-team")
    assert people.do("ListAccountAliases")["account_aliases"] == []


@pytest.mark.parametrize(
    "alias", ["", "ab", "a" * 64, "Red", "a--b", "-ab", "ab-", "a_b", "123456789012", "\u0661ab"]
)
def test_what_is_no_alias_is_refused(people: People, alias: str) -> None:
    with pytest.raises(Fault) as caught:
        people.do("CreateAccountAlias", account_alias=alias)
    assert caught.value.code == "ValidationError"


def test_the_summary_counts_what_there_is(people: People) -> None:
    before = people.do("GetAccountSummary")["summary_map"]
    assert (before["Users"], before["Groups"], before["AccountAccessKeysPresent"]) == (0, 0, 0)
    for name in ("ann", "bea"):
        people.create_user(name)
    people.do("CreateGroup", group_name="staff")
    for _ in range(2):
        people.do("CreateAccessKey")
    summary = people.do("GetAccountSummary")["summary_map"]
    assert (summary["Users"], summary["Groups"], summary["AccountAccessKeysPresent"]) == (2, 1, 1)
    assert summary["UsersQuota"] == 5000
    assert people.do("GetAccountSummary", OTHER_ROOT)["summary_map"]["Users"] == 0
    known = model.service("iam").get_known("GetAccountSummary").output
    assert isinstance(known, StructureShape)
    counts = known.members["SummaryMap"]
    assert isinstance(counts, MapShape)
    assert summary.keys() <= {*counts.key.metadata["enum"], *NEWER_COUNTS}


@pytest.mark.parametrize("verb", EMPTY)
def test_what_nobody_has_is_an_empty_list(people: People, verb: str) -> None:
    people.create_user("ann")
    answer = people.do(verb, **({"user_name": "ann"} if verb in OF_USERS else {}))
    assert answer[xform_name(EMPTY[verb])] == []
    assert answer.get("is_truncated", False) is False
    if verb in OF_USERS:
        with pytest.raises(Fault, match="The user with name bea cannot be found"):
            people.do(verb, user_name="bea")
    assert people.do(verb, ROOT) == people.do(verb, OTHER_ROOT)


def test_every_other_verb_of_iam_says_why_it_is_not_there() -> None:
    names = {name for service, name in actions.load() if service == "iam"}
    for name in sorted(model.service("iam").names - names):
        reason = actions.unsupported.iam_reason(name)
        assert reason.startswith((f"{name}: ", f"This cloud does not serve IAM's {name};"))
