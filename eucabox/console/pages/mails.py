"""The queue of letters: what waits and why, another try, forgetting one, a test."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import BadRequest

from eucabox.console.answers import get_status
from eucabox.console.iam_pages import read_field
from eucabox.console.visitor import perform
from eucabox.errors import Fault

pages = Blueprint("mails", __name__)
NOTES = {
    "retry": "The letter is tried again now.",
    "drop": "The letter is forgotten.",
    "test": "The server has taken the test letter.",
}
VERBS = {"retry": "RetryMail", "drop": "DropMail"}


@pages.get("/mails")
def show() -> Response:
    """List them."""
    return _show_page(note=NOTES.get(request.args.get("note", ""), ""))


@pages.get("/mails/list")
def show_rows() -> str:
    """Return the list alone, to take the place of an older one."""
    return render_template("_mails.html", queue=perform("bootstrap", "ListMails"))


@pages.post("/mails")
def change() -> Response:
    """Try a letter again, forget one, or send a test."""
    do = request.form.get("do", "")
    if do not in NOTES:
        raise BadRequest("This form is not one of the page's.")
    try:
        if do == "test":
            perform("bootstrap", "SendTestMail", address=read_field("address"))
        else:
            perform("bootstrap", VERBS[do], mail_id=read_field("mail_id"))
    except Fault as fault:
        return _show_page(get_status(fault), problem=fault.message)
    return make_response(redirect(url_for("mails.show", note=do), 303))


def _show_page(status: int = 200, problem: str = "", note: str = "") -> Response:
    page = render_template(
        "mails.html",
        queue=perform("bootstrap", "ListMails"),
        address=request.form.get("address", ""),
        problem=problem,
        note=note,
    )
    return make_response(page, status)
