"""The sessions of instances' roles: each instance has credentials of its own, handed out until the
last part of their life and then followed by others, while the old ones stay valid to their end.

Made when they are first asked for. Secrets and tokens lie sealed, so that the same credentials can
be handed out again. Never decides which role an instance has.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from eucabox import ids
from eucabox.errors import InstanceRoleRefused
from eucabox.iam.policy import AuthorizationRequest, compile_trust_policy
from eucabox.iam.policy.decision import ApplicablePolicies, NamedPolicy, decide
from eucabox.iam.policy.request_values import RequestValues
from eucabox.iam.rows import RoleRow, SessionRow
from eucabox.iam.sessions import Sessions, secret_purpose
from eucabox.seal import Seal
from eucabox.state import State

SERVICE = "ec2.amazonaws.com"  # whom a role's trust policy has to trust
LIFE = timedelta(hours=1)
OVERLAP = timedelta(minutes=20)  # AWS's clients ask again a quarter of an hour before the end


class InstanceSessionRow(SessionRow):
    """A session of an instance with its token, sealed."""

    token: bytes


@dataclass(frozen=True)
class InstanceCredentials:
    """Credentials of an instance; both times are in UTC."""

    access_key_id: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    created: datetime
    expires: datetime


class InstanceSessions:
    """Hands out the credentials of instances. They end with the instance, with its association
    with the profile, and with the profile's role: see `Sessions`."""

    def __init__(self, state: State, seal: Seal, sessions: Sessions) -> None:
        self._state = state
        self._seal = seal
        self._sessions = sessions

    def get_credentials(self, instance_id: str, role: RoleRow) -> InstanceCredentials:
        """Return an instance's credentials of its role, which are new if the last ones end soon.

        Raises InstanceRoleRefused where the role does not trust EC2, and TooManySessions.
        """
        check_trust(role)
        row = self._find_current(instance_id, role)
        if row is None:
            with self._state.transaction():  # two may ask at the same time
                row = self._find_current(instance_id, role) or self._create(instance_id, role)
        access_key_id = row["access_key_id"]
        return InstanceCredentials(
            access_key_id,
            self._seal.open(row["secret"], secret_purpose(access_key_id)).decode(),
            self._seal.open(row["token"], _token_purpose(access_key_id)).decode(),
            ids.parse_time(row["created"]),
            ids.parse_time(row["expires"]),
        )

    def _find_current(self, instance_id: str, role: RoleRow) -> InstanceSessionRow | None:
        sql = """select s.*, t.token from sessions s join session_tokens t using (access_key_id)
          where s.instance_id = ? and s.role_id = ? and s.expires > ?
          order by s.expires desc limit 1"""
        soon = ids.time_text(datetime.now(UTC) + OVERLAP)
        values = instance_id, role["role_id"], soon
        return self._state.select_one(InstanceSessionRow, sql, values)

    def _create(self, instance_id: str, role: RoleRow) -> InstanceSessionRow:
        seconds = int(LIFE.total_seconds())
        made = self._sessions.create_role_session(
            role, instance_id, seconds, instance_id=instance_id
        )
        sealed = self._seal.close(made.token.encode(), _token_purpose(made.access_key_id))
        row = {"access_key_id": made.access_key_id, "token": sealed}
        self._state.insert("session_tokens", row)
        created = self._find_current(instance_id, role)
        assert created is not None, "it lives for longer than the overlap"
        return created


def check_trust(role: RoleRow) -> None:
    """Raise InstanceRoleRefused unless the role's trust policy lets EC2 assume it."""
    arn = f"arn:aws:iam::{role['account_id']}:role{role['path']}{role['role_name']}"
    values = RequestValues(resource_account=role["account_id"])
    request = AuthorizationRequest("sts:AssumeRole", arn, None, values, service=SERVICE)
    trust = NamedPolicy(compile_trust_policy(role["trust_policy"]))
    policies = ApplicablePolicies(resource=trust, trust=True)
    if not decide(request, policies, role["account_id"]).allowed:
        raise InstanceRoleRefused(name=role["role_name"])


def _token_purpose(access_key_id: str) -> str:
    return f"session token of {access_key_id}"
