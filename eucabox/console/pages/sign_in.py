"""Signing in with a password, and out."""

import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException

from eucabox.console.guard import PUBLIC, check_text
from eucabox.console.sign_in import TooManyAttemptsError, sign_in
from eucabox.console.site import current_console
from eucabox.console.visitor import begin_session, current_visitor, end_session, perform_as
from eucabox.errors import PasswordExpired, PasswordsBusy, UserDisabled

pages = Blueprint("sign_in", __name__)
Function = TypeVar("Function")
MOST_NAME, MOST_PASSWORD = 128, 1024
OWN_PATH = re.compile(r"/(?!/)[A-Za-z0-9/_.-]*(\?[A-Za-z0-9=&_%.+-]*)?", re.ASCII)
WRONG = "No user has these names and this password."
NOTES = {
    "left": "You are signed out.",
    "password": "Your password is set. Sign in with it.",
}


def public(function: Function) -> Function:
    """Let those see a page who have not signed in."""
    setattr(function, PUBLIC, True)
    return function


@pages.get("/sign-in")
@public
def show() -> Response:
    """Show the form; the administrator who has no password yet is led to the first one."""
    if current_visitor().session:
        return _go_on()
    if get_sign_up_form()["first_run"]:
        return make_response(redirect(url_for("first_run.show"), 303))
    return _show_form(note=NOTES.get(request.args.get("note", ""), ""))


@pages.post("/sign-in")
@public
def enter() -> Response:
    """Sign in."""
    account = check_text(request.form.get("account", ""), MOST_NAME, "The account")
    user = check_text(request.form.get("user", ""), MOST_NAME, "The user's name")
    password = request.form.get("password", "")[:MOST_PASSWORD]
    console = current_console()
    try:
        row = sign_in(
            console.cloud.state, console.limits, (account, user), password,
            request.remote_addr or "",
        )  # fmt: skip
    except TooManyAttemptsError as problem:
        return _refuse_for_now(problem.seconds)
    except PasswordsBusy:
        return _show_form(503, problem="Many are signing in right now. Try again in a moment.")
    except (PasswordExpired, UserDisabled) as fault:
        return _show_form(403, problem=fault.message)
    if row is None:
        return _show_form(403, problem=WRONG)
    response = _go_on()
    begin_session(response, row["user_id"], row["password_created"])
    return response


@pages.post("/sign-out")
@public
def leave() -> Response:
    """Sign out."""
    response = make_response(redirect(url_for("sign_in.show", note="left"), 303))
    end_session(response)
    return response


def get_sign_up_form() -> Mapping[str, Any]:
    """Return what pages for strangers show: whether they may sign up, and how."""
    return perform_as(None, "console", "GetSignUpForm")


def is_own_path(path: str) -> bool:
    """Whether a path is one of this console's pages, so that nobody is led elsewhere."""
    if not OWN_PATH.fullmatch(path):
        return False
    try:
        current_console().url_map.bind("").match(path.partition("?")[0], "GET")
    except HTTPException:
        return False
    return True


def _go_on() -> Response:
    path = request.values.get("next", "")
    return make_response(redirect(path if is_own_path(path) else url_for("home.show"), 303))


def _refuse_for_now(seconds: float) -> Response:
    minutes = math.ceil(seconds / 60)
    problem = f"Too many attempts. Wait {minutes} minute{'s' if minutes > 1 else ''}."
    response = _show_form(429, problem=problem)
    response.headers["Retry-After"] = str(math.ceil(seconds))
    return response


def _show_form(status: int = 200, problem: str = "", note: str = "") -> Response:
    path = request.values.get("next", "")
    page = render_template(
        "sign_in.html",
        problem=problem,
        note=note,
        next=path if is_own_path(path) else "",
        account=request.form.get("account", ""),
        user_name=request.form.get("user", ""),
        is_open=get_sign_up_form()["open"],
    )
    return make_response(page, status)
