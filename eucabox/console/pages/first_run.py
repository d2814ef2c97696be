"""The administrator's first password, for whoever can read the one-time code on the host."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from eucabox.console import first_code
from eucabox.console.first_run import set_first_password
from eucabox.console.pages.sign_in import MOST_PASSWORD, public
from eucabox.console.site import current_console
from eucabox.console.visitor import begin_session
from eucabox.errors import Fault

pages = Blueprint("first_run", __name__)
MOST_TRIES = 20  # in 15 minutes, by all together: the code has 78 bits


@pages.get("/first-run")
@public
def show() -> Response:
    """Show the form while the administrator has no password."""
    if not first_code.is_awaited(current_console().cloud):
        return make_response(redirect(url_for("sign_in.show"), 303))
    return _show_form()


@pages.post("/first-run")
@public
def enter() -> Response:
    """Set the password, which spends the code, and log the administrator in."""
    console = current_console()
    if not first_code.is_awaited(console.cloud):
        return make_response(redirect(url_for("sign_in.show"), 303))
    password = request.form.get("password", "")
    if console.limits.begin({"first run": MOST_TRIES}):
        return _show_form(429, "Too many attempts. Wait a quarter of an hour.")
    if not first_code.is_right(console.cloud, request.form.get("code", "")[:100]):
        return _show_form(403, "That is not the code. Each start of eucabox makes a new one.")
    if password != request.form.get("again", "") or len(password) > MOST_PASSWORD:
        return _show_form(400, "The two passwords differ.")
    try:
        user_id = set_first_password(console.cloud, password)
    except Fault as fault:
        return _show_form(400, fault.message)
    response = make_response(redirect(url_for("home.show"), 303))
    begin_session(response, user_id)
    return response


def _show_form(status: int = 200, problem: str = "") -> Response:
    file = first_code.get_file(current_console().cloud.config)
    return make_response(render_template("first_run.html", problem=problem, file=file), status)
