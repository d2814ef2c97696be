"""What a request says for each condition key of S3's policies; never judged here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from eucabox.errors import AccessDenied
from eucabox.store.types import Bucket, ObjectProperties, to_utc

# members of a request whose key is named as their header
HEADERS = {
    "acl": "s3:x-amz-acl",
    "copy_source_if_match": "s3:x-amz-copy-source-if-match",
    "copy_source_if_none_match": "s3:x-amz-copy-source-if-none-match",
    "delimiter": "s3:delimiter",
    "grant_full_control": "s3:x-amz-grant-full-control",
    "grant_read": "s3:x-amz-grant-read",
    "grant_read_acp": "s3:x-amz-grant-read-acp",
    "grant_write": "s3:x-amz-grant-write",
    "grant_write_acp": "s3:x-amz-grant-write-acp",
    "if_match": "s3:if-match",
    "if_none_match": "s3:if-none-match",
    "max_keys": "s3:max-keys",
    "metadata_directive": "s3:x-amz-metadata-directive",
    "object_lock_legal_hold_status": "s3:object-lock-legal-hold",
    "object_lock_mode": "s3:object-lock-mode",
    "object_lock_retain_until_date": "s3:object-lock-retain-until-date",
    "object_ownership": "s3:x-amz-object-ownership",
    "server_side_encryption": "s3:x-amz-server-side-encryption",
    "sse_customer_algorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    "ssekms_key_id": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "storage_class": "s3:x-amz-storage-class",
    "tagging_directive": "s3:x-amz-tagging-directive",
    "version_id": "s3:versionid",
    "website_redirect_location": "s3:x-amz-website-redirect-location",
}
MEMBERS = {key: member for member, key in HEADERS.items()}
CONTEXT = {
    "aws:referer": "referer",
    "aws:requestedregion": "region",
    "aws:securetransport": "secure",
    "aws:sourceip": "source_ip",
    "aws:useragent": "user_agent",
    "s3:authtype": "auth_type",
    "s3:signatureversion": "signature_version",
    "s3:tlsversion": "tls_version",
    "s3:x-amz-content-sha256": "content_sha256",
}
# What a policy compares of a request: browsers send no longer Referer, and no key has more.
LONGEST_VALUE, MOST_VALUES = 4096, 64
EXISTING, REQUESTED = "s3:existingobjecttag/", "s3:requestobjecttag/"
CREATING = ("PutObject", "CopyObject", "CompleteMultipartUpload")


class ConditionValues:
    """The values of a request's condition keys, looked up when a policy asks for them.

    `listed` is the key that is looked for, where listing is what is judged of another verb.
    """

    def __init__(
        self, asking: Any, bucket: Bucket, kept: ObjectProperties | None, listed: str = ""
    ) -> None:
        self._asking = asking
        self._bucket = bucket
        self._kept = kept
        self._listed = listed

    def __call__(self, key: str) -> Sequence[str] | None:
        """Return the values of a key, None where the request has none. Raises AccessDenied for
        more than a policy compares: to let in what was not looked at would be worse."""
        found = self._values(key)
        if found and (len(found) > MOST_VALUES or max(map(len, found)) > LONGEST_VALUE):
            most = f"{MOST_VALUES} values of {LONGEST_VALUE} characters"
            raise AccessDenied(reason=f"The bucket's policy asks for {key}: at most {most}.")
        return found

    def _values(self, key: str) -> Sequence[str] | None:
        if key == "s3:prefix":
            return _texts(self._listed or self._asking.params.get("prefix"))
        if key in CONTEXT:
            return _texts(self._asking.context.get(CONTEXT[key]) or None)
        if key.startswith(EXISTING):
            return _texts((self._kept.tags if self._kept else {}).get(key[len(EXISTING) :]))
        if key.startswith(REQUESTED):
            return _texts(dict(self._requested()).get(key[len(REQUESTED) :]))
        said = self._asking.params.get(MEMBERS[key]) if key in MEMBERS else None
        if said is None and key in OTHERS:
            said = OTHERS[key](self) or None
        return _texts(said)

    def _requested(self) -> Iterator[tuple[str, str]]:
        return list_requested_tags(self._asking.params.get("tagging"))

    def _caller(self, what: str) -> str:
        return str(getattr(self._asking.caller, what, "") or "")

    def _kind(self) -> str:
        return "User" if self._asking.caller else "Anonymous"

    def _user_id(self) -> str:
        return self._caller("user_id") if self._asking.caller else "anonymous"

    def _copy_source(self) -> str:
        named: Mapping[str, str] = self._asking.params.get("copy_source") or {}
        return f"{named.get('bucket', '')}/{named.get('key', '')}" if named else ""

    def _creates(self) -> str:
        return "true" if self._asking.action in CREATING else ""

    def _signature_age(self) -> str:
        """In milliseconds."""
        try:
            told = self._asking.context.get("signed_at", "")
            signed = datetime.strptime(told, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return ""
        return str(max(0, int((_now() - signed).total_seconds() * 1000)))

    def _location(self) -> str:
        return str(self._inside("create_bucket_configuration", "location_constraint") or "")

    def _days_left(self) -> str:
        until = self._asking.params.get("object_lock_retain_until_date")
        until = until or self._inside("retention", "retain_until_date")
        if not isinstance(until, datetime):
            return ""
        left = to_utc(until) - _now()
        return str(-(-left.total_seconds() // 86400)).removesuffix(".0")

    def _inside(self, member: str, what: str) -> Any:
        return (self._asking.params.get(member) or {}).get(what)


OTHERS: dict[str, Callable[[ConditionValues], Any]] = {
    "aws:currenttime": lambda said: _now(),
    "aws:epochtime": lambda said: str(int(_now().timestamp())),
    "aws:principalaccount": lambda said: said._caller("account_id"),
    "aws:principalarn": lambda said: said._caller("arn"),
    "aws:principalisawsservice": lambda said: "false",
    "aws:principaltype": lambda said: said._kind(),
    "aws:resourceaccount": lambda said: said._bucket.owner,
    "aws:userid": lambda said: said._user_id(),
    "aws:username": lambda said: said._caller("user_name"),
    "aws:viaawsservice": lambda said: "false",
    "s3:locationconstraint": lambda said: said._location(),
    "s3:object-lock-legal-hold": lambda said: said._inside("legal_hold", "status"),
    "s3:object-lock-mode": lambda said: said._inside("retention", "mode"),
    "s3:object-lock-retain-until-date": lambda said: said._inside("retention", "retain_until_date"),
    "s3:object-lock-remaining-retention-days": lambda said: said._days_left(),
    "s3:objectcreationoperation": lambda said: said._creates(),
    "s3:requestobjecttagkeys": lambda said: [name for name, _ in said._requested()],
    "s3:resourceaccount": lambda said: said._bucket.owner,
    "s3:signatureage": lambda said: said._signature_age(),
    "s3:x-amz-copy-source": lambda said: said._copy_source(),
}


def list_requested_tags(said: Any) -> Iterator[tuple[str, str]]:
    """Yield the tags (name, value) that a request names, in a header or in a document."""
    for each in (said or {}).get("tag_set") or []:
        yield str(each.get("key", "")), str(each.get("value", ""))


def _now() -> datetime:
    return datetime.now(UTC)


def _texts(value: Any) -> Sequence[str] | None:
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return [str(each) for each in value] or None
    if isinstance(value, datetime):
        return (value.isoformat(),)
    if isinstance(value, bool):
        return ("true",) if value else ("false",)
    return (str(value),)
