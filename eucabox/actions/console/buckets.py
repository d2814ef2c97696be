"""What the console says of buckets beyond S3's verbs: usage, rights, readers, links.

Each asks of the bucket's and the caller's policies what S3's verb for the same would ask.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

from eucabox.actions import Call, Result, action
from eucabox.errors import AccessDenied, InvalidArgument, NoSuchKey, NoSuchUser
from eucabox.iam import policy as policies
from eucabox.iam.caller import Caller
from eucabox.iam.policy import s3_vocabulary
from eucabox.s3 import access, readers
from eucabox.s3 import acl as acls
from eucabox.s3.policy_actions import OF_OBJECTS, policy_action
from eucabox.s3.presigned_links import LONGEST, LinkSigner
from eucabox.s3.readers import ReaderQuestion
from eucabox.s3.request_context import DetachedRequest
from eucabox.store.types import Bucket, ObjectProperties

MOST_USERS, MOST_ACCOUNTS = 100, 20
LIST_ALL = "s3:ListAllMyBuckets"
LIST, VERSIONING, LOCATION = "s3:ListBucket", "s3:GetBucketVersioning", "s3:GetBucketLocation"
STATUS = "s3:GetBucketPolicyStatus"
ASKED = {"list": readers.LIST, "read": readers.READ, "write": readers.WRITE}
NOBODY = "0" * 12  # an account that no policy and no ACL names
# What a page of a bucket may offer, by the names of S3's verbs.
OFFERED = (
    "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads", "PutObject", "DeleteObject",
    "DeleteObjectVersion", "DeleteBucket", "AbortMultipartUpload", "GetBucketPolicy",
    "PutBucketPolicy", "DeleteBucketPolicy", "GetBucketAcl", "PutBucketAcl", "PutObjectAcl",
    "GetObjectAcl", "GetObject", "GetObjectTagging", "PutObjectTagging", "PutBucketVersioning",
    "PutBucketEncryption", "PutBucketCors", "PutBucketLifecycleConfiguration", "PutBucketTagging",
    "PutPublicAccessBlock", "PutBucketOwnershipControls",
)  # fmt: skip


@action(service="console")
def list_bucket_summaries(call: Call) -> Result:
    """List the account's buckets by name: `name`, `creation_date`, and as far as the caller may
    know them `region`, `versioning`, `is_public`, and `objects` with their `bytes`."""
    access.check_account(call, LIST_ALL)
    store = call.cloud.store
    counted, summaries = store.usage()["buckets"], []
    for bucket in store.buckets(owner=call.account_id):
        told = _describe(call, bucket)
        if _may(call, bucket, LIST):
            told |= counted.get(bucket.name, {})
        summaries.append(told)
    return {"buckets": summaries}


@action(service="console")
def get_bucket_summary(call: Call, *, bucket: str, counts: bool = False) -> Result:
    """Return what `list_bucket_summaries` says of one bucket, and `rights`: the names of S3's verbs
    that the caller may have a chance to perform in it. With `counts` a BucketContents too."""
    stored_bucket = call.cloud.store.bucket(bucket)
    rights = [name for name in OFFERED if _has_chance(call, stored_bucket, name)]
    if not any(policy_action(name) not in OF_OBJECTS for name in rights):
        raise AccessDenied(reason=f"The bucket {bucket} does not let you do anything with it.")
    told = _describe(call, stored_bucket)
    if counts and _may(call, stored_bucket, LIST):
        told |= vars(call.cloud.store.count_bucket(bucket))
    return {**told, "rights": rights, "is_own": access.owns(call, stored_bucket)}


@action(service="console")
def list_bucket_readers(
    call: Call, *, bucket: str, key: str = "", policy: str | None = None, users: Sequence[str] = ()
) -> Result:
    """Tell who may list a bucket, read the object `key`, and write it: anybody, any account, the
    root, the accounts that the policy or the ACL names, and these users of the caller's account.

    `policy` is a draft to judge in place of the stored one, "" for none. `readers` have `who`, and
    `list`, `read` and `write`, each a ReaderAnswer. Needs the right to read policy and ACL.
    """
    stored_bucket = call.cloud.store.bucket(bucket)
    for needed in ("s3:GetBucketPolicy", "s3:GetBucketAcl"):
        access.check(call, stored_bucket, action=needed)
    if not access.owns(call, stored_bucket):
        raise AccessDenied(reason=f"The bucket {bucket} belongs to another account.")
    judged = _draft(call, stored_bucket, policy)
    question = ReaderQuestion(judged, key, _find_properties(call, bucket, key), call.context)
    authorization = call.cloud.accounts.authorization
    people: list[tuple[str, Caller | None]] = [
        ("Anybody, without a key", None),
        ("Any other account of this cloud", _make_stranger()),
        ("The root of this account", call.cloud.accounts.user_of(judged.owner)),
    ]
    people += [(f"The account {each.account_name}", each) for each in _find_named(call, judged)]
    people += _find_users(call, users)
    return {
        "readers": [
            {
                "who": who,
                **{
                    word: question.ask(each, partial(authorization.find_policies, each), verb)
                    for word, verb in ASKED.items()
                },
            }
            for who, each in people
        ]
    }


@action(service="console")
def presign_object(
    call: Call, *, bucket: str, key: str, endpoint: str, seconds: int, version_id: str = ""
) -> Result:
    """Sign a link, with the caller's newest access key, by which anybody may read an object for so
    many seconds, as long as the caller may: `url` and `expires`.

    `endpoint` is the address of the API for whom it is meant. Raises NoActiveCredential.
    """
    if not 1 <= seconds <= LONGEST:
        reason = f"Use 1 to {LONGEST} seconds, which are 7 days."
        raise InvalidArgument(argument="X-Amz-Expires", value=seconds, reason=reason)
    call.cloud.store.bucket(bucket)
    credential, now = call.cloud.accounts.find_newest_key(call.user), call.now()
    signer = LinkSigner(credential.caller.access_key_id, credential.secret, call.region)
    members = {"versionId": version_id} if version_id else {}
    url = signer.sign(endpoint, f"/{bucket}/{key}", members, seconds, now)
    return {"url": url, "expires": now + timedelta(seconds=seconds)}


def _describe(call: Call, bucket: Bucket) -> dict[str, object]:
    told: dict[str, object] = {"name": bucket.name, "creation_date": bucket.created}
    if _may(call, bucket, LOCATION):
        told["region"] = bucket.location or call.region
    if _may(call, bucket, VERSIONING):
        told["versioning"] = (bucket.settings.get("versioning") or {}).get("status", "")
    if _may(call, bucket, STATUS):
        text = bucket.settings.get(access.POLICY)
        told["is_public"] = bool(text and access.is_public_policy(text)) or (
            acls.is_public(bucket.acl) and not access.acls_disabled(bucket)
        )
    return told


def _may(call: Call, bucket: Bucket, action_name: str) -> bool:
    try:
        access.check(call, bucket, action=action_name)
    except AccessDenied:
        return False
    return True


def _has_chance(call: Call, bucket: Bucket, name: str) -> bool:
    """Whether the bucket may let the caller perform a verb on something in it."""
    members = {"bucket": bucket.name}
    request = DetachedRequest(call.caller, name, members, call.context, call.find_policies)
    try:
        access.check_chance(request, bucket)
    except AccessDenied:
        return False
    return True


def _draft(call: Call, bucket: Bucket, text: str | None) -> Bucket:
    if text is None:
        return bucket
    settings = {name: each for name, each in bucket.settings.items() if name != access.POLICY}
    if text:
        policies.parse(text, s3_vocabulary.S3Vocabulary(bucket.name), call.cloud.accounts)
        settings[access.POLICY] = text
    return replace(bucket, settings=settings)


def _find_properties(call: Call, bucket: str, key: str) -> ObjectProperties | None:
    try:
        return call.cloud.store.head(bucket, key).properties if key else None
    except NoSuchKey:
        return None


def _find_users(call: Call, names: Sequence[str]) -> list[tuple[str, Caller | None]]:
    """The users of the caller's account that have these names."""
    people: list[tuple[str, Caller | None]] = []
    for name in names[:MOST_USERS]:
        with suppress(NoSuchUser):
            user = call.cloud.accounts.user(f"{call.user.account_name}/{name}")
            people.append((f"The user {name}", user))
    return people


def _find_named(call: Call, bucket: Bucket) -> list[Caller]:
    """The roots of the other accounts that a bucket's policy, or its ACL, names."""
    accounts, named = call.cloud.accounts, set[str]()
    text = bucket.settings.get(access.POLICY)
    for statement in policies.compile_policy(text).statements if text else ():
        named |= statement.principals.accounts
        named |= {account for account, _ in statement.principals.users}
    for grant in acls.each_grant(bucket.acl):
        row = accounts.get_by_canonical_id(grant["grantee"].get("id", ""))
        named |= {row["account_id"]} if row else set()
    found = []
    for account in sorted(named - {bucket.owner})[:MOST_ACCOUNTS]:
        with suppress(NoSuchUser):
            found.append(accounts.user_of(account))
    return [each for each in found if each.account_id != bucket.owner]


def _make_stranger() -> Caller:
    return Caller(NOBODY, "any", "0" * 64, "", "any", admin=False, is_root=True)
