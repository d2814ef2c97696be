"""STS: GetCallerIdentity."""

from eucabox.actions import Call, Result, action


@action(service="sts")
def get_caller_identity(call: Call) -> Result:
    """Return the caller's user id, account and ARN."""
    return {
        "user_id": call.user.unique_id,
        "account": call.user.account_id,
        "arn": call.user.arn,
    }
