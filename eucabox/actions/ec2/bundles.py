"""BundleInstance and CreateImage: writes tasks, which ec2/bundle_tasks.py carries out."""

import json
from collections.abc import Sequence
from functools import partial
from typing import TypedDict

from eucabox import ids
from eucabox.actions import Call, Result, action
from eucabox.ec2 import bundle_tasks, image_access, instances, tags
from eucabox.ec2.bundle_tasks import BundleTaskRow
from eucabox.ec2.filters import Columns, Filter, select
from eucabox.ec2.listed_instance import ListedInstance
from eucabox.ec2.tags import TagSpecification
from eucabox.errors import (
    BundleNotCancellable,
    BundleNotFound,
    IncorrectInstanceState,
    InvalidParameterValue,
    MissingParameter,
    PolicyNotSigned,
)
from eucabox.iam.caller import Caller
from eucabox.image import names
from eucabox.image.names import BUNDLE_NAME
from eucabox.s3 import access
from eucabox.s3.post_policy import check
from eucabox.s3.request_context import DetachedRequest
from eucabox.store.paths import check_bucket_name
from eucabox.validation import check_text, to_api_name

LONGEST_KEY = 1000  # bytes, which leaves room for the names of parts
FILTERS: Columns[BundleTaskRow] = {
    "bundle-id": "bundle_id",
    "error-code": lambda row: row["error_code"] or None,
    "error-message": lambda row: row["error_message"] or None,
    "instance-id": "instance_id",
    "progress": lambda row: f"{row['progress']}%",
    "s3-bucket": "bucket",
    "s3-prefix": "prefix",
    "start-time": "start_time",
    "state": "state",
    "update-time": "update_time",
}


class S3Storage(TypedDict, total=False):
    """Where a bundle goes, and the signed policy that allows it."""

    aws_access_key_id: str
    bucket: str
    prefix: str
    upload_policy: bytes
    upload_policy_signature: str


class Storage(TypedDict, total=False):
    """Where a bundle goes."""

    s3: S3Storage


@action()
def bundle_instance(call: Call, *, instance_id: str, storage: Storage) -> Result:
    """Start to bundle an instance's disk into a bucket, as a signed policy allows."""
    s3 = storage.get("s3", {})
    for member in S3Storage.__annotations__:
        if not s3.get(member):
            raise MissingParameter(parameter=f"Storage.S3.{to_api_name(member)}")
    instance = _get_instance(call, instance_id, "BundleInstance")
    bucket, prefix = s3["bucket"], s3["prefix"]
    _check_prefix(prefix)
    uploader = _find_uploader(call, s3)
    _ensure_bucket(call, bucket, prefix, uploader)
    with call.cloud.state.transaction():
        bundle_id = call.cloud.bundles.create_task(
            _find_signer(call),
            instance,
            bucket=bucket,
            prefix=prefix,
            owner=uploader.account_id,
            context=json.dumps(dict(call.context)),
        )
    call.cloud.bundles.submit(bundle_id)
    return {"bundle_task": _to_api(_get_task(call, bundle_id))}


@action()
def describe_bundle_tasks(
    call: Call, *, bundle_ids: Sequence[str] = (), filters: Sequence[Filter] = ()
) -> Result:
    """List the bundle tasks of the account's instances, oldest first."""
    rows = [_get_task(call, each) for each in dict.fromkeys(bundle_ids)]
    if not bundle_ids:
        sql = """select * from bundle_tasks where account_id = ? and image_id is null
          order by start_time"""
        rows = call.cloud.state.select(BundleTaskRow, sql, (call.account_id,))
    return {"bundle_tasks": [_to_api(row) for row in select(rows, filters, FILTERS)]}


@action()
def cancel_bundle_task(call: Call, *, bundle_id: str) -> Result:
    """Cancel a task; it stops at its next step."""
    with call.cloud.state.transaction():
        task = _get_task(call, bundle_id)
        if task["state"] not in bundle_tasks.OPEN:
            raise BundleNotCancellable(id=bundle_id, state=task["state"])
        now = {"state": "cancelling", "update_time": ids.now()}
        call.cloud.state.update("bundle_tasks", {"bundle_id": bundle_id}, **now)
    return {"bundle_task": _to_api(_get_task(call, bundle_id))}


@action()
def create_image(
    call: Call,
    *,
    instance_id: str,
    name: str,
    description: str = "",
    no_reboot: bool = False,
    tag_specifications: Sequence[TagSpecification] = (),
) -> Result:
    """Start to make an image of an instance's disk; it is pending until its bundle is stored."""
    names.check(name)
    check_text("Description", description, 255, least=0)
    new_tags = tags.from_specifications(tag_specifications, "image")
    instance = _get_instance(call, instance_id, "CreateImage")
    caller = call.user
    with call.cloud.state.transaction():
        image_access.check_limit(call.cloud.state, call.limits, call.account_id)
        image = call.cloud.images.create_pending(caller, instance, name, description)
        bucket, _, manifest = image["image_location"].partition("/")
        bundle_id = call.cloud.bundles.create_task(
            _find_signer(call),
            instance,
            bucket=bucket,
            owner=caller.account_id,
            prefix=manifest.removesuffix(".manifest.xml"),
            image_id=image["image_id"],
            no_reboot=int(no_reboot),
            context=json.dumps(dict(call.context)),
        )
        tags.write(call.cloud.state, call.account_id, image["image_id"], new_tags)
    call.cloud.bundles.submit(bundle_id)
    return {"image_id": image["image_id"]}


def _get_instance(call: Call, instance_id: str, name: str) -> ListedInstance:
    (row,) = instances.get_many(call.cloud.state, call.user, [instance_id])
    if row["state"] not in ("running", "stopped"):
        task = bundle_tasks.find_open_task(call.cloud.state, instance_id)
        if task and row["state"] not in ("shutting-down", "terminated"):
            # the task itself shuts it down meanwhile
            raise bundle_tasks.bundling_in_progress(instance_id, task)
        facts = {"id": instance_id, "state": row["state"], "action": name}
        raise IncorrectInstanceState(**facts, needed="running or stopped")
    return row


def _find_signer(call: Call) -> Caller:
    """Return for whom the bundle is signed: for a user or a role's session the root of the
    account."""
    caller = call.user
    return call.cloud.accounts.user_of(caller.account_id) if caller.is_limited else caller


def _check_prefix(prefix: str) -> None:
    check_text("Storage.S3.Prefix", prefix, LONGEST_KEY)
    name = prefix.rpartition("/")[2]
    if not BUNDLE_NAME.fullmatch(name) or prefix.startswith("/"):
        reason = "It ends in a name of 1 to 200 plain ASCII characters, and begins with no slash."
        raise InvalidParameterValue(parameter="Storage.S3.Prefix", value=prefix[:60], reason=reason)


def _find_uploader(call: Call, s3: S3Storage) -> Caller:
    """Return the user whose signed policy allows the upload."""
    credential = call.cloud.accounts.credential(s3["aws_access_key_id"])
    if credential is None or not credential.active or credential.caller.session is not None:
        raise PolicyNotSigned()  # a temporary key is nothing without its token, which can't be sent
    fields = {"acl": bundle_tasks.BUNDLED_ACL, "bucket": s3["bucket"], "key": s3["prefix"]}
    signature = s3["upload_policy_signature"]
    check(s3["upload_policy"], signature, credential.secret, fields)
    return credential.caller


def _ensure_bucket(call: Call, bucket_name: str, prefix: str, uploader: Caller) -> None:
    store = call.cloud.store
    policies = partial(call.cloud.accounts.authorization.find_policies, uploader)
    request = DetachedRequest(uploader, context=call.context, find_policies=policies)
    if bucket_name not in {each.name for each in store.buckets()}:
        access.check_account(request, access.CREATE, bucket_name)
        if call.dry_run:
            check_bucket_name(bucket_name)
            return
        store.create_bucket(bucket_name, uploader.account_id)
    for file in ("manifest.xml", "part.0"):
        key = f"{prefix}.{file}"
        access.check(request, store.bucket(bucket_name), key, action="s3:PutObject")


def _get_task(call: Call, bundle_id: str) -> BundleTaskRow:
    sql = "select * from bundle_tasks where bundle_id = ?"
    row = call.cloud.state.select_one(BundleTaskRow, sql, (bundle_id,))
    if row is None or not (call.user.admin or row["account_id"] == call.account_id):
        raise BundleNotFound(id=bundle_id[:60])
    return row


def _to_api(row: BundleTaskRow) -> Result:
    error = {"code": row["error_code"], "message": row["error_message"]}
    return {
        "bundle_id": row["bundle_id"],
        "instance_id": row["instance_id"],
        "state": row["state"],
        "start_time": ids.parse_time(row["start_time"]),
        "update_time": ids.parse_time(row["update_time"]),
        "progress": f"{row['progress']}%",
        "storage": {"s3": {"bucket": row["bucket"], "prefix": row["prefix"]}},
        "bundle_task_error": error if row["error_code"] else None,
    }
