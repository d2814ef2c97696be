"""Faults of STS: of the requests for temporary credentials."""

from eucabox.errors.fault import Fault


class TooManySessions(Fault):
    code = "LimitExceeded"
    text = (
        "This account has {limit} temporary credentials that have not ended. Use those that there"
        " are for longer, or wait until some have ended."
    )
