"""What every answer of the console carries; what pages say after a form, and when it went wrong."""

import logging
import secrets
import time
from typing import Any

from flask import Response, g, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException, InternalServerError

from eucabox import logs
from eucabox.console.guard import METRICS, WrongHost
from eucabox.console.notices import MOST_TEXT, Notice, RowOutcome
from eucabox.console.site import current_console
from eucabox.console.styles import SOURCE
from eucabox.console.visitor import current_visitor, is_renewal, keep_visit
from eucabox.errors import Fault
from eucabox.events.request_counts import PAGES

log = logging.getLogger("eucabox.console")

POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {SOURCE}; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    # Without any referrer a browser would say of our own forms that they come from nowhere.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex, nofollow",
}
LONG = "public, max-age=31536000, immutable"  # of a file whose address changes with it
STATUS = {
    "AccessDenied": 403,
    "AccessDeniedException": 403,
    "UnauthorizedOperation": 403,
    "MissingAuthenticationToken": 403,
    "InvalidAuthenticationCode": 403,
    "AuthFailure": 403,
    "NoSuchEntity": 404,
    "EntityAlreadyExists": 409,
    "LimitExceeded": 409,
    "DeleteConflict": 409,
    "BucketAlreadyExists": 409,
    "BucketNotEmpty": 409,
    "InsufficientStorage": 507,
    "InvalidRange": 416,
    "MethodNotAllowed": 405,
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "Throttling": 429,
    "RequestLimitExceeded": 429,
    "InternalError": 500,
}
TEXTS = {
    404: "The address may be mistyped, or the page has moved.",
    405: "This address is not for what was sent to it.",
    413: "A form has at most 64 KiB and 1,000 fields.",
}
MISSING = {  # what is not there, by the beginning of a fault's code
    "InvalidInstanceID": "instance",
    "InvalidAMIID": "image",
    "InvalidGroup": "security group",
    "InvalidKeyPair": "key pair",
    "NoSuchBucket": "bucket",
    "NoSuchKey": "object",
    "NoSuchVersion": "version",
    "NoSuchUpload": "upload",
}
MISSING_ON = {  # ... and by whose page it is, where IAM has one code for all
    "users": "user",
    "groups": "group",
    "roles": "role",
    "policies": "policy",
    "inline_policies": "policy",
    "accounts": "account",
}
TITLES = {
    400: "That can't be read",
    403: "Not allowed",
    404: "There is no such page",
    405: "Not that way",
    413: "Too large",
    429: "Too often",
    503: "Too busy",
}


def finish(response: Response) -> Response:
    """Put the headers on an answer and log it; runs after every page."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    is_asset = request.endpoint == "static" and response.status_code in (200, 304)
    fresh = is_asset and request.args.get("v") == current_console().assets_version
    response.headers["Cache-Control"] = LONG if fresh else "no-store"
    if not is_asset:
        keep_visit(response)
        seconds = time.perf_counter() - g.get("began", time.perf_counter())
        PAGES.count("console", request.endpoint or "", str(response.status_code), seconds)
        is_routine = is_renewal() or request.endpoint == METRICS
        if not is_routine or response.status_code >= 400:
            _log(response.status_code)
    return response


def permit_styles(response: Response) -> str:
    """Let the scripts of a page add styles of their own; returns the nonce that each style has."""
    nonce = secrets.token_urlsafe(18)
    policy = POLICY.replace("style-src 'self'", f"style-src 'self' 'nonce-{nonce}'")
    response.headers["Content-Security-Policy"] = policy
    return nonce


def _log(status: int) -> None:
    """One line, without the query: the codes of mailed links stand there."""
    caller = current_visitor().caller
    logs.say(
        log,
        method=request.method,
        page=request.endpoint or "-",
        user=caller.label if caller else "-",
        source=request.remote_addr or "-",
        status=status,
        request_id=g.get("request_id", "-"),
    )


def refuse(problem: HTTPException) -> Response:
    """Return the page of an error of HTTP, such as an address that is not there."""
    if problem.response is not None:
        return make_response(problem.response)
    if isinstance(problem, InternalServerError):
        return refuse_failure(problem)
    if isinstance(problem, WrongHost):
        return _show_plainly(problem.code, problem.description)
    code = problem.code or 500
    is_own = problem.description != type(problem).description
    text = problem.description if is_own else TEXTS.get(code)
    response = _show_problem(code, text or problem.description or "")
    for name, value in problem.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def refuse_fault(fault: Fault) -> Response:
    """Return the page of what a verb refused."""
    status = get_status(fault)
    title = _name_missing(fault) if status == 404 else ""
    return _show_problem(status, fault.message, fault.code, title)


def _name_missing(fault: Fault) -> str:
    kind = next((kind for code, kind in MISSING.items() if fault.code.startswith(code)), "")
    kind = kind or MISSING_ON.get(request.blueprint or "", "")
    return f"There is no such {kind}" if kind else "It is not there"


def refuse_failure(_problem: Exception) -> Response:
    """Log what should not happen, and say where to look, without the templates: they may be it."""
    number = g.get("request_id", "-")
    log.exception("a page of the console failed: request %s", number)
    text = f"Something broke. The log has the cause, at request {number}."
    return _show_plainly(InternalServerError.code, text)


def redirect_with_notice(
    endpoint: str,
    text: str,
    kind: str = "good",
    outcomes: tuple[RowOutcome, ...] = (),
    /,
    **values: Any,
) -> Response:
    """Lead the browser to a page (303) that shows a notice where its template has
    `parts.messages()`; `values` are those of url_for."""
    notice = Notice(text[:MOST_TEXT], kind, outcomes)
    notice_id = current_console().notices.keep(_name_visitor(), notice)
    address = url_for(endpoint, **values, notice=notice_id)
    return make_response(redirect(address, 303))


def find_notice() -> Notice | None:
    """Return the notice that this request's address names, if it is this visitor's."""
    if not request.query_string.isascii():  # which is refused, on a page that looks for notices too
        return None
    notice_id = request.args.get("notice", "")
    return current_console().notices.find(_name_visitor(), notice_id) if notice_id else None


def _name_visitor() -> str:
    session = current_visitor().session
    return session["session_hash"] if session else ""


def get_status(fault: Fault) -> int:
    """Return the HTTP status of a fault."""
    if fault.code.startswith("NoSuch") or fault.code.endswith(".NotFound"):
        return 404
    return STATUS.get(fault.code, 400)


def _show_plainly(status: int, text: str) -> Response:
    response = make_response(f"{text}\n", status)
    response.mimetype = "text/plain"
    return response


def _show_problem(status: int, text: str, code: str = "", title: str = "") -> Response:
    title = title or TITLES.get(status, "That did not work")
    page = render_template("problem.html", title=title, text=text, code=code, status=status)
    return make_response(page, status)
