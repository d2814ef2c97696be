"""What every page of the console may ask for: its cloud, its sessions, its limits; no page."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, Request, current_app
from jinja2 import StrictUndefined
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.sansio.http import parse_cookie
from werkzeug.utils import cached_property as request_property

from eucabox import ascii_text
from eucabox.console.half_sign_ins import HalfSignIns
from eucabox.console.login_sessions import LoginSessions
from eucabox.console.notices import Notices
from eucabox.iam.attempt_limits import AttemptLimits

if TYPE_CHECKING:
    from eucabox.cloud import Cloud
    from eucabox.console.sockets import Sockets

MOST_BODY = 64 * 1024  # bytes of a form


class ConsoleRequest(Request):
    """A request whose cookies are read in one pass, which anybody may send."""

    @request_property
    def cookies(self) -> ImmutableMultiDict[str, str]:
        """The cookies by name; many blanks in one would be tried in every way."""
        sent = ascii_text.fold(self.headers.get("Cookie", ""))
        return ImmutableMultiDict(parse_cookie(sent))


class Console(Flask):
    """The console's application, with what its pages need beside Flask's own."""

    request_class = ConsoleRequest
    sockets: "Sockets"

    def __init__(self, cloud: "Cloud") -> None:
        super().__init__("eucabox.console", static_url_path="/static")
        self.cloud = cloud
        self.login_sessions = LoginSessions(cloud.state, lambda: cloud.config.console)
        self.half_sign_ins = HalfSignIns()
        self.limits = AttemptLimits()
        self.notices = Notices()
        self.config["MAX_CONTENT_LENGTH"] = MOST_BODY
        self.url_map.merge_slashes = False
        self._plain_addresses: dict[str, str] = {}
        self.jinja_env.undefined = StrictUndefined
        self.jinja_env.trim_blocks = self.jinja_env.lstrip_blocks = True

    def build_address(self, endpoint: str, **values: Any) -> str:
        """Return an address as Flask's url_for does; one without values, of which the menu alone
        has dozens, is built once."""
        if values:
            return self.url_for(endpoint, **values)
        address = self._plain_addresses.get(endpoint)
        if address is None:
            address = self._plain_addresses[endpoint] = self.url_for(endpoint)
        return address

    def log_exception(self, *_: object) -> None:
        """Log nothing: what tells of the failure (answers.py) does, with the request's number."""

    @cached_property
    def assets_version(self) -> str:
        """A word that changes with any of the static files, so that browsers may keep them."""
        digest = hashlib.sha256()
        for file in sorted(Path(str(self.static_folder)).rglob("*")):
            if file.is_file():
                digest.update(file.read_bytes())
        return digest.hexdigest()[:12]


def current_console() -> Console:
    """Return the console that serves this request."""
    return cast(Console, current_app)
