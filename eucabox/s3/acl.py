"""ACLs: read from requests, validated, turned into API members, and matched; never a policy."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypedDict

from eucabox import ascii_text
from eucabox.errors import InvalidArgument, InvalidRequest, MalformedACL, UnresolvableGrantee
from eucabox.s3.request_context import Principal
from eucabox.schema import AccountRow
from eucabox.store.types import Acl, Grant, Grantee

EVERYONE = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
GROUPS = frozenset({EVERYONE, AUTHENTICATED, LOG_DELIVERY})
PUBLIC = (EVERYONE, AUTHENTICATED)
# the canonical id of EC2 in an ACL made by aws-exec-read
CLOUD = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c"
BUCKET_OWNER = "bucket-owner"
MOST_GRANTS = 100
LONGEST_NAME = 255
PERMISSIONS = frozenset({"FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP"})
READS = frozenset({"READ", "READ_ACP"})
HEADERS = {
    "grant_full_control": "FULL_CONTROL",
    "grant_read": "READ",
    "grant_read_acp": "READ_ACP",
    "grant_write": "WRITE",
    "grant_write_acp": "WRITE_ACP",
}
KINDS = {"id": "id", "uri": "uri", "emailaddress": "email_address"}  # in a grant header
CANNED: dict[str, tuple[tuple[str, str], ...]] = {
    "private": (),
    "public-read": ((EVERYONE, "READ"),),
    "public-read-write": ((EVERYONE, "READ"), (EVERYONE, "WRITE")),
    "authenticated-read": ((AUTHENTICATED, "READ"),),
    "aws-exec-read": ((CLOUD, "READ"),),
    "ec2-bundle-read": ((CLOUD, "READ"),),
    "bucket-owner-read": ((BUCKET_OWNER, "READ"),),
    "bucket-owner-full-control": ((BUCKET_OWNER, "FULL_CONTROL"),),
    "log-delivery-write": ((LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")),
}


class ObjectAclMembers(TypedDict, total=False):
    """The ACL members of every operation that writes an object."""

    acl: str
    grant_full_control: str
    grant_read: str
    grant_read_acp: str
    grant_write_acp: str


class BucketAclMembers(ObjectAclMembers, total=False):
    """The ACL members of the operations that make a bucket or replace an ACL."""

    grant_write: str


class Owner(TypedDict):
    """An account as the API shows it: its canonical id and its name."""

    id: str
    display_name: str


class AccountDirectory(Protocol):
    """Where accounts are looked up: rows of accounts."""

    def get_by_account_id(self, account_id: str) -> AccountRow | None:
        """Return the account of an id, None if there is none."""

    def get_by_canonical_id(self, canonical_id: str) -> AccountRow | None:
        """Return the account of a canonical id, None if there is none."""

    def get_by_email(self, email: str) -> AccountRow | None:
        """Return the account of an e-mail address, None if there is none."""


def from_canned(canned: str) -> Acl:
    """Return the ACL of a canned name; raises InvalidArgument for an unknown one."""
    if canned not in CANNED:
        known = ", ".join(CANNED)
        raise InvalidArgument(argument="x-amz-acl", value=canned, reason=f"Use one of {known}.")
    return {"canned": canned}


def from_headers(members: Mapping[str, Any]) -> Acl | None:
    """Return the ACL that a request's headers ask for, None if they name none.

    Its grantees are not looked up yet: see `resolve_grantees`.
    """
    canned = members.get("acl", "")
    headers = {
        permission: members[name] for name, permission in HEADERS.items() if members.get(name)
    }
    if canned and headers:
        reason = "Specifying both Canned ACLs and Header Grants is not allowed. Choose one."
        raise InvalidRequest(reason=reason)
    if headers:
        return from_grants(_parse_headers(headers))
    return from_canned(canned) if canned else None


def _parse_headers(headers: Mapping[str, str]) -> list[dict[str, object]]:
    """Parse grant headers {permission: 'id="...", uri="..."'} into grants."""
    return [
        {"grantee": _parse_grantee(*grant.partition("=")[::2]), "permission": permission}
        for permission, text in headers.items()
        for grant in text.split(",")
    ]


def from_grants(grants: Collection[Mapping[str, Any]]) -> Acl:
    """Return the ACL of a list of grants, each of them validated."""
    if len(grants) > MOST_GRANTS:
        reason = f"The access list has {len(grants)} grants; at most {MOST_GRANTS} are possible."
        raise InvalidRequest(reason=reason)
    return {"grants": [_validate_grant(grant) for grant in grants]}


def resolve_grantees(acl: Acl | None, directory: AccountDirectory) -> Acl | None:
    """Return an ACL whose grantees are existing accounts, with their names.

    Raises InvalidArgument for an unknown canonical id and UnresolvableGrantee
    (UnresolvableGrantByEmailAddress) for an address that is not exactly one account's.
    """
    if not acl or "grants" not in acl:
        return acl
    return {"grants": [_resolve(grant, directory) for grant in acl["grants"]]}


def _resolve(grant: Grant, directory: AccountDirectory) -> Grant:
    grantee = grant["grantee"]
    if "uri" in grantee or grantee.get("id") == CLOUD:
        return grant
    email = grantee.get("email_address")
    row = directory.get_by_email(email) if email else directory.get_by_canonical_id(grantee["id"])
    if row is None and email:
        raise UnresolvableGrantee(grantee=email[:LONGEST_NAME])
    if row is None:
        reason = "Invalid id: no account here has this canonical id."
        raise InvalidArgument(argument="CanonicalUser/ID", value=grantee["id"], reason=reason)
    owner: Owner = {"id": row["canonical_id"], "display_name": row["account_name"]}
    return {"grantee": _account_to_grantee(owner), "permission": grant["permission"]}


def to_api(acl: Acl | None, owner: Owner, bucket_owner: Owner | None = None) -> Sequence[Grant]:
    """Return every grant of an ACL as the API lists them: groups, accounts, the owner.

    A canned one names the bucket's owner only where `bucket_owner` is given.
    """
    grants: list[Grant] = []
    for grant in each_grant(acl):
        grantee = grant["grantee"]
        if grantee.get("id") == BUCKET_OWNER:
            if bucket_owner is None or bucket_owner["id"] == owner["id"]:
                continue
            grantee = _account_to_grantee(bucket_owner)
        grants.append({"grantee": grantee, "permission": grant["permission"]})
    grants.sort(key=lambda grant: "uri" not in grant["grantee"])
    if acl and "grants" in acl:
        return grants
    return [*grants, {"grantee": _account_to_grantee(owner), "permission": "FULL_CONTROL"}]


def each_grant(acl: Acl | None) -> Iterable[Grant]:
    """Return the grants of an ACL; of a canned one, those beside the owner's own."""
    if not acl:
        return ()
    if "grants" in acl:
        grants: Sequence[Grant] = acl["grants"]
        return grants
    canned_grants = CANNED[acl["canned"]]
    return [
        {"grantee": _to_grantee(grantee), "permission": permission}
        for grantee, permission in canned_grants
    ]


def is_public(acl: Acl | None) -> bool:
    """True if an ACL grants something to everyone, or to everyone with an account."""
    return any(grant["grantee"].get("uri") in PUBLIC for grant in each_grant(acl))


def only_for(acl: Acl | None, canonical_id: str) -> bool:
    """True if an ACL grants nothing to anyone but one account."""
    return all(
        grant["grantee"].get("id") in (canonical_id, BUCKET_OWNER) for grant in each_grant(acl)
    )


def grants_owner_full_control(acl: Acl | None, canonical_id: str) -> bool:
    """True if an ACL names the bucket's owner with FULL_CONTROL and grants nothing else."""
    grants = list(each_grant(acl))
    full = all(grant["permission"] == "FULL_CONTROL" for grant in grants)
    return bool(grants) and full and only_for(acl, canonical_id)


def matches(
    grantee: Grantee, caller: Principal | None, bucket_owner: str, public: bool = True
) -> bool:
    """True if a caller, None for an anonymous one, is a grantee, in a bucket of the account
    `bucket_owner`. Without `public`, groups that anyone belongs to do not count."""
    group = grantee.get("uri")
    if group:
        return public and (group == EVERYONE or (group == AUTHENTICATED and caller is not None))
    if caller is None:
        return False
    if grantee.get("id") == BUCKET_OWNER:
        return caller.account_id == bucket_owner
    return grantee.get("id") == caller.canonical_id


def _account_to_grantee(owner: Owner) -> Grantee:
    return {"type": "CanonicalUser", "id": owner["id"], "display_name": owner["display_name"]}


def _to_grantee(grantee: str) -> Grantee:
    if grantee in GROUPS:
        return {"type": "Group", "uri": grantee}
    return {"type": "CanonicalUser", "id": grantee}


def _parse_grantee(kind: str, value: str) -> dict[str, str]:
    word = ascii_text.lower(ascii_text.strip(kind))
    if word not in KINDS:
        text = f"{kind}={value}" if value else kind
        reason = 'Argument format not recognized. Write id="...", uri="..." or emailAddress="...".'
        raise InvalidArgument(argument="x-amz-grant", value=text[:LONGEST_NAME], reason=reason)
    return {KINDS[word]: ascii_text.strip(value).strip("\"'")}


def _validate_grant(grant: Mapping[str, Any]) -> Grant:
    grantee, permission = grant.get("grantee") or {}, grant.get("permission", "")
    if permission not in PERMISSIONS:
        known = ", ".join(sorted(PERMISSIONS))
        reason = f"A grant has the permission {permission[:60]!r}: use one of {known}."
        raise MalformedACL(reason=reason)
    if grantee.get("uri"):
        if grantee["uri"] not in GROUPS:
            reason = f"Use one of {', '.join(sorted(GROUPS))}."
            raise InvalidArgument(argument="uri", value=grantee["uri"], reason=reason)
        return {"grantee": _to_grantee(grantee["uri"]), "permission": permission}
    if 0 < len(grantee.get("id") or "") <= LONGEST_NAME:
        return {"grantee": {"id": grantee["id"]}, "permission": permission}
    if 0 < len(grantee.get("email_address") or "") <= LONGEST_NAME:
        return {"grantee": {"email_address": grantee["email_address"]}, "permission": permission}
    longest = f"1 to {LONGEST_NAME} characters"
    raise MalformedACL(reason=f"A grantee has a URI, or an ID or EmailAddress of {longest}.")
