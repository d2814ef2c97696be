"""Whether a bucket is accelerated: a word that is kept, as every client is near."""

from typing import Any

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action
from eucabox.errors import InvalidRequest, MalformedXML
from eucabox.s3 import access

STATES = ("Enabled", "Suspended")


@action("s3", anonymous=True, ignored=("request_payer",))
def get_bucket_accelerate_configuration(
    call: Call, *, bucket: str, expected_bucket_owner: str = ""
) -> Result:
    """The word that was put, none if none was."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    status = stored_bucket.settings.get("acceleration")
    return {"status": status} if status else {}


@action("s3", anonymous=True, ignored=VALIDATED_BY_WIRE)
def put_bucket_accelerate_configuration(
    call: Call,
    *,
    bucket: str,
    accelerate_configuration: dict[str, Any],
    expected_bucket_owner: str = "",
) -> None:
    """Store the status, which Terraform reads back; nothing becomes faster."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    status = accelerate_configuration.get("status", "")
    if status not in STATES:
        reason = f"Status must be one of {', '.join(STATES)}."
        raise MalformedXML(shape="AccelerateConfiguration", reason=reason)
    if "." in bucket:
        reason = "S3 Transfer Acceleration is not supported for buckets with periods (.) in"
        raise InvalidRequest(reason=f"{reason} their names")
    call.cloud.store.set_bucket_setting(bucket, "acceleration", status)
