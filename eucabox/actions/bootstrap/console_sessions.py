"""Who is signed in to the console, and how the operator ends that."""

from datetime import timedelta

from eucabox.actions import Call, Result, action
from eucabox.errors import NoSuchEntity
from eucabox.operator import console_sessions


@action(service="bootstrap", admin=True)
def list_console_sessions(call: Call) -> Result:
    """List the live sessions of all users, those used last first."""
    idle = timedelta(minutes=call.cloud.config.console.idle_minutes)
    return {"console_sessions": console_sessions.list_sessions(call.cloud.state, idle)}


@action(service="bootstrap", admin=True)
def end_console_session(call: Call, *, session_id: str) -> Result:
    """End a session: its browser has to sign in again."""
    if not console_sessions.end_session(call.cloud.state, session_id):
        raise NoSuchEntity(reason="This session is over already.")
    return {}
