"""AssumeRoleWithWebIdentity: credentials of a role for whom an identity provider vouches."""

from collections.abc import Sequence
from dataclasses import dataclass

from eucabox.actions import Call, Result, action
from eucabox.errors import SessionRefused, ValidationError
from eucabox.iam.constraints import check_arn, check_length
from eucabox.iam.role_sessions import RoleGrant
from eucabox.iam.role_trust import NAMING_SOURCE, ROLE_ARN, TAGGING, TrustRequest, find_role
from eucabox.iam.session_requests import BY_DEFAULT, PolicyDescriptor, SessionRequest
from eucabox.iam.web_tokens import WebIdentity, read_token

ACTION = "sts:AssumeRoleWithWebIdentity"


@dataclass(frozen=True)
class AssumeRoleWithWebIdentityMembers:
    """The members of AssumeRoleWithWebIdentity."""

    role_arn: str
    role_session_name: str
    web_identity_token: str
    duration_seconds: int = BY_DEFAULT
    policy: str = ""
    policy_arns: Sequence[PolicyDescriptor] = ()


@action("sts", anonymous=True)
def assume_role_with_web_identity(call: Call, members: AssumeRoleWithWebIdentityMembers) -> Result:
    """Make credentials of a role for whom a token of an identity provider of its account names.

    Nobody signs this; the token's claims are condition keys of the trust policy.
    """
    check_arn("roleArn", members.role_arn)
    match = ROLE_ARN.fullmatch(members.role_arn)
    if match is None:
        raise ValidationError(reason=f"{members.role_arn[:200]} is invalid")
    check_length("webIdentityToken", members.web_identity_token, 20_000, 4)
    _make_request(members).check()
    accounts, state = call.cloud.accounts, call.cloud.state
    role = find_role(state, members.role_arn)
    if role is None:  # before the provider is asked for its keys
        raise SessionRefused(reason=f"Not authorized to perform {ACTION}")
    identity = read_token(
        state, accounts.provider_keys, role["account_id"], members.web_identity_token
    )
    request = _make_request(members, identity)
    request.check()
    role = _make_trust_request(call, members, request, identity).check(
        state,
        role,
        ACTION,
        *([TAGGING] if request.tags else []),
        *([NAMING_SOURCE] if request.source_identity else []),
    )
    grant = RoleGrant(role, request, federated=identity.provider_arn, region=call.region)
    return {
        **grant.carry_out(state, accounts.sessions),
        "subject_from_web_identity_token": identity.subject,
        "audience": identity.audience,
        "provider": identity.provider_arn,
    }


def _make_request(
    members: AssumeRoleWithWebIdentityMembers, identity: WebIdentity | None = None
) -> SessionRequest:
    tags, transitive = identity.read_tags() if identity is not None else ({}, ())
    return SessionRequest(
        session_name=members.role_session_name,
        duration=members.duration_seconds,
        policy=members.policy,
        policy_arns=members.policy_arns,
        tags=tags,
        transitive_tags=transitive,
        source_identity=identity.source_identity if identity is not None else "",
    )


def _make_trust_request(
    call: Call,
    members: AssumeRoleWithWebIdentityMembers,
    request: SessionRequest,
    identity: WebIdentity,
) -> TrustRequest:
    more: dict[str, str | Sequence[str]] = {
        **identity.list_condition_values(),
        "aws:FederatedProvider": identity.provider_arn,
        "sts:RoleSessionName": members.role_session_name,
        "sts:SourceIdentity": request.source_identity,
        "sts:TransitiveTagKeys": request.transitive_tags,
    }
    return TrustRequest(
        arn=members.role_arn,
        federated=identity.provider_arn,
        tags=request.tags,
        context=call.context,
        more={key: value for key, value in more.items() if value},
    )
