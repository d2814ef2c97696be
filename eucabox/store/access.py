"""Who may do what to a bucket or an object, by its access list; never opens either."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from eucabox.errors import (
    AccessDenied,
    InvalidArgument,
    InvalidRequest,
    NoSuchKey,
    UnresolvableGrantee,
)
from eucabox.store.facts import Bucket, ObjectFacts, Upload

Acl = Mapping[str, Any]
Grant = dict[str, Any]
Found = TypeVar("Found")

EVERYONE = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
GROUPS = frozenset({EVERYONE, AUTHENTICATED, LOG_DELIVERY})
# the canonical id under which S3 shows EC2 in a list made by aws-exec-read
CLOUD = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c"
BUCKET_OWNER = "bucket-owner"
MOST_GRANTS = 100
LONGEST_NAME = 255
PERMISSIONS = frozenset({"FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP"})
READS = frozenset({"READ", "READ_ACP"})
# verbs whose action in policies has another name
ACTIONS_OF = {
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteObjects": "DeleteObject",
    "GetBucketCors": "GetBucketCORS",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketCors": "PutBucketCORS",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
# what an access list must grant for an action; the others are their owner's alone
PERMISSIONS_OF = {
    "s3:AbortMultipartUpload": "WRITE",
    "s3:DeleteObject": "WRITE",
    "s3:GetBucketAcl": "READ_ACP",
    "s3:GetBucketLocation": "READ",
    "s3:GetObject": "READ",
    "s3:GetObjectAcl": "READ_ACP",
    "s3:GetObjectAttributes": "READ",
    "s3:ListBucket": "READ",
    "s3:ListBucketMultipartUploads": "READ",
    "s3:ListBucketVersions": "READ",
    "s3:ListMultipartUploadParts": "WRITE",
    "s3:PutBucketAcl": "WRITE_ACP",
    "s3:PutObject": "WRITE",
    "s3:PutObjectAcl": "WRITE_ACP",
}
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


class Asker(Protocol):
    """Who asks; None stands for somebody without a signature."""

    @property
    def account_id(self) -> str:
        """The account, 12 digits."""

    @property
    def canonical_id(self) -> str:
        """The account as access lists name it."""

    @property
    def admin(self) -> bool:
        """True for the administrator of the cloud."""


class Asking(Protocol):
    """A request as permissions see it: who asks for which verb, with what, and how."""

    @property
    def caller(self) -> Asker | None:
        """Who signed it, None for nobody."""

    @property
    def action(self) -> str:
        """The verb, as PutObject."""

    @property
    def params(self) -> Mapping[str, Any]:
        """The verb's members as they came."""

    @property
    def context(self) -> Mapping[str, str]:
        """The circumstances that a policy may ask for: source_ip, secure, referer, user_agent."""


@dataclass(frozen=True)
class Somebody:
    """An asker outside of any request."""

    caller: Asker | None
    action: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, str] = field(default_factory=dict)


def check(
    asking: Asking,
    bucket: Bucket,
    key: str = "",
    kept: ObjectFacts | None = None,
    *,
    action: str = "",
    expected: str = "",
) -> None:
    """Raise AccessDenied unless the asker may do an action of policies (s3:PutObject) to a bucket
    or to the key in it, and the bucket belongs to the account `expected`, if one is named.

    `kept` are the facts of the present object, for the actions that its own access list judges.
    The action is that of the request's verb if none is given.
    """
    check_expected(bucket, expected)
    action = action or action_of(asking.action)
    permission = PERMISSIONS_OF.get(action, "")
    if kept is not None:
        acl, owners = kept.acl, {kept.owner or bucket.owner, bucket.owner}
    else:
        acl, owners = bucket.acl, {bucket.owner}
    if not allows(acl, asking.caller, permission, owners):
        what = f"The object {key}" if key and kept else f"The bucket {bucket.name}"
        raise AccessDenied(reason=f"{what} does not grant you {permission or 'it'}.")


def action_of(verb: str) -> str:
    """Return the action of policies that a verb is, where one is."""
    return f"s3:{ACTIONS_OF.get(verb, verb)}"


def check_expected(bucket: Bucket, expected: str) -> None:
    """Raise AccessDenied unless the bucket belongs to the account named, if one is."""
    if expected and expected != bucket.owner:
        reason = f"The bucket {bucket.name} does not belong to the account {expected}."
        raise AccessDenied(reason=reason)


def check_upload(asking: Asking, upload: Upload, bucket: Bucket) -> None:
    """Raise AccessDenied unless the asker began the upload or owns the bucket; who may write to
    the bucket begins uploads of their own. What nobody signed is begun as the bucket's owner."""
    asker = asking.caller
    owners = (upload.facts.owner or bucket.owner, bucket.owner)
    theirs = not _owns(asker, owners) if asker else upload.facts.owner not in ("", bucket.owner)
    if theirs:
        raise AccessDenied(reason="The upload was begun by another account.")


def look_up(asking: Asking, look: Callable[[str, str], Found], bucket: Bucket, key: str) -> Found:
    """Look for an object; who may not list the bucket is told AccessDenied, not what is missing."""
    try:
        return look(bucket.name, key)
    except NoSuchKey:
        check(asking, bucket, action="s3:ListBucket")
        raise


def allows(acl: Acl | None, asker: Asker | None, permission: str, owners: Collection[str]) -> bool:
    """True if the asker owns it, administers the cloud and only reads, or is granted it."""
    if asker and (_owns(asker, owners) or (asker.admin and permission in READS)):
        return True
    return permission != "" and any(
        each["permission"] in (permission, "FULL_CONTROL") and _means(each["grantee"], asker)
        for each in _listed(acl)
    )


def _owns(asker: Asker, owners: Collection[str]) -> bool:
    # "" is what is left of an owner when a bucket's configuration was lost
    return asker.account_id in owners or (asker.admin and "" in owners)


def canned(word: str) -> dict[str, Any]:
    """Return the access list of a canned name; raises InvalidArgument for an unknown one."""
    if word not in CANNED:
        known = ", ".join(CANNED)
        raise InvalidArgument(argument="x-amz-acl", value=word, reason=f"Use one of {known}.")
    return {"canned": word}


def chosen(word: str, **headers: str) -> dict[str, Any] | None:
    """Return the access list that a request's headers ask for, None if they ask for none.

    `headers` are permissions with grant headers: READ='id="..."'.
    """
    told = {permission: text for permission, text in headers.items() if text}
    if word and told:
        reason = "Name a canned access list or grants in headers, not both."
        raise InvalidRequest(reason=reason)
    if told:
        return listed(granted(told))
    return canned(word) if word else None


def granted(headers: Mapping[str, str]) -> list[Grant]:
    """Read grant headers {permission: 'id="...", uri="..."'} into grants."""
    return [
        {"grantee": _grantee(*each.partition("=")[::2]), "permission": permission}
        for permission, text in headers.items()
        for each in text.split(",")
    ]


def listed(grants: Collection[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the access list of the grants that a client spelt out, each of them checked."""
    if len(grants) > MOST_GRANTS:
        reason = f"The access list has {len(grants)} grants; at most {MOST_GRANTS} are possible."
        raise InvalidRequest(reason=reason)
    return {"grants": [_checked(each) for each in grants]}


def shown(acl: Acl | None, owner: Grant, bucket_owner: Grant | None = None) -> Sequence[Grant]:
    """Return every grant of an access list in the words of the API, the owner's first.

    `owner` and `bucket_owner` are {"id": canonical id, "display_name": account name}.
    """
    grants = [] if acl and "grants" in acl else [_full_control(owner)]
    for each in _listed(acl):
        grantee = each["grantee"]
        if grantee.get("id") == BUCKET_OWNER:
            if bucket_owner is None or bucket_owner["id"] == owner["id"]:
                continue
            grantee = {"type": "CanonicalUser", **bucket_owner}
        grants.append({"grantee": grantee, "permission": each["permission"]})
    return grants


def _full_control(owner: Grant) -> Grant:
    return {"grantee": {"type": "CanonicalUser", **owner}, "permission": "FULL_CONTROL"}


def _listed(acl: Acl | None) -> Iterable[Grant]:
    if not acl:
        return ()
    if "grants" in acl:
        return acl["grants"]  # type: ignore[no-any-return]
    words = CANNED[acl["canned"]]
    return [{"grantee": _named(who), "permission": permission} for who, permission in words]


def _named(who: str) -> dict[str, str]:
    if who in GROUPS:
        return {"type": "Group", "uri": who}
    return {"type": "CanonicalUser", "id": who}


def _means(grantee: Mapping[str, str], asker: Asker | None) -> bool:
    group = grantee.get("uri")
    if group:
        return group == EVERYONE or (group == AUTHENTICATED and asker is not None)
    return asker is not None and grantee.get("id") == asker.canonical_id


def _grantee(kind: str, value: str) -> dict[str, str]:
    word = kind.strip().lower()
    name = value.strip().strip("\"'")
    return {{"emailaddress": "email_address"}.get(word, word): name}


def _checked(grant: Mapping[str, Any]) -> Grant:
    grantee, permission = grant.get("grantee") or {}, grant.get("permission", "")
    if permission not in PERMISSIONS:
        known = ", ".join(sorted(PERMISSIONS))
        reason = f"Use one of {known}."
        raise InvalidArgument(argument="Permission", value=permission, reason=reason)
    if grantee.get("uri"):
        if grantee["uri"] not in GROUPS:
            reason = f"Use one of {', '.join(sorted(GROUPS))}."
            raise InvalidArgument(argument="uri", value=grantee["uri"], reason=reason)
        return {"grantee": _named(grantee["uri"]), "permission": permission}
    if not grantee.get("id") or len(grantee["id"]) > LONGEST_NAME:
        named = ", ".join(map(str, grantee.values()))[:LONGEST_NAME]
        raise UnresolvableGrantee(grantee=named or "nobody")
    name = grantee.get("display_name", "")[:LONGEST_NAME]
    shown_name = {"display_name": name} if name else {}
    who = {"type": "CanonicalUser", "id": grantee["id"], **shown_name}
    return {"grantee": who, "permission": permission}
