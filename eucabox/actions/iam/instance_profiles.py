"""Instance profiles, and which role each hands to instances."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.iam import instance_profiles, roles
from eucabox.iam.constraints import check_path_prefix
from eucabox.iam.iam_tags import IamTag
from eucabox.iam.paging import DEFAULT_ITEMS, cut_page
from eucabox.iam.rows import InstanceProfileRow, RoleRow


@action("iam")
def create_instance_profile(
    call: Call, *, instance_profile_name: str, path: str = "/", tags: Sequence[IamTag] = ()
) -> Result:
    """Create an instance profile without a role."""
    state = call.cloud.state
    profile = instance_profiles.create_instance_profile(
        state, call.account_id, instance_profile_name, path, tags
    )
    return {"instance_profile": instance_profiles.to_api(state, profile, tagged=True)}


@action("iam")
def get_instance_profile(call: Call, *, instance_profile_name: str) -> Result:
    """Tell all about an instance profile."""
    profile = _find(call, instance_profile_name)
    return {"instance_profile": instance_profiles.to_api(call.cloud.state, profile, tagged=True)}


@action("iam")
def list_instance_profiles(
    call: Call, *, path_prefix: str = "/", max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the instance profiles of the caller's account whose path begins so."""
    state = call.cloud.state
    prefix = check_path_prefix(path_prefix)
    rows = instance_profiles.list_instance_profiles(state, call.account_id, prefix)
    return _cut(call, rows, max_items, marker)


@action("iam")
def list_instance_profiles_for_role(
    call: Call, *, role_name: str, max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the instance profiles that hand out a role."""
    rows = instance_profiles.list_profiles_of_role(call.cloud.state, _find_role(call, role_name))
    return _cut(call, rows, max_items, marker)


@action("iam")
def add_role_to_instance_profile(
    call: Call, *, instance_profile_name: str, role_name: str
) -> Result:
    """Give an instance profile its one role."""
    profile = _find(call, instance_profile_name)
    instance_profiles.add_role(call.cloud.state, profile, _find_role(call, role_name))
    return {}


@action("iam")
def remove_role_from_instance_profile(
    call: Call, *, instance_profile_name: str, role_name: str
) -> Result:
    """Take its role from an instance profile."""
    profile = _find(call, instance_profile_name)
    instance_profiles.remove_role(call.cloud.state, profile, _find_role(call, role_name))
    return {}


@action("iam")
def delete_instance_profile(call: Call, *, instance_profile_name: str) -> Result:
    """Delete an instance profile that has no role."""
    profile = _find(call, instance_profile_name)
    instance_profiles.delete_instance_profile(call.cloud.state, profile)
    return {}


def _find(call: Call, name: str) -> InstanceProfileRow:
    return instance_profiles.find_instance_profile(call.cloud.state, call.account_id, name)


def _find_role(call: Call, role_name: str) -> RoleRow:
    return roles.find_role(call.cloud.state, call.account_id, role_name)


def _cut(call: Call, rows: list[InstanceProfileRow], max_items: int, marker: str) -> Result:
    page, members = cut_page(
        rows, lambda row: row["instance_profile_name"].lower(), max_items, marker
    )
    profiles = [instance_profiles.to_api(call.cloud.state, row) for row in page]
    return {"instance_profiles": profiles, **members}
