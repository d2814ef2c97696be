"""Codes that letters carry: random, of one purpose, used once, and expiring; mails none."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

from eucabox import ids
from eucabox.errors import CodeInvalid
from eucabox.iam.rows import CodeRow
from eucabox.state import State

CONFIRM, RECOVER, FIRST_RUN, DECOY = "confirm", "recover", "first-run", "decoy"
CODE_BYTES = 16
LONGEST = 64  # characters of a code; ours have 32
NEVER = "9999"  # later than every time as text


class Codes:
    """The codes in the database, of which only the hashes are there."""

    def __init__(self, state: State) -> None:
        self._state = state

    def make(
        self,
        purpose: str,
        lifetime: timedelta | None,
        *,
        user_id: str | None = None,
        sign_up_id: str | None = None,
    ) -> str:
        """Return a new code for a user or for a sign-up, within the caller's transaction."""
        code = secrets.token_hex(CODE_BYTES)  # mail programs cut a link that ends with - or _
        now = datetime.now(UTC)
        row = {
            "code_hash": _hash(code),
            "purpose": purpose,
            "user_id": user_id,
            "sign_up_id": sign_up_id,
            "created": ids.time_text(now),
            "expires": ids.time_text(now + lifetime) if lifetime else NEVER,
        }
        self._state.insert("codes", row)
        return code

    def find(self, purpose: str, code: str) -> CodeRow:
        """Return what a code is of, and leave it as it is; raises CodeInvalid."""
        sql = "select * from codes where code_hash = ? and purpose = ? and expires > ?"
        known = (_hash(code[: LONGEST + 1]), purpose, ids.now())
        row = self._state.select_one(CodeRow, sql, known)
        if row is None or len(code) > LONGEST:
            raise CodeInvalid()
        return row

    def spend(self, purpose: str, code: str) -> CodeRow:
        """Return what a code is of, and forget it, within the caller's transaction; raises
        CodeInvalid."""
        with self._state.transaction():
            row = self.find(purpose, code)
            self._state.delete("codes", {"code_hash": row["code_hash"]})
        return row

    def forget(self, purpose: str, user_id: str) -> None:
        """Forget all codes of a purpose that a user has."""
        self._state.delete("codes", {"purpose": purpose, "user_id": user_id})

    def drop_expired(self) -> None:
        """Forget the codes that are too old."""
        with self._state.transaction() as database:
            database.execute("delete from codes where expires <= ?", (ids.now(),))


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
