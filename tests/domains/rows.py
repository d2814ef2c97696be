"""Instance rows for the tests of the node."""

from typing import Any

from eucabox import ids
from eucabox.schema import InstanceRow
from eucabox.state import State

ACCOUNT = "123456789012"


def add_instance(state: State, /, **columns: Any) -> str:
    """Insert an instance, pending unless `columns` say otherwise, and return its id."""
    instance_id = ids.new("i")
    reservation = {
        "reservation_id": ids.new("r"),
        "account_id": ACCOUNT,
        "created": columns.pop("created", ids.now()),
    }
    row = {
        "instance_id": instance_id,
        "reservation_id": reservation["reservation_id"],
        "account_id": ACCOUNT,
        "ami_launch_index": 0,
        "image_id": "emi-00000001",
        "instance_type": "m1.tiny",
        "state": "pending",
        "state_code": 0,
        "launch_time": ids.now(),
        "state_time": ids.now(),
        "availability_zone": "eucabox-1a",
        "architecture": "x86_64",
        "virtualization_type": "paravirtual",
        "mac_address": "d0:0d:" + ":".join(instance_id[2 + i : 4 + i] for i in (0, 2, 4, 6)),
        "private_ip_address": "172.30.64.9",
        "vcpus": 1,
        "memory_mb": 128,
        "disk_gb": 1,
        "domain_uuid": ids.domain_uuid(),
        **columns,
    }
    with state.transaction():
        state.insert("reservations", reservation)
        state.insert("instances", row)
    return instance_id


def row_of(state: State, instance_id: str) -> InstanceRow:
    """Return an instance's row."""
    sql = "select * from instances where instance_id = ?"
    row = state.select_one(InstanceRow, sql, (instance_id,))
    assert row is not None
    return row
