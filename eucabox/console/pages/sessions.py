"""One's own sessions in the console, and how to end them."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from eucabox.console.login_sessions import LiveSessionRow
from eucabox.console.site import current_console
from eucabox.console.visitor import current_visitor

pages = Blueprint("sessions", __name__)


@pages.get("/sessions")
def show() -> str:
    """List them, this one marked."""
    session = _own_session()
    rows = current_console().login_sessions.list_sessions(session["user_id"])
    return render_template("sessions.html", rows=rows, own=session["session_hash"])


@pages.post("/sessions/end")
def end() -> Response:
    """End one of them, or all but this one."""
    session, sessions = _own_session(), current_console().login_sessions
    chosen = request.form.get("session", "")
    for row in sessions.list_sessions(session["user_id"]):
        is_own = row["session_hash"] == session["session_hash"]
        if chosen == row["session_hash"] or (chosen == "others" and not is_own):
            sessions.end(session["user_id"], row["session_hash"])
    return make_response(redirect(url_for("sessions.show"), 303))


def _own_session() -> LiveSessionRow:
    session = current_visitor().session
    assert session is not None
    return session
