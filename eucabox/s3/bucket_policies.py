"""Bucket policies as they are checked, stored (see iam/stored_principals.py) and shown, and at a
start those of an earlier eucabox, which have names; judges no request."""

import logging
from typing import TYPE_CHECKING, NoReturn

from eucabox import ids
from eucabox.errors import Fault, MalformedPolicy
from eucabox.iam import policy
from eucabox.iam.policy import PrincipalDirectory, s3_vocabulary
from eucabox.iam.policy.statements import NOTHING, Policy
from eucabox.iam.stored_principals import PrincipalNames, replace_principals
from eucabox.s3.access import POLICY
from eucabox.state import State
from eucabox.store.types import Bucket

if TYPE_CHECKING:
    from eucabox.bucket import Store

log = logging.getLogger("eucabox.s3")


def check_bucket_policy(
    state: State, directory: PrincipalDirectory, bucket: Bucket, text: str
) -> tuple[str, Policy]:
    """Return a bucket's policy as it is to be stored, and what it means.

    Raises MalformedPolicy, also for principals that do not exist.
    """
    vocabulary = s3_vocabulary.S3Vocabulary(bucket.name)
    policy.parse(text, vocabulary, directory)
    names = PrincipalNames(state)
    stored = replace_principals(text, lambda name: names.to_stored(name) or _refuse(name))
    return stored, policy.parse(stored, vocabulary)  # once more: numbers are longer than names


def write_bucket_policy(state: State, stored: str) -> str:
    """Return a stored policy as clients see it."""
    return replace_principals(stored, PrincipalNames(state).to_shown)


def name_by_ids(state: State, store: "Store") -> int:
    """Have the policies that are stored with names name by unique ids; return how many had.

    They name who has the name now, whatever the path is that an ARN tells. Where nobody has it, an
    id that nobody has or gets stands in its place. A policy that can't be read, and so denies all,
    stays as it is.
    """
    names = PrincipalNames(state, any_path=True)
    changed = 0
    for bucket in store.buckets():
        text = bucket.settings.get(POLICY)
        if not text or policy.compile_policy(text) is NOTHING:
            continue
        stored = replace_principals(text, lambda name: names.to_stored(name) or ids.user_id())
        if stored != text and policy.compile_policy(stored) is not NOTHING:
            changed += _store(store, bucket.name, stored)
    return changed


def _store(store: "Store", bucket_name: str, text: str) -> bool:
    try:
        store.set_bucket_setting(bucket_name, POLICY, text)
    except Fault as problem:  # as on a full disk: the names count on
        text = "role=s3 the policy of the bucket %s keeps its names: %s"
        log.warning(text, bucket_name, problem.message)
        return False
    return True


def _refuse(name: str) -> NoReturn:
    reason = f"Invalid principal in policy: {name[:200]}. There is no such user or role here."
    raise MalformedPolicy(reason=reason)
