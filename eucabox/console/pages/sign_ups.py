"""The administrator's requests for accounts: the list, and the pages that letters lead to."""

from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound

from eucabox.console.answers import get_status
from eucabox.console.pages.sign_in import get_sign_up_form
from eucabox.console.visitor import perform
from eucabox.errors import Fault

pages = Blueprint("sign_ups", __name__)
NOTES = {
    "approved": "Approved. A letter with a link that makes the account active is on its way.",
    "active": "Approved. The account is active now.",
    "rejected": "Rejected. The name is free again.",
}


@pages.get("/sign-ups")
def show() -> str:
    """List who asks."""
    note = NOTES.get(request.args.get("note", ""), "")
    rows = perform("bootstrap", "ListSignUps")["sign_ups"]
    return render_template("sign_ups.html", rows=rows, note=note, form=get_sign_up_form())


@pages.get("/sign-ups/<sign_up_id>/approve")
def show_approval(sign_up_id: str) -> Response:
    """Show what would be approved; only the button does it."""
    return _show_decision(sign_up_id, "approve")


@pages.post("/sign-ups/<sign_up_id>/approve")
def approve(sign_up_id: str) -> Response:
    """Approve."""
    skips = request.form.get("skip_confirmation") == "yes"
    members = {"sign_up_id": sign_up_id, "skip_confirmation": skips}
    try:
        state = perform("bootstrap", "ApproveSignUp", **members)["state"]
    except Fault as fault:
        return _show_decision(sign_up_id, "approve", get_status(fault), fault.message)
    return make_response(redirect(url_for("sign_ups.show", note=state), 303))


@pages.get("/sign-ups/<sign_up_id>/reject")
def show_rejection(sign_up_id: str) -> Response:
    """Show what would be rejected; only the button does it."""
    return _show_decision(sign_up_id, "reject")


@pages.post("/sign-ups/<sign_up_id>/reject")
def reject(sign_up_id: str) -> Response:
    """Reject, with a reason that the person gets."""
    reason = request.form.get("reason", "")
    try:
        perform("bootstrap", "RejectSignUp", sign_up_id=sign_up_id, reason=reason)
    except Fault as fault:
        return _show_decision(sign_up_id, "reject", get_status(fault), fault.message)
    return make_response(redirect(url_for("sign_ups.show", note="rejected"), 303))


def _show_decision(
    sign_up_id: str, decision: str, status: int = 200, problem: str = ""
) -> Response:
    page = render_template(
        "sign_up_decision.html",
        row=_find(sign_up_id),
        decision=decision,
        problem=problem,
        reason=request.form.get("reason", ""),
        sends_mail=get_sign_up_form()["sends_mail"],
    )
    return make_response(page, status)


def _find(sign_up_id: str) -> Any:
    rows: Any = perform("bootstrap", "ListSignUps")["sign_ups"]
    for row in rows:
        if row["sign_up_id"] == sign_up_id:
            return row
    raise NotFound("This request does not wait any more: it was decided, or it was too old.")
