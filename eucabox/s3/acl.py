"""Access lists: read, checked, shown, and asked what they grant; never who may what by more."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypedDict

from eucabox import ascii_text
from eucabox.errors import InvalidArgument, InvalidRequest, MalformedACL, UnresolvableGrantee

Acl = Mapping[str, Any]
Grant = dict[str, Any]

EVERYONE = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
GROUPS = frozenset({EVERYONE, AUTHENTICATED, LOG_DELIVERY})
PUBLIC = (EVERYONE, AUTHENTICATED)
# the canonical id under which S3 shows EC2 in a list made by aws-exec-read
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
    """The members of every verb that writes an object, by which it gets an access list."""

    acl: str
    grant_full_control: str
    grant_read: str
    grant_read_acp: str
    grant_write_acp: str


class BucketAclMembers(ObjectAclMembers, total=False):
    """Those of the verbs that make a bucket or replace an access list."""

    grant_write: str


class AccountDirectory(Protocol):
    """Where accounts are looked up: rows with account_id, canonical_id and account_name."""

    def get_by_account_id(self, account_id: str) -> Mapping[str, Any] | None:
        """Return the account of an id, None if there is none."""

    def get_by_canonical_id(self, canonical_id: str) -> Mapping[str, Any] | None:
        """Return the account of a canonical id, None if there is none."""

    def get_by_email(self, email: str) -> Mapping[str, Any] | None:
        """Return the account of an e-mail address, None if there is none."""


def from_canned(word: str) -> dict[str, Any]:
    """Return the access list of a canned name; raises InvalidArgument for an unknown one."""
    if word not in CANNED:
        known = ", ".join(CANNED)
        raise InvalidArgument(argument="x-amz-acl", value=word, reason=f"Use one of {known}.")
    return {"canned": word}


def from_headers(said: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the access list that a request's headers ask for, None if they ask for none.

    Who is granted something is known once `resolved` has looked.
    """
    word = said.get("acl", "")
    told = {permission: said[name] for name, permission in HEADERS.items() if said.get(name)}
    if word and told:
        reason = "Specifying both Canned ACLs and Header Grants is not allowed. Choose one."
        raise InvalidRequest(reason=reason)
    if told:
        return from_grants(_granted(told))
    return from_canned(word) if word else None


def _granted(headers: Mapping[str, str]) -> list[Grant]:
    """Read grant headers {permission: 'id="...", uri="..."'} into grants."""
    return [
        {"grantee": _grantee(*each.partition("=")[::2]), "permission": permission}
        for permission, text in headers.items()
        for each in text.split(",")
    ]


def from_grants(grants: Collection[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the access list of the grants that a client spelt out, each of them checked."""
    if len(grants) > MOST_GRANTS:
        reason = f"The access list has {len(grants)} grants; at most {MOST_GRANTS} are possible."
        raise InvalidRequest(reason=reason)
    return {"grants": [_checked(each) for each in grants]}


def resolve_grantees(
    acl: dict[str, Any] | None, directory: AccountDirectory
) -> dict[str, Any] | None:
    """Return an access list whose grantees are accounts that exist, under their names.

    Raises InvalidArgument for an unknown canonical id and UnresolvableGrantee
    (UnresolvableGrantByEmailAddress) for an address that is not one account's.
    """
    if not acl or "grants" not in acl:
        return acl
    return {"grants": [_resolved(each, directory) for each in acl["grants"]]}


def _resolved(grant: Grant, directory: AccountDirectory) -> Grant:
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
    who = {"id": row["canonical_id"], "display_name": row["account_name"]}
    return {"grantee": {"type": "CanonicalUser", **who}, "permission": grant["permission"]}


def to_api(acl: Acl | None, owner: Grant, bucket_owner: Grant | None = None) -> Sequence[Grant]:
    """Return every grant of an access list in the words of the API: groups, accounts, the owner.

    `owner` and `bucket_owner` are {"id": canonical id, "display_name": account name}.
    """
    grants = []
    for each in each_grant(acl):
        grantee = each["grantee"]
        if grantee.get("id") == BUCKET_OWNER:
            if bucket_owner is None or bucket_owner["id"] == owner["id"]:
                continue
            grantee = {"type": "CanonicalUser", **bucket_owner}
        grants.append({"grantee": grantee, "permission": each["permission"]})
    grants.sort(key=lambda each: "uri" not in each["grantee"])
    return grants if acl and "grants" in acl else [*grants, _full_control(owner)]


def _full_control(owner: Grant) -> Grant:
    return {"grantee": {"type": "CanonicalUser", **owner}, "permission": "FULL_CONTROL"}


def each_grant(acl: Acl | None) -> Iterable[Grant]:
    """Return what an access list grants beside what the owner has of a canned one."""
    if not acl:
        return ()
    if "grants" in acl:
        return acl["grants"]  # type: ignore[no-any-return]
    words = CANNED[acl["canned"]]
    return [{"grantee": _named(who), "permission": permission} for who, permission in words]


def is_public(acl: Acl | None) -> bool:
    """True if everybody, or everybody with an account, is granted something."""
    return any(each["grantee"].get("uri") in PUBLIC for each in each_grant(acl))


def only_for(acl: Acl | None, canonical_id: str) -> bool:
    """True if nobody but one account is granted something."""
    return all(
        each["grantee"].get("id") in (canonical_id, BUCKET_OWNER) for each in each_grant(acl)
    )


def grants_owner_full_control(acl: Acl | None, canonical_id: str) -> bool:
    """True if the owner of the bucket, and nobody else, is granted full control in so many
    words."""
    grants = list(each_grant(acl))
    full = all(each["permission"] == "FULL_CONTROL" for each in grants)
    return bool(grants) and full and only_for(acl, canonical_id)


def matches(grantee: Mapping[str, str], asker: Any, in_bucket_of: str, public: bool = True) -> bool:
    """True if somebody, None for nobody with a name, is the grantee, in a bucket of an account.
    Without `public`, the groups that anybody belongs to do not count."""
    group = grantee.get("uri")
    if group:
        return public and (group == EVERYONE or (group == AUTHENTICATED and asker is not None))
    if asker is None:
        return False
    if grantee.get("id") == BUCKET_OWNER:
        return bool(asker.account_id == in_bucket_of)
    return bool(grantee.get("id") == asker.canonical_id)


def _named(who: str) -> dict[str, str]:
    if who in GROUPS:
        return {"type": "Group", "uri": who}
    return {"type": "CanonicalUser", "id": who}


def _grantee(kind: str, value: str) -> dict[str, str]:
    word = ascii_text.lower(ascii_text.strip(kind))
    if word not in KINDS:
        told = f"{kind}={value}" if value else kind
        reason = 'Argument format not recognized. Write id="...", uri="..." or emailAddress="...".'
        raise InvalidArgument(argument="x-amz-grant", value=told[:LONGEST_NAME], reason=reason)
    return {KINDS[word]: ascii_text.strip(value).strip("\"'")}


def _checked(grant: Mapping[str, Any]) -> Grant:
    grantee, permission = grant.get("grantee") or {}, grant.get("permission", "")
    if permission not in PERMISSIONS:
        known = ", ".join(sorted(PERMISSIONS))
        reason = f"A grant has the permission {permission[:60]!r}: use one of {known}."
        raise MalformedACL(reason=reason)
    if grantee.get("uri"):
        if grantee["uri"] not in GROUPS:
            reason = f"Use one of {', '.join(sorted(GROUPS))}."
            raise InvalidArgument(argument="uri", value=grantee["uri"], reason=reason)
        return {"grantee": _named(grantee["uri"]), "permission": permission}
    for name in ("id", "email_address"):
        if 0 < len(grantee.get(name) or "") <= LONGEST_NAME:
            return {"grantee": {name: grantee[name]}, "permission": permission}
    longest = f"1 to {LONGEST_NAME} characters"
    raise MalformedACL(reason=f"A grantee has a URI, or an ID or EmailAddress of {longest}.")
