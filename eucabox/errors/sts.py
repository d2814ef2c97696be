"""Faults of STS: of the requests for temporary credentials."""

from eucabox.errors.fault import Fault


class TooManySessions(Fault):
    code = "LimitExceeded"
    text = (
        "This {owner} has {limit} temporary credentials that have not ended. Use those that there"
        " are for longer, or wait until some have ended."
    )


class SessionRefused(Fault):
    code, text = "AccessDenied", "{reason}"


class MultiFactorRefused(Fault):
    code, text = "AccessDenied", "MultiFactorAuthentication failed{reason}"


class PackedPolicyTooLarge(Fault):
    code = "PackedPolicyTooLarge"
    text = "Packed size of session tags consumes {percent}% of allotted space."


class InvalidIdentityToken(Fault):
    code, text = "InvalidIdentityToken", "{reason}"


class IdentityTokenExpired(Fault):
    code, text = "ExpiredTokenException", "Token expired: {reason}"


class IdentityProviderUnreachable(Fault):
    code, text = "IDPCommunicationError", "{reason}"


class NoSuchIdentityProvider(Fault):
    code = "NoSuchEntity"
    text = (
        "No account has an identity provider at {url}. Register it first, by `aws iam"
        " create-open-id-connect-provider`."
    )
