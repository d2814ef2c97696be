"""Describes, reboots and terminates instances: writes rows, which the reconciler carries out."""

from collections.abc import Callable, Sequence

from eucabox import ids, instance_states, steady_clock
from eucabox.actions import Call, Result, action
from eucabox.domains.health import Trouble
from eucabox.ec2 import default_vpc, instances
from eucabox.ec2.filters import Columns, Filter, page, read_at, select
from eucabox.ec2.listed_instance import ListedInstance
from eucabox.errors import (
    IncorrectInstanceState,
    InvalidParameterCombination,
    MissingParameter,
    TerminationProtected,
)
from eucabox.instance_states import ENDED, USER_SHUTDOWN, InstanceState

OPTIONS = (
    *("http_tokens", "http_endpoint", "http_put_response_hop_limit", "http_protocol_ipv6"),
    "instance_metadata_tags",
)
# By what an answer shows, so that a filter can't reveal what it hides.
SHOWN = {
    "architecture": "architecture",
    "association.ip-owner-id": "network_interfaces.association.ip_owner_id",
    "association.public-ip": "network_interfaces.association.public_ip",
    "availability-zone": "placement.availability_zone",
    "availability-zone-id": "placement.availability_zone_id",
    "boot-mode": "boot_mode",
    "capacity-reservation-specification.capacity-reservation-preference": (
        "capacity_reservation_specification.capacity_reservation_preference"
    ),
    "client-token": "client_token",
    "current-instance-boot-mode": "current_instance_boot_mode",
    "dns-name": "public_dns_name",
    "ebs-optimized": "ebs_optimized",
    "ena-support": "ena_support",
    "enclave-options.enabled": "enclave_options.enabled",
    "hibernation-options.configured": "hibernation_options.configured",
    "hypervisor": "hypervisor",
    "iam-instance-profile.arn": "iam_instance_profile.arn",
    "iam-instance-profile.id": "iam_instance_profile.id",
    "image-id": "image_id",
    "instance-id": "instance_id",
    "instance-state-code": "state.code",
    "instance-state-name": "state.name",
    "instance-type": "instance_type",
    "instance.group-id": "security_groups.group_id",
    "instance.group-name": "security_groups.group_name",
    "ip-address": "public_ip_address",
    "kernel-id": "kernel_id",
    "key-name": "key_name",
    "launch-index": "ami_launch_index",
    "launch-time": "launch_time",
    "maintenance-options.auto-recovery": "maintenance_options.auto_recovery",
    "metadata-options.state": "metadata_options.state",
    **{
        f"metadata-options.{each.replace('_', '-')}": f"metadata_options.{each}" for each in OPTIONS
    },
    "monitoring-state": "monitoring.state",
    "network-performance-options.bandwidth-weighting": (
        "network_performance_options.bandwidth_weighting"
    ),
    "operator.managed": "operator.managed",
    "platform": "platform",
    "platform-details": "platform_details",
    "private-dns-name": "private_dns_name",
    **{
        f"private-dns-name-options.{each}": f"private_dns_name_options.{each.replace('-', '_')}"
        for each in (
            *("hostname-type", "enable-resource-name-dns-a-record"),
            "enable-resource-name-dns-aaaa-record",
        )
    },
    "private-ip-address": "private_ip_address",
    "product-code": "product_codes.product_code_id",
    "product-code.type": "product_codes.product_code_type",
    "ramdisk-id": "ramdisk_id",
    "reason": "state_transition_reason",
    "root-device-name": "root_device_name",
    "root-device-type": "root_device_type",
    "source-dest-check": "source_dest_check",
    "state-reason-code": "state_reason.code",
    "state-reason-message": "state_reason.message",
    "subnet-id": "subnet_id",
    "tenancy": "placement.tenancy",
    "usage-operation": "usage_operation",
    "usage-operation-update-time": "usage_operation_update_time",
    "virtualization-type": "virtualization_type",
    "vpc-id": "vpc_id",
}


def _last_part(arn: str | None) -> str | None:
    return arn.rpartition("/")[2] if arn else None


def _if_present(value: Callable[[ListedInstance], object]) -> Callable[[ListedInstance], object]:
    return lambda row: value(row) if default_vpc.has_interface(row) else None


def _read_tags(part: str) -> Callable[[ListedInstance], object]:
    return lambda row: [tag[part] for tag in row["interface_tags"]]


INTERFACE_FILTERS: Columns[ListedInstance] = {
    # What DescribeNetworkInterfaces alone shows of it.
    "network-interface.attachment.instance-id": _if_present(lambda row: row["instance_id"]),
    "network-interface.attachment.instance-owner-id": _if_present(lambda row: row["account_id"]),
    "network-interface.availability-zone": _if_present(lambda row: row["availability_zone"]),
    "network-interface.requester-id": _if_present(lambda row: row["account_id"]),
    "network-interface.requester-managed": _if_present(lambda row: False),
    "network-interface.tag-key": _if_present(_read_tags("key")),
    "network-interface.tag-value": _if_present(_read_tags("value")),
    **{
        f"network-interface.{name}": read_at(f"shows.network_interfaces.{path}")
        for name, path in (
            ("addresses.association.ip-owner-id", "private_ip_addresses.association.ip_owner_id"),
            (
                "addresses.association.public-dns-name",
                "private_ip_addresses.association.public_dns_name",
            ),
            ("addresses.association.public-ip", "private_ip_addresses.association.public_ip"),
            ("addresses.primary", "private_ip_addresses.primary"),
            ("addresses.private-dns-name", "private_ip_addresses.private_dns_name"),
            ("addresses.private-ip-address", "private_ip_addresses.private_ip_address"),
            ("association.ip-owner-id", "association.ip_owner_id"),
            ("association.public-dns-name", "association.public_dns_name"),
            ("association.public-ip", "association.public_ip"),
            ("attachment.attach-time", "attachment.attach_time"),
            ("attachment.attachment-id", "attachment.attachment_id"),
            ("attachment.delete-on-termination", "attachment.delete_on_termination"),
            ("attachment.device-index", "attachment.device_index"),
            ("attachment.network-card-index", "attachment.network_card_index"),
            ("attachment.status", "attachment.status"),
            ("group-id", "groups.group_id"),
            ("group-name", "groups.group_name"),
            ("mac-address", "mac_address"),
            ("network-interface-id", "network_interface_id"),
            ("network-interface.id", "network_interface_id"),
            ("operator.managed", "operator.managed"),
            ("owner-id", "owner_id"),
            ("private-dns-name", "private_dns_name"),
            ("private-ip-address", "private_ip_address"),
            ("public-dns-name", "association.public_dns_name"),
            ("source-dest-check", "source_dest_check"),
            ("source-destination-check", "source_dest_check"),
            ("status", "status"),
            ("subnet-id", "subnet_id"),
            ("vpc-id", "vpc_id"),
        )
    },
    **{
        f"network-interface.{place}association.{each}": None
        for place in ("", "addresses.")
        for each in ("allocation-id", "association-id", "carrier-ip", "customer-owned-ip")
    },
    **dict.fromkeys(
        f"network-interface.{each}"
        for each in (
            *("deny-all-igw-traffic", "description", "ipv4-prefixes.ipv4-prefix", "ipv6-address"),
            *("ipv6-addresses.ipv6-address", "ipv6-addresses.is-primary-ipv6", "ipv6-native"),
            *("ipv6-prefixes.ipv6-prefix", "operator.principal", "outpost-arn"),
        )
    ),
}
FILTERS: Columns[ListedInstance] = {
    **{name: read_at(f"shows.{path}") for name, path in SHOWN.items()},
    "group-id": "groups.group_id",
    "group-name": "groups.group_name",
    "iam-instance-profile.name": lambda row: _last_part(row["instance_profile_arn"]),
    "owner-id": "account_id",
    "requester-id": "account_id",
    "reservation-id": "reservation_id",
    **INTERFACE_FILTERS,
    **dict.fromkeys(
        f"block-device-mapping.{each}"
        for each in ("attach-time", "delete-on-termination", "device-name", "status", "volume-id")
    ),
    **dict.fromkeys(
        (
            *("affinity", "association.allocation-id", "association.association-id"),
            "capacity-reservation-id",
            *(
                f"capacity-reservation-specification.capacity-reservation-target.{each}"
                for each in ("capacity-reservation-id", "capacity-reservation-resource-group-arn")
            ),
            *("host-id", "instance-lifecycle", "ipv6-address"),
            *("metadata-options.http-protocol-ipv4", "operator.principal", "outpost-arn"),
            *("placement-group-name", "placement-partition-number"),
            *("spot-instance-request-id", "tpm-support"),
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
EVENT = "system-maintenance"  # EC2's code for what the host's administrator has to fix
SILENT_SECONDS = 300  # a guest that has sent no packet by then has no working network


class CheckedInstance(ListedInstance):
    """An instance, its trouble if it has one, and whether its guest has ever sent a packet."""

    trouble: Trouble | None
    heard: bool


def _system_check(row: CheckedInstance) -> str:
    """Return the system's check: whether the domain runs."""
    if row["state"] != "running":
        return "not-applicable"
    if row["trouble"]:
        return "failed"
    return "passed" if row["launch_state"] in ("", "booted") else "initializing"


def _instance_check(row: CheckedInstance) -> str:
    """Return the instance's check: whether its guest has ever sent a packet."""
    if _system_check(row) != "passed" or row["heard"]:
        return _system_check(row)
    age = steady_clock.seconds_since(row["state_clock"], row["state_time"])
    return "initializing" if age < SILENT_SECONDS else "failed"


def _list_events(row: CheckedInstance) -> list[Result]:
    """Return what is wrong with the instance as an event: the API has text for it only there."""
    trouble = row["trouble"]
    if trouble is None:
        return []
    event_id = f"instance-event-{row['instance_id'].removeprefix('i-')}"
    since = ids.parse_time(trouble.since)
    event = {"instance_event_id": event_id, "code": EVENT, "description": trouble.text}
    return [{**event, "not_before": since}]


STATUS_FILTERS: Columns[ListedInstance] = {
    "availability-zone": "shows.availability_zone",
    "availability-zone-id": "shows.availability_zone_id",
    "operator.managed": "shows.operator.managed",
    "instance-state-code": "shows.instance_state.code",
    "instance-state-name": "shows.instance_state.name",
    "instance-status.status": "shows.instance_status.status",
    "instance-status.reachability": "shows.instance_status.details.status",
    "system-status.status": "shows.system_status.status",
    "system-status.reachability": "shows.system_status.details.status",
    "event.code": "shows.events.code",
    "event.description": "shows.events.description",
    "event.instance-event-id": "shows.events.instance_event_id",
    "event.not-before": "shows.events.not_before",
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
    rows = instances.list_for(call.cloud.state, call.user, instance_ids)
    if filters:
        rows = select(_complete(call, rows), filters, FILTERS)
    page_rows, token = page(rows, _sort_key, max_results, next_token)
    if not filters:  # so the other pages' rows need nothing more
        _complete(call, page_rows)
    return {"reservations": instances.reservations(page_rows), "next_token": token}


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
    rows = instances.list_for(call.cloud.state, call.user, instance_ids)
    if not include_all_instances:
        rows = [row for row in rows if row["state"] == "running"]
    for row in instances.attach_tags_and_groups(call.cloud.state, rows):
        row["shows"] = _status_to_api(_check(call, row), call.cloud.config.cloud.region)
    page_rows, token = page(
        select(rows, filters, STATUS_FILTERS), _sort_key, max_results, next_token
    )
    return {"instance_statuses": [row["shows"] for row in page_rows], "next_token": token}


@action()
def reboot_instances(call: Call, *, instance_ids: Sequence[str]) -> Result:
    """Request a reboot of each of these running instances."""
    state = call.cloud.state
    with state.transaction():
        for row in _get_named(call, instance_ids):
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
    """Request the termination of each of these instances; a terminated one is no error."""
    with call.cloud.state.transaction():
        rows = _get_named(call, instance_ids)
        for row in rows:
            if row["disable_api_termination"] and row["state"] not in ENDED:
                raise TerminationProtected(id=row["instance_id"])
        changes = [_terminate(call, row) for row in rows]
    call.cloud.node.wake()
    return {"terminating_instances": changes}


def _terminate(call: Call, row: ListedInstance) -> Result:
    old = InstanceState(row["state"])
    if old in ENDED:
        return instances.state_change(row, old)
    instance_states.change(
        call.cloud.state,
        row["instance_id"],
        old,
        InstanceState.SHUTTING_DOWN,
        USER_SHUTDOWN,
        wanted="terminate",
        wanted_request_id=call.request_id,
    )
    return instances.state_change(row, InstanceState.SHUTTING_DOWN)


def _get_named(call: Call, instance_ids: Sequence[str]) -> list[ListedInstance]:
    if not instance_ids:
        raise MissingParameter(parameter="InstanceId")
    return instances.get_many(call.cloud.state, call.user, instance_ids)


def _refuse_pages_of_named(instance_ids: Sequence[str], max_results: int | None) -> None:
    if instance_ids and max_results is not None:
        reason = "MaxResults can't be given together with instance IDs; leave one out."
        raise InvalidParameterCombination(reason=reason)


def _sort_key(row: ListedInstance) -> str:
    index = f"{row['ami_launch_index']:06d}"
    return f"{row['launch_time']} {row['reservation_id']} {index} {row['instance_id']}"


def _complete(call: Call, rows: list[ListedInstance]) -> list[ListedInstance]:
    """Add to each row what only its filters and its look need."""
    for row in instances.attach_tags_and_groups(call.cloud.state, rows):
        _add_reason(call, row)
    instances.show(rows, call.cloud.node.hypervisor_name, call.cloud.config.cloud.region)
    return rows


def _find_trouble(call: Call, row: ListedInstance) -> Trouble | None:
    if row["state"] != "running":
        return None
    return call.cloud.node.trouble(row["instance_id"])


def _add_reason(call: Call, row: ListedInstance) -> None:
    """Add the node's reason for the state, if any."""
    reason = instances.find_node_reason(call.cloud.node, row["instance_id"], row["state"])
    if reason:
        row["state_reason_code"], row["state_reason_message"] = reason


def _check(call: Call, row: ListedInstance) -> CheckedInstance:
    heard = row["state"] == "running" and call.cloud.network.has_seen_traffic(row["instance_id"])
    return {**row, "trouble": _find_trouble(call, row), "heard": heard}


def _check_to_api(reachability: str, row: CheckedInstance) -> Result:
    details: dict[str, object] = {"name": "reachability", "status": reachability}
    if reachability == "failed" and row["trouble"]:
        details["impaired_since"] = ids.parse_time(row["trouble"].since)
    reported = [] if reachability == "not-applicable" else [details]
    return {"status": HEALTH[reachability], "details": reported}


def _status_to_api(row: CheckedInstance, region: str) -> dict[str, object]:
    return {
        "instance_id": row["instance_id"],
        "availability_zone": row["availability_zone"],
        "availability_zone_id": default_vpc.zone_id(region),
        "operator": {"managed": False},
        "instance_state": {"code": row["state_code"], "name": row["state"]},
        "instance_status": _check_to_api(_instance_check(row), row),
        "system_status": _check_to_api(_system_check(row), row),
        "events": _list_events(row),
    }
