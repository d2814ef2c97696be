"""Instances as a list shows them: a few columns of each, so that a thousand cost little."""

from typing import TypedDict

from eucabox.ec2 import instance_profiles
from eucabox.state import State

_LINES = f"""select i.instance_id, i.account_id, i.ami_launch_index, i.image_id, i.instance_type,
  i.key_name, i.state, i.state_code, i.state_reason_code, i.state_reason_message, i.launch_time,
  i.private_ip_address, i.public_address, {instance_profiles.ARN} as instance_profile_arn
  from instances i left join instance_profile_associations using (instance_id)
  left join instance_profiles p using (instance_profile_id)"""
_ORDER = "order by launch_time desc, reservation_id, ami_launch_index"


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


def list_lines(
    state: State, account_id: str | None, state_name: str = "", first: int = 0, most: int = -1
) -> list[InstanceLine]:
    """Return an account's instances, None for those of all, the newest launch first.

    `state_name` leaves out those in other states, "" none; `first` is how many of them are passed
    over, and of the rest at most so many come as `most` says, -1 for all.
    """
    condition, params = _select(account_id, state_name)
    chosen = f"select instance_id from instances {condition} {_ORDER} limit ? offset ?"
    sql = f"{_LINES} where i.instance_id in ({chosen}) {_ORDER}"
    return state.select(InstanceLine, sql, (*params, most, first))


def count_lines(state: State, account_id: str | None, state_name: str = "") -> int:
    """Return how many there are of what `list_lines` lists."""
    condition, params = _select(account_id, state_name)
    (row,) = state.query(f"select count(*) as count from instances {condition}", params)
    return int(row["count"])


def _select(account_id: str | None, state_name: str) -> tuple[str, list[str]]:
    wanted = {"account_id": account_id, "state": state_name or None}
    params = {name: value for name, value in wanted.items() if value is not None}
    condition = " and ".join(f"{name} = ?" for name in params)
    return f"where {condition}" if condition else "", list(params.values())
