"""The cloud's log, with the filters of `eucabox logs`."""

from collections.abc import Mapping

from flask import Blueprint, Response, make_response, render_template, request

from eucabox import logs
from eucabox.console.answers import get_status
from eucabox.console.visitor import perform
from eucabox.errors import Fault

pages = Blueprint("log", __name__)
FILTERS = {
    "instance": "instance_id", "request": "log_request_id", "user": "user", "role": "role",
    "since": "since",
}  # fmt: skip
LINES = 100


@pages.get("/log")
def show() -> Response:
    """Show the newest lines that the address chooses."""
    sent = {name: request.args.get(name, "").strip()[:200] for name in FILTERS}
    wanted = {FILTERS[name]: value for name, value in sent.items() if value}
    try:
        told = perform("bootstrap", "ListLogLines", max_results=LINES, **wanted)
    except Fault as fault:
        if fault.code == "AccessDenied":
            raise
        page = _render(sent, {"lines": [], "is_cut": False, "place": ""}, fault.message)
        return make_response(page, get_status(fault))
    return make_response(_render(sent, told, ""))


def _render(sent: Mapping[str, str], told: Mapping[str, object], problem: str) -> str:
    return render_template("log.html", told=told, sent=sent, roles=logs.ROLES, problem=problem)
