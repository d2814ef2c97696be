"""Rows of the database that belong to a row that is not there; changes nothing."""

from tests.live.kills.host import Host

OWNED = {
    "tags": """select resource_id from tags t
      where resource_type in ('instance', 'image', 'security-group', 'key-pair')
      and not exists (select 1 from instances where instance_id = t.resource_id)
      and not exists (select 1 from images where image_id = t.resource_id
        and state <> 'deregistered')
      and not exists (select 1 from security_groups where group_id = t.resource_id)
      and not exists (select 1 from key_pairs where key_pair_id = t.resource_id)""",
    "tags of rules": """select resource_id from tags where resource_type = 'security-group-rule'
      and resource_id not in (select security_group_rule_id from security_group_rules)""",
    "inline policies": """select owner_id from inline_policies where owner_id not in
      (select user_id from users union select group_id from groups
       union select role_id from roles)""",
    "attached policies": """select policy_arn from attached_policies where owner_id not in
      (select user_id from users union select group_id from groups
       union select role_id from roles)""",
    "IAM's tags": """select resource_id from iam_tags where resource_id not in
      (select user_id from users union select role_id from roles union select policy_id from
       policies union select instance_profile_id from instance_profiles union select
       provider_id from oidc_providers union select serial_number from mfa_devices)""",
    "policies without a version": """select policy_id from policies where policy_id not in
      (select policy_id from policy_versions)""",
    "launch permissions": """select image_id from launch_permissions where image_id not in
      (select image_id from images where state <> 'deregistered')""",
    "instances without a group": """select instance_id from instances where instance_id not in
      (select instance_id from instance_groups) and state <> 'terminated'""",
    "reservations without a token or an instance": """select reservation_id from reservations
      where client_token is null and reservation_id not in
      (select reservation_id from instances)""",
}


def differences(host: Host) -> list[str]:
    """Return the rows that have no owner, and what SQLite finds wrong."""
    found = [f"{what}: {rows}" for what, sql in OWNED.items() if (rows := host.query(sql))]
    if (answer := host.query("pragma quick_check")) != [("ok",)]:
        found.append(f"the database: {answer}")
    if rows := host.query("pragma foreign_key_check"):
        found.append(f"references into nothing: {rows}")
    return found
