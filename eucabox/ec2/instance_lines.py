"""Instances as a list shows them: a few columns of each, so that a thousand cost little."""

from typing import TypedDict

from eucabox.ec2 import instance_profiles
from eucabox.state import State

_LINES = f"""select i.instance_id, i.account_id, i.ami_launch_index, i.image_id, i.instance_type,
  i.key_name, i.state, i.state_code, i.state_reason_code, i.state_reason_message, i.launch_time,
  i.private_ip_address, i.public_address, {instance_profiles.ARN} as instance_profile_arn
  from instances i left join instance_profile_associations using (instance_id)
  left join instance_profiles p using (instance_profile_id)"""
_ORDER = "order by i.launch_time desc, i.reservation_id, i.ami_launch_index"


class InstanceLine(TypedDict):
    """The columns of an instance that a list shows."""

    instance_id: str
    account_id: str
    ami_launch_index: int
    image_id: str
    instance_type: str
    key_name: str | None
    state: str
    state_code: int
    state_reason_code: str
    state_reason_message: str
    launch_time: str
    private_ip_address: str | None
    public_address: int
    instance_profile_arn: str | None


def list_lines(state: State, account_id: str | None) -> list[InstanceLine]:
    """Return an account's instances, None for those of all, the newest launch first."""
    if account_id is None:
        return state.select(InstanceLine, f"{_LINES} {_ORDER}")
    sql = f"{_LINES} where i.account_id = ? {_ORDER}"
    return state.select(InstanceLine, sql, (account_id,))
