"""Tags of buckets and objects: puts, gets and deletes them."""

import dataclasses
from functools import partial

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action
from eucabox.errors import NoSuchTagSet
from eucabox.s3 import access, values
from eucabox.s3 import tagging as tags
from eucabox.s3.tagging import Tagging
from eucabox.store.types import Object, ObjectProperties

IGNORED = (*VALIDATED_BY_WIRE, "request_payer")


@action("s3", anonymous=True, ignored=IGNORED)
def put_object_tagging(
    call: Call,
    *,
    bucket: str,
    key: str,
    tagging: Tagging,
    version_id: str = "",
    expected_bucket_owner: str = "",
) -> Result:
    """Replace the tags of an object, or of a version of it."""
    _get_object(call, bucket, key, version_id, expected_bucket_owner)
    return _change(call, bucket, key, version_id, tags.object_tags(tagging))


@action("s3", anonymous=True, ignored=IGNORED)
def get_object_tagging(
    call: Call, *, bucket: str, key: str, version_id: str = "", expected_bucket_owner: str = ""
) -> Result:
    """Return the tags of an object, or of a version of it, by key."""
    obj = _get_object(call, bucket, key, version_id, expected_bucket_owner)
    return {"tag_set": tags.to_api(obj.properties.tags), **_version_members(call, obj)}


@action("s3", anonymous=True, ignored=IGNORED)
def delete_object_tagging(
    call: Call, *, bucket: str, key: str, version_id: str = "", expected_bucket_owner: str = ""
) -> Result:
    """Delete the tags of an object, or of a version of it."""
    _get_object(call, bucket, key, version_id, expected_bucket_owner)
    return _change(call, bucket, key, version_id, {})


@action("s3", anonymous=True, ignored=IGNORED)
def put_bucket_tagging(
    call: Call, *, bucket: str, tagging: Tagging, expected_bucket_owner: str = ""
) -> None:
    """Replace the tags of a bucket."""
    access.check(call, call.cloud.store.bucket(bucket), expected=expected_bucket_owner)
    new_tags = tags.bucket_tags(tagging.get("tag_set") or [])
    call.cloud.store.set_bucket_setting(bucket, tags.SETTING, new_tags or None)


@action("s3", anonymous=True, ignored=IGNORED)
def get_bucket_tagging(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Return a bucket's tags."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    if not tags.tags_of(stored_bucket):
        raise NoSuchTagSet(bucket=bucket)
    return {"tag_set": tags.to_api(tags.tags_of(stored_bucket))}


@action("s3", anonymous=True, ignored=IGNORED)
def delete_bucket_tagging(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> None:
    """Delete a bucket's tags; needs the permission to put them."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    call.cloud.store.set_bucket_setting(bucket, tags.SETTING, None)


def _get_object(call: Call, bucket_name: str, key: str, version: str, expected: str) -> Object:
    bucket = call.cloud.store.bucket(bucket_name)
    access.check_expected(bucket, expected)
    look = partial(call.cloud.store.head, version_id=version)
    obj = access.open_or_hide(call, look, bucket, key)
    access.check(call, bucket, key, obj.properties)
    return obj


def _change(
    call: Call, bucket_name: str, key: str, version: str, new_tags: dict[str, str]
) -> Result:
    bucket = call.cloud.store.bucket(bucket_name)

    def change(now: ObjectProperties) -> ObjectProperties:
        # check again: another account may have replaced the object meanwhile
        access.check(call, bucket, key, now)
        return dataclasses.replace(now, tags=new_tags)

    return _version_members(call, call.cloud.store.change_object(bucket_name, key, change, version))


def _version_members(call: Call, obj: Object) -> Result:
    return dict(values.version_members_read(call.cloud.store.bucket(obj.bucket), obj))
