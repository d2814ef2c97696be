"""GetAccountAuthorizationDetails: all users, groups, roles and policies in one list; and which
policies of an entity grant access to a service."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from eucabox import ids
from eucabox.actions import Call, Result, action
from eucabox.iam import attached_policies, iam_tags, instance_profiles, managed_policies, roles
from eucabox.iam.aws_policies import ManagedPolicy
from eucabox.iam.constraints import check_choice, check_count, check_length
from eucabox.iam.entity_policies import EntityPolicy, find_owner_by_arn, list_entity_policies
from eucabox.iam.inline_policies import list_inline_policies
from eucabox.iam.paging import DEFAULT_ITEMS, cut_page
from eucabox.iam.policy import compile_identity_policy
from eucabox.iam.policy.service_access import grants_service
from eucabox.iam.policy_owners import ENTITY_KINDS, PolicyOwner, list_groups_of, list_owners
from eucabox.iam.policy_versions import list_versions
from eucabox.state import State

LISTS = {
    "User": "user_detail_list", "Group": "group_detail_list", "Role": "role_detail_list",
    "LocalManagedPolicy": "policies", "AWSManagedPolicy": "policies",
}  # fmt: skip
MOST_SERVICES = 200


@dataclass(frozen=True)
class _Entry:
    """One entity of the list: which kind, where it stands, and how it is told."""

    kind: str
    key: str
    describe: Callable[[], dict[str, object]]


@action("iam")
def get_account_authorization_details(
    call: Call, *, filter: Sequence[str] = (), max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """Tell all users, groups, roles and managed policies with their documents."""
    for number, kind in enumerate(filter, 1):
        check_choice(f"filter.{number}.member", kind, ENTITY_KINDS)
    state, account_id = call.cloud.state, call.account_id
    entries = [*_list_owner_entries(state, account_id), *_list_policy_entries(state, account_id)]
    wanted = [each for each in entries if not filter or each.kind in filter]
    wanted.sort(key=lambda entry: entry.key)
    page, members = cut_page(wanted, lambda entry: entry.key, max_items, marker)
    lists: dict[str, list[dict[str, object]]] = {name: [] for name in LISTS.values()}
    for each in page:
        lists[LISTS[each.kind]].append(each.describe())
    return {**lists, **members}


@action("iam")
def list_policies_granting_service_access(
    call: Call, *, arn: str, service_namespaces: Sequence[str], marker: str = ""
) -> Result:
    """List the policies of a user, group or role that allow something of each service."""
    check_count("serviceNamespaces", service_namespaces, MOST_SERVICES)
    for number, name in enumerate(service_namespaces, 1):
        check_length(f"serviceNamespaces.{number}.member", name, 64, 1)
    owner = find_owner_by_arn(call.cloud.state, call.account_id, arn)
    policies = list_entity_policies(call.cloud.state, owner)
    _, members = cut_page([], str, DEFAULT_ITEMS, marker)
    granting = [
        {"service_namespace": name, "policies": _list_granting(policies, name)}
        for name in service_namespaces
    ]
    return {"policies_granting_service_access": granting, **members}


def _list_granting(policies: Sequence[EntityPolicy], service: str) -> list[dict[str, object]]:
    return [
        {
            "policy_name": each.policy_name,
            "policy_type": "MANAGED" if each.arn else "INLINE",
            **(
                {"policy_arn": each.arn}
                if each.arn
                else {"entity_type": each.owner.kind.upper(), "entity_name": each.owner.name}
            ),
        }
        for each in policies
        if grants_service(compile_identity_policy(each.text), service)
    ]


# --- users, groups and roles --------------------------------------------------------------------


def _list_owner_entries(state: State, account_id: str) -> list[_Entry]:
    return [
        _Entry(
            owner.kind.capitalize(),
            f"{owner.kind} {owner.name.lower()}",
            partial(_describe_owner, state, owner),
        )
        for owner in list_owners(state, account_id)
    ]


def _describe_owner(state: State, owner: PolicyOwner) -> dict[str, object]:
    if owner.kind == "role":
        return _describe_role(state, owner)
    detail = {
        "path": owner.path,
        f"{owner.kind}_name": owner.name,
        f"{owner.kind}_id": owner.owner_id,
        "arn": owner.arn,
        "create_date": ids.parse_time(owner.created),
        **_describe_policies(state, owner),
    }
    if owner.kind == "user":
        groups = list_groups_of(state, owner.owner_id, owner.account_id)
        detail["group_list"] = [each.name for each in groups]
        detail["tags"] = iam_tags.list_tags(state, owner.owner_id)
        if owner.boundary:
            detail["permissions_boundary"] = {
                "permissions_boundary_type": "Policy",
                "permissions_boundary_arn": owner.boundary,
            }
    return detail


def _describe_role(state: State, owner: PolicyOwner) -> dict[str, object]:
    role = roles.find_role(state, owner.account_id, owner.name)
    told = roles.to_full_api(state, role)
    profiles = instance_profiles.list_profiles_of_role(state, role)
    return {
        **{
            name: told[name] for name in told if name not in ("description", "max_session_duration")
        },
        **_describe_policies(state, owner),
        "instance_profile_list": [instance_profiles.to_api(state, each) for each in profiles],
    }


def _describe_policies(state: State, owner: PolicyOwner) -> dict[str, object]:
    inline = [
        {"policy_name": row["policy_name"], "policy_document": row["document"]}
        for row in list_inline_policies(state, owner.owner_id)
    ]
    attached = [
        {"policy_name": each.policy_name, "policy_arn": each.arn}
        for each in attached_policies.list_attached_policies(state, owner)
    ]
    return {f"{owner.kind}_policy_list": inline, "attached_managed_policies": attached}


# --- managed policies ---------------------------------------------------------------------------


def _list_policy_entries(state: State, account_id: str) -> list[_Entry]:
    attached = attached_policies.count_attachments(state, account_id)
    bounding = attached_policies.count_boundaries(state, account_id)
    return [
        _Entry(
            "AWSManagedPolicy" if policy.is_of_aws else "LocalManagedPolicy",
            f"zpolicy {managed_policies.name_key(policy)}",
            partial(_describe_policy, state, policy, attached, bounding),
        )
        for policy in managed_policies.list_policies(state, account_id)
    ]


def _describe_policy(
    state: State, policy: ManagedPolicy, attached: Counter[str], bounding: Counter[str]
) -> dict[str, object]:
    versions = [
        {
            "document": row["document"],
            "version_id": row["version_id"],
            "is_default_version": row["version_id"] == policy.default_version_id,
            "create_date": ids.parse_time(row["created"]),
        }
        for row in list_versions(state, policy)
    ]
    return {
        **managed_policies.to_api(policy, attached[policy.arn], bounding[policy.arn]),
        "policy_version_list": versions,
    }
