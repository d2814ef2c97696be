"""Attributes of one instance: describes, changes and resets them."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from eucabox.actions import Call, Result, action
from eucabox.ec2 import instance_metadata, instances, security_groups
from eucabox.ec2.image_access import get_launchable, product_codes
from eucabox.ec2.listed_instance import ListedInstance
from eucabox.errors import (
    IncorrectInstanceState,
    InvalidParameterCombination,
    InvalidParameterValue,
    MissingParameter,
    UnsupportedOperation,
)
from eucabox.instance_states import ENDED
from eucabox.instance_types import get_type
from eucabox.validation import is_neutral

Updates = dict[str, object]  # columns of the instance's row with their new values
Change = Callable[[Call, ListedInstance, Any], Updates]  # of one attribute to a value


class Flag(TypedDict, total=False):
    """An attribute's new value."""

    value: bool


class AttributeText(TypedDict, total=False):
    """An attribute's new value."""

    value: str


class Enclave(TypedDict, total=False):
    """Whether an instance has an enclave."""

    enabled: bool


class AttributedInstance(ListedInstance):
    """An instance with its tags and groups, and its user data, which no list has."""

    user_data: bytes | None


# Each attribute as the API shows it.
ATTRIBUTES: dict[str, Callable[[AttributedInstance], Result]] = {
    "instanceType": lambda row: {"instance_type": {"value": row["instance_type"]}},
    "kernel": lambda row: {"kernel_id": {"value": row["kernel_id"] or ""}},
    "ramdisk": lambda row: {"ramdisk_id": {"value": row["ramdisk_id"] or ""}},
    "userData": lambda row: {"user_data": _user_data_to_api(row)},
    "disableApiTermination": lambda row: {
        "disable_api_termination": {"value": bool(row["disable_api_termination"])}
    },
    "disableApiStop": lambda row: {"disable_api_stop": {"value": bool(row["disable_api_stop"])}},
    "instanceInitiatedShutdownBehavior": lambda row: {
        "instance_initiated_shutdown_behavior": {"value": row["shutdown_behavior"]}
    },
    "rootDeviceName": lambda row: {"root_device_name": {"value": row["root_device_name"]}},
    "blockDeviceMapping": lambda row: {"block_device_mappings": []},
    "productCodes": lambda row: {"product_codes": product_codes(row)},
    "sourceDestCheck": lambda row: {"source_dest_check": {"value": True}},
    "groupSet": lambda row: {"groups": row["groups"]},
    "ebsOptimized": lambda row: {"ebs_optimized": {"value": False}},
    "sriovNetSupport": lambda row: {},
    "enaSupport": lambda row: {"ena_support": {"value": False}},
    "enclaveOptions": lambda row: {"enclave_options": {"enabled": False}},
}
RESETTABLE = ("kernel", "ramdisk", "sourceDestCheck")


@action()
def describe_instance_attribute(call: Call, *, instance_id: str, attribute: str) -> Result:
    """Return one attribute of an instance."""
    if attribute not in ATTRIBUTES:
        _refuse_attribute(attribute, tuple(ATTRIBUTES))
    row = _get_instance(call, instance_id)
    sql = "select user_data from instances where instance_id = ?"
    data = call.cloud.state.one(sql, (instance_id,))
    attributed: AttributedInstance = {**row, "user_data": data["user_data"] if data else None}
    return {"instance_id": instance_id, **ATTRIBUTES[attribute](attributed)}


@action()
def modify_instance_attribute(
    call: Call,
    *,
    instance_id: str,
    attribute: str = "",
    value: str = "",
    disable_api_termination: Flag | None = None,
    disable_api_stop: Flag | None = None,
    instance_initiated_shutdown_behavior: AttributeText | None = None,
    groups: Sequence[str] = (),
    instance_type: AttributeText | None = None,
    kernel: AttributeText | None = None,
    ramdisk: AttributeText | None = None,
    user_data: AttributeText | None = None,
    source_dest_check: Flag | None = None,
    ebs_optimized: Flag | None = None,
    ena_support: Flag | None = None,
    enclave_options: Enclave | None = None,
    sriov_net_support: AttributeText | None = None,
    block_device_mappings: Sequence[Mapping[str, object]] = (),
) -> Result:
    """Change one attribute of an instance."""
    members = {
        "disableApiTermination": disable_api_termination,
        "disableApiStop": disable_api_stop,
        "instanceInitiatedShutdownBehavior": instance_initiated_shutdown_behavior,
        "instanceType": instance_type,
        "kernel": kernel,
        "ramdisk": ramdisk,
        "userData": user_data,
        "sourceDestCheck": source_dest_check,
        "ebsOptimized": ebs_optimized,
        "enaSupport": ena_support,
        "enclaveOptions": None if enclave_options is None else {"value": enclave_options},
        "sriovNetSupport": sriov_net_support,
    }
    changes: dict[str, object] = {
        name: each.get("value") for name, each in members.items() if each is not None
    }
    changes |= {"groupSet": groups} if groups else {}
    changes |= {"blockDeviceMapping": block_device_mappings} if block_device_mappings else {}
    changes |= _read_old_form(attribute, value)
    if len(changes) != 1:
        _refuse_count(changes)
    ((name, new),) = changes.items()
    with call.cloud.state.transaction():
        row = _get_instance(call, instance_id)
        if row["state"] in ENDED:
            raise _wrong_state(row, "ModifyInstanceAttribute", "not ended")
        columns = CHANGES[name](call, row, new)
        if columns:
            call.cloud.state.update("instances", {"instance_id": instance_id}, **columns)
    call.cloud.node.wake()
    return {"return": True}


@action()
def reset_instance_attribute(call: Call, *, instance_id: str, attribute: str) -> Result:
    """Reset the kernel or ramdisk of a stopped instance to its image's."""
    if attribute not in RESETTABLE:
        _refuse_attribute(attribute, RESETTABLE)
    with call.cloud.state.transaction():
        row = _get_instance(call, instance_id)
        if attribute != "sourceDestCheck":
            _need_stopped(row, "ResetInstanceAttribute")
            column = f"{attribute}_id"
            sql = f"select {column} from images where image_id = ?"
            image = call.cloud.state.one(sql, (row["image_id"],)) or {column: None}
            call.cloud.state.update("instances", {"instance_id": instance_id}, **image)
    return {"return": True}


@action()
def modify_instance_metadata_options(
    call: Call,
    *,
    instance_id: str,
    http_tokens: str | None = None,
    http_put_response_hop_limit: int | None = None,
    http_endpoint: str | None = None,
    http_protocol_ipv6: str | None = None,
    instance_metadata_tags: str | None = None,
) -> Result:
    """Change an instance's metadata options at once."""
    members = {
        "http_tokens": http_tokens,
        "http_put_response_hop_limit": http_put_response_hop_limit,
        "http_endpoint": http_endpoint,
        "http_protocol_ipv6": http_protocol_ipv6,
        "instance_metadata_tags": instance_metadata_tags,
    }
    with call.cloud.state.transaction():
        row = _get_instance(call, instance_id)
        if row["state"] in ENDED:
            raise _wrong_state(row, "ModifyInstanceMetadataOptions", "not ended")
        options = instance_metadata.validate_options(members, json.loads(row["metadata_options"]))
        instance_metadata.check_tag_keys(options, (tag["key"] for tag in row["tags"]))
        where = {"instance_id": instance_id}
        call.cloud.state.update("instances", where, metadata_options=json.dumps(options))
    api_options = {"state": "applied", **options}
    return {"instance_id": instance_id, "instance_metadata_options": api_options}


# --- the columns that each attribute changes -----------------------------------------------------


def _change_flag(column: str) -> Change:
    return lambda call, row, value: {column: int(bool(value))}


def _accept_only(name: str, only: bool, reason: str) -> Change:
    def check(call: Call, row: ListedInstance, value: object) -> Updates:
        flag = value.get("enabled", False) if isinstance(value, Mapping) else value
        if bool(flag) is not only:
            raise UnsupportedOperation(what=f"{name}: {reason}")
        return {}

    return check


def _change_behavior(call: Call, row: ListedInstance, value: str) -> Updates:
    if not value:
        return {}
    return {"shutdown_behavior": instances.check_behavior(value, call.cloud.config.node)}


def _change_type(call: Call, row: ListedInstance, value: str) -> Updates:
    """Return the type with its vCPUs and memory; the existing disk keeps its size."""
    sizes = get_type(call.cloud.state, value)
    _need_stopped(row, "ModifyInstanceAttribute")
    return {"instance_type": value, "vcpus": sizes.vcpus, "memory_mb": sizes.memory_mb}


def _change_boot_image(kind: str) -> Change:
    def change(call: Call, row: ListedInstance, value: str) -> Updates:
        present = row["kernel_id"] if kind == "kernel" else row["ramdisk_id"]
        if (value or "") == (present or ""):
            return {}
        get_launchable(call.cloud.state, call.user, value or "", kind)
        if row["virtualization_type"] == "hvm":
            raise UnsupportedOperation(
                what=f"{kind.capitalize()}: {row['instance_id']} boots from its whole disk."
            )
        _need_stopped(row, "ModifyInstanceAttribute")
        return {f"{kind}_id": value}

    return change


def _change_user_data(call: Call, row: ListedInstance, value: str) -> Updates:
    data = instance_metadata.read_user_data(value or "")
    _need_stopped(row, "ModifyInstanceAttribute")
    return {"user_data": data}


def _change_groups(call: Call, row: ListedInstance, value: Sequence[str]) -> Updates:
    groups = security_groups.find(call.cloud.state, row["account_id"], group_ids=value)
    state = call.cloud.state
    with state.transaction():
        state.delete("instance_groups", {"instance_id": row["instance_id"]})
        for group in groups:
            pair = {"instance_id": row["instance_id"], "group_id": group["group_id"]}
            state.insert("instance_groups", pair)
    return {}


def _refuse_change(reason: str) -> Change:
    def refuse(call: Call, row: ListedInstance, value: object) -> Updates:
        if is_neutral("", value):
            return {}
        raise UnsupportedOperation(what=reason)

    return refuse


CHANGES: dict[str, Change] = {
    "disableApiTermination": _change_flag("disable_api_termination"),
    "disableApiStop": _change_flag("disable_api_stop"),
    "instanceInitiatedShutdownBehavior": _change_behavior,
    "groupSet": _change_groups,
    "instanceType": _change_type,
    "kernel": _change_boot_image("kernel"),
    "ramdisk": _change_boot_image("ramdisk"),
    "userData": _change_user_data,
    "sourceDestCheck": _accept_only("SourceDestCheck", True, "packets are always checked here."),
    "ebsOptimized": _accept_only("EbsOptimized", False, "there are no EBS volumes here."),
    "enaSupport": _accept_only("EnaSupport", False, "network cards are virtio here."),
    "enclaveOptions": _accept_only("EnclaveOptions", False, "there are no enclaves here."),
    "sriovNetSupport": _refuse_change("SriovNetSupport: network cards are virtio here."),
    "blockDeviceMapping": _refuse_change(
        "BlockDeviceMapping: the devices of an instance are fixed, as there are no EBS volumes."
    ),
}
BOOLEANS = ("disableApiTermination", "disableApiStop", "sourceDestCheck", "ebsOptimized")


def _read_old_form(attribute: str, value: str) -> dict[str, object]:
    """Return the change of the older form of the request, Attribute with Value."""
    if not attribute:
        return {}
    if attribute not in CHANGES:
        _refuse_attribute(attribute, tuple(CHANGES))
    if attribute == "groupSet":
        return {attribute: [value]}
    if attribute not in (*BOOLEANS, "enaSupport"):
        return {attribute: value}
    if value.lower() not in ("true", "false"):
        raise InvalidParameterValue(
            parameter="Value", value=value[:60], reason="Give true or false."
        )
    return {attribute: value.lower() == "true"}


def _refuse_count(changes: Mapping[str, object]) -> None:
    if not changes:
        raise MissingParameter(parameter="Attribute")
    reason = f"Change one attribute at a time; given are {', '.join(changes)}."
    raise InvalidParameterCombination(reason=reason)


def _need_stopped(row: ListedInstance, name: str) -> None:
    if row["state"] != "stopped":
        raise _wrong_state(row, name, "stopped")


def _wrong_state(row: ListedInstance, name: str, needed: str) -> IncorrectInstanceState:
    facts = {"id": row["instance_id"], "state": row["state"], "action": name}
    return IncorrectInstanceState(**facts, needed=needed)


def _get_instance(call: Call, instance_id: str) -> ListedInstance:
    rows = instances.get_many(call.cloud.state, call.user, [instance_id])
    return instances.attach_tags_and_groups(call.cloud.state, rows)[0]


def _user_data_to_api(row: AttributedInstance) -> dict[str, str]:
    if row["user_data"] is None:
        return {}
    return {"value": base64.b64encode(row["user_data"]).decode()}


def _refuse_attribute(attribute: str, choices: tuple[str, ...]) -> None:
    reason = f"Choose one of {', '.join(choices)}."
    raise InvalidParameterValue(parameter="Attribute", value=attribute[:60], reason=reason)
