"""Lifecycle rules of buckets: puts, gets and deletes them; s3/lifecycle/ carries them out."""

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action
from eucabox.errors import NoSuchLifecycleConfiguration
from eucabox.s3 import access
from eucabox.s3.lifecycle import configuration
from eucabox.s3.lifecycle.configuration import LifecycleConfiguration


@action("s3", anonymous=True, ignored=VALIDATED_BY_WIRE)
def put_bucket_lifecycle_configuration(
    call: Call,
    *,
    bucket: str,
    lifecycle_configuration: LifecycleConfiguration,
    transition_default_minimum_object_size: str = "",
    expected_bucket_owner: str = "",
) -> Result:
    """Replace a bucket's rules."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    setting = configuration.validate(
        lifecycle_configuration, transition_default_minimum_object_size
    )
    call.cloud.store.set_bucket_setting(bucket, configuration.SETTING, setting)
    return {"transition_default_minimum_object_size": setting["minimum"]}


@action("s3", anonymous=True, ignored=VALIDATED_BY_WIRE)
def get_bucket_lifecycle_configuration(
    call: Call, *, bucket: str, expected_bucket_owner: str = ""
) -> Result:
    """Return a bucket's rules."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    setting = stored_bucket.settings.get(configuration.SETTING)
    if not setting:
        raise NoSuchLifecycleConfiguration(bucket=bucket)
    return {
        "rules": [configuration.to_api(rule) for rule in setting["rules"]],
        "transition_default_minimum_object_size": setting["minimum"],
    }


@action("s3", anonymous=True, ignored=VALIDATED_BY_WIRE)
def delete_bucket_lifecycle(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> None:
    """Delete a bucket's rules; needs the permission to put them."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    call.cloud.store.set_bucket_setting(bucket, configuration.SETTING, None)
