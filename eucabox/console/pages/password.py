"""Changing one's own password."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from eucabox.console.answers import get_status
from eucabox.console.site import current_console
from eucabox.console.visitor import begin_session, current_visitor, perform
from eucabox.errors import Fault

pages = Blueprint("password", __name__)
MOST_TRIES = 10  # in 15 minutes


@pages.get("/password")
def show() -> Response:
    """Show the form."""
    return _show_form()


@pages.post("/password")
def change() -> Response:
    """Change it, which ends all sessions; the visitor gets a new one."""
    new = request.form.get("password", "")
    if new != request.form.get("again", ""):
        return _show_form(400, "The two new passwords differ.")
    caller = current_visitor().caller
    assert caller is not None
    limits, key = current_console().limits, {f"password {caller.user_id}": MOST_TRIES}
    if limits.begin(key):
        return _show_form(429, "Too many attempts. Wait a quarter of an hour.")
    members = {"old_password": request.form.get("old", ""), "new_password": new}
    try:
        perform("console", "ChangeOwnPassword", **members)
    except Fault as fault:
        return _show_form(get_status(fault), fault.message)
    limits.forgive(key)
    response = make_response(redirect(url_for("home.show", note="password"), 303))
    has_given_code = caller.sign_in is not None and caller.sign_in.mfa
    begin_session(response, caller.user_id, mfa=has_given_code)
    return response


def _show_form(status: int = 200, problem: str = "") -> Response:
    session = current_visitor().session
    is_due = bool(session and session["password_reset_required"])
    return make_response(render_template("password.html", problem=problem, is_due=is_due), status)
