"""Asks the policies of a caller for what a request needs, before anything else is read of it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from eucabox.ec2.needed_permissions import Ec2Request
from eucabox.errors import Fault, OperationRefused, PolicyRefused, SessionRefused, SessionWithoutMfa
from eucabox.iam.authorization import CallerPolicies
from eucabox.iam.authorization_messages import encode_message
from eucabox.iam.caller import Caller
from eucabox.iam.needed_permission import NeededPermission, NeededValues
from eucabox.iam.needed_permissions import IamRequest
from eucabox.iam.password_policies import read_policy
from eucabox.iam.policy.decision import Outcome, decide
from eucabox.iam.policy.refusals import describe_refusal
from eucabox.iam.policy.request import AuthorizationRequest

if TYPE_CHECKING:
    from eucabox.actions import Call

# Verbs that need no permission, or ask for it themselves, of the role.
FREE = frozenset(
    ("sts", name)
    for name in (
        "AssumeRole",
        "AssumeRoleWithWebIdentity",
        "GetCallerIdentity",
        "GetSessionToken",
    )
)
# Services whose verbs ask for permission themselves, of the bucket; guests are known otherwise.
# The console's own are about whoever calls them alone, or are let in by a code.
ELSEWHERE = frozenset({"console", "metadata", "s3", "s3control", "website"})
# Verbs, and members of verbs, that need permissions of other names too.
ASKING_MORE = frozenset({"AddRoleToInstanceProfile", "iam_instance_profile", "tag_specifications"})
# What people do about themselves on the console needs no permission; what a policy denies of
# IAM's verbs it denies there too.
DENIED_WITH = {
    "CreateOwnMFADevice": "CreateVirtualMFADevice",
    "EnableOwnMFADevice": "EnableMFADevice",
    "ResyncOwnMFADevice": "ResyncMFADevice",
    "DeleteOwnMFADevice": "DeactivateMFADevice",
}
# Verbs of our own that show what another one lists: who may do that may do this; and those of the
# console that act on an instance, which policies name as EC2's.
JUDGED_AS = {
    ("bootstrap", "DescribeUsage"): ("ec2", "DescribeInstances"),
    ("console", "ListInstances"): ("ec2", "DescribeInstances"),
    ("console", "OpenScreen"): ("ec2", "OpenScreen"),
    ("console", "OpenSerialConsole"): ("ec2", "OpenSerialConsole"),
}
FOR_SESSIONS = ("AssumeRole", "GetCallerIdentity")  # of STS
OWN_PASSWORD = ("iam:ChangePassword", "iam:GetAccountPasswordPolicy")
LONGEST_SHOWN = 300  # characters of a resource in a refusal


def check(call: "Call", caller: Caller, service: str, name: str) -> None:
    """Raise UnauthorizedOperation or AccessDenied unless a limited caller may do all that the
    request needs; SessionWithoutMfa or SessionRefused where its credentials can't be for it."""
    if caller.session is not None:
        _check_session(caller, service, name)
    if service == "console" and name in DENIED_WITH:
        _check_not_denied(call, caller, DENIED_WITH[name])
    service, name = JUDGED_AS.get((service, name), (service, name))
    if service not in ELSEWHERE and (service, name) not in FREE:
        policies = call.find_policies()
        asks_more = name in ASKING_MORE or not ASKING_MORE.isdisjoint(call.params)
        if not asks_more and _is_permitted_everywhere(call, caller, policies, f"{service}:{name}"):
            return
        for needed in _list_needed(call, caller, service, name):
            request = _make_request(call, caller, policies, needed)
            if not policies.permit(request) and not _grants_own_password(call, caller, request):
                raise _refuse(call, service, request, needed, policies)


def _is_permitted_everywhere(
    call: "Call", caller: Caller, policies: CallerPolicies, action: str
) -> bool:
    """True if the caller may do an action whatever it is done to."""
    return policies.permit_everywhere_plainly(action, call.context) or policies.permit_everywhere(
        _make_request(call, caller, policies, NeededPermission(action))
    )


def _make_request(
    call: "Call", caller: Caller, policies: CallerPolicies, needed: NeededPermission
) -> AuthorizationRequest:
    values = NeededValues(needed, caller.principal, policies.tags, call.context, policies.facts)
    return AuthorizationRequest(needed.action, needed.resource, caller.principal, values)


def _check_session(caller: Caller, service: str, name: str) -> None:
    """Sessions that a user has for itself reach neither IAM nor most of STS."""
    assert caller.session is not None
    if service == "sts" and name == "GetSessionToken":
        raise SessionRefused(reason=f"Cannot call {name} with session credentials")
    if caller.session.role is not None:
        return
    if service == "iam" and not caller.session.mfa:
        raise SessionWithoutMfa()
    if service == "sts" and name not in FOR_SESSIONS:
        raise SessionRefused(reason=f"Cannot call {name} with session credentials")


def _list_needed(
    call: "Call", caller: Caller, service: str, name: str
) -> Iterator[NeededPermission]:
    state, params = call.cloud.state, call.params
    if service == "ec2":
        region = call.region or call.cloud.config.cloud.region
        return Ec2Request(name, params, state, caller.account_id, region).list_needed()
    user_name = "" if caller.session and caller.session.role else caller.user_name
    return IamRequest(service, name, params, state, caller.account_id, user_name).list_needed()


def _check_not_denied(call: "Call", caller: Caller, name: str) -> None:
    """Raise AccessDenied where a policy denies a caller a verb of IAM about itself."""
    policies = call.find_policies()
    iam_request = IamRequest("iam", name, {}, call.cloud.state, caller.account_id, caller.user_name)
    for needed in iam_request.list_needed():
        request = _make_request(call, caller, policies, needed)
        if decide(request, policies.applicable).outcome is Outcome.EXPLICIT_DENY:
            raise _refuse(call, "iam", request, needed, policies)


def _grants_own_password(call: "Call", caller: Caller, request: AuthorizationRequest) -> bool:
    """Whether the account lets its users change their passwords, and no policy forbids it."""
    if request.action not in OWN_PASSWORD or caller.session is not None:
        return False
    policy = read_policy(call.cloud.state, caller.account_id)
    if policy is None or not policy.allow_users_to_change_password:
        return False
    applicable = call.cloud.accounts.authorization.find_policies(caller).applicable
    return decide(request, applicable).outcome is not Outcome.EXPLICIT_DENY


def _refuse(
    call: "Call",
    service: str,
    request: AuthorizationRequest,
    needed: NeededPermission,
    policies: CallerPolicies,
) -> Fault:
    decision = decide(request, policies.applicable)
    shown = replace(request, resource=(needed.shown or needed.resource)[:LONGEST_SHOWN])
    sentence = describe_refusal(decision, shown)
    if service == "ec2":
        encoded = encode_message(call.cloud.accounts.authorization.seal, decision, shown)
        return OperationRefused(reason=sentence, encoded=encoded)
    return PolicyRefused(reason=sentence)
