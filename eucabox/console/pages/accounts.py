"""The accounts of the cloud for its administrator: what each has and may have; making, ending."""

import json
from collections.abc import Callable, Mapping
from typing import cast

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound

from eucabox.console.answers import get_status
from eucabox.console.iam_pages import Item, join_members, make_column, read_field
from eucabox.console.listing import Column, show_listing
from eucabox.console.undoable_steps import UndoableSteps
from eucabox.console.visitor import current_visitor, perform
from eucabox.errors import Fault
from eucabox.iam.account_limits import KEYS, LIMIT, OPERATOR

pages = Blueprint("accounts", __name__)


def _count(name: str) -> Callable[[Item], float]:
    return lambda row: float(str(_name_quotas(row["quotas"])[name]["used"]))


def _name_quotas(quotas: object) -> dict[str, Item]:
    return {str(each["name"]): each for each in cast(list[Item], quotas)}


COLUMNS: tuple[Column[Item], ...] = (
    make_column("name", "Account", "account_name", is_fixed=True, style="name"),
    Column("instances", "Instances", _count("instances")),
    Column("vcpus", "vCPUs", _count("vcpus")),
    Column("buckets", "Buckets", _count("buckets")),
    Column("mib", "MiB in buckets", _count("account_mb")),
    Column("users", "Users", _count("users")),
    make_column("created", "Created", "created"),
)
POLICY = "console"  # the account's policy that the form of limits writes
LABELS = {
    "instances": "Instances", "vcpus": "Virtual processors", "images": "Images",
    "security_groups": "Security groups", "rules": "Rules of a security group",
    "buckets": "Buckets", "bucket_mb": "MiB in one bucket", "account_mb": "MiB in all buckets",
    "users": "Users", "groups": "Groups",
}  # fmt: skip
NOTES = {
    "created": "The account is created.",
    "deleted": "The account is deleted.",
    "limits": "The limits are set.",
    "policy": "The policy is gone.",
    "password": "The root can sign in with the password, and has to choose another one.",
    "no-password": "The root has no password any more.",
}


@pages.get("/accounts")
def show_list() -> Response:
    """List them."""
    return _show_list(note=NOTES.get(request.args.get("note", ""), ""))


@pages.post("/accounts")
def create() -> Response:
    """Create an account, and let its root sign in where a password is given."""
    name, password, steps = (
        read_field("account_name"),
        request.form.get("password", ""),
        UndoableSteps(),
    )
    try:
        with steps:
            email = read_field("email")
            steps.perform("CreateAccount", "DeleteAccount", account_name=name, email=email)
            if password:
                _set_password(name, password)
    except Fault as fault:
        return _show_list(get_status(fault), problem=steps.tell(f"The account {name}", fault))
    where = url_for("accounts.show", account_name=name, note="created")
    return make_response(redirect(where, 303))


@pages.get("/accounts/<account_name>")
def show(account_name: str) -> Response:
    """Show an account with its limits."""
    return _show_account(account_name, note=NOTES.get(request.args.get("note", ""), ""))


@pages.post("/accounts/<account_name>")
def change(account_name: str) -> Response:
    """Change an account as the form has it in `do`."""
    do = request.form.get("do", "")
    try:
        if do == "delete":
            recursive = request.form.get("recursive") == "yes"
            perform("iam", "DeleteAccount", account_name=account_name, recursive=recursive)
            return make_response(redirect(url_for("accounts.show_list", note="deleted"), 303))
        _carry_out(do, account_name)
    except Fault as fault:
        return _show_account(account_name, get_status(fault), problem=fault.message)
    where = url_for("accounts.show", account_name=account_name, note=do)
    return make_response(redirect(where, 303))


def _carry_out(do: str, account_name: str) -> None:
    of_account = {"account_name": account_name}
    if do == "limits":
        _set_limits(of_account)
    elif do == "policy":
        name = read_field("policy_name")
        perform("iam", "DeleteAccountPolicy", **of_account, policy_name=name)
    elif do == "password":
        _set_password(account_name, request.form.get("password", ""))
    elif do == "no-password":
        perform("iam", "DeleteLoginProfile", delegate_account=account_name)
    else:
        raise NotFound("This form is not one of the page's.")


def _set_password(account_name: str, password: str) -> None:
    perform(
        "iam",
        "CreateLoginProfile",
        delegate_account=account_name,
        password=password,
        password_reset_required=True,
    )


def _set_limits(of_account: Mapping[str, str]) -> None:
    """Write the form's numbers as a policy of the account; none at all takes it away."""
    given = {key: read_field(name) for key, name in KEYS.items()}
    numbers = {key: number for key, number in given.items() if number}
    if not numbers:
        names = perform("iam", "ListAccountPolicies", **of_account)["policy_names"]
        assert isinstance(names, list)
        if POLICY in names:
            perform("iam", "DeleteAccountPolicy", **of_account, policy_name=POLICY)
        return
    condition = {OPERATOR: numbers}
    statement = {"Effect": LIMIT, "Action": "*", "Resource": "*", "Condition": condition}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    members = {"policy_name": POLICY, "policy_document": document}
    perform("iam", "PutAccountPolicy", **of_account, **members)


def _read_accounts() -> list[Item]:
    return cast(list[Item], perform("bootstrap", "DescribeAccountUsage")["accounts"])


def _show_list(status: int = 200, problem: str = "", note: str = "") -> Response:
    text = join_members("account_name", "account_id", "email")
    page = render_template(
        "accounts.html",
        listing=show_listing("accounts", "accounts.show_list", COLUMNS, _read_accounts(), text),
        name_quotas=_name_quotas,
        sent=request.form,
        problem=problem,
        note=note,
    )
    return make_response(page, status)


def _show_account(
    account_name: str, status: int = 200, problem: str = "", note: str = ""
) -> Response:
    named = [each for each in _read_accounts() if each["account_name"] == account_name]
    if not named:
        raise NotFound("There is no account of this name.")
    names = perform("iam", "ListAccountPolicies", account_name=account_name)["policy_names"]
    assert isinstance(names, list)
    documents = [
        perform("iam", "GetAccountPolicy", account_name=account_name, policy_name=each)
        for each in names
    ]
    caller = current_visitor().caller
    page = render_template(
        "account.html",
        shown=named[0],
        quotas=_name_quotas(named[0]["quotas"]),
        labels=LABELS,
        form_limits=_read_form_limits(documents),
        policies=[each for each in documents if each["policy_name"] != POLICY],
        has_password=_has_password(account_name),
        is_own=caller is not None and caller.account_name == account_name,
        problem=problem,
        note=note,
    )
    return make_response(page, status)


def _read_form_limits(documents: list[dict[str, object]]) -> dict[str, str]:
    """Return the numbers that the form's own policy has, by the names of [limits]."""
    for each in documents:
        if each["policy_name"] == POLICY:
            document = json.loads(str(each["policy_document"]))
            numbers = document["Statement"][0]["Condition"][OPERATOR]
            return {KEYS[key]: str(number) for key, number in numbers.items() if key in KEYS}
    return {}


def _has_password(account_name: str) -> bool:
    try:
        perform("iam", "GetLoginProfile", delegate_account=account_name)
    except Fault:
        return False
    return True
