"""Simulates policies: what given documents, or those of a user, group or role, would decide, and
which context keys they name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from eucabox.actions import Call, Result, action
from eucabox.errors import (
    InvalidInput,
    MalformedPolicyDocument,
    MissingParameter,
    ValidationError,
)
from eucabox.iam.effective_policies import read_role_boundary, read_user_boundary
from eucabox.iam.entity_policies import EntityPolicy, find_owner_by_arn, list_entity_policies
from eucabox.iam.policy import compile_identity_policy
from eucabox.iam.policy.context_keys import list_context_keys
from eucabox.iam.policy.decision import ApplicablePolicies, NamedPolicy
from eucabox.iam.policy.identity_documents import parse_identity_policy, parse_resource_policy
from eucabox.iam.policy.request import key_name
from eucabox.iam.policy.simulation import EVERYTHING, SimulatedCaller, Simulation
from eucabox.iam.policy.statements import Policy
from eucabox.iam.policy_owners import PolicyOwner
from eucabox.state import State
from eucabox.validation import to_api_name

DEFAULT_ITEMS, MOST_ITEMS = 100, 1000
# Characters of documents, once for each resource and PIECE of what they are compared with, that
# are read for one answer: a longer answer comes in pages, a longer question is refused.
MOST_READ, PIECE = 4 << 20, 256
LONGEST_VALUE, MOST_VALUES = 4096, 64  # of a context key
LENGTHS = {"policy": (1, 131_072), "action": (3, 128), "resource": (1, 2048), "key": (5, 256)}
ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9_-]+")
CALLER = re.compile(r"arn:aws:iam::(\d{12}):(root|(user|group|role)/(?:[^:*?]*/)?([^:/*?]+))")
OWNER = re.compile(r"arn:aws:iam::(\d{12}):root")
KINDS = (
    "string", "stringList", "numeric", "numericList", "boolean", "booleanList", "ip", "ipList",
    "binary", "binaryList", "date", "dateList",
)  # fmt: skip
# the resources that each kind of launch must name
SCENARIOS = {
    "EC2-VPC-InstanceStore": "instance image security-group network-interface",
    "EC2-VPC-InstanceStore-Subnet": "instance image security-group network-interface subnet",
    "EC2-VPC-EBS": "instance image security-group network-interface volume",
    "EC2-VPC-EBS-Subnet": "instance image security-group network-interface subnet volume",
}
RESOURCE_POLICY = "ResourcePolicy"


class ContextEntry(TypedDict, total=False):
    """The values of one context key."""

    context_key_name: str
    context_key_values: Sequence[str]
    context_key_type: str


@dataclass(frozen=True)
class SimulateCustomPolicyMembers:
    """The members of a simulation of given policies."""

    policy_input_list: Sequence[str]
    action_names: Sequence[str]
    permissions_boundary_policy_input_list: Sequence[str] = ()
    resource_arns: Sequence[str] = ()
    resource_policy: str = ""
    resource_owner: str = ""
    caller_arn: str = ""
    context_entries: Sequence[ContextEntry] = ()
    resource_handling_option: str = ""
    max_items: int = DEFAULT_ITEMS
    marker: str = ""


@dataclass(frozen=True)
class SimulatePrincipalPolicyMembers(SimulateCustomPolicyMembers):
    """The members of a simulation of an entity's policies, and of given ones."""

    policy_input_list: Sequence[str] = ()
    action_names: Sequence[str] = ()
    policy_source_arn: str = ""


@action("iam")
def simulate_custom_policy(call: Call, members: SimulateCustomPolicyMembers) -> Result:
    """Tell what given policies decide for each action on each resource."""
    return _simulate(call, members, ())


@action("iam")
def simulate_principal_policy(call: Call, members: SimulatePrincipalPolicyMembers) -> Result:
    """Tell what the policies of a user, group or role decide for each action on each resource."""
    _check_present(members)
    state = call.cloud.state
    owner = find_owner_by_arn(state, call.account_id, members.policy_source_arn)
    boundary = _read_boundary(state, owner)
    if boundary and not members.permissions_boundary_policy_input_list:
        members = replace(members, permissions_boundary_policy_input_list=[boundary])
    if not members.caller_arn and owner.kind == "user":
        members = replace(members, caller_arn=owner.arn)
    return _simulate(call, members, list_entity_policies(state, owner))


def _simulate(
    call: Call, members: SimulateCustomPolicyMembers, own: Sequence[EntityPolicy]
) -> Result:
    _check_members(members)
    simulation = _make_simulation(call, members, own)
    resources = list(dict.fromkeys(members.resource_arns)) or [EVERYTHING]
    names = list(dict.fromkeys(members.action_names))
    start = _read_marker(members.marker, len(names))
    end = start + min(members.max_items, _count_at_once(simulation, resources))
    result: Result = {
        "evaluation_results": [simulation.evaluate(each, resources) for each in names[start:end]],
        "is_truncated": end < len(names),
    }
    return {**result, "marker": str(end)} if end < len(names) else result


@action("iam")
def get_context_keys_for_custom_policy(call: Call, *, policy_input_list: Sequence[str]) -> Result:
    """List the context keys that given policies name in conditions and variables."""
    _check_lengths("policyInputList", policy_input_list, "policy")
    policies = [each.policy for each in _parse_policies("PolicyInputList", policy_input_list)]
    return {"context_key_names": list_context_keys(policies)}


@action("iam")
def get_context_keys_for_principal_policy(
    call: Call, *, policy_source_arn: str, policy_input_list: Sequence[str] = ()
) -> Result:
    """List the context keys that the policies of a user, group or role name, and given ones."""
    _check_lengths("policyInputList", policy_input_list, "policy")
    owner = find_owner_by_arn(call.cloud.state, call.account_id, policy_source_arn)
    own = [
        compile_identity_policy(each.text) for each in list_entity_policies(call.cloud.state, owner)
    ]
    policies = [each.policy for each in _parse_policies("PolicyInputList", policy_input_list)]
    return {"context_key_names": list_context_keys([*own, *policies])}


# --- the members --------------------------------------------------------------------------------


def _check_present(members: SimulatePrincipalPolicyMembers) -> None:
    for name in ("policy_source_arn", "action_names"):
        if not getattr(members, name):
            raise MissingParameter(parameter=to_api_name(name))


def _check_members(members: SimulateCustomPolicyMembers) -> None:
    _check_lengths("policyInputList", members.policy_input_list, "policy")
    boundary = members.permissions_boundary_policy_input_list
    _check_lengths("permissionsBoundaryPolicyInputList", boundary, "policy")
    _check_lengths("actionNames", members.action_names, "action")
    _check_lengths("resourceArns", members.resource_arns, "resource")
    if members.resource_policy:
        _check_lengths("resourcePolicy", [members.resource_policy], "policy")
    if not 1 <= members.max_items <= MOST_ITEMS:
        most = "less" if members.max_items > MOST_ITEMS else "greater"
        limit = MOST_ITEMS if members.max_items > MOST_ITEMS else 1
        needed = f"Member must have value {most} than or equal to {limit}"
        raise _invalid(str(members.max_items), "maxItems", needed)
    if len(boundary) > 1:
        raise InvalidInput(reason="A simulation takes one permissions boundary; send one document.")
    for name in members.action_names:
        if not ACTION.fullmatch(name):
            reason = f"{name} is no action. Name one as iam:CreateUser, without a wildcard."
            raise InvalidInput(reason=f"Invalid ActionNames: {reason}")
    for arn in members.resource_arns:
        if arn != EVERYTHING and not arn.startswith("arn:"):
            raise InvalidInput(reason=f"Invalid ResourceArns: {arn[:200]} is no ARN, and not *.")
    _check_scenario(members.resource_handling_option, members.resource_arns)


def _check_lengths(member: str, values: Sequence[str], what: str) -> None:
    least, most = LENGTHS[what]
    for number, value in enumerate(values, 1):
        if len(value) < least:
            needed = f"Member must have length greater than or equal to {least}"
            raise _invalid(value, f"{member}.{number}.member", needed)
        if len(value) > most:
            needed = f"Member must have length less than or equal to {most}"
            raise _invalid(value, f"{member}.{number}.member", needed)


def _invalid(value: str, member: str, needed: str) -> ValidationError:
    where = f"Value '{value[:60]}' at '{member}' failed to satisfy constraint: {needed}"
    return ValidationError(reason=f"1 validation error detected: {where}")


def _check_scenario(option: str, resources: Sequence[str]) -> None:
    if not option:
        return
    if option not in SCENARIOS:
        reason = f"Invalid ResourceHandlingOption: {option[:64]}. Use {', '.join(SCENARIOS)}."
        raise InvalidInput(reason=reason)
    named = {arn.split(":", 5)[-1].partition("/")[0] for arn in resources}
    missing = [each for each in SCENARIOS[option].split() if each not in named]
    if missing:
        reason = f"{option} needs an ARN among ResourceArns of: {', '.join(missing)}."
        raise InvalidInput(reason=reason)


def _read_marker(marker: str, count: int) -> int:
    if not marker:
        return 0
    if not (marker.isascii() and marker.isdecimal() and len(marker) < 9 and int(marker) < count):
        raise InvalidInput(reason=f"Invalid Marker: {marker[:60]}. Send that of the last answer.")
    return int(marker)


def _count_at_once(simulation: Simulation, resources: Sequence[str]) -> int:
    """Return how many actions one answer may have; InvalidInput if not even one."""
    context = sum(len(each) for values in simulation.values.values() for each in values)
    pieces = sum(1 + (len(each) + context) // PIECE for each in resources)
    read = max(1, pieces * sum(map(len, simulation.texts.values())))
    if read > MOST_READ:
        reason = "These resources and context values are too much for policies of this length."
        raise InvalidInput(reason=f"{reason} Simulate fewer of them at a time.")
    return MOST_READ // read


# --- policies and caller ------------------------------------------------------------------------


def _read_boundary(state: State, owner: PolicyOwner) -> str:
    read = {"user": read_user_boundary, "role": read_role_boundary}.get(owner.kind)
    boundary = read(state, owner.owner_id) if read else None
    return boundary.text if boundary else ""


def _make_simulation(
    call: Call, members: SimulateCustomPolicyMembers, own: Sequence[EntityPolicy]
) -> Simulation:
    boundary_name = "PermissionsBoundaryPolicyInputList"
    boundary = members.permissions_boundary_policy_input_list
    given = _parse_policies("PolicyInputList", members.policy_input_list)
    owned = [NamedPolicy(compile_identity_policy(each.text), each.label) for each in own]
    resource = _parse_resource_policy(members)
    texts = {
        **{each.label: each.text for each in own},
        **{f"PolicyInputList.{n}": text for n, text in enumerate(members.policy_input_list, 1)},
        **{f"{boundary_name}.{n}": text for n, text in enumerate(boundary, 1)},
        **({RESOURCE_POLICY: members.resource_policy} if members.resource_policy else {}),
    }
    policies = ApplicablePolicies(
        identity=(*owned, *given),
        resource=resource,
        boundary=_parse_policies(boundary_name, boundary) if boundary else None,
    )
    return Simulation(
        policies=policies,
        texts=texts,
        caller=_read_caller(call, members.caller_arn),
        values=_read_entries(members.context_entries),
        resource_owner=_read_owner(members.resource_owner),
    )


def _parse_policies(member: str, texts: Sequence[str]) -> tuple[NamedPolicy, ...]:
    names = [f"{member}.{number}" for number in range(1, len(texts) + 1)]
    return tuple(
        NamedPolicy(_parse(name, text), name) for name, text in zip(names, texts, strict=True)
    )


def _parse(name: str, text: str) -> Policy:
    try:
        return parse_identity_policy(text)
    except MalformedPolicyDocument as problem:
        raise InvalidInput(reason=f"Invalid {name}: {problem.message}") from None


def _parse_resource_policy(members: SimulateCustomPolicyMembers) -> NamedPolicy | None:
    if not members.resource_policy:
        return None
    if not members.caller_arn:
        reason = "CallerArn is required if you include a ResourcePolicy: name who asks."
        raise InvalidInput(reason=reason)
    if ":role/" in members.caller_arn:
        reason = "Simulation of resource-based policies isn't supported for IAM roles."
        raise InvalidInput(reason=reason)
    try:
        return NamedPolicy(parse_resource_policy(members.resource_policy), RESOURCE_POLICY)
    except MalformedPolicyDocument as problem:
        raise InvalidInput(reason=f"Invalid {RESOURCE_POLICY}: {problem.message}") from None


def _read_caller(call: Call, arn: str) -> SimulatedCaller:
    if not arn:
        return SimulatedCaller(call.account_id)
    match = CALLER.fullmatch(arn)
    if match is None:
        reason = f"Invalid CallerArn: {arn[:200]}. Use the ARN of a user, group or role."
        raise InvalidInput(reason=reason)
    account, _, kind, name = match.groups()
    own = account == call.account_id
    return SimulatedCaller(
        account_id=account,
        arn=arn,
        user_name=name if kind == "user" else "",
        account_name=call.user.account_name if own else "",
        canonical_id=call.user.canonical_id if own else "",
    )


def _read_owner(arn: str) -> str:
    match = OWNER.fullmatch(arn)
    if arn and match is None:
        reason = f"Invalid ResourceOwner: {arn[:200]}. Use arn:aws:iam::ACCOUNT:root."
        raise InvalidInput(reason=reason)
    return match[1] if match else ""


def _read_entries(entries: Sequence[ContextEntry]) -> dict[str, Sequence[str]]:
    values: dict[str, Sequence[str]] = {}
    for number, entry in enumerate(entries, 1):
        name = entry.get("context_key_name", "")
        _check_lengths(f"contextEntries.{number}.member.contextKeyName", [name], "key")
        kind = entry.get("context_key_type", "string")
        if kind not in KINDS:
            needed = f"Member must satisfy enum value set: [{', '.join(KINDS)}]"
            raise _invalid(kind, f"contextEntries.{number}.member.contextKeyType", needed)
        key_values = tuple(entry.get("context_key_values", ()))
        if len(key_values) > MOST_VALUES or any(len(each) > LONGEST_VALUE for each in key_values):
            most = f"at most {MOST_VALUES} values of {LONGEST_VALUE} characters"
            raise InvalidInput(reason=f"Invalid ContextEntries: {name[:60]} can have {most}.")
        values[key_name(name)] = key_values
    return values
