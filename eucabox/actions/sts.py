"""STS: who is it that asks?"""

from eucabox.actions import Call, Result, action


@action(service="sts")
def get_caller_identity(call: Call) -> Result:
    """Tell the caller who it is."""
    assert call.caller is not None
    return {
        "user_id": call.caller.user_id,
        "account": call.caller.account_id,
        "arn": call.caller.arn,
    }
