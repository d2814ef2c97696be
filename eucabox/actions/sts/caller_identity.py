"""Who signs a request, and whose an access key is; shows no secret."""

import re

from eucabox.actions import Call, Result, action
from eucabox.errors import ValidationError
from eucabox.iam.constraints import check_length, check_pattern

KEY_ID = re.compile(r"[\w]*", re.ASCII)


@action("sts")
def get_caller_identity(call: Call) -> Result:
    """Return the caller's user id, account and ARN."""
    return {
        "user_id": call.user.unique_id,
        "account": call.user.account_id,
        "arn": call.user.arn,
    }


@action("sts")
def get_access_key_info(call: Call, *, access_key_id: str) -> Result:
    """Return the account of an access key."""
    check_length("accessKeyId", access_key_id, 128, 16)
    check_pattern("accessKeyId", access_key_id, KEY_ID, r"[\w]*")
    credential = call.cloud.accounts.credential(access_key_id)
    if credential is None:
        reason = f"The access key {access_key_id[:40]} is not known to this cloud."
        raise ValidationError(reason=reason)
    return {"account": credential.caller.account_id}
