"""IAM: the account's alias, and how many it has of everything."""

from eucabox.actions import Call, Result, action
from eucabox.iam import (
    access_keys,
    account_aliases,
    attached_policies,
    groups,
    inline_policies,
    instance_profiles,
    managed_policies,
    policy_versions,
    roles,
    signing_certificates,
    users,
)
from eucabox.iam.paging import DEFAULT_ITEMS, cut_page

QUOTAS = {
    "UsersQuota": users.MOST_USERS,
    "GroupsQuota": groups.MOST_GROUPS,
    "GroupsPerUserQuota": groups.MOST_GROUPS_OF_A_USER,
    "AccessKeysPerUserQuota": access_keys.MOST_KEYS,
    "SigningCertificatesPerUserQuota": signing_certificates.MOST_CERTIFICATES,
    "RolesQuota": roles.MOST_ROLES,
    "InstanceProfilesQuota": instance_profiles.MOST_PROFILES,
    "PoliciesQuota": managed_policies.MOST_POLICIES,
    "PolicyVersionsInUseQuota": 10_000,
    "VersionsPerPolicyQuota": policy_versions.MOST_VERSIONS,
    "PolicySizeQuota": policy_versions.MOST_CHARACTERS,
    "UserPolicySizeQuota": inline_policies.MOST_CHARACTERS["user"],
    "GroupPolicySizeQuota": inline_policies.MOST_CHARACTERS["group"],
    "RolePolicySizeQuota": inline_policies.MOST_CHARACTERS["role"],
    "AssumeRolePolicySizeQuota": 2048,
    "AttachedPoliciesPerUserQuota": attached_policies.MOST_ATTACHED,
    "AttachedPoliciesPerGroupQuota": attached_policies.MOST_ATTACHED,
    "AttachedPoliciesPerRoleQuota": attached_policies.MOST_ATTACHED,
    "ServerCertificatesQuota": 0,
    "GlobalEndpointTokenVersion": 1,
}
NOT_HERE = ("ServerCertificates",)
COUNTS = {
    "Users": "users where account_id = :account and is_root = 0",
    "Groups": "groups where account_id = :account",
    "Roles": "roles where account_id = :account",
    "InstanceProfiles": "instance_profiles where account_id = :account",
    "Policies": "policies where account_id = :account",
    "PolicyVersionsInUse": "policy_versions join policies using (policy_id)"
    " where account_id = :account",
    "Providers": "oidc_providers where account_id = :account",
    "AccountAccessKeysPresent": "access_keys join users using (user_id)"
    " where account_id = :account and is_root = 1",
    "AccountSigningCertificatesPresent": "certificates join users using (user_id)"
    " where account_id = :account and is_root = 1",
    "AccountPasswordPresent": "users"
    " where account_id = :account and is_root = 1 and password <> ''",
    "MFADevices": "mfa_devices where account_id = :account",
    "MFADevicesInUse": "mfa_devices where account_id = :account and enabled <> ''",
    "AccountMFAEnabled": "mfa_devices join users using (user_id)"
    " where mfa_devices.account_id = :account and is_root = 1 and enabled <> ''",
}
FLAGS = (
    "AccountAccessKeysPresent", "AccountSigningCertificatesPresent", "AccountPasswordPresent",
    "AccountMFAEnabled",
)  # fmt: skip


@action("iam")
def get_account_summary(call: Call) -> Result:
    """Count what the account has, beside how much of it there may be."""
    columns = ", ".join(f"(select count(*) from {rest}) as {name}" for name, rest in COUNTS.items())
    counts = call.cloud.state.one(f"select {columns}", {"account": call.account_id}) or {}
    flags = {name: min(1, counts[name]) for name in FLAGS}
    return {"summary_map": {**QUOTAS, **dict.fromkeys(NOT_HERE, 0), **counts, **flags}}


@action("iam")
def create_account_alias(call: Call, *, account_alias: str) -> Result:
    """Give the account an alias, in place of the one it has."""
    account_aliases.create_alias(call.cloud.state, call.account_id, account_alias)
    return {}


@action("iam")
def list_account_aliases(call: Call, *, max_items: int = DEFAULT_ITEMS, marker: str = "") -> Result:
    """List the account's alias, of which it has one or none."""
    aliases = account_aliases.list_aliases(call.cloud.state, call.account_id)
    page, more = cut_page(aliases, str, max_items, marker)
    return {"account_aliases": page, **more}


@action("iam")
def delete_account_alias(call: Call, *, account_alias: str) -> Result:
    """Take the account's alias away."""
    account_aliases.delete_alias(call.cloud.state, call.account_id, account_alias)
    return {}
