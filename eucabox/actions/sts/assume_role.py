"""AssumeRole: temporary credentials of a role for whom its trust policy names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eucabox.actions import Call, Result, action
from eucabox.errors import SessionRefused, ValidationError
from eucabox.iam.caller import Session
from eucabox.iam.constraints import check_arn, check_length, check_pattern
from eucabox.iam.iam_tags import IamTag
from eucabox.iam.role_sessions import RoleGrant
from eucabox.iam.role_trust import (
    EXTERNAL_ID,
    NAMING_SOURCE,
    ROLE_ARN,
    TAGGING,
    TrustRequest,
    find_role,
)
from eucabox.iam.session_requests import (
    BY_DEFAULT,
    PolicyDescriptor,
    SessionRequest,
    read_session_tags,
)

# as the facts of a caller are written, so that they stand in their place
MFA_FACTS = {"aws:multifactorauthpresent": "true", "aws:multifactorauthage": "0"}


@dataclass(frozen=True)
class AssumeRoleMembers:
    """The members of AssumeRole."""

    role_arn: str
    role_session_name: str
    duration_seconds: int = BY_DEFAULT
    policy: str = ""
    policy_arns: Sequence[PolicyDescriptor] = ()
    tags: Sequence[IamTag] = ()
    transitive_tag_keys: Sequence[str] = ()
    external_id: str = ""
    source_identity: str = ""
    serial_number: str = ""
    token_code: str = ""


@action("sts")
def assume_role(call: Call, members: AssumeRoleMembers) -> Result:
    """Make credentials of a role for whom its trust policy names.

    Another role's session gets an hour at most, hands on its transitive tags, and keeps its source
    identity. With a code of the caller's MFA device aws:MultiFactorAuthPresent is true for the
    trust policy and in the session.
    """
    request = _read_request(members)
    session, state = call.user.session, call.cloud.state
    _check_source_identity(session, request)
    mfa = call.cloud.accounts.second_factors.check_request(
        call.user, members.serial_number, members.token_code
    )
    role = _make_trust_request(call, members, request, mfa=mfa).check(
        state, find_role(state, members.role_arn), *_list_needed(session, request)
    )
    grant = RoleGrant(role, request, session, region=call.region, mfa=mfa)
    return grant.carry_out(state, call.cloud.accounts.sessions)


def _list_needed(session: Session | None, request: SessionRequest) -> Iterator[str]:
    """Yield the actions that the role has to allow. As in AWS the tags and the source identity that
    a session hands on need the same rights as those that are sent."""
    yield "sts:AssumeRole"
    if request.tags or (session is not None and session.transitive_tags):
        yield TAGGING
    if request.source_identity or (session is not None and session.source_identity):
        yield NAMING_SOURCE


def _read_request(members: AssumeRoleMembers) -> SessionRequest:
    check_arn("roleArn", members.role_arn)
    if not ROLE_ARN.fullmatch(members.role_arn):
        raise ValidationError(reason=f"{members.role_arn[:200]} is invalid")
    if members.external_id:
        check_length("externalId", members.external_id, 1224, 2)
        check_pattern("externalId", members.external_id, EXTERNAL_ID, r"[\w+=,.@:\/-]*")
    request = SessionRequest(
        session_name=members.role_session_name,
        duration=members.duration_seconds,
        policy=members.policy,
        policy_arns=members.policy_arns,
        tags=read_session_tags(members.tags),
        transitive_tags=tuple(members.transitive_tag_keys),
        source_identity=members.source_identity,
    )
    request.check()
    return request


def _check_source_identity(session: Session | None, request: SessionRequest) -> None:
    before = session.source_identity if session is not None else ""
    if before and request.source_identity not in ("", before):
        reason = "SourceIdentity can't be changed: that of the calling session stays."
        raise SessionRefused(reason=reason)


def _make_trust_request(
    call: Call, members: AssumeRoleMembers, request: SessionRequest, *, mfa: bool
) -> TrustRequest:
    caller = call.user
    before = caller.session.source_identity if caller.session is not None else ""
    own = call.find_policies()
    more: dict[str, str | Sequence[str]] = {
        **own.facts,
        **(MFA_FACTS if mfa else {}),
        "sts:RoleSessionName": members.role_session_name,
        "sts:ExternalId": members.external_id,
        "sts:SourceIdentity": request.source_identity,
        "sts:TransitiveTagKeys": request.transitive_tags,
        "aws:SourceIdentity": before,
    }
    return TrustRequest(
        arn=members.role_arn,
        caller=caller,
        own=own.applicable,
        tags=request.tags,
        principal_tags=own.tags,
        context=call.context,
        more={key: value for key, value in more.items() if value},
    )
