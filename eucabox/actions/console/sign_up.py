"""What people who are not signed in may do: ask for an account, confirm it, set a new password."""

from eucabox.actions import Call, Result, action
from eucabox.config import words
from eucabox.iam.sign_up import AccountForm


@action(service="console", anonymous=True)
def get_sign_up_form(call: Call) -> Result:
    """Return whether people may sign up, which fields and domains there are, and what pages need
    to know beside: `sends_mail`, and `first_run` while the administrator has no password."""
    settings = call.cloud.config.sign_up
    return {
        "open": settings.open,
        "fields": list(words(settings.fields)),
        "domains": list(words(settings.domains)),
        "sends_mail": call.cloud.sign_ups.sends_mail,
        "first_run": call.cloud.first_run.is_due,
    }


@action(service="console", anonymous=True)
def request_account(call: Call, members: AccountForm) -> Result:
    """Ask for an account; the answer is the same whether or not name and address are free."""
    call.cloud.sign_ups.request_account(members, call.source)
    return {}


@action(service="console", anonymous=True)
def confirm_account(call: Call, *, code: str) -> Result:
    """Make the account of an approved person, with the code of the letter; answers its name."""
    root = call.cloud.sign_ups.confirm(code, call.source)
    return {"account_name": root.account_name, "account_id": root.account_id}


@action(service="console", anonymous=True)
def request_password_reset(call: Call, *, name_or_email: str) -> Result:
    """Ask for a code that sets a new password; the answer is the same whoever is named."""
    call.cloud.recovery.request_reset(name_or_email, call.source)
    return {}


@action(service="console", anonymous=True)
def reset_password(call: Call, *, code: str, password: str) -> Result:
    """Set a new password with the code of a letter; answers the account's name."""
    return {"account_name": call.cloud.recovery.set_password(code, password, call.source)}


@action(service="console", anonymous=True)
def set_first_password(call: Call, *, code: str, password: str) -> Result:
    """Set the administrator's first password with the code of the file in the data directory."""
    administrator = call.cloud.first_run.set_password(code, password, call.source)
    return {"account_name": administrator.account_name, "user_name": administrator.user_name}
