"""Asking for an account, and what happens then."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from eucabox.console.answers import get_status
from eucabox.console.pages.sign_in import get_sign_up_form, public
from eucabox.console.visitor import perform_as
from eucabox.errors import Fault

pages = Blueprint("sign_up", __name__)
ALWAYS = ("user_name", "full_name", "email")


@pages.get("/sign-up")
@public
def show() -> Response:
    """Show the form."""
    return _show_form()


@pages.post("/sign-up")
@public
def enter() -> Response:
    """Ask for the account."""
    names = (*ALWAYS, *get_sign_up_form()["fields"])
    members = {name: request.form.get(name, "") for name in names}
    password = request.form.get("password", "")
    if password != request.form.get("again", ""):
        return _show_form(400, "The two passwords differ.")
    try:
        perform_as(None, "console", "RequestAccount", **members, password=password)
    except Fault as fault:
        return _show_form(get_status(fault), fault.message)
    return make_response(redirect(url_for("sign_up.wait"), 303))


@pages.get("/sign-up/thanks")
@public
def wait() -> str:
    """Say what happens next."""
    return render_template("sign_up_thanks.html", sends_mail=get_sign_up_form()["sends_mail"])


def _show_form(status: int = 200, problem: str = "") -> Response:
    page = render_template(
        "sign_up.html", form=get_sign_up_form(), sent=request.form, problem=problem
    )
    return make_response(page, status)
