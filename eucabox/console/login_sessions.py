"""Who is logged in: sessions in the database, under a hash of what the browser holds; no HTTP."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypedDict

from eucabox import ids
from eucabox.config import ConsoleSection
from eucabox.state import State

TOKEN_BYTES = 32
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)  # so many letters that many bytes have
MOST_SESSIONS = 20  # of a user; one more ends the oldest
MOST_AGENT = 200  # characters that are kept of what the browser says it is
USED_AGAIN = timedelta(minutes=1)  # not every request writes to the disk


class LoginSessionRow(TypedDict):
    """A session of the console; `password_created` is of the password that it began with, `mfa` is
    1 for one that a code of an MFA device began."""

    session_hash: str
    user_id: str
    password_created: str
    created: str
    last_used: str
    expires: str
    source: str
    user_agent: str
    mfa: int


class LiveSessionRow(LoginSessionRow):
    """A session whose user is still there, with what its caller is looked up by."""

    account_id: str
    password_reset_required: int


def make_token() -> str:
    """Return a new secret for a browser to hold."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def is_token(text: str) -> bool:
    """Whether a cookie's value may be such a secret."""
    return TOKEN.fullmatch(text) is not None


def hash_token(token: str) -> str:
    """Return what the database has of a secret."""
    return hashlib.sha256(token.encode()).hexdigest()


def derive_csrf(token: str) -> str:
    """Return what the forms of a browser's pages hold, which only that browser's pages know."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


class LoginSessions:
    """The sessions of all users. One ends when it was idle, when its time is over, when its user
    goes or gets another password, and when it is ended by hand."""

    def __init__(self, state: State, settings: Callable[[], ConsoleSection]) -> None:
        self._state = state
        self._settings = settings

    def begin(
        self,
        user_id: str,
        source: str,
        user_agent: str,
        password_created: str | None = None,
        *,
        mfa: bool = False,
    ) -> str:
        """Begin a session of a user and return the secret for the browser.

        `password_created` is of the password that was checked, None for the one that the user has
        now: with one that is no longer there the session is over from its beginning.
        """
        token, now = make_token(), datetime.now(UTC)
        end = now + timedelta(hours=self._settings().session_hours)
        with self._state.transaction():
            if password_created is None:
                password_created = self._find_password_time(user_id)
            self._drop_old(user_id, now)
            row = {
                "session_hash": hash_token(token),
                "user_id": user_id,
                "password_created": password_created,
                "created": ids.time_text(now),
                "last_used": ids.time_text(now),
                "expires": ids.time_text(end),
                "source": source,
                "user_agent": user_agent[:MOST_AGENT],
                "mfa": int(mfa),
            }
            self._state.insert("login_sessions", row)
        return token

    def find(self, token: str, *, is_use: bool = True) -> LiveSessionRow | None:
        """Return the live session of a secret; None where there is none. It is counted as used
        unless `is_use` is false: a page that renews itself is no sign of its visitor."""
        row = self.look_up(hash_token(token)) if is_token(token) else None
        if row and is_use:
            self.count_use(row)
        return row

    def look_up(self, session_hash: str) -> LiveSessionRow | None:
        """Return a session while it is live, and do not count it as used."""
        now = datetime.now(UTC)
        sql = """select s.*, account_id, password_reset_required from login_sessions s
          join users u using (user_id) where session_hash = ? and expires > ? and last_used > ?
          and s.password_created = u.password_created and u.password <> '' and u.disabled = 0"""
        bounds = (ids.time_text(now), ids.time_text(now - self._idle))
        return self._state.select_one(LiveSessionRow, sql, (session_hash, *bounds))

    def count_use(self, row: LiveSessionRow) -> None:
        """Count a session as used now."""
        now = datetime.now(UTC)
        if ids.parse_time(row["last_used"]) < now - USED_AGAIN:
            where = {"session_hash": row["session_hash"]}
            self._state.update("login_sessions", where, last_used=ids.time_text(now))

    def list_sessions(self, user_id: str) -> list[LoginSessionRow]:
        """Return a user's live sessions, the newest first."""
        now = datetime.now(UTC)
        sql = """select s.* from login_sessions s join users u using (user_id)
          where user_id = ? and expires > ? and last_used > ?
          and s.password_created = u.password_created and u.password <> ''
          order by s.created desc limit ?"""
        bounds = (ids.time_text(now), ids.time_text(now - self._idle), MOST_SESSIONS)
        return self._state.select(LoginSessionRow, sql, (user_id, *bounds))

    def end(self, user_id: str, session_hash: str) -> bool:
        """End one session of a user; whether there was one."""
        where = {"session_hash": session_hash, "user_id": user_id}
        return self._state.delete("login_sessions", where) > 0

    def end_others(self, user_id: str, session_hash: str) -> None:
        """End all sessions of a user but one."""
        with self._state.transaction() as database:
            sql = "delete from login_sessions where user_id = ? and session_hash <> ?"
            database.execute(sql, (user_id, session_hash))

    def _find_password_time(self, user_id: str) -> str:
        row = self._state.one("select password_created from users where user_id = ?", (user_id,))
        return str(row["password_created"]) if row else ""

    @property
    def _idle(self) -> timedelta:
        return timedelta(minutes=self._settings().idle_minutes)

    def _drop_old(self, user_id: str, now: datetime) -> None:
        """Drop what is over, of all users, and of this one what would be too many."""
        with self._state.transaction() as database:
            bounds = (ids.time_text(now), ids.time_text(now - self._idle))
            sql = "delete from login_sessions where expires <= ? or last_used <= ?"
            database.execute(sql, bounds)
            sql = """delete from login_sessions where user_id = ? and session_hash not in
              (select session_hash from login_sessions where user_id = ?
               order by created desc limit ?)"""
            database.execute(sql, (user_id, user_id, MOST_SESSIONS - 1))
