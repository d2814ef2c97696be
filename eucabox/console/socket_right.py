"""Whether the one who opened a WebSocket may still have it: the session, the user, the policies."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from eucabox import actions
from eucabox.actions import Call
from eucabox.console.login_sessions import LiveSessionRow, LoginSessions
from eucabox.console.visitor import find_caller
from eucabox.console.web_socket import REFUSED, SIGNED_OUT
from eucabox.errors import Fault
from eucabox.iam.caller import Caller

USE_SECONDS = 60.0  # between two times that what is typed counts as a use of the session


@dataclass
class SocketRight:
    """The session and the verb by which a socket was opened; `verb` is None for one that every
    user may have."""

    sessions: LoginSessions
    session: LiveSessionRow
    call: Call
    verb: tuple[str, str] | None
    params: Mapping[str, object]
    _used_at: float = 0.0

    @property
    def caller(self) -> Caller:
        """The user who opened it, as it was at the last look."""
        return self.call.user

    def find_end(self) -> tuple[int, str] | None:
        """Return the code and the reason with which the socket has to end, or None."""
        session = self.sessions.look_up(self.session["session_hash"])
        if session is None:
            return SIGNED_OUT, "The session has ended."
        caller = find_caller(self.call.cloud.accounts, session)
        if caller is None:
            return SIGNED_OUT, "The user is gone."
        self.call = replace(self.call, caller=caller, notes={})
        try:
            if self.verb is not None:
                actions.judge(*self.verb, self.call, dict(self.params))
        except Fault as fault:
            return REFUSED, fault.code
        return None

    def count_use(self) -> None:
        """What is typed counts as a use of the session; what is only looked at does not."""
        now = time.monotonic()
        if now > self._used_at + USE_SECONDS:
            self._used_at = now
            session = self.sessions.look_up(self.session["session_hash"])
            if session is not None:
                self.sessions.count_use(session)
