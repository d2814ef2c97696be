"""STS: who is it that asks?"""

from eucabox.actions import Call, Result, action


@action(service="sts")
def get_caller_identity(call: Call) -> Result:
    """Tell the caller who it is."""
    return {
        "user_id": call.user.user_id,
        "account": call.user.account_id,
        "arn": call.user.arn,
    }
