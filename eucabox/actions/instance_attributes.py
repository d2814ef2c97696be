"""Attributes of one instance: describe them, and change the one that can change."""

import base64
from collections.abc import Callable
from typing import Any, TypedDict

from eucabox import instances
from eucabox.actions import Call, Result, action
from eucabox.errors import InvalidParameterValue, MissingParameter
from eucabox.state import Row

PROTECTION = "disableApiTermination"


class Flag(TypedDict, total=False):
    """An attribute's new value."""

    value: bool


# What each attribute's answer is, of a completed row.
ATTRIBUTES: dict[str, Callable[[Row], dict[str, Any]]] = {
    "instanceType": lambda row: {"instance_type": {"value": row["instance_type"]}},
    "kernel": lambda row: {"kernel_id": {"value": row["kernel_id"] or ""}},
    "ramdisk": lambda row: {"ramdisk_id": {"value": row["ramdisk_id"] or ""}},
    "userData": lambda row: {"user_data": _user_data(row)},
    PROTECTION: lambda row: {
        "disable_api_termination": {"value": bool(row["disable_api_termination"])}
    },
    "disableApiStop": lambda row: {"disable_api_stop": {"value": bool(row["disable_api_stop"])}},
    "instanceInitiatedShutdownBehavior": lambda row: {
        "instance_initiated_shutdown_behavior": {"value": row["shutdown_behavior"]}
    },
    "rootDeviceName": lambda row: {"root_device_name": {"value": row["root_device_name"]}},
    "blockDeviceMapping": lambda row: {"block_device_mappings": []},
    "productCodes": lambda row: {"product_codes": []},
    "sourceDestCheck": lambda row: {"source_dest_check": {"value": True}},
    "groupSet": lambda row: {"groups": row["groups"]},
    "ebsOptimized": lambda row: {"ebs_optimized": {"value": False}},
    "sriovNetSupport": lambda row: {},
    "enaSupport": lambda row: {"ena_support": {"value": False}},
    "enclaveOptions": lambda row: {"enclave_options": {"enabled": False}},
}


@action()
def describe_instance_attribute(call: Call, *, instance_id: str, attribute: str) -> Result:
    """Show one attribute of an instance."""
    if attribute not in ATTRIBUTES:
        _refuse(attribute, tuple(ATTRIBUTES))
    row = _row(call, instance_id)
    sql = "select user_data from instances where instance_id = ?"
    row.update(call.cloud.state.one(sql, (instance_id,)) or {})
    return {"instance_id": instance_id, **ATTRIBUTES[attribute](row)}


@action()
def modify_instance_attribute(
    call: Call,
    *,
    instance_id: str,
    attribute: str = "",
    value: str = "",
    disable_api_termination: Flag | None = None,
) -> Result:
    """Protect an instance from TerminateInstances, or take the protection away."""
    if attribute not in ("", PROTECTION):
        _refuse(attribute, (PROTECTION,))
    if attribute and value.lower() not in ("true", "false"):
        raise InvalidParameterValue(
            parameter="Value", value=value[:60], reason="Give true or false."
        )
    if not attribute and disable_api_termination is None:
        raise MissingParameter(parameter="DisableApiTermination")
    protect = value.lower() == "true"
    if disable_api_termination is not None:
        protect = disable_api_termination.get("value", False)
    row = _row(call, instance_id)
    where = {"instance_id": row["instance_id"]}
    call.cloud.state.update("instances", where, disable_api_termination=int(protect))
    return {"return": True}


def _row(call: Call, instance_id: str) -> Row:
    assert call.caller is not None
    rows = instances.named(call.cloud.state, call.caller, [instance_id])
    return instances.complete(call.cloud.state, rows)[0]


def _user_data(row: Row) -> dict[str, str]:
    if row["user_data"] is None:
        return {}
    return {"value": base64.b64encode(row["user_data"]).decode()}


def _refuse(attribute: str, choices: tuple[str, ...]) -> None:
    reason = f"Choose one of {', '.join(choices)}."
    raise InvalidParameterValue(parameter="Attribute", value=attribute[:60], reason=reason)
