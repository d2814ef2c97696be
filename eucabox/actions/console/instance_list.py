"""The account's instances as the console lists them; DescribeInstances tells all of each."""

from eucabox import ids
from eucabox.actions import Call, Result, action
from eucabox.ec2 import default_vpc, instances, tags
from eucabox.ec2.instance_lines import InstanceLine, count_lines, list_lines


@action(service="console")
def list_instances(
    call: Call,
    *,
    every_account: bool = False,
    with_groups: bool = True,
    state_name: str = "",
    first: int = 0,
    most: int = -1,
) -> Result:
    """Return those members of each instance that a list shows, as DescribeInstances has them; the
    newest is the first. Whoever may describe instances may do this.

    `every_account` counts for the administrator; without `with_groups` no security groups are
    read; with `state_name` only those in that state count. `total` is how many there are, of which
    `first` are passed over and at most `most` returned, -1 for all.
    """
    state, caller = call.cloud.state, call.user
    account_id = None if every_account and caller.admin else caller.account_id
    lines = list_lines(state, account_id, state_name, first, most)
    instance_ids = [each["instance_id"] for each in lines]
    tags_by_id = tags.tags_of(state, instance_ids)
    groups_by_id = instances.groups_of(state, instance_ids) if with_groups else {}
    return {
        "total": count_lines(state, account_id, state_name),
        "instances": [
            _to_api(
                call,
                each,
                tags_by_id.get(each["instance_id"], []),
                groups_by_id.get(each["instance_id"], []),
            )
            for each in lines
        ],
    }


def _to_api(
    call: Call, line: InstanceLine, own_tags: list[dict[str, str]], groups: list[dict[str, str]]
) -> dict[str, object]:
    is_alive = line["state"] != "terminated"
    profile_arn = line["instance_profile_arn"]
    return {
        "owner_id": line["account_id"],
        "instance_id": line["instance_id"],
        "image_id": line["image_id"],
        "instance_type": line["instance_type"],
        "key_name": line["key_name"],
        "state": {"code": line["state_code"], "name": line["state"]},
        "state_reason": _find_reason(call, line),
        "launch_time": ids.parse_time(line["launch_time"]),
        "private_ip_address": line["private_ip_address"] if is_alive else None,
        "public_ip_address": default_vpc.public_address(line),
        "security_groups": groups,
        "tags": own_tags,
        "iam_instance_profile": {"arn": profile_arn} if profile_arn else None,
    }


def _find_reason(call: Call, line: InstanceLine) -> dict[str, str] | None:
    """Return the node's reason for the state, or else the last change's."""
    reason = instances.find_node_reason(call.cloud.node, line["instance_id"], line["state"])
    code, message = reason or (line["state_reason_code"], line["state_reason_message"])
    return {"code": code, "message": message} if code else None
