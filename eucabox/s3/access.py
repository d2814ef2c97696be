"""Authorization: who may do what to a bucket or an object, by the policies of the caller, that of
the bucket, and ACLs; opens neither.

Within an account the caller's own policies or the bucket's policy must allow; across accounts both
sides must, where an ACL may stand for the bucket's policy. A root needs no policy of its own.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from eucabox.errors import (
    AccessControlListNotSupported,
    AccessDenied,
    Fault,
    NoSuchKey,
    PolicyRefused,
)
from eucabox.iam import policy
from eucabox.iam.authorization import CallerPolicies
from eucabox.iam.policy import public, s3_vocabulary
from eucabox.iam.policy.decision import Decision, NamedPolicy, Outcome, decide
from eucabox.iam.policy.refusals import describe_refusal
from eucabox.s3 import acl as acls
from eucabox.s3.acl import AccountDirectory
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
from eucabox.s3.request_context import DetachedRequest, Principal, RequestContext
from eucabox.store.paths import LONGEST_KEY, encode_key
from eucabox.store.types import Acl, Bucket, Object, ObjectProperties, Upload

Opened = TypeVar("Opened")

POLICY = "policy"  # settings of a bucket that authorization reads
BLOCK = "public_access_block"
OWNERSHIP = "object_ownership"
WRITTEN_BY = "writer"  # in `extra`: the account that wrote an object of another owner
ENFORCED, PREFERRED, WRITER = "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"
OWNERSHIPS = (ENFORCED, PREFERRED, WRITER)
CREATE = "s3:CreateBucket"
FROM_WITHIN = {"aws:principalisawsservice": "true", "aws:securetransport": "true"}  # of services
EVERY = "*"  # in place of a bucket's name, where an action is about none


def owns(request: RequestContext, bucket: Bucket) -> bool:
    """True if the caller belongs to the account that owns a bucket."""
    return request.caller is not None and _owns(request.caller, {bucket.owner})


def check(
    request: RequestContext,
    bucket: Bucket,
    key: str = "",
    properties: ObjectProperties | None = None,
    *,
    action: str = "",
    permission: str = "",
    expected: str = "",
) -> None:
    """Raise AccessDenied unless the caller may do a policy action (s3:PutObject) to a bucket or to
    a key in it, and the bucket belongs to the account `expected`, if one is named.

    `properties` are those of the present object, for the actions that its own ACL decides. Without
    `action` it is that of the operation, with all that its headers ask for. `permission` is the one
    that an ACL must grant; without it, the one that ACLs have for the action.
    """
    check_expected(bucket, expected)
    owner = properties.owner if properties else ""
    if POLICY not in bucket.settings and owner in ("", bucket.owner) and owns(request, bucket):
        caller = request.caller
        if caller is not None and not caller.is_limited:
            return  # without a policy nothing is denied to the bucket's owner
        if _is_plainly_permitted(request, bucket, key, action):
            return
    access_check = AccessCheck(request, bucket, key, properties)
    versioned = versioned_action(action or policy_action(request.action), request.params)
    access_check.check(versioned, permission or PERMISSIONS_OF.get(versioned, ""))
    if not action:
        for more, granted in extra_actions(request.action, request.params):
            access_check.check(versioned_action(more, request.params), granted)


def _is_plainly_permitted(request: RequestContext, bucket: Bucket, key: str, action: str) -> bool:
    """True if the caller's own policies allow all that is asked for, as can be told at once."""
    if len(key) > LONGEST_KEY:
        return False
    actions = [action or policy_action(request.action)]
    if not action:
        actions += [more for more, _ in extra_actions(request.action, request.params)]
    resource, policies = s3_vocabulary.resource(bucket.name, key or None), request.find_policies()
    for each in actions:
        name = versioned_action(each, request.params)
        if not policies.permit_plainly(name, resource, request.context):
            return False
    return True


def check_expected(bucket: Bucket, expected: str) -> None:
    """Raise AccessDenied unless the bucket belongs to the account `expected`, if one is named."""
    if expected and expected != bucket.owner:
        reason = f"The bucket {bucket.name} does not belong to the account {expected}."
        raise AccessDenied(reason=reason)


def check_read(
    caller: Principal | None,
    bucket: Bucket,
    obj: Object,
    *,
    find_policies: Callable[[], CallerPolicies],
    version_id: str = "",
    context: Mapping[str, str] | None = None,
) -> None:
    """Raise AccessDenied unless GetObject would give an object to a caller. It is for operations
    that are not S3's and read from a bucket, such as RegisterImage.

    `obj` is the current object, or with `version_id` that version; `find_policies` and `context`
    are as in `RequestContext`.
    """
    params = {"bucket": bucket.name, "key": obj.key, "version_id": version_id}
    request = DetachedRequest(caller, "GetObject", params, context or {}, find_policies)
    check(request, bucket, obj.key, obj.properties)


def check_chance(request: RequestContext, bucket: Bucket, expected: str = "") -> None:
    """Raise AccessDenied if the caller can't be allowed whatever the document of the request says,
    so that it need not be read. All that passes is checked again by `check`."""
    check_expected(bucket, expected)
    action = policy_action(request.action)
    access_check = AccessCheck(request, bucket, str(request.params.get("key") or ""))
    if not access_check.may_have_a_chance(action, PERMISSIONS_OF.get(action, "")):
        access_check.refuse_by_policies(action)
        raise AccessDenied(reason=f"The bucket {bucket.name} does not let you do {action}.")


def check_account(request: RequestContext, action: str, bucket_name: str = "") -> None:
    """Raise AccessDenied unless the caller's own policies allow an action in its account: on a
    bucket that does not exist yet, or without a name on all buckets."""
    _check_account(request, action, bucket_name, chance=False)


def check_chance_of_new(request: RequestContext) -> None:
    """Raise AccessDenied if the caller may create no bucket whatever the document of the request
    says, so that it need not be read."""
    _check_account(request, CREATE, str(request.params["bucket"]), chance=True)


def _check_account(request: RequestContext, action: str, bucket_name: str, chance: bool) -> None:
    caller = request.caller
    if caller is not None and caller.is_limited:
        bucket = Bucket(bucket_name or EVERY, caller.account_id, datetime.now(UTC))
        if not chance or not request.find_policies().may_permit(action):
            AccessCheck(request, bucket).refuse_by_policies(action)


def check_known(request: RequestContext, bucket: Bucket, key: str) -> None:
    """Raise AccessDenied if the policies do not allow a limited caller the operation, so that it
    does not learn what is missing."""
    AccessCheck(request, bucket, key).refuse_by_policies(policy_action(request.action))


def check_upload(request: RequestContext, upload: Upload, bucket: Bucket) -> None:
    """Raise AccessDenied unless the caller began the upload or owns the bucket.

    A policy may let others list its parts or abort it, but as at S3 only its initiator uploads
    parts and completes it; an anonymous caller is no initiator.
    """
    access_check = AccessCheck(request, bucket, upload.key)
    action = policy_action(request.action)
    if not access_check.may_continue_upload(action, initiator(upload, bucket)):
        access_check.refuse_by_policies(action)
        raise AccessDenied(reason="The upload was begun by another account.")


def initiator(upload: Upload, bucket: Bucket) -> str:
    """Return the account that began an upload."""
    return upload.properties.extra.get(WRITTEN_BY) or upload.properties.owner or bucket.owner


def open_or_hide(
    request: RequestContext,
    open_object: Callable[[str, str], Opened],
    bucket: Bucket,
    key: str,
    action: str = "",
) -> Opened:
    """Open an object by `open_object`. If there is none, a caller who may not list the bucket gets
    AccessDenied in place of NoSuchKey; one who could not do the action either gets what an object
    that is there would give. `action` is that of the operation unless it is named."""
    try:
        return open_object(bucket.name, key)
    except Fault as fault:
        if request.caller is not None and request.caller.is_limited:
            action = versioned_action(action or policy_action(request.action), request.params)
            AccessCheck(request, bucket, key).refuse_by_policies(action)
        if isinstance(fault, NoSuchKey):
            AccessCheck(request, bucket, missing_key=key).check("s3:ListBucket", "READ")
        raise


class AccessCheck:
    """Authorizes one request for a bucket, or an object in it, action by action."""

    def __init__(
        self,
        request: RequestContext,
        bucket: Bucket,
        key: str = "",
        properties: ObjectProperties | None = None,
        missing_key: str = "",
    ) -> None:
        self._request = request
        self._bucket = bucket
        self._key = key
        self._properties = properties
        self._missing_key = missing_key

    def check(self, action: str, permission: str) -> None:
        """Raise AccessDenied unless the action is allowed; `permission` is what an ACL must grant
        for it."""
        if not self.may(action, permission):
            self.refuse_by_policies(action)
            raise AccessDenied(reason=self._reason(action, permission))

    def refuse_by_policies(self, action: str) -> None:
        """Raise PolicyRefused, which is an AccessDenied, with AWS's sentence if the policies do not
        allow a limited caller the action."""
        caller = self._request.caller
        if caller is not None and caller.is_limited:
            request = self._make_request(action)
            decision = self._decide(request)
            if not decision.allowed:
                reason = describe_refusal(decision, request, quote_resource=True)
                raise PolicyRefused(reason=reason)

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
        what = (
            f"The object {self._key}" if self._key and self._properties else f"The bucket {bucket}"
        )
        return f"{what} does not grant you {permission or 'it'} ({action})."

    def may(self, action: str, permission: str) -> bool:
        """True if the action is allowed."""
        if self._is_permitted(action):
            return self._account_may(action, permission)
        return self._is_given(action, permission)

    def _is_permitted(self, action: str) -> bool:
        """True if the caller's own policies allow the action, or it needs none."""
        caller = self._request.caller
        if caller is None or not caller.is_limited:
            return True
        return self._request.find_policies().permit(self._make_request(action))

    def _is_given(self, action: str, permission: str) -> bool:
        """True if a bucket of the caller's account allows the action though the caller's own
        policies do not: its policy names the caller, or its ACL everyone."""
        if not self._is_bucket_owner or self._is_owned_by_other(action):
            return False
        decision = self._decide(self._make_request(action))
        if decision.allowed or decision.outcome is Outcome.EXPLICIT_DENY:
            return decision.allowed
        return decision.policies.session is None and self._is_granted(None, permission)

    def _decide(self, request: policy.AuthorizationRequest) -> Decision:
        """Decide by all policies; ACLs are no part of it."""
        text = self._bucket.settings.get(POLICY)
        applicable = self._request.find_policies().applicable
        if text:
            applicable = replace(applicable, resource=NamedPolicy(policy.compile_policy(text)))
        return decide(request, applicable, self._bucket.owner)

    def _is_owned_by_other(self, action: str) -> bool:
        """True if not the bucket's owner but that of the object must grant the action."""
        return (
            self._properties is not None
            and action in CONTENT
            and self._properties.owner not in ("", self._bucket.owner)
            and not acls_disabled(self._bucket)
        )

    def _account_may(self, action: str, permission: str) -> bool:
        """True if the bucket and the object allow the caller the action."""
        caller, bucket = self._request.caller, self._bucket
        is_bucket_owner = self._is_bucket_owner
        is_operator = caller is not None and caller.admin and permission in acls.READS
        if is_operator and not is_bucket_owner:
            return True  # the operator can read the disk anyway
        text = bucket.settings.get(POLICY)
        verdict = self._verdict(text, action) if text else ""
        is_keeper = is_bucket_owner and caller is not None and caller.is_root
        if verdict == "Deny" and not (is_keeper and action in OWNER_KEEPS):
            return False
        owned_by_other = self._is_owned_by_other(action)
        if is_bucket_owner and (is_operator or not owned_by_other):
            return True
        if not is_bucket_owner and text and self._public_policy_restricted(text):
            return False
        if verdict == "Allow" and not owned_by_other:
            return True
        return self._is_granted(caller, permission)

    def may_have_a_chance(self, action: str, permission: str) -> bool:
        """True unless the action is denied whatever else the request says. An object's own ACL and
        owner are not known here."""
        caller, names = self._request.caller, (action, action_of_version(action))
        if caller is not None and caller.is_limited:
            policies = self._request.find_policies()
            if not any(map(policies.may_permit, names)):
                given = self._policy_may_allow(names) or self._is_granted(None, permission)
                return self._is_bucket_owner and given
        if self._is_bucket_owner or (caller is not None and caller.admin) or action in OF_OBJECTS:
            return True
        return self._policy_may_allow(names) or self._is_granted(caller, permission)

    def _policy_may_allow(self, names: tuple[str, ...]) -> bool:
        text = self._bucket.settings.get(POLICY) or ""
        caller = self._request.caller
        principal = caller.principal if caller is not None else None
        for name in names if text else ():
            request = policy.AuthorizationRequest(name, "", principal, lambda _: None)
            if policy.compile_policy(text).may_allow(request):
                return True
        return False

    @property
    def _is_bucket_owner(self) -> bool:
        return owns(self._request, self._bucket)

    def _public_policy_restricted(self, text: str) -> bool:
        """True if the policy is public and the bucket restricts public policies to its own
        account."""
        return bool(
            _public_access_block(self._bucket).get("restrict_public_buckets")
        ) and is_public_policy(text)

    def may_continue_upload(self, action: str, initiator_id: str) -> bool:
        """True if the caller may do an action to an upload that `initiator_id` began."""
        caller, text = self._request.caller, self._bucket.settings.get(POLICY)
        if not self._is_permitted(action) and not self._is_given(action, ""):
            return False
        verdict = self._verdict(text, action) if text else ""
        if verdict == "Deny":
            return False
        if caller is not None and _owns(caller, {self._bucket.owner, initiator_id}):
            return True
        return verdict == "Allow" and action != "s3:PutObject" and self.may(action, "")

    def _verdict(self, text: str, action: str) -> str:
        return policy.compile_policy(text).evaluate(self._make_request(action))

    def _make_request(self, action: str) -> policy.AuthorizationRequest:
        if len(self._key) > LONGEST_KEY:
            encode_key(self._key)  # refuses a key that no object can have
        caller, name = self._request.caller, self._bucket.name
        return policy.AuthorizationRequest(
            action,
            s3_vocabulary.resource(name, self._key or None),
            caller.principal if caller is not None else None,
            ConditionValues(self._request, self._bucket, self._properties, self._missing_key),
        )

    def _is_granted(self, caller: Principal | None, permission: str) -> bool:
        """True if the caller owns the object or an ACL grants the permission; false if ACLs are
        disabled."""
        bucket, properties = self._bucket, self._properties
        if acls_disabled(bucket):
            return False
        if properties is not None and caller is not None and caller.account_id == properties.owner:
            return True
        acl = bucket.acl if properties is None else properties.acl
        public_too = not _public_access_block(bucket).get("ignore_public_acls")
        return allows(acl, caller, permission, bucket.owner, public_too)


def allows(
    acl: Acl | None,
    caller: Principal | None,
    permission: str,
    bucket_owner: str,
    public: bool = True,
) -> bool:
    """True if an ACL grants a caller a permission, in a bucket of the account `bucket_owner`."""
    return permission != "" and any(
        grant["permission"] in (permission, "FULL_CONTROL")
        and acls.matches(grant["grantee"], caller, bucket_owner, public)
        for grant in acls.each_grant(acl)
    )


def judge_service(
    bucket: Bucket, key: str, action: str, service: str, context: Mapping[str, str]
) -> str:
    """Return what the bucket's policy says of an action of a service (logging.s3.amazonaws.com) to
    a key: Allow, Deny, or "" for neither. `context` has the values of condition keys, as
    aws:sourcearn and aws:sourceaccount."""
    text = bucket.settings.get(POLICY)
    if not text:
        return ""

    known = {**FROM_WITHIN, "aws:principalservicename": service, **context}
    values = {name: (each,) for name, each in known.items()}
    resource = s3_vocabulary.resource(bucket.name, key or None)
    request = policy.AuthorizationRequest(action, resource, None, values.get, service)
    return policy.compile_policy(text).evaluate(request)


def is_public_policy(text: str) -> bool:
    """True if a bucket policy allows anonymous or unknown callers."""
    return public.is_public(policy.compile_policy(text))


def acls_disabled(bucket: Bucket) -> bool:
    """True if the bucket's owner owns every object in it and ACLs are ignored."""
    return bucket.settings.get(OWNERSHIP) == ENFORCED


def acls_in_effect(bucket: Bucket) -> bool:
    """True if grants to everyone in the bucket's ACLs are honoured."""
    return not acls_disabled(bucket) and not _public_access_block(bucket).get("ignore_public_acls")


def _public_access_block(bucket: Bucket) -> Mapping[str, bool]:
    block: Mapping[str, bool] = bucket.settings.get(BLOCK) or {}
    return block


def _owns(caller: Principal, owners: Collection[str]) -> bool:
    # the owner is "" if a bucket's configuration was lost
    return caller.account_id in owners or (caller.admin and "" in owners)


def check_acl(bucket: Bucket, acl: Acl | None, directory: AccountDirectory) -> None:
    """Raise a Fault if a bucket refuses such an ACL, for itself or for an object in it."""
    if acl and acls_disabled(bucket) and not _grants_bucket_owner_all(bucket, acl, directory):
        raise AccessControlListNotSupported(bucket=bucket.name)
    if _public_access_block(bucket).get("block_public_acls") and acls.is_public(acl):
        reason = f"The bucket {bucket.name} blocks public access lists (BlockPublicAcls)."
        raise AccessDenied(reason=reason)


def grants_others(acl: Acl | None, canonical_id: str = "") -> bool:
    """True if an ACL grants something to anyone but its owner, who has that canonical id."""
    return not acls.only_for(acl, canonical_id)


def authorize_owner_of_new(
    request: RequestContext, bucket: Bucket, acl: Acl | None, directory: AccountDirectory
) -> str:
    """Return the account that will own an object written by the caller with this ACL. Grantees must
    be resolved already.

    Raises AccessDenied where a policy lets the caller write but not grant, and as `check_acl`.
    """
    if acl:
        check_acl(bucket, acl, directory)
    if acl and not acls.only_for(acl, _owner_canonical_id(bucket, acl, directory)):
        key = str(request.params.get("key", ""))
        AccessCheck(request, bucket, key).check("s3:PutObjectAcl", "WRITE")
    ownership = bucket.settings.get(OWNERSHIP, WRITER)
    given_to_owner = (
        ownership == PREFERRED and acl and _grants_bucket_owner_all(bucket, acl, directory)
    )
    if request.caller is None or ownership == ENFORCED or given_to_owner:
        return bucket.owner
    return request.caller.account_id


def _grants_bucket_owner_all(bucket: Bucket, acl: Acl, directory: AccountDirectory) -> bool:
    return acls.grants_owner_full_control(acl, _owner_canonical_id(bucket, acl, directory))


def _owner_canonical_id(bucket: Bucket, acl: Acl, directory: AccountDirectory) -> str:
    if "grants" not in acl:
        return ""  # a canned ACL names no canonical id
    row = directory.get_by_account_id(bucket.owner)
    return row["canonical_id"] if row else ""
