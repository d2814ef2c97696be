"""Gives a user another password, which ends the sessions that began with the old one: these hold
its time. Judges none."""

from eucabox import ids
from eucabox.state import State


def store_password(state: State, user_id: str, hashed: str) -> None:
    """Give a user the password of which `hashed` was made, within the caller's transaction."""
    columns = {"password": hashed, "password_created": ids.now(), "password_reset_required": 0}
    with state.transaction():
        state.update("users", {"user_id": user_id}, **columns)
