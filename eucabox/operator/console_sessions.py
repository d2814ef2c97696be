"""Who is signed in to the console, of all accounts; begins no session."""

from datetime import UTC, datetime, timedelta
from typing import TypedDict

from eucabox import ids
from eucabox.state import State

SHOWN = 16  # characters of a session's hash, by which it is named
MOST = 500  # that are listed, those used last


class ConsoleSessionRow(TypedDict):
    """A live session and whose it is."""

    session_id: str
    account_id: str
    account_name: str
    user_name: str
    created: str
    last_used: str
    source: str
    user_agent: str


def list_sessions(state: State, idle: timedelta) -> list[ConsoleSessionRow]:
    """Return the live sessions, those used last first; an idle one has ended after `idle`."""
    now = datetime.now(UTC)
    sql = """select substr(session_hash, 1, ?) as session_id, account_id, account_name, user_name,
        s.created, last_used, source, user_agent
      from login_sessions s join users u using (user_id) join accounts using (account_id)
      where expires > ? and last_used > ? and s.password_created = u.password_created
        and u.password <> '' order by last_used desc limit ?"""
    bounds = (SHOWN, ids.time_text(now), ids.time_text(now - idle), MOST)
    return state.select(ConsoleSessionRow, sql, bounds)


def end_session(state: State, session_id: str) -> bool:
    """End a session; whether there was one."""
    if len(session_id) != SHOWN:
        return False
    with state.transaction() as database:
        sql = "delete from login_sessions where substr(session_hash, 1, ?) = ?"
        return bool(database.conn.execute(sql, (SHOWN, session_id)).rowcount)
