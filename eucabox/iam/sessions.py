"""Temporary credentials in the database: made, found, ended; never decides who may have them."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from eucabox import ids
from eucabox.errors import TooManySessions
from eucabox.iam.caller import Caller, Credential, Session
from eucabox.iam.policy.request import RoleSession
from eucabox.iam.rows import RoleRow, SessionRow
from eucabox.seal import Seal
from eucabox.state import State

TEMPORARY = "ASIA"  # how the ids of temporary access keys begin
TOKEN_BYTES = 96
MOST_SESSIONS = 10_000  # of an account, not yet ended; as many of its instances
MOST_OF_ONE = 5_000  # of one user or role: it must not take all that its account has
KEPT = timedelta(days=1)  # a session that ended is known for so long, and called expired


# An instance's session counts while its profile hands the role to the instance.
_COUNTS = """(s.instance_id = '' or exists (select 1 from instance_profile_associations t
  join instance_profiles p using (instance_profile_id)
  where t.instance_id = s.instance_id and p.role_id = s.role_id))"""


class RoleSessionRow(SessionRow):
    """A session with its account and, where it has one, its role."""

    account_name: str
    canonical_id: str
    email: str
    role_name: str | None
    role_path: str | None


@dataclass(frozen=True)
class TemporaryCredentials:
    """New temporary credentials; the only time that the token is known. `expires` is in UTC."""

    access_key_id: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    expires: datetime


class Sessions:
    """The table of sessions. One ends with its user, role or account, with its instance
    (`revoke_instance`) or what gives the instance its role, or when its time is over, which who
    uses it checks (`is_over`)."""

    def __init__(self, state: State, seal: Seal) -> None:
        self._state = state
        self._seal = seal

    def create_user_session(
        self, user: Caller, duration: int, *, mfa: bool = False
    ) -> TemporaryCredentials:
        """Make credentials for a user or a root, valid for `duration` seconds.

        Raises TooManySessions.
        """
        who = {"account_id": user.account_id, "user_id": user.user_id, "mfa": int(mfa)}
        return self._create(who, duration)

    def create_role_session(
        self,
        role: RoleRow,
        session_name: str,
        duration: int,
        *,
        policies: Sequence[str] | None = None,
        tags: Mapping[str, str] | None = None,
        transitive_tags: Sequence[str] = (),
        instance_id: str = "",
        federated: str = "",
        source_identity: str = "",
        mfa: bool = False,
    ) -> TemporaryCredentials:
        """Make credentials for a session of a role, valid for `duration` seconds.

        `policies` are the texts of the policies that limit the session, None for no limit; `tags`
        are the session's own, beside those of its role. `instance_id` is the instance with which
        the session ends. Checks nothing. Raises TooManySessions.
        """
        row = {
            "account_id": role["account_id"],
            "role_id": role["role_id"],
            "session_name": session_name,
            "policies": None if policies is None else json.dumps(list(policies)),
            "tags": json.dumps(dict(tags or {})),
            "transitive_tags": json.dumps(list(transitive_tags)),
            "instance_id": instance_id,
            "federated": federated,
            "source_identity": source_identity,
            "mfa": int(mfa),
        }
        return self._create(row, duration)

    def revoke_instance(self, instance_id: str) -> int:
        """End the sessions of an instance at once; return how many there were."""
        return self._state.delete("sessions", {"instance_id": instance_id}) if instance_id else 0

    def purge(self) -> int:
        """Forget the sessions that ended KEPT ago or earlier; return how many there were."""
        end = ids.time_text(datetime.now(UTC) - KEPT)
        with self._state.transaction() as database:
            cursor = database.conn.execute("delete from sessions where expires < ?", (end,))
            return int(cursor.rowcount)

    def load_credential(
        self, access_key_id: str, load_user: Callable[[str], Caller | None]
    ) -> Credential | None:
        """Return the temporary credential of that id, also one whose time is over, or None.

        `load_user` returns the user of an id, None where it is gone.
        """
        sql = f"""select s.*, a.account_name, a.canonical_id, a.email, r.role_name,
            r.path as role_path
          from sessions s join accounts a using (account_id) left join roles r using (role_id)
          where access_key_id = ? and {_COUNTS}"""
        row = self._state.select_one(RoleSessionRow, sql, (access_key_id,))
        if row is None:
            return None
        session = self._to_session(row)
        if row["user_id"] is not None:
            user = load_user(row["user_id"])
            if user is None:  # deleted a moment ago
                return None
            caller = replace(user, access_key_id=access_key_id, session=session)
        else:
            caller = _to_role_caller(row, session)
        secret = self._seal.open(row["secret"], secret_purpose(access_key_id)).decode()
        return Credential(caller, secret, active=True)

    def _create(self, row: Mapping[str, object], duration: int) -> TemporaryCredentials:
        now = datetime.now(UTC)
        made = TemporaryCredentials(
            ids.temporary_access_key_id(),
            ids.secret_key(),
            secrets.token_urlsafe(TOKEN_BYTES),
            now + timedelta(seconds=duration),
        )
        columns = {
            "access_key_id": made.access_key_id,
            "secret": self._seal.close(made.secret.encode(), secret_purpose(made.access_key_id)),
            "token_hash": _digest(made.token),
            "created": ids.time_text(now),
            "expires": ids.time_text(made.expires),
        }
        with self._state.transaction():
            self.purge()
            self._check_numbers(row, now)
            self._state.insert("sessions", {**columns, **row})
        return made

    def _check_numbers(self, row: Mapping[str, object], now: datetime) -> None:
        """Those of instances are counted for themselves, so that people leave them theirs."""
        of_instance = bool(row.get("instance_id"))
        one = {} if of_instance else {"user_id": MOST_OF_ONE, "role_id": MOST_OF_ONE}
        for column, most in {**one, "account_id": MOST_SESSIONS}.items():
            sql = f"""select count(*) as number from sessions
              where {column} = ? and expires > ? and (instance_id <> '') = ?"""
            if column in row:
                values = row[column], ids.time_text(now), of_instance
                if self._state.query(sql, values)[0]["number"] >= most:
                    raise TooManySessions(owner=column.removesuffix("_id"), limit=most)

    def _to_session(self, row: RoleSessionRow) -> Session:
        sql = "select key, value from iam_tags where resource_id = ?"
        rows = self._state.query(sql, (row["role_id"] or row["user_id"],))
        policies = row["policies"]
        return Session(
            access_key_id=row["access_key_id"],
            token_hash=row["token_hash"],
            expires=row["expires"],
            role=_to_role(row),
            policies=None if policies is None else tuple(json.loads(policies)),
            tags={**{each["key"]: each["value"] for each in rows}, **json.loads(row["tags"])},
            instance_id=row["instance_id"],
            transitive_tags=tuple(json.loads(row["transitive_tags"])),
            source_identity=row["source_identity"],
            federated=row["federated"],
            mfa=bool(row["mfa"]),
            created=row["created"],
        )


def _to_role(row: RoleSessionRow) -> RoleSession | None:
    if row["role_id"] is None:
        return None
    return RoleSession(
        account_id=row["account_id"],
        role_name=row["role_name"] or "",
        session_name=row["session_name"],
        account_name=row["account_name"],
        canonical_id=row["canonical_id"],
        role_path=row["role_path"] or "/",
        role_id=row["role_id"],
    )


def _to_role_caller(row: RoleSessionRow, session: Session) -> Caller:
    return Caller(
        account_id=row["account_id"],
        account_name=row["account_name"],
        canonical_id=row["canonical_id"],
        user_id="",
        user_name="",
        admin=False,
        access_key_id=row["access_key_id"],
        email=row["email"],
        session=session,
    )


def is_over(session: Session, now: datetime) -> bool:
    """Tell whether a session's time is over."""
    return ids.parse_time(session.expires) <= now


def has_token(session: Session, token: str) -> bool:
    """Tell whether a token is the session's, in a time that does not depend on it."""
    return hmac.compare_digest(_digest(token), session.token_hash)


def secret_purpose(access_key_id: str) -> str:
    """Return the purpose for which the secret of an access key is sealed."""
    return f"secret of {access_key_id}"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
