"""What is refused before any page sees it: hosts, origins, methods, sizes, forms of others."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response, make_response, redirect, request, url_for
from werkzeug.exceptions import (
    BadRequest,
    Forbidden,
    HTTPException,
    LengthRequired,
    MethodNotAllowed,
    RequestEntityTooLarge,
    RequestURITooLarge,
    UnsupportedMediaType,
)

from eucabox.console.site import MOST_BODY, current_console
from eucabox.console.visitor import Visitor, is_csrf_right, load_visitor

METHODS = ("GET", "HEAD", "POST")
MOST_PATH, MOST_QUERY = 512, 6144  # bytes; a key of an object has 1024, 3072 percent-encoded
MOST_TARGET = 1024  # of the page to go on to after a sign-in
BYTES = "application/octet-stream"  # which no form of any page can send
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")  # of this machine, typed by people
PUBLIC = "is_public"
STREAMED = "most_streamed"  # bytes of a body that a view reads piece by piece
View = TypeVar("View", bound=Callable[..., object])
METRICS = "metrics.show"  # programs ask for it by an address; no page of others reads it
NEEDED_WITH_OLD_PASSWORD = ("password.show", "password.change", "sign_in.leave", "static")


class WrongHost(HTTPException):
    """The console was asked under a name that is not its own."""

    code = 421
    description = "This server does not know itself under that name."


def take_stream(most: int) -> Callable[[View], View]:
    """Let a view take a body of plain bytes in place of a form, at most so many, which it reads by
    `open_stream`. The form's token comes in the header X-CSRF-Token."""

    def mark(view: View) -> View:
        setattr(view, STREAMED, most)
        return view

    return mark


def check_request() -> Response | None:
    """Refuse a request that no page of ours makes; load its visitor; ask a stranger to sign in.

    Runs before every page. Returns an answer instead of the page's own, or None.
    """
    _check_sizes()
    wrong_host = _check_host()
    if wrong_host:
        return wrong_host
    _check_origin()
    visitor = load_visitor()
    if request.method == "POST" and not is_csrf_right():
        raise Forbidden("This form is too old, or not from here. Load the page anew and try again.")
    return _ask_to_sign_in(visitor)


def _check_sizes() -> None:
    if request.method not in METHODS:
        raise MethodNotAllowed(METHODS, "Pages are read with GET, and forms sent with POST.")
    if len(request.path.encode()) > MOST_PATH or len(request.query_string) > MOST_QUERY:
        raise RequestURITooLarge("The address is longer than any of this console's.")
    if not request.query_string.isascii():  # what reads it would fail, in every page
        raise BadRequest("The address is not written as addresses are.")
    if request.method != "POST":
        return
    if request.content_length is None:
        raise LengthRequired("A form says how long it is.")
    view = current_console().view_functions.get(request.endpoint or "")
    streamed = getattr(view, STREAMED, 0)
    if request.content_length > (streamed or MOST_BODY):
        raise RequestEntityTooLarge(f"At most {streamed or MOST_BODY} bytes can be sent here.")
    if request.mimetype not in ((BYTES,) if streamed else FORMS):
        raise UnsupportedMediaType("A form is sent as a form, and a file's bytes as bytes.")


def _check_host() -> Response | None:
    """Names that are not ours could be anybody's: a page of theirs would be let in to ours."""
    host = request.headers.get("Host", "").lower()
    settings = current_console().cloud.config.console
    name, port = _split_port(host)
    if name in settings.known_hosts and port.isdigit() | (not port):
        return None
    is_own = name in OWN_NAMES or name == settings.listen
    if request.endpoint == METRICS and (is_own or settings.metrics_token):
        return None
    if request.method in ("GET", "HEAD") and is_own:
        return _redirect_away(settings.url + "/")
    raise WrongHost(f"The console is at {settings.url}/")


def _split_port(host: str) -> tuple[str, str]:
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and not port.endswith("]") else (host, "")


def _redirect_away(address: str) -> Response:
    response = redirect(address, 307)
    assert isinstance(response, Response)
    return response


def _check_origin() -> None:
    """Nobody else's page may send a form, or load a page of ours as a part of its own.

    Browsers say where a request is from: Origin with every POST, Sec-Fetch-Site with all.
    """
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    own = [f"{scheme}://{request.headers['Host']}" for scheme in ("http", "https")]
    is_ours = request.headers.get("Origin", "") in own and site == "same-origin"
    if request.method == "POST":
        if not is_ours:
            raise Forbidden("A form of another site, or of none, is not taken.")
    elif "Upgrade" in request.headers:  # browsers let any page ask for a WebSocket, with cookies
        if not is_ours:
            raise Forbidden("Only pages of this console may open its sockets.")
    elif site not in ("same-origin", "none") and not _is_link():
        raise Forbidden("Other sites may have links to these pages, and nothing else of them.")


def _is_link() -> bool:
    headers = request.headers
    modes = headers.get("Sec-Fetch-Mode", ""), headers.get("Sec-Fetch-Dest", "")
    return modes == ("navigate", "document")


def _ask_to_sign_in(visitor: Visitor) -> Response | None:
    endpoint = request.endpoint or ""
    view = current_console().view_functions.get(endpoint)
    if view is None or endpoint == "static" or getattr(view, PUBLIC, False):
        return None
    if visitor.session is None:
        is_part = request.headers.get("X-Part") == "yes"
        return _have_reloaded() if is_part else _send_to("sign_in.show", next=_target())
    if visitor.session["password_reset_required"] and endpoint not in NEEDED_WITH_OLD_PASSWORD:
        return _send_to("password.show")
    return None


def _have_reloaded() -> Response:
    """A page whose session is over gets no other page into one of its parts, but loads anew."""
    response = make_response("The session is over.\n", 401)
    response.mimetype = "text/plain"
    return response


def _target() -> str | None:
    """The page to go on to, once its visitor has signed in."""
    if request.method == "POST" or request.path == "/":
        return None
    query = request.query_string.decode("ascii", "replace")
    target = f"{request.path}?{query}" if query else request.path
    return target if len(target) <= MOST_TARGET else None


def _send_to(endpoint: str, **values: Any) -> Response:
    response = redirect(url_for(endpoint, **values), 303)
    assert isinstance(response, Response)
    return response


def check_text(value: str, most: int, what: str) -> str:
    """Return a field's text without blanks around it; raises BadRequest where it is too long or
    has control characters."""
    text = value.strip()
    if len(text) > most or any(each < " " or each == "\x7f" for each in text):
        raise BadRequest(f"{what} is too long, or has characters that no keyboard writes.")
    return text
