"""DelegateAccount: the cloud's administrator calls a verb of IAM as the root of an account."""

from dataclasses import replace

from eucabox.errors import DelegationDenied, InvalidParameterValue, NoSuchEntity
from eucabox.iam.account_records import find_account
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.iam.users import find_user
from eucabox.state import State

MEMBER = "delegate_account"  # of every verb of IAM, as Eucalyptus has it
ROOT = "admin"  # the user name of each account's root, as Eucalyptus has it


def take_account(params: dict[str, object]) -> str:
    """Take the member from a verb's and return it, "" where it is not sent.

    Raises InvalidParameterValue.
    """
    name = params.pop(MEMBER, "")
    if not isinstance(name, str):
        reason = "Give the name or the number of an account."
        raise InvalidParameterValue(parameter="DelegateAccount", value="", reason=reason)
    return name


def find_delegate(state: State, accounts: Accounts, caller: Caller, name: str) -> Caller:
    """Return the root of the account of that name, number or alias, as whom the administrator
    calls, though not with the keys of a session; anybody may name its own account, and stays who
    it is.

    Raises DelegationDenied (AccessDenied) and NoSuchEntity.
    """
    if name in (caller.account_id, caller.account_name):
        return caller
    if not caller.admin or caller.is_limited:
        raise DelegationDenied(arn=caller.arn)
    root = accounts.user_of(find_account(state, name)["account_id"])
    return replace(root, access_key_id=caller.access_key_id)


def name_root(state: State, delegate: Caller, params: dict[str, object]) -> None:
    """Take the user name `admin` out of a verb's members where the account has no such user.

    Euca2ools means the root by it (`euare-accountcreate -k`), which IAM means by no name at all.
    """
    if delegate.is_root and params.get("user_name") == ROOT:
        try:
            find_user(state, delegate.account_id, ROOT)
        except NoSuchEntity:
            del params["user_name"]
