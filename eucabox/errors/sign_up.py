"""Faults of letters, of asking for an account, and of the codes that letters carry."""

from eucabox.errors.fault import Fault


class MailNotSet(Fault):
    code = "UnsupportedOperation"
    text = "This cloud sends no mail: [mail] server is not set. {instead}"


class MailNotTaken(Fault):
    code, text = "InternalError", "The letter to {recipient} did not leave: {reason}"


class MailQueueFull(Fault):
    code = "RequestLimitExceeded"
    text = "{count} letters wait to be sent, which is the limit. Try again later."


class NoSuchMail(Fault):
    code, text = "NoSuchEntity", "There is no letter {id}: it was dropped, or is too old."


class MailNotWaiting(Fault):
    code = "IncorrectState"
    text = "The letter {id} does not wait: what is sent or given up has no text any more."


class MailTestBusy(Fault):
    code, text = "Throttling", "A test letter is on its way already. Try again in a moment."


class BadMailAddress(Fault):
    code = "InvalidParameterValue"
    text = (
        "Value ({value}) for parameter Email is invalid. Give one address such as ann@example.com."
    )


class SignUpClosed(Fault):
    code, text = "OptInRequired", "This cloud takes no requests for accounts. {instead}"


class SignUpsFull(Fault):
    code = "RequestLimitExceeded"
    text = "{count} requests for an account wait, which is the limit. Try again another day."


class TooManyAttempts(Fault):
    code = "RequestLimitExceeded"
    text = "This was tried too often within an hour. Try again later."


class NoSuchSignUp(Fault):
    code = "NoSuchEntity"
    text = "No request for an account {name} waits: it was decided, or is too old. {known}"


class CodeInvalid(Fault):
    code = "InvalidInput"
    text = "This code is not valid: it was used already, is too old, or was not copied as a whole."


class NameHeld(Fault):
    code = "EntityAlreadyExists"
    text = (
        "Somebody asks for an account with the name {name}."
        " Approve or reject that request first: eucabox account requests."
    )
