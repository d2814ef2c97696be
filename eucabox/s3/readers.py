"""Who may list a bucket and read an object in it, and why: asks the same judgement as requests do,
for callers that have sent none; changes nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from eucabox.errors import AccessDenied, Fault
from eucabox.iam.authorization import CallerPolicies
from eucabox.s3 import access
from eucabox.s3.policy_actions import PERMISSIONS_OF
from eucabox.s3.request_context import DetachedRequest, Principal
from eucabox.store.types import Bucket, ObjectProperties

LIST, READ, WRITE = "ListBucket", "GetObject", "PutObject"


@dataclass(frozen=True)
class ReaderAnswer:
    """Whether something is allowed, and the reason in words."""

    allowed: bool
    reason: str


@dataclass(frozen=True)
class ReaderQuestion:
    """A bucket, with the policy that is to be judged, and one object: what is known of it, None
    where it would be made by the bucket's owner. `context` is how the requests would come."""

    bucket: Bucket
    key: str
    properties: ObjectProperties | None
    context: Mapping[str, str]

    def ask(
        self, caller: Principal | None, find_policies: Callable[[], CallerPolicies], verb: str
    ) -> ReaderAnswer:
        """ReaderAnswer for a caller, None for anybody without a key, and LIST, READ or WRITE."""
        try:
            self._check(self.bucket, caller, find_policies, verb)
        except AccessDenied as fault:
            return ReaderAnswer(False, fault.detail or fault.message)
        without = {k: v for k, v in self.bucket.settings.items() if k != access.POLICY}
        try:
            self._check(replace(self.bucket, settings=without), caller, find_policies, verb)
        except Fault:
            return ReaderAnswer(True, "The bucket's policy allows it.")
        return ReaderAnswer(True, self._explain(caller))

    def _check(
        self,
        bucket: Bucket,
        caller: Principal | None,
        find_policies: Callable[[], CallerPolicies],
        verb: str,
    ) -> None:
        of_object = verb != LIST
        members = {"bucket": bucket.name, **({"key": self.key} if of_object else {})}
        request = DetachedRequest(caller, verb, members, self.context, find_policies)
        properties = self.properties or ObjectProperties(owner=bucket.owner)
        judged = properties if verb == READ else None
        check = access.AccessCheck(request, bucket, self.key if of_object else "", judged)
        action = f"s3:{verb}"
        check.check(action, PERMISSIONS_OF[action])

    def _explain(self, caller: Principal | None) -> str:
        if caller is not None and caller.account_id == self.bucket.owner:
            return "Root of the account." if caller.is_root else "The user's own policies allow it."
        if caller is not None and caller.admin:
            return "The administrator of the cloud may read everything."
        return "An access list (ACL) allows it."
