"""Decodes what a refusal of EC2 seals, for those of the same account who may."""

from eucabox.actions import Call, Result, action
from eucabox.iam.authorization_messages import decode_message


@action("sts")
def decode_authorization_message(call: Call, *, encoded_message: str) -> Result:
    """Return who was refused what and by which policy, as JSON."""
    seal = call.cloud.accounts.authorization.seal
    return {"decoded_message": decode_message(seal, encoded_message, call.account_id)}
