"""Who is signed in to the console, of all accounts, for the administrator."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from eucabox.console.answers import get_status
from eucabox.console.iam_pages import read_field
from eucabox.console.visitor import current_visitor, perform
from eucabox.errors import Fault

pages = Blueprint("all_sessions", __name__)
NOTES = {"ended": "The session is over."}
SHOWN = 16  # characters of a session's hash, by which the verbs name it


@pages.get("/all-sessions")
def show() -> Response:
    """List them, this one marked."""
    return _show_page(note=NOTES.get(request.args.get("note", ""), ""))


@pages.post("/all-sessions")
def end() -> Response:
    """End one."""
    try:
        perform("bootstrap", "EndConsoleSession", session_id=read_field("session_id"))
    except Fault as fault:
        return _show_page(get_status(fault), problem=fault.message)
    return make_response(redirect(url_for("all_sessions.show", note="ended"), 303))


def _show_page(status: int = 200, problem: str = "", note: str = "") -> Response:
    session = current_visitor().session
    rows = perform("bootstrap", "ListConsoleSessions")["console_sessions"]
    own = session["session_hash"][:SHOWN] if session else ""
    page = render_template("all_sessions.html", rows=rows, own=own, problem=problem, note=note)
    return make_response(page, status)
