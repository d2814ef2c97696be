"""Faults of IAM: documents, and what its verbs are sent."""

from eucabox.errors.fault import Fault


class MalformedPolicyDocument(Fault):
    code, text, detail_text = "MalformedPolicyDocument", "{reason}", "{detail}"


class InvalidInput(Fault):
    code, text = "InvalidInput", "{reason}"


class ValidationError(Fault):
    code, text = "ValidationError", "{reason}"


class PasswordPolicyViolation(Fault):
    code, text = "PasswordPolicyViolation", "{reason}"


class PasswordExpired(Fault):
    code = "AccessDenied"
    text = "Your password is older than your account allows. Ask the account's root for another."


class UserDisabled(Fault):
    code = "AccessDenied"
    text = "You are shut out. Ask the account's root to let you in again."


class PasswordsBusy(Fault):
    code = "Throttling"
    text = "{count} passwords are being checked, which is the limit. Try again in a moment."


class NoSuchEntity(Fault):
    code, text = "NoSuchEntity", "{reason}"


class EntityAlreadyExists(Fault):
    code, text = "EntityAlreadyExists", "{reason}"


class DeleteConflict(Fault):
    code, text = "DeleteConflict", "{reason}"


class ConcurrentModification(Fault):
    code = "ConcurrentModification"
    text = "What the request is about was deleted at the same time. See what is left and try again."


class LimitExceeded(Fault):
    code, text = "LimitExceeded", "{reason}"


class PolicyUnmodifiable(Fault):
    code, text = "AccessDenied", "{arn} is a policy of AWS's own, which nobody can change."


class MalformedCertificate(Fault):
    code = "MalformedCertificate"
    text = "The certificate can't be read. Send one X.509 certificate as PEM."


class InvalidCertificate(Fault):
    code = "InvalidCertificate"
    text = "The certificate does not have an RSA key of {bits} bits or more."


class DuplicateCertificate(Fault):
    code = "DuplicateCertificate"
    text = "The same certificate is associated with an IAM user in the account."


class InvalidUserType(Fault):
    code, text = "InvalidUserType", "Only IAM Users can change their own password"


class WrongOldPassword(Fault):
    code, text = "AccessDenied", "The old password was incorrect."


class WrongPassword(Fault):
    code, text = "AccessDenied", "The password is not right."


class InvalidAuthenticationCode(Fault):
    code, text = "InvalidAuthenticationCode", "Authentication code for device is not valid."
    detail_text = "Send two codes that the device shows one after the other, none used before."


class TooManyCodes(Fault):
    code = "AccessDenied"
    text = "Too many wrong codes were tried. Wait {minutes} minutes."


class DelegationDenied(Fault):
    code = "AccessDenied"
    text = (
        "User: {arn} is not authorized to act for another account: DelegateAccount is for the"
        " administrator of this cloud."
    )
