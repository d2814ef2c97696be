"""A new password for who forgot one: asking for a letter, and the page that it leads to."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from eucabox.console.answers import get_status
from eucabox.console.pages.sign_in import get_sign_up_form, public
from eucabox.console.visitor import perform_as
from eucabox.errors import Fault

pages = Blueprint("recovery", __name__)


@pages.get("/recover")
@public
def show() -> Response:
    """Show the form that asks for a letter or, with a letter's code, the one that sets a password;
    nobody looks at the code until that is sent."""
    code = request.args.get("code", "")
    return _show_new_password(code=code) if code else _show_form()


@pages.post("/recover")
@public
def ask() -> Response:
    """Ask for a letter."""
    name = request.form.get("name", "")
    try:
        perform_as(None, "console", "RequestPasswordReset", name_or_email=name)
    except Fault as fault:
        return _show_form(get_status(fault), fault.message)
    return make_response(redirect(url_for("recovery.wait"), 303))


@pages.get("/recover/sent")
@public
def wait() -> str:
    """Say what happens next, whoever was named."""
    return render_template("recover_sent.html")


@pages.post("/recover/set")
@public
def reset() -> Response:
    """Set the new password, which spends the code."""
    code, password = request.form.get("code", ""), request.form.get("password", "")
    if password != request.form.get("again", ""):
        return _show_new_password(400, "The two passwords differ.", code)
    try:
        perform_as(None, "console", "ResetPassword", code=code, password=password)
    except Fault as fault:
        return _show_new_password(get_status(fault), fault.message, code)
    return make_response(redirect(url_for("sign_in.show", note="password"), 303))


def _show_form(status: int = 200, problem: str = "") -> Response:
    sends_mail = get_sign_up_form()["sends_mail"]
    name = request.form.get("name", "")
    page = render_template("recover.html", problem=problem, sends_mail=sends_mail, name=name)
    return make_response(page, status)


def _show_new_password(status: int = 200, problem: str = "", code: str = "") -> Response:
    return make_response(render_template("recover_set.html", problem=problem, code=code), status)
