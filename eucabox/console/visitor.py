"""Who looks at the page: the visitor's session, its form token, and the verbs in its name."""

from dataclasses import dataclass, replace
from hmac import compare_digest
from typing import cast

from flask import Response, g, request

from eucabox import actions
from eucabox.actions import Call, Result
from eucabox.console.half_sign_ins import HalfSignIn
from eucabox.console.login_sessions import (
    LiveSessionRow,
    derive_csrf,
    is_token,
    make_token,
)
from eucabox.console.site import current_console
from eucabox.errors import NoSuchUser
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller, ConsoleSignIn
from eucabox.iam.credentials_folder import endpoint

LOGIN_COOKIE = "__Host-eucabox"
HALF_COOKIE = "__Host-eucabox-half"  # of one whose password was right, and who owes a code
VISIT_COOKIE = "__Host-eucabox-visit"  # of one who has not logged in: ties forms to the browser


@dataclass
class Visitor:
    """The one who sent this request: a user with a session, or one not known yet."""

    token: str  # what the browser holds, or will hold
    session: LiveSessionRow | None = None
    caller: Caller | None = None
    is_new: bool = False  # has no cookie yet

    @property
    def csrf(self) -> str:
        """What each form of this visitor's pages sends back."""
        return derive_csrf(self.token)


def load_visitor() -> Visitor:
    """Find out who sent this request, from its cookies alone."""
    console = current_console()
    token = request.cookies.get(LOGIN_COOKIE, "")
    session = console.login_sessions.find(token, is_use=not is_renewal())
    caller = find_caller(console.cloud.accounts, session) if session else None
    if session and caller:
        visitor = Visitor(token, session, caller)
    else:
        held = request.cookies.get(VISIT_COOKIE, "")
        visitor = Visitor(held if is_token(held) else make_token(), is_new=not is_token(held))
    g.visitor = visitor
    return visitor


def is_renewal() -> bool:
    """Whether a page asks by itself, for a part of it anew or for a socket, and nobody need be
    there."""
    if "Upgrade" in request.headers:
        return True
    return request.method == "GET" and request.headers.get("X-Renewal") == "yes"


def find_caller(accounts: Accounts, session: LiveSessionRow) -> Caller | None:
    """Return the user of a session, with how it signed in; None for one that is gone."""
    try:
        caller = accounts.user_of(session["account_id"], session["user_id"])
        return replace(caller, sign_in=ConsoleSignIn(bool(session["mfa"]), session["created"]))
    except NoSuchUser:
        return None


def current_visitor() -> Visitor:
    """Return who sent this request."""
    return cast(Visitor, g.get("visitor") or Visitor(make_token(), is_new=True))


def is_csrf_right() -> bool:
    """Whether the request came from a form, or a script, of a page that this visitor was shown."""
    sent = request.headers.get("X-CSRF-Token") or request.form.get("csrf", "")
    return compare_digest(sent.encode(), current_visitor().csrf.encode())


def perform(service: str, name: str, /, **params: object) -> Result:
    """Perform a verb as the user who is logged in; raises the Fault that a client would get."""
    return perform_as(current_visitor().caller, service, name, **params)


def judge(service: str, name: str, /, **params: object) -> None:
    """Raise the Fault with which a verb would be refused to the user who is logged in."""
    actions.judge(service, name, make_call(current_visitor().caller), dict(params))


def perform_as(caller: Caller | None, service: str, name: str, /, **params: object) -> Result:
    """Perform a verb as a user who has just proved who it is, or as nobody."""
    return actions.perform(service, name, make_call(caller), dict(params)) or {}


def make_call(caller: Caller | None) -> Call:
    """Return what a verb is told of this request, in the name of a caller."""
    cloud = current_console().cloud
    source = request.remote_addr or ""
    return Call(
        cloud=cloud,
        caller=caller,
        request_id=str(g.request_id),
        region=cloud.config.cloud.region,
        endpoint=endpoint(cloud.config),
        source=source,
        context={
            "source_ip": source,
            "secure": "true" if request.is_secure else "false",
            "referer": "",
            "user_agent": request.user_agent.string,
            "content_sha256": "",
            "tls_version": "",
            "auth_type": "",
            "signature_version": "",
            "signed_at": "",
            "region": cloud.config.cloud.region,
            "https": "https" if cloud.config.api.https_port else "",
        },
    )


def begin_session(
    response: Response, user_id: str, password_created: str | None = None, *, mfa: bool = False
) -> None:
    """Log a user in: a new session under a new secret, and no cookie of before.

    `password_created` is as LoginSessions.begin has it, `mfa` is for who gave a code too.
    """
    console, visitor = current_console(), current_visitor()
    if visitor.session:
        console.login_sessions.end(visitor.session["user_id"], visitor.session["session_hash"])
    agent = request.user_agent.string
    source = request.remote_addr or ""
    token = console.login_sessions.begin(user_id, source, agent, password_created, mfa=mfa)
    g.visitor = Visitor(token)
    _set_cookie(response, LOGIN_COOKIE, token)
    _drop_cookie(response, VISIT_COOKIE)
    end_half_sign_in(response)


def begin_half_sign_in(response: Response, user_id: str, password_created: str) -> None:
    """Remember that a user gave the right password, until it gives a code."""
    token = current_console().half_sign_ins.begin(user_id, password_created)
    _set_cookie(response, HALF_COOKIE, token)


def find_half_sign_in() -> HalfSignIn | None:
    """Return who owes a code in this browser, None for nobody."""
    return current_console().half_sign_ins.find(request.cookies.get(HALF_COOKIE, ""))


def end_half_sign_in(response: Response) -> None:
    """Forget who owes a code in this browser."""
    if token := request.cookies.get(HALF_COOKIE, ""):
        current_console().half_sign_ins.end(token)
        _drop_cookie(response, HALF_COOKIE)


def end_other_sessions() -> None:
    """End all sessions of the visitor's user but the one of the newest secret."""
    console, visitor = current_console(), current_visitor()
    session = console.login_sessions.find(visitor.token)
    if session:
        console.login_sessions.end_others(session["user_id"], session["session_hash"])


def end_session(response: Response) -> None:
    """Log the visitor out, here and at the server."""
    visitor = current_visitor()
    if visitor.session:
        session = visitor.session
        current_console().login_sessions.end(session["user_id"], session["session_hash"])
    _drop_cookie(response, LOGIN_COOKIE)


def keep_visit(response: Response) -> None:
    """Give a browser that was shown a form, and is not logged in, its cookie."""
    visitor = current_visitor()
    if visitor.is_new and g.get("csrf_was_shown"):
        _set_cookie(response, VISIT_COOKIE, visitor.token)


def show_csrf() -> str:
    """Return the value for a form's hidden field."""
    g.csrf_was_shown = True
    return current_visitor().csrf


def _set_cookie(response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, secure=True, httponly=True, samesite="Lax", path="/")


def _drop_cookie(response: Response, name: str) -> None:
    response.delete_cookie(name, secure=True, httponly=True, samesite="Lax", path="/")
