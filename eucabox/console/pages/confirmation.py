"""The page that an approved person's letter leads to: its button makes the account active."""

from flask import Blueprint, Response, make_response, render_template, request

from eucabox.console.answers import get_status
from eucabox.console.pages.sign_in import public
from eucabox.console.visitor import perform_as
from eucabox.errors import Fault

pages = Blueprint("confirmation", __name__)


@pages.get("/confirm")
@public
def show() -> Response:
    """Show the button; the code is looked at by nobody until it is pressed."""
    return _show_page(code=request.args.get("code", ""))


@pages.post("/confirm")
@public
def confirm() -> Response:
    """Make the account active, which spends the code."""
    code = request.form.get("code", "")
    try:
        account = perform_as(None, "console", "ConfirmAccount", code=code)["account_name"]
    except Fault as fault:
        return _show_page(get_status(fault), problem=fault.message, code=code)
    return _show_page(account=account)


def _show_page(
    status: int = 200, *, problem: str = "", code: str = "", account: object = ""
) -> Response:
    page = render_template("confirm.html", problem=problem, code=code, account=account)
    return make_response(page, status)
