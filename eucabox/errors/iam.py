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


class PasswordsBusy(Fault):
    code = "Throttling"
    text = "{count} passwords are being checked, which is the limit. Try again in a moment."


class NoSuchEntity(Fault):
    code, text = "NoSuchEntity", "{reason}"


class EntityAlreadyExists(Fault):
    code, text = "EntityAlreadyExists", "{reason}"


class DeleteConflict(Fault):
    code, text = "DeleteConflict", "{reason}"


class LimitExceeded(Fault):
    code, text = "LimitExceeded", "{reason}"
