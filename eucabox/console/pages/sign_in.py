"""Signing in with a password and, where the user has an MFA device, its code; and out."""

import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException

from eucabox.console.guard import PUBLIC, check_text
from eucabox.console.sign_in import TooManyAttemptsError, log_code, sign_in
from eucabox.console.site import current_console
from eucabox.console.visitor import (
    begin_half_sign_in,
    begin_session,
    current_visitor,
    end_half_sign_in,
    end_session,
    find_half_sign_in,
    perform_as,
)
from eucabox.errors import PasswordExpired, PasswordsBusy, TooManyCodes, UserDisabled
from eucabox.iam.second_factors import CONSOLE

pages = Blueprint("sign_in", __name__)
Function = TypeVar("Function")
MOST_NAME, MOST_PASSWORD = 128, 1024
OWN_PATH = re.compile(r"/(?!/)[A-Za-z0-9/_.-]*(\?[A-Za-z0-9=&_%.+-]*)?", re.ASCII)
WRONG = "No user has these names and this password."
WRONG_CODE = "That is not the code of now, or it was used already. Wait for the next one."
MOST_CODE = 16  # as people type it, with blanks
NOTES = {
    "left": "You are signed out.",
    "password": "Your password is set. Sign in with it.",
    "late": "That took too long. Sign in once more.",
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
    if console.cloud.accounts.second_factors.has_any(row["user_id"]):
        response = make_response(redirect(url_for("sign_in.show_code", next=_find_next()), 303))
        begin_half_sign_in(response, row["user_id"], row["password_created"])
        return response
    response = _go_on()
    begin_session(response, row["user_id"], row["password_created"])
    return response


@pages.get("/sign-in/code")
@public
def show_code() -> Response:
    """Ask for the code of the user's MFA device."""
    if find_half_sign_in() is None:
        return make_response(redirect(url_for("sign_in.show"), 303))
    return _show_code_form()


@pages.post("/sign-in/code")
@public
def enter_code() -> Response:
    """Sign in with it; a code counts once."""
    half = find_half_sign_in()
    if half is None:
        response = make_response(redirect(url_for("sign_in.show", note="late"), 303))
        end_half_sign_in(response)
        return response
    code = "".join(request.form.get("code", "")[:MOST_CODE].split())
    factors = current_console().cloud.accounts.second_factors
    source = request.remote_addr or ""
    try:
        is_right = factors.spend_code(half.user_id, code, CONSOLE)
    except TooManyCodes as fault:
        log_code(half.user_id, source, "Throttling")
        response = _show_code_form(429, fault.message)
        response.headers["Retry-After"] = str(fault.facts["seconds"])
        return response
    log_code(half.user_id, source, "ok" if is_right else "AuthFailure")
    if not is_right:
        return _show_code_form(403, WRONG_CODE)
    response = _go_on()
    begin_session(response, half.user_id, half.password_created, mfa=True)
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
    return make_response(redirect(_find_next() or url_for("home.show"), 303))


def _find_next() -> str | None:
    """The page of this console to go on to, None for none."""
    path = request.values.get("next", "")
    return path if is_own_path(path) else None


def _show_code_form(status: int = 200, problem: str = "") -> Response:
    page = render_template("sign_in_code.html", problem=problem, next=_find_next() or "")
    return make_response(page, status)


def _refuse_for_now(seconds: float) -> Response:
    minutes = math.ceil(seconds / 60)
    problem = f"Too many attempts. Wait {minutes} minute{'s' if minutes > 1 else ''}."
    response = _show_form(429, problem=problem)
    response.headers["Retry-After"] = str(math.ceil(seconds))
    return response


def _show_form(status: int = 200, problem: str = "", note: str = "") -> Response:
    page = render_template(
        "sign_in.html",
        problem=problem,
        note=note,
        next=_find_next() or "",
        account=request.form.get("account", ""),
        user_name=request.form.get("user", ""),
        is_open=get_sign_up_form()["open"],
    )
    return make_response(page, status)
