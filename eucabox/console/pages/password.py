"""Changing one's own password."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from eucabox.console.visitor import begin_session, current_visitor, perform
from eucabox.errors import Fault

pages = Blueprint("password", __name__)


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
    members = {"old_password": request.form.get("old", ""), "new_password": new}
    try:
        perform("iam", "ChangePassword", **members)
    except Fault as fault:
        return _show_form(400, fault.message)
    caller = current_visitor().caller
    assert caller is not None
    response = make_response(redirect(url_for("home.show", note="password"), 303))
    begin_session(response, caller.user_id)
    return response


def _show_form(status: int = 200, problem: str = "") -> Response:
    session = current_visitor().session
    is_due = bool(session and session["password_reset_required"])
    return make_response(render_template("password.html", problem=problem, is_due=is_due), status)
