"""The values of a request for the condition keys of bucket policies; decides nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from eucabox.errors import AccessDenied
from eucabox.iam.policy import request_values
from eucabox.s3.request_context import RequestContext
from eucabox.store.types import Bucket, ObjectProperties, to_utc

# members whose condition key is named like their header
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
    **request_values.CONTEXT,
    "s3:authtype": "auth_type",
    "s3:signatureversion": "signature_version",
    "s3:tlsversion": "tls_version",
    "s3:x-amz-content-sha256": "content_sha256",
}
# Limits of what a policy compares: no browser sends a longer Referer, no key has more values.
LONGEST_VALUE, MOST_VALUES = 4096, 64
OF_CALLER = (
    "aws:federatedprovider", "aws:multifactorauth", "aws:principal", "aws:sourceidentity",
    "aws:tokenissuetime", "aws:userid", "aws:viaawsservice",
)  # fmt: skip
EXISTING, REQUESTED = "s3:existingobjecttag/", "s3:requestobjecttag/"
CREATING = ("PutObject", "CopyObject", "CompleteMultipartUpload")


class ConditionValues:
    """The values of a request's condition keys, looked up when a policy asks for them.

    `missing_key` is the key that does not exist; it is used as s3:prefix when a GET or HEAD is
    authorized by s3:ListBucket.
    """

    def __init__(
        self,
        request: RequestContext,
        bucket: Bucket,
        properties: ObjectProperties | None,
        missing_key: str = "",
    ) -> None:
        self._request = request
        self._bucket = bucket
        self._properties = properties
        self._missing_key = missing_key

    def __call__(self, key: str) -> Sequence[str] | None:
        """Return the values of a key, None where the request has none.

        Raises AccessDenied for more values than a policy compares: it would be unsafe to ignore
        some.
        """
        values = self._values(key)
        if values and (len(values) > MOST_VALUES or max(map(len, values)) > LONGEST_VALUE):
            most = f"{MOST_VALUES} values of {LONGEST_VALUE} characters"
            raise AccessDenied(reason=f"The bucket's policy asks for {key}: at most {most}.")
        return values

    def _values(self, key: str) -> Sequence[str] | None:
        if key == "s3:prefix":
            return _texts(self._missing_key or self._request.params.get("prefix"))
        if key in CONTEXT:
            return _texts(self._request.context.get(CONTEXT[key]) or None)
        if key.startswith(EXISTING):
            return _texts(
                (self._properties.tags if self._properties else {}).get(key[len(EXISTING) :])
            )
        if key.startswith(REQUESTED):
            return _texts(dict(self._requested_tags()).get(key[len(REQUESTED) :]))
        value = self._request.params.get(MEMBERS[key]) if key in MEMBERS else None
        if value is None and key in OTHERS:
            value = OTHERS[key](self) or None
        elif value is None and key.startswith(OF_CALLER):
            return self._of_caller(key)
        return _texts(value)

    def _of_caller(self, key: str) -> Sequence[str] | None:
        """Return what every service knows of a caller: who it is, its tags, its second factor."""
        caller, policies = self._request.caller, self._request.find_policies()
        values = request_values.RequestValues(
            principal=caller.principal if caller is not None else None,
            principal_tags=policies.tags,
            more=policies.facts,
        )
        return values(key)

    def _spell_arns(self) -> Sequence[str]:
        """Return the caller's ARN. A root has two, as policies were written for it as a user."""
        caller = self._request.caller
        known = self._of_caller("aws:principalarn") or ()
        if caller is None or not caller.is_root:
            return known
        user_name = caller.principal.user_name
        return (*known, f"arn:aws:iam::{caller.account_id}:user/{user_name}")

    def _spell_types(self) -> Sequence[str]:
        caller = self._request.caller
        known = self._of_caller("aws:principaltype") or ()
        return (*known, "User") if caller is not None and caller.is_root else known

    def _spell_ids(self) -> Sequence[str]:
        caller = self._request.caller
        known = self._of_caller("aws:userid") or ()
        return (*known, caller.user_id) if caller is not None and caller.is_root else known

    def _user_name(self) -> Sequence[str] | None:
        caller = self._request.caller
        if caller is not None and caller.is_root:
            return (caller.principal.user_name,)
        return self._of_caller("aws:username")

    def _requested_tags(self) -> Iterator[tuple[str, str]]:
        return list_requested_tags(self._request.params.get("tagging"))

    def _copy_source(self) -> str:
        source: Mapping[str, str] = self._request.params.get("copy_source") or {}
        return f"{source.get('bucket', '')}/{source.get('key', '')}" if source else ""

    def _signature_age(self) -> str:
        """Return the age of the signature in milliseconds."""
        try:
            signed_at = self._request.context.get("signed_at", "")
            time = datetime.strptime(signed_at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return ""
        return str(max(0, int((_now() - time).total_seconds() * 1000)))

    def _days_left(self) -> str:
        until = self._request.params.get("object_lock_retain_until_date")
        until = until or self._nested_member("retention", "retain_until_date")
        if not isinstance(until, datetime):
            return ""
        left = to_utc(until) - _now()
        return str(-(-left.total_seconds() // 86400)).removesuffix(".0")

    def _nested_member(self, member: str, what: str) -> object:
        return (self._request.params.get(member) or {}).get(what)


OTHERS: dict[str, Callable[[ConditionValues], object]] = {
    "aws:currenttime": lambda values: _now(),
    "aws:epochtime": lambda values: str(int(_now().timestamp())),
    "aws:principalarn": lambda values: values._spell_arns(),
    "aws:principaltype": lambda values: values._spell_types(),
    "aws:userid": lambda values: values._spell_ids(),
    "aws:username": lambda values: values._user_name(),
    "aws:resourceaccount": lambda values: values._bucket.owner,
    "s3:locationconstraint": lambda values: values._nested_member(
        "create_bucket_configuration", "location_constraint"
    ),
    "s3:object-lock-legal-hold": lambda values: values._nested_member("legal_hold", "status"),
    "s3:object-lock-mode": lambda values: values._nested_member("retention", "mode"),
    "s3:object-lock-retain-until-date": lambda values: values._nested_member(
        "retention", "retain_until_date"
    ),
    "s3:object-lock-remaining-retention-days": lambda values: values._days_left(),
    "s3:objectcreationoperation": lambda values: (
        "true" if values._request.action in CREATING else ""
    ),
    "s3:requestobjecttagkeys": lambda values: [name for name, _ in values._requested_tags()],
    "s3:resourceaccount": lambda values: values._bucket.owner,
    "s3:signatureage": lambda values: values._signature_age(),
    "s3:x-amz-copy-source": lambda values: values._copy_source(),
}


def list_requested_tags(tagging: Any) -> Iterator[tuple[str, str]]:
    """Yield the tags (name, value) that a request names, in a header or in a document."""
    for tag in (tagging or {}).get("tag_set") or []:
        yield str(tag.get("key", "")), str(tag.get("value", ""))


def _now() -> datetime:
    return datetime.now(UTC)


def _texts(value: object) -> Sequence[str] | None:
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return tuple(str(each) for each in value) or None
    if isinstance(value, datetime):
        return (value.isoformat(),)
    if isinstance(value, bool):
        return ("true",) if value else ("false",)
    return (str(value),)
