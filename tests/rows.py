"""Rows for tests that need an instance without launching one."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar, cast, get_type_hints

from eucabox import ids
from eucabox.iam.rows import RoleRow
from eucabox.network import InterfaceRow
from eucabox.state import State

ACCOUNT = "123456789012"
RowType = TypeVar("RowType")


def whole_row(row_type: type[RowType], **columns: object) -> RowType:
    """Return a row that is in no table: of each other column the empty value, or None."""
    hints = get_type_hints(row_type)
    empty = {name: kind() if isinstance(kind, type) else None for name, kind in hints.items()}
    assert columns.keys() <= hints.keys()
    return cast(RowType, {**empty, **columns})


def add_instance(state: State, /, **columns: Any) -> str:
    """Write a running instance with its reservation and image, and return its id."""
    row = {
        "instance_id": ids.new("i"),
        "reservation_id": ids.new("r"),
        "account_id": ACCOUNT,
        "ami_launch_index": 0,
        "image_id": "emi-0a1b2c3d",
        "kernel_id": "eki-0a1b2c3d",
        "ramdisk_id": "eri-0a1b2c3d",
        "instance_type": "m1.small",
        "state": "running",
        "state_code": 16,
        "launch_time": "2026-11-23T01:02:03.456Z",
        "state_time": "2026-11-23T01:02:03.456Z",
        "availability_zone": "eucabox-1a",
        "architecture": "x86_64",
        "virtualization_type": "paravirtual",
        "mac_address": "d0:0d:ac:1e:40:04",
        "private_ip_address": "172.30.64.4",
        "private_dns_name": "ip-172-30-64-4.eucabox.internal",
        "vcpus": 1,
        "memory_mb": 256,
        "disk_gb": 2,
        "domain_uuid": ids.domain_uuid(),
        **columns,
    }
    reservation = {
        "reservation_id": row["reservation_id"],
        "account_id": row["account_id"],
        "created": ids.now(),
    }
    with state.transaction():
        state.insert("reservations", reservation)
        state.insert("instances", row)
        if not state.one("select 1 from images where image_id = ?", (row["image_id"],)):
            state.insert("images", _image(row["image_id"]))
    return str(row["instance_id"])


TRUST_EC2 = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def add_profile(
    state: State,
    account_id: str,
    name: str = "app",
    /,
    *,
    path: str = "/",
    role: str = "app",
    trust: str = TRUST_EC2,
    role_row: RoleRow | None = None,
) -> str:
    """Write an instance profile and its role, which is made unless it is "" or `role_row`; return
    the profile's id. The account is there already."""
    profile_id, role_id = ids.instance_profile_id(), ids.role_id() if role else None
    own = {"account_id": account_id, "path": path, "created": ids.now()}
    if role_row:
        role_id = role_row["role_id"]
    elif role:
        state.insert("roles", {"role_id": role_id, "role_name": role, "trust_policy": trust, **own})
    names = {"instance_profile_id": profile_id, "instance_profile_name": name}
    state.insert("instance_profiles", {**names, "role_id": role_id, **own})
    return profile_id


def interface(row: Mapping[str, Any], instance_id: str = "i-1") -> InterfaceRow:
    """Return of a row, whole or not, what a network reads."""
    return {
        "instance_id": instance_id,
        "mac_address": row["mac_address"],
        "private_ip_address": row["private_ip_address"],
        "private_dns_name": row["private_dns_name"],
    }


def _image(image_id: str) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "account_id": ACCOUNT,
        "name": "tiny",
        "image_location": "bucket/tiny.img.manifest.xml",
        "image_type": "machine",
        "architecture": "x86_64",
        "virtualization_type": "paravirtual",
        "root_device_name": "/dev/sda1",
        "state": "available",
        "size": 16 << 20,
        "created": ids.now(),
    }
