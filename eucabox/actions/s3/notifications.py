"""Event notifications: not offered, so only an empty configuration can be put and read."""

from typing import Any

from eucabox.actions import Call, Result, action
from eucabox.errors import S3NotImplemented
from eucabox.s3 import access
from eucabox.validation import to_api_name


@action("s3", anonymous=True)
def get_bucket_notification_configuration(
    call: Call, *, bucket: str, expected_bucket_owner: str = ""
) -> Result:
    """Return no notifications."""
    access.check(call, call.cloud.store.bucket(bucket), expected=expected_bucket_owner)
    return {}


@action("s3", anonymous=True, ignored=("skip_destination_validation",))
def put_bucket_notification_configuration(
    call: Call,
    *,
    bucket: str,
    notification_configuration: dict[str, Any],
    expected_bucket_owner: str = "",
) -> None:
    """Accept an empty configuration, by which clients turn notifications off."""
    access.check(call, call.cloud.store.bucket(bucket), expected=expected_bucket_owner)
    targets = [name for name, value in notification_configuration.items() if value is not None]
    if targets:
        what = f"A notification by {', '.join(to_api_name(name) for name in targets)}"
        hint = "There is no queue, topic, function or event bus here: list the bucket instead."
        raise S3NotImplemented(what=what, hint=hint)
