"""What a refusal tells only to those who may decode it: sealed for the account, stored nowhere."""

import base64
import binascii
import json
import zlib

from eucabox.errors import InvalidAuthorizationMessage, KeyFileUnusable
from eucabox.iam.policy.decision import Decision, Outcome
from eucabox.iam.policy.request import AuthorizationRequest
from eucabox.seal import Seal

LONGEST = 10240  # characters of a message, as in AWS
LARGEST = 64 * 1024  # bytes that one may unpack to


def encode_message(seal: Seal, decision: Decision, request: AuthorizationRequest) -> str:
    """Return what was refused, to whom and by which policy, sealed for the caller's account."""
    assert request.principal is not None, "an anonymous caller has no account"
    content = json.dumps(_describe(decision, request)).encode()
    sealed = seal.close(zlib.compress(content), _purpose(request.principal.account_id))
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def decode_message(seal: Seal, message: str, account_id: str) -> str:
    """Return the JSON of a message of an account; raises InvalidAuthorizationMessage."""
    try:
        if len(message) > LONGEST:
            raise ValueError
        padded = message + "=" * (-len(message) % 4)
        sealed = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
        packed = seal.open(sealed, _purpose(account_id))
        return zlib.decompressobj().decompress(packed, LARGEST).decode()
    except (ValueError, binascii.Error, KeyFileUnusable):
        raise InvalidAuthorizationMessage() from None


def _purpose(account_id: str) -> str:
    return f"authorization messages of {account_id}"


def _describe(decision: Decision, request: AuthorizationRequest) -> dict[str, object]:
    assert request.principal is not None
    matched = [
        {"sourcePolicyType": each.kind.value, "sourcePolicyId": each.policy.name, "sid": each.sid}
        for each in decision.matched
    ]
    return {
        "allowed": False,
        "explicitDeny": decision.outcome is Outcome.EXPLICIT_DENY,
        "matchedStatements": {"items": matched},
        "failures": {"items": []},
        "context": {
            "principal": {"id": request.principal.unique_id, "arn": request.principal.arn},
            "action": request.action,
            "resource": request.resource,
            "conditions": {"items": []},
        },
    }
