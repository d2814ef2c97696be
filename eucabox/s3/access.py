"""Who may do what to a bucket or an object, by its access list and policy; never opens either."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from eucabox.errors import AccessControlListNotSupported, AccessDenied, NoSuchKey
from eucabox.iam import policy
from eucabox.iam.policy import public, s3_vocabulary
from eucabox.s3 import acl as grants
from eucabox.s3.acl import AccountDirectory, Acl
from eucabox.s3.condition_keys import ConditionValues
from eucabox.s3.policy_actions import (
    CONTENT,
    OF_OBJECTS,
    OWNER_KEEPS,
    PERMISSIONS_OF,
    action_of_version,
    extra_actions,
    policy_action,
    versioned_action,
)
from eucabox.store.paths import LONGEST_KEY, encode_key
from eucabox.store.types import Bucket, Object, ObjectProperties, Upload

Found = TypeVar("Found")

POLICY = "policy"  # settings of a bucket that are judged here
BLOCK = "public_access_block"
OWNERSHIP = "object_ownership"
WRITTEN_BY = "writer"  # a fact of an object that does not belong to who wrote it
ENFORCED, PREFERRED, WRITER = "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"
OWNERSHIPS = (ENFORCED, PREFERRED, WRITER)


class Principal(Protocol):
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


class RequestContext(Protocol):
    """A request as permissions see it: who asks for which verb, with what, and how."""

    @property
    def caller(self) -> Principal | None:
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
class DetachedRequest:
    """An asker outside of any request."""

    caller: Principal | None
    action: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, str] = field(default_factory=dict)


def with_members(asking: RequestContext, **members: Any) -> DetachedRequest:
    """Return a request as if it named these members, None for one that it does not name: an entry
    of a batch, or the source of a copy, is judged as a request of its own would be."""
    params = {**asking.params, **members}
    return DetachedRequest(asking.caller, asking.action, params, asking.context)


def owns(asking: RequestContext, bucket: Bucket) -> bool:
    """True if the asker belongs to the account that owns a bucket."""
    return asking.caller is not None and _owns(asking.caller, {bucket.owner})


def check(
    asking: RequestContext,
    bucket: Bucket,
    key: str = "",
    kept: ObjectProperties | None = None,
    *,
    action: str = "",
    permission: str = "",
    expected: str = "",
) -> None:
    """Raise AccessDenied unless the asker may do an action of policies (s3:PutObject) to a bucket
    or to the key in it, and the bucket belongs to the account `expected`, if one is named.

    `kept` are the facts of the present object, for the actions that its own access list judges.
    Without an action it is that of the request's verb, with all that its headers ask for. An
    access list grants it by `permission`, or by what such lists have for the action.
    """
    check_expected(bucket, expected)
    case = AccessCheck(asking, bucket, key, kept)
    named = versioned_action(action or policy_action(asking.action), asking.params)
    case.check(named, permission or PERMISSIONS_OF.get(named, ""))
    if not action:
        for more, granted in extra_actions(asking.action, asking.params):
            case.check(versioned_action(more, asking.params), granted)


def check_expected(bucket: Bucket, expected: str) -> None:
    """Raise AccessDenied unless the bucket belongs to the account named, if one is."""
    if expected and expected != bucket.owner:
        reason = f"The bucket {bucket.name} does not belong to the account {expected}."
        raise AccessDenied(reason=reason)


def check_read(
    caller: Principal | None,
    bucket: Bucket,
    found: Object,
    *,
    version_id: str = "",
    context: Mapping[str, str] | None = None,
) -> None:
    """Raise AccessDenied unless GetObject would give an object to a caller: for verbs that are not
    S3's and read what lies in a bucket, such as RegisterImage.

    `found` is the present object, or with `version_id` the version that was named; `context` says
    how the request came, as `Asking` has it.
    """
    params = {"bucket": bucket.name, "key": found.key, "version_id": version_id}
    asking = DetachedRequest(caller, "GetObject", params, context or {})
    check(asking, bucket, found.key, found.facts)


def check_chance(asking: RequestContext, bucket: Bucket, expected: str = "") -> None:
    """Raise AccessDenied where nothing that the document of a request may say can let the asker
    in, so that it is not read at all. What it lets through is to be judged by `check`."""
    check_expected(bucket, expected)
    action = policy_action(asking.action)
    if not AccessCheck(asking, bucket).may_have_a_chance(action, PERMISSIONS_OF.get(action, "")):
        raise AccessDenied(reason=f"The bucket {bucket.name} does not let you do {action}.")


def check_upload(asking: RequestContext, upload: Upload, bucket: Bucket) -> None:
    """Raise AccessDenied unless the asker began the upload or owns the bucket. A policy may let
    others list its parts or abort it, but only who began it fills and completes it, as at S3;
    and who did not sign a request began none."""
    case = AccessCheck(asking, bucket, upload.key)
    if not case.may_continue_upload(policy_action(asking.action), initiator(upload, bucket)):
        raise AccessDenied(reason="The upload was begun by another account.")


def initiator(upload: Upload, bucket: Bucket) -> str:
    """Return the account that began an upload."""
    return upload.facts.extra.get(WRITTEN_BY) or upload.facts.owner or bucket.owner


def open_or_hide(
    asking: RequestContext, look: Callable[[str, str], Found], bucket: Bucket, key: str
) -> Found:
    """Look for an object; who may not list the bucket is told AccessDenied, not what is missing."""
    try:
        return look(bucket.name, key)
    except NoSuchKey:
        AccessCheck(asking, bucket, listed=key).check("s3:ListBucket", "READ")
        raise


class AccessCheck:
    """One request for a bucket, or for an object in it, which is judged action by action."""

    def __init__(
        self,
        asking: RequestContext,
        bucket: Bucket,
        key: str = "",
        kept: ObjectProperties | None = None,
        listed: str = "",
    ) -> None:
        self._asking = asking
        self._bucket = bucket
        self._key = key
        self._kept = kept
        self._listed = listed

    def check(self, action: str, permission: str) -> None:
        """Raise AccessDenied unless the action may be done, by a grant of a permission or else."""
        if not self.may(action, permission):
            raise AccessDenied(reason=self._reason(action, permission))

    def _reason(self, action: str, permission: str) -> str:
        bucket = self._bucket.name
        text = self._bucket.settings.get(POLICY) or ""
        verdict = self._verdict(text, action) if text else ""
        if verdict == "Deny":
            return f"The policy of the bucket {bucket} denies {action}."
        if (
            verdict == "Allow"
            and not self._is_bucket_owner
            and self._public_policy_restricted(text)
        ):
            return f"The bucket {bucket} keeps its public policy to itself (RestrictPublicBuckets)."
        what = f"The object {self._key}" if self._key and self._kept else f"The bucket {bucket}"
        return f"{what} does not grant you {permission or 'it'} ({action})."

    def may(self, action: str, permission: str) -> bool:
        """True if the action may be done."""
        asker, bucket = self._asking.caller, self._bucket
        at_home = self._is_bucket_owner
        operates = asker is not None and asker.admin and permission in grants.READS
        if operates and not at_home:
            return True  # whoever runs the cloud can read its disk
        text = bucket.settings.get(POLICY)
        verdict = self._verdict(text, action) if text else ""
        if verdict == "Deny" and not (at_home and action in OWNER_KEEPS):
            return False
        owned_by_other = (
            self._kept is not None and not self._bucket_owns(self._kept) and action in CONTENT
        )
        if at_home and (operates or not owned_by_other):
            return True
        if not at_home and text and self._public_policy_restricted(text):
            return False
        if verdict == "Allow" and not owned_by_other:
            return True
        return self._granted(asker, permission)

    def may_have_a_chance(self, action: str, permission: str) -> bool:
        """True unless the action is refused whatever more the request says. An object's own
        access list and owner are not known here."""
        asker = self._asking.caller
        if self._is_bucket_owner or (asker is not None and asker.admin) or action in OF_OBJECTS:
            return True
        text = self._bucket.settings.get(POLICY)
        if text and any(
            self._may_allow(text, each) for each in (action, action_of_version(action))
        ):
            return True
        return self._granted(asker, permission)

    def _may_allow(self, text: str, action: str) -> bool:
        question = policy.AuthorizationRequest(action, "", self._asking.caller, lambda _: None)
        return policy.compile_policy(text).may_allow(question)

    @property
    def _is_bucket_owner(self) -> bool:
        return owns(self._asking, self._bucket)

    def _public_policy_restricted(self, text: str) -> bool:
        """True if the policy would let in somebody unknown, and the bucket keeps others out."""
        return bool(_block(self._bucket).get("restrict_public_buckets")) and is_public_policy(text)

    def may_continue_upload(self, action: str, begun_by: str) -> bool:
        """True if the asker may do an action to an upload that an account has begun."""
        asker, text = self._asking.caller, self._bucket.settings.get(POLICY)
        verdict = self._verdict(text, action) if text else ""
        if verdict == "Deny":
            return False
        if asker is not None and _owns(asker, {self._bucket.owner, begun_by}):
            return True
        return verdict == "Allow" and action != "s3:PutObject" and self.may(action, "")

    def _verdict(self, text: str, action: str) -> str:
        if len(self._key) > LONGEST_KEY:
            encode_key(self._key)  # what no object can have is compared with no pattern
        question = policy.AuthorizationRequest(
            action,
            s3_vocabulary.resource(self._bucket.name, self._key or None),
            self._asking.caller,
            ConditionValues(self._asking, self._bucket, self._kept, self._listed),
        )
        return policy.compile_policy(text).evaluate(question)

    def _bucket_owns(self, kept: ObjectProperties) -> bool:
        return acls_disabled(self._bucket) or kept.owner in ("", self._bucket.owner)

    def _granted(self, asker: Principal | None, permission: str) -> bool:
        """By ownership of an object, or by an access list, while the bucket has such things."""
        bucket, kept = self._bucket, self._kept
        if acls_disabled(bucket):
            return False
        if kept is not None and asker is not None and asker.account_id == kept.owner:
            return True
        acl = bucket.acl if kept is None else kept.acl
        public_too = not _block(bucket).get("ignore_public_acls")
        return allows(acl, asker, permission, bucket.owner, public_too)


def allows(
    acl: Acl | None,
    asker: Principal | None,
    permission: str,
    in_bucket_of: str,
    public: bool = True,
) -> bool:
    """True if an access list grants somebody a permission, in a bucket of an account."""
    return permission != "" and any(
        each["permission"] in (permission, "FULL_CONTROL")
        and grants.matches(each["grantee"], asker, in_bucket_of, public)
        for each in grants.each_grant(acl)
    )


def judge_service(
    bucket: Bucket, key: str, action: str, service: str, context: Mapping[str, str]
) -> str:
    """Return what the bucket's policy says of an action of a service (logging.s3.amazonaws.com)
    to a key, Allow, Deny or nothing; `context` has the values of condition keys, as aws:sourcearn
    and aws:sourceaccount."""
    text = bucket.settings.get(POLICY)
    if not text:
        return ""

    def value(name: str) -> tuple[str, ...] | None:
        return (context[name],) if name in context else None

    where = s3_vocabulary.resource(bucket.name, key or None)
    question = policy.AuthorizationRequest(action, where, None, value, service)
    return policy.compile_policy(text).evaluate(question)


def is_public_policy(text: str) -> bool:
    """True if the document of a bucket's policy lets in somebody unknown."""
    return public.is_public(policy.compile_policy(text))


def acls_disabled(bucket: Bucket) -> bool:
    """True if all in the bucket is its owner's, and no access list counts."""
    return bucket.settings.get(OWNERSHIP) == ENFORCED


def acls_in_effect(bucket: Bucket) -> bool:
    """True if what an access list grants to everybody counts in the bucket."""
    return not acls_disabled(bucket) and not _block(bucket).get("ignore_public_acls")


def _block(bucket: Bucket) -> Mapping[str, bool]:
    found: Mapping[str, bool] = bucket.settings.get(BLOCK) or {}
    return found


def _owns(asker: Principal, owners: Collection[str]) -> bool:
    # "" is what is left of an owner when a bucket's configuration was lost
    return asker.account_id in owners or (asker.admin and "" in owners)


def check_acl(bucket: Bucket, acl: Acl | None, directory: AccountDirectory) -> None:
    """Raise a Fault if the bucket does not take such an access list, for itself or an object."""
    if acl and acls_disabled(bucket) and not _gives_all(bucket, acl, directory):
        raise AccessControlListNotSupported(bucket=bucket.name)
    if _block(bucket).get("block_public_acls") and grants.is_public(acl):
        reason = f"The bucket {bucket.name} blocks public access lists (BlockPublicAcls)."
        raise AccessDenied(reason=reason)


def grants_others(acl: Acl | None, canonical_id: str = "") -> bool:
    """True if an access list grants something to others than the owner, who has that id."""
    return not grants.only_for(acl, canonical_id)


def authorize_owner_of_new(
    asking: RequestContext, bucket: Bucket, acl: Acl | None, directory: AccountDirectory
) -> str:
    """Return the account that an object will belong to which the asker writes with an access
    list, whose grantees are known.

    Raises AccessDenied where a policy lets the asker write but not grant, and as `check_acl`.
    """
    check_acl(bucket, acl, directory)
    if acl and not grants.only_for(acl, _canonical(bucket, acl, directory)):
        key = str(asking.params.get("key", ""))
        AccessCheck(asking, bucket, key).check("s3:PutObjectAcl", "WRITE")
    ownership = bucket.settings.get(OWNERSHIP, WRITER)
    theirs = ownership == PREFERRED and acl and _gives_all(bucket, acl, directory)
    if asking.caller is None or ownership == ENFORCED or theirs:
        return bucket.owner
    return asking.caller.account_id


def _gives_all(bucket: Bucket, acl: Acl, directory: AccountDirectory) -> bool:
    return grants.grants_owner_full_control(acl, _canonical(bucket, acl, directory))


def _canonical(bucket: Bucket, acl: Acl, directory: AccountDirectory) -> str:
    if "grants" not in acl:
        return ""  # a canned list names the owner by a word
    row = directory.get_by_account_id(bucket.owner)
    return row["canonical_id"] if row else ""
