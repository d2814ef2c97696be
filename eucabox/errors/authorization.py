"""Faults of callers whom no policy allows what they ask for, in AWS's sentences."""

from eucabox.errors.common import UnauthorizedOperation
from eucabox.errors.fault import Fault
from eucabox.errors.s3 import AccessDenied


class OperationRefused(UnauthorizedOperation):
    text = (
        "You are not authorized to perform this operation. {reason}."
        " Encoded authorization failure message: {encoded}"
    )


class PolicyRefused(AccessDenied):
    text, detail_text = "{reason}", ""


class SessionWithoutMfa(Fault):
    code, text = "InvalidClientTokenId", "The security token included in the request is invalid"
    detail_text = (
        "Temporary credentials of GetSessionToken can't call IAM. Use the user's own access key,"
        " or assume a role."
    )


class InvalidAuthorizationMessage(Fault):
    code = "InvalidAuthorizationMessageException"
    text = (
        "The message is no authorization failure message of this account. Send all that stands"
        " behind the colon in the refusal."
    )
