"""Makes the sessions of roles that STS grants, and their answers; decides about none."""

from collections.abc import Mapping
from dataclasses import dataclass

from eucabox import ids
from eucabox.iam.caller import Session
from eucabox.iam.rows import RoleRow
from eucabox.iam.session_requests import SessionRequest, inherit_tags
from eucabox.iam.sessions import Sessions, TemporaryCredentials
from eucabox.state import State


@dataclass(frozen=True)
class RoleGrant:
    """A role for one whom its trust policy allows it: by another `session`, which hands on
    its transitive tags and its source identity, or by the identity provider `federated`; `mfa` is
    for a caller who sent a code of its device."""

    role: RoleRow
    request: SessionRequest
    session: Session | None = None
    federated: str = ""
    region: str = ""
    mfa: bool = False

    def carry_out(self, state: State, sessions: Sessions) -> dict[str, object]:
        """Make the credentials and return them as STS answers.

        Raises ValidationError for what the role does not give, and TooManySessions.
        """
        role, request, session = self.role, self.request, self.session
        request.check_duration(role, session)
        policies = request.read_policies(state, role["account_id"])
        inherited = inherit_tags(session, request.tags)
        source_identity = request.source_identity or (session.source_identity if session else "")
        with state.transaction():
            made = sessions.create_role_session(
                role,
                request.session_name,
                request.duration,
                policies=policies,
                tags={**inherited, **request.tags},
                transitive_tags=[*inherited, *request.transitive_tags],
                federated=self.federated,
                source_identity=source_identity,
                mfa=self.mfa or (session is not None and session.mfa),
            )
            mark_used(state, role, self.region)
        answer: dict[str, object] = {
            "credentials": credentials_to_api(made),
            "assumed_role_user": role_user_to_api(role, request.session_name),
            "packed_policy_size": request.packed_percent,
            "source_identity": source_identity or None,
        }
        return _drop_missing(answer)


def mark_used(state: State, role: RoleRow, region: str) -> None:
    """Record that a role was used now, which GetRole tells."""
    where = {"role_id": role["role_id"]}
    state.update("roles", where, last_used=ids.now(), last_used_region=region)


def credentials_to_api(made: TemporaryCredentials) -> dict[str, object]:
    """Return new credentials as STS's answers have them."""
    return {
        "access_key_id": made.access_key_id,
        "secret_access_key": made.secret,
        "session_token": made.token,
        "expiration": made.expires.replace(microsecond=0),
    }


def role_user_to_api(role: RoleRow, session_name: str) -> dict[str, object]:
    """Return who a session of a role is, as STS's answers have it."""
    arn = f"arn:aws:sts::{role['account_id']}:assumed-role/{role['role_name']}/{session_name}"
    return {"assumed_role_id": f"{role['role_id']}:{session_name}", "arn": arn}


def _drop_missing(answer: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in answer.items() if value is not None}
