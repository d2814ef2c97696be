"""Who pays for a bucket's requests: stored and returned only, as nobody pays here."""

from typing import Any

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action
from eucabox.errors import MalformedXML
from eucabox.s3 import access

PAYERS = ("BucketOwner", "Requester")


@action("s3", anonymous=True)
def get_bucket_request_payment(
    call: Call, *, bucket: str, expected_bucket_owner: str = ""
) -> Result:
    """Return the payer, by default the owner."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    return {"payer": stored_bucket.settings.get("request_payment", PAYERS[0])}


@action("s3", anonymous=True, ignored=VALIDATED_BY_WIRE)
def put_bucket_request_payment(
    call: Call,
    *,
    bucket: str,
    request_payment_configuration: dict[str, Any],
    expected_bucket_owner: str = "",
) -> None:
    """Store the payer, which changes nothing else."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    payer = request_payment_configuration.get("payer", "")
    if payer not in PAYERS:
        reason = f"Payer must be one of {', '.join(PAYERS)}."
        raise MalformedXML(shape="RequestPaymentConfiguration", reason=reason)
    call.cloud.store.set_bucket_setting(bucket, "request_payment", payer)
