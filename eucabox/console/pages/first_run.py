"""The administrator's first password, for whoever can read the one-time code on the host."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from eucabox.console.answers import get_status
from eucabox.console.pages.sign_in import get_sign_up_form, public
from eucabox.console.site import current_console
from eucabox.console.visitor import begin_session, perform_as
from eucabox.errors import Fault
from eucabox.iam.sign_up.first_run import FILE

pages = Blueprint("first_run", __name__)


@pages.get("/first-run")
@public
def show() -> Response:
    """Show the form while the administrator has no password."""
    if not get_sign_up_form()["first_run"]:
        return make_response(redirect(url_for("sign_in.show"), 303))
    return _show_form()


@pages.post("/first-run")
@public
def enter() -> Response:
    """Set the password, which spends the code, and log the administrator in."""
    code, password = request.form.get("code", ""), request.form.get("password", "")
    if password != request.form.get("again", ""):
        return _show_form(400, "The two passwords differ.")
    try:
        names = perform_as(None, "console", "SetFirstPassword", code=code, password=password)
    except Fault as fault:
        return _show_form(get_status(fault), fault.message)
    user = current_console().cloud.accounts.user(f"{names['account_name']}/{names['user_name']}")
    response = make_response(redirect(url_for("home.show"), 303))
    begin_session(response, user.user_id)
    return response


def _show_form(status: int = 200, problem: str = "") -> Response:
    file = current_console().cloud.config.cloud.data_dir / FILE
    return make_response(render_template("first_run.html", problem=problem, file=file), status)
