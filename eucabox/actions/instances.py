"""Instances: describe, reboot, terminate; launch.py starts them, the node's loop obeys rows."""

import json
from collections.abc import Sequence
from typing import Any

from eucabox import ids, instances, interfaces, steady, vpc
from eucabox.accounts import Caller
from eucabox.actions import Call, Result, action
from eucabox.domains.health import Trouble
from eucabox.errors import (
    IncorrectInstanceState,
    InvalidParameterCombination,
    MissingParameter,
    TerminationProtected,
)
from eucabox.filters import Filter, page, select
from eucabox.state import Row

SHUTTING_DOWN = "shutting-down", 32
GONE = ("shutting-down", "terminated")


def _in_groups(part: str) -> Any:
    return lambda row: [group[part] for group in row["groups"]]


def _option(name: str) -> Any:
    return lambda row: json.loads(row["metadata_options"]).get(name)


OPTIONS = (
    *("http_tokens", "http_endpoint", "http_put_response_hop_limit", "http_protocol_ipv4"),
    *("http_protocol_ipv6", "instance_metadata_tags"),
)
FILTERS = {
    "affinity": None,
    "architecture": "architecture",
    "availability-zone": "availability_zone",
    "client-token": "client_token",
    "dns-name": "private_ip_address",
    "group-id": _in_groups("group_id"),
    "group-name": _in_groups("group_name"),
    "instance.group-id": _in_groups("group_id"),
    "instance.group-name": _in_groups("group_name"),
    "hypervisor": "hypervisor",
    "image-id": "image_id",
    "instance-id": "instance_id",
    "instance-state-code": "state_code",
    "instance-state-name": "state",
    "instance-type": "instance_type",
    "ip-address": "private_ip_address",
    "kernel-id": "kernel_id",
    "key-name": "key_name",
    "launch-index": "ami_launch_index",
    "launch-time": "launch_time",
    "monitoring-state": lambda row: "enabled" if row["monitoring"] else "disabled",
    "owner-id": "account_id",
    "platform": lambda row: row["platform"] or None,
    "private-dns-name": "private_dns_name",
    "private-ip-address": "private_ip_address",
    "ramdisk-id": "ramdisk_id",
    "reason": "state_reason_message",
    "requester-id": "account_id",
    "reservation-id": "reservation_id",
    "root-device-name": "root_device_name",
    "root-device-type": lambda row: "instance-store",
    "source-dest-check": lambda row: True,
    "state-reason-code": "state_reason_code",
    "state-reason-message": "state_reason_message",
    "subnet-id": lambda row: vpc.subnet_id(row["account_id"]),
    "tenancy": lambda row: "default",
    "virtualization-type": "virtualization_type",
    "vpc-id": lambda row: vpc.vpc_id(row["account_id"]),
    "availability-zone-id": lambda row: vpc.zone_id(row["region"]),
    "ebs-optimized": lambda row: False,
    "ena-support": lambda row: False,
    "enclave-options.enabled": lambda row: False,
    "hibernation-options.configured": lambda row: False,
    "maintenance-options.auto-recovery": lambda row: "disabled",
    "operator.managed": lambda row: False,
    "platform-details": lambda row: "Windows" if row["platform"] else "Linux/UNIX",
    "usage-operation": lambda row: "RunInstances",
    "usage-operation-update-time": "launch_time",
    "private-dns-name-options.hostname-type": lambda row: "ip-name",
    "private-dns-name-options.enable-resource-name-dns-a-record": lambda row: False,
    "private-dns-name-options.enable-resource-name-dns-aaaa-record": lambda row: False,
    "metadata-options.state": lambda row: "applied",
    **{f"metadata-options.{each.replace('_', '-')}": _option(each) for each in OPTIONS},
    "placement-group-name": None,
    "instance-lifecycle": None,
    "iam-instance-profile.arn": None,
    "product-code": lambda row: json.loads(row["product_codes"] or "[]"),
    "product-code.type": lambda row: ["devpay"] if row["product_codes"] not in (None, "[]") else [],
    "spot-instance-request-id": None,
    **dict.fromkeys(
        f"association.{each}"
        for each in ("allocation-id", "association-id", "ip-owner-id", "public-ip")
    ),
    **dict.fromkeys(
        f"block-device-mapping.{each}"
        for each in ("attach-time", "delete-on-termination", "device-name", "status", "volume-id")
    ),
    **interfaces.FILTERS,
    **dict.fromkeys(
        (
            *("boot-mode", "current-instance-boot-mode", "capacity-reservation-id"),
            "capacity-reservation-specification.capacity-reservation-preference",
            *(
                f"capacity-reservation-specification.capacity-reservation-target.{each}"
                for each in ("capacity-reservation-id", "capacity-reservation-resource-group-arn")
            ),
            *("host-id", "iam-instance-profile.id", "ipv6-address", "outpost-arn"),
            *("network-performance-options.bandwidth-weighting", "operator.principal"),
            *("placement-partition-number", "tpm-support"),
        )
    ),
}
# A check's outcome, and the status that it makes.
HEALTH = {
    "passed": "ok",
    "initializing": "initializing",
    "failed": "impaired",
    "not-applicable": "not-applicable",
}
EVENT = "system-maintenance"  # of EC2's codes the one for what the host's administrator mends
SILENT_SECONDS = 300  # a guest that has not said a word by then has no working network


def _domain(row: Row) -> str:
    """Return the system's check: whether the domain runs."""
    if row["state"] != "running":
        return "not-applicable"
    if row["trouble"]:
        return "failed"
    return "passed" if row["launch_state"] in ("", "booted") else "initializing"


def _guest(row: Row) -> str:
    """Return the instance's check: whether its guest was ever heard on the network."""
    if _domain(row) != "passed" or row["heard"]:
        return _domain(row)
    age = steady.seconds_since(row["state_clock"], row["state_time"])
    return "initializing" if age < SILENT_SECONDS else "failed"


def _events(row: Row) -> list[dict[str, Any]]:
    """Return what is wrong with the instance as an event, which is where the API has words."""
    trouble = row["trouble"]
    if trouble is None:
        return []
    event_id = f"instance-event-{row['instance_id'].removeprefix('i-')}"
    since = ids.parse_time(trouble.since)
    told = {"instance_event_id": event_id, "code": EVENT, "description": trouble.text}
    return [{**told, "not_before": since}]


STATUS_FILTERS = {
    "availability-zone": "availability_zone",
    "availability-zone-id": lambda row: vpc.zone_id(row["region"]),
    "operator.managed": lambda row: False,
    "instance-state-code": "state_code",
    "instance-state-name": "state",
    "instance-status.status": lambda row: HEALTH[_guest(row)],
    "instance-status.reachability": _guest,
    "system-status.status": lambda row: HEALTH[_domain(row)],
    "system-status.reachability": _domain,
    "event.code": lambda row: [each["code"] for each in _events(row)],
    "event.description": lambda row: [each["description"] for each in _events(row)],
    "event.instance-event-id": lambda row: [each["instance_event_id"] for each in _events(row)],
    "event.not-before": lambda row: [ids.time_text(each["not_before"]) for each in _events(row)],
    **dict.fromkeys(
        (
            *("event.not-after", "event.not-before-deadline", "operator.principal"),
            *("attached-ebs-status.status", "application-status.status"),
        )
    ),
}


@action()
def describe_instances(
    call: Call,
    *,
    instance_ids: Sequence[str] = (),
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List instances by reservation, oldest first."""
    _refuse_pages_of_named(instance_ids, max_results)
    rows = instances.listed(call.cloud.state, _caller(call), instance_ids)
    hypervisor = call.cloud.node.hypervisor_name
    for row in instances.complete(call.cloud.state, rows):
        row["hypervisor"] = hypervisor
        _explain(call, row)
        row["region"] = call.cloud.config.cloud.region
    shown, token = page(select(rows, filters, FILTERS), _order, max_results, next_token)
    return {"reservations": instances.reservations(shown, hypervisor), "next_token": token}


@action(ignored=["include_managed_resources"])
def describe_instance_status(
    call: Call,
    *,
    instance_ids: Sequence[str] = (),
    include_all_instances: bool = False,
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List the health of running instances, or of all."""
    _refuse_pages_of_named(instance_ids, max_results)
    rows = instances.listed(call.cloud.state, _caller(call), instance_ids)
    if not include_all_instances:
        rows = [row for row in rows if row["state"] == "running"]
    for row in instances.complete(call.cloud.state, rows):
        row["region"] = call.cloud.config.cloud.region
        row["trouble"] = _trouble(call, row)
        row["heard"] = row["state"] == "running" and call.cloud.network.hears(row["instance_id"])
    shown, token = page(select(rows, filters, STATUS_FILTERS), _order, max_results, next_token)
    return {"instance_statuses": [_status(row) for row in shown], "next_token": token}


@action()
def reboot_instances(call: Call, *, instance_ids: Sequence[str]) -> Result:
    """Ask for a reboot of each of these running instances."""
    state = call.cloud.state
    with state.transaction():
        for row in _named(call, instance_ids):
            if row["state"] != "running":
                raise IncorrectInstanceState(
                    id=row["instance_id"],
                    state=row["state"],
                    action="RebootInstances",
                    needed="running",
                )
            if not row["wanted"]:
                state.update(
                    "instances",
                    {"instance_id": row["instance_id"]},
                    wanted="reboot",
                    wanted_request_id=call.request_id,
                )
    call.cloud.node.wake()
    return {"return": True}


@action(ignored=["force", "skip_os_shutdown"])
def terminate_instances(call: Call, *, instance_ids: Sequence[str]) -> Result:
    """Ask for the end of each of these instances; one that has ended is no error."""
    with call.cloud.state.transaction():
        rows = _named(call, instance_ids)
        for row in rows:
            if row["disable_api_termination"] and row["state"] not in GONE:
                raise TerminationProtected(id=row["instance_id"])
        changes = [_terminate(call, row) for row in rows]
    call.cloud.node.wake()
    return {"terminating_instances": changes}


def _terminate(call: Call, row: Row) -> dict[str, Any]:
    if row["state"] in GONE:
        return instances.previous_and_current(row, row["state"], row["state_code"])
    state, code = SHUTTING_DOWN
    call.cloud.state.update(
        "instances",
        {"instance_id": row["instance_id"]},
        state=state,
        state_code=code,
        state_time=ids.now(),
        state_clock=steady.reading(),
        wanted="terminate",
        wanted_request_id=call.request_id,
        state_reason_code="Client.UserInitiatedShutdown",
        state_reason_message="Client.UserInitiatedShutdown: User initiated shutdown",
    )
    return instances.previous_and_current(row, state, code)


def _named(call: Call, instance_ids: Sequence[str]) -> list[Row]:
    if not instance_ids:
        raise MissingParameter(parameter="InstanceId")
    return instances.named(call.cloud.state, _caller(call), instance_ids)


def _caller(call: Call) -> Caller:
    assert call.caller is not None
    return call.caller


def _refuse_pages_of_named(instance_ids: Sequence[str], max_results: int | None) -> None:
    if instance_ids and max_results is not None:
        reason = "MaxResults can't be given together with instance IDs; leave one out."
        raise InvalidParameterCombination(reason=reason)


def _order(row: Row) -> str:
    index = f"{row['ami_launch_index']:06d}"
    return f"{row['launch_time']} {row['reservation_id']} {index} {row['instance_id']}"


def _trouble(call: Call, row: Row) -> Trouble | None:
    if row["state"] != "running":
        return None
    return call.cloud.node.trouble(row["instance_id"])


def _explain(call: Call, row: Row) -> None:
    """Give the state a reason where the node knows one: a queue, or what is wrong."""
    trouble = _trouble(call, row)
    if trouble is not None:
        code, text = "Server.InternalError", trouble.text
    elif row["state"] == "pending":
        code, text = "pending", call.cloud.node.queue(row["instance_id"])
    else:
        return
    if text:
        row["state_reason_code"], row["state_reason_message"] = code, f"{code}: {text}"


def _check(reachability: str, row: Row) -> dict[str, Any]:
    details: list[dict[str, Any]] = [{"name": "reachability", "status": reachability}]
    if reachability == "failed" and row["trouble"]:
        details[0]["impaired_since"] = ids.parse_time(row["trouble"].since)
    known = [] if reachability == "not-applicable" else details
    return {"status": HEALTH[reachability], "details": known}


def _status(row: Row) -> dict[str, Any]:
    return {
        "instance_id": row["instance_id"],
        "availability_zone": row["availability_zone"],
        "instance_state": {"code": row["state_code"], "name": row["state"]},
        "instance_status": _check(_guest(row), row),
        "system_status": _check(_domain(row), row),
        "events": _events(row),
    }
