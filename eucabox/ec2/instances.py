"""Finds instance rows and renders them for the API; changes none."""

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol, TypedDict

from eucabox import ids
from eucabox.config import NodeSection
from eucabox.ec2 import default_vpc, image_access, instance_profiles, tags
from eucabox.ec2.listed_instance import DescribedInstance, ListedInstance
from eucabox.errors import (
    InstanceIdMalformed,
    InstanceNotFound,
    InvalidParameterValue,
    UnsupportedOperation,
)
from eucabox.iam.caller import Caller
from eucabox.image import settings
from eucabox.instance_states import InstanceState
from eucabox.state import State

ID = re.compile(r"i-([0-9a-f]{8}|[0-9a-f]{17})")
MOST_SHOWN = 2048  # instances whose last look is kept, about 10 kB each
VERBOSE = "verbose"  # Eucalyptus' word: of every account, for the administrator
# Everything but the user data, which no list shows.
_COLUMNS = """i.instance_id, i.reservation_id, i.account_id, i.ami_launch_index, i.image_id,
  i.kernel_id, i.ramdisk_id, i.instance_type, i.key_name, i.state, i.state_code,
  i.state_reason_code, i.state_reason_message, i.launch_time, i.state_time, i.state_clock,
  i.availability_zone, i.architecture, i.virtualization_type, i.mac_address, i.private_ip_address,
  i.private_dns_name, i.wanted, i.metadata_options, i.monitoring, i.root_device_name,
  i.shutdown_behavior, i.disable_api_termination, i.disable_api_stop, i.launch_state, i.vcpus,
  i.memory_mb, i.public_address, m.platform, m.product_codes, m.settings as image_settings"""
_ROWS = f"""select {_COLUMNS}, r.client_token, p.instance_profile_id,
  {instance_profiles.ARN} as instance_profile_arn from instances i
  join reservations r using (reservation_id) left join images m using (image_id)
  left join instance_profile_associations using (instance_id)
  left join instance_profiles p using (instance_profile_id)"""
_GROUPS = """select instance_id, group_id, group_name from instance_groups
  join security_groups using (group_id)
  where instance_id in (select value from json_each(?)) order by group_name"""


class Reservation(TypedDict):
    """A reservation with its instances, as the API shows them."""

    reservation_id: str
    owner_id: str
    requester_id: str
    groups: list[dict[str, str]]
    instances: list[dict[str, object]]


def get_many(state: State, caller: Caller, instance_ids: Sequence[str]) -> list[ListedInstance]:
    """Return the rows of these instances, each once, in the order of the request.

    A caller may name the instances of its account; the administrator, those of every account.
    Raises InstanceIdMalformed or InstanceNotFound.
    """
    for instance_id in instance_ids:
        if not ID.fullmatch(instance_id):
            raise InstanceIdMalformed(id=instance_id[:60])
    sql = f"{_ROWS} where i.instance_id in (select value from json_each(?))"
    rows = state.select(ListedInstance, sql, (json.dumps(list(instance_ids)),))
    if not caller.admin:
        rows = [row for row in rows if row["account_id"] == caller.account_id]
    mine = {row["instance_id"]: row for row in rows}
    for instance_id in instance_ids:
        if instance_id not in mine:
            raise InstanceNotFound(id=instance_id)
    return [mine[each] for each in dict.fromkeys(instance_ids)]


def list_for(state: State, caller: Caller, instance_ids: Sequence[str]) -> list[ListedInstance]:
    """Return what a Describe action lists: the named instances, or all of the account.

    The word `verbose` among the ids lists every account's for the administrator.
    """
    named_ids = [each for each in instance_ids if each != VERBOSE]
    if named_ids:
        return get_many(state, caller, named_ids)
    if caller.admin and VERBOSE in instance_ids:
        return state.select(ListedInstance, _ROWS, at_once=True)
    sql = f"{_ROWS} where i.account_id = ?"
    return state.select(ListedInstance, sql, (caller.account_id,), at_once=True)


def list_of_reservation(state: State, reservation_id: str) -> list[ListedInstance]:
    """Return the rows of one reservation, in the order of their launch."""
    sql = f"{_ROWS} where i.reservation_id = ? order by i.ami_launch_index"
    return state.select(ListedInstance, sql, (reservation_id,))


def addresses(state: State) -> set[str]:
    """Return the MAC and IP addresses in use.

    A terminated instance keeps its own until its domain is surely gone.
    """
    sql = """select mac_address, private_ip_address from instances
      where state <> 'terminated' or launch_state = 'left'"""
    return {value for row in state.query(sql) for value in row.values() if value}


class Reporter(Protocol):
    """What knows why an instance is as it is: the node."""

    def trouble(self, instance_id: str) -> "Report | None":
        """Return what is wrong with a running guest, None for nothing."""

    def queue(self, instance_id: str) -> str:
        """Return what a launch waits for, or an empty text."""


class Report(Protocol):
    """What is wrong with a guest, in words."""

    @property
    def text(self) -> str:
        """The words."""


def find_node_reason(node: Reporter, instance_id: str, state: str) -> tuple[str, str] | None:
    """Return code and message of the node's reason for a state, if any: the launch queue, or a
    problem."""
    code, text = "", ""
    if state == "running":
        trouble = node.trouble(instance_id)
        code, text = "Server.InternalError", trouble.text if trouble else ""
    elif state == "pending":
        code, text = "pending", node.queue(instance_id)
    return (code, f"{code}: {text}") if text else None


def attach_tags_and_groups(state: State, rows: list[ListedInstance]) -> list[ListedInstance]:
    """Give each row its `groups`, its `tags` and its interface's, as the API shows them; two
    queries for all."""
    instance_ids = [row["instance_id"] for row in rows]
    interface_ids = [default_vpc.network_interface_id(each) for each in instance_ids]
    tags_by_id = tags.tags_of(state, [*instance_ids, *interface_ids])
    groups_by_id = groups_of(state, instance_ids)
    for row, interface_id in zip(rows, interface_ids, strict=True):
        row["tags"] = tags_by_id.get(row["instance_id"], [])
        row["interface_tags"] = tags_by_id.get(interface_id, [])
        row["groups"] = groups_by_id.get(row["instance_id"], [])
    return rows


def groups_of(state: State, instance_ids: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """Return each instance's security groups as the API shows them, by instance id."""
    groups: dict[str, list[dict[str, str]]] = {}
    for row in state.query(_GROUPS, (json.dumps(list(instance_ids)),), at_once=True):
        group = {"group_id": row["group_id"], "group_name": row["group_name"]}
        groups.setdefault(row["instance_id"], []).append(group)
    return groups


_shown: dict[str, tuple[ListedInstance, str, str, DescribedInstance]] = {}


def show(rows: Iterable[ListedInstance], hypervisor: str, region: str) -> None:
    """Add `shows`, the API's Instance, to each row that has its tags and groups; the one of before
    where nothing of the row has changed."""
    for row in rows:
        kept = _shown.get(row["instance_id"])
        if kept is None or kept[0] != row or kept[1:3] != (hypervisor, region):
            shown = DescribedInstance(to_api(row, hypervisor, region))
            kept = (row.copy(), hypervisor, region, shown)
            if len(_shown) >= MOST_SHOWN:
                _shown.clear()
            _shown[row["instance_id"]] = kept
        row["shows"] = kept[3]


def reservations(rows: Iterable[ListedInstance]) -> list[Reservation]:
    """Return rows that have `shows` as the API's reservations, in their order."""
    by_id: dict[str, Reservation] = {}
    for row in rows:
        reservation = by_id.get(row["reservation_id"])
        if reservation is None:
            reservation = by_id[row["reservation_id"]] = {
                "reservation_id": row["reservation_id"],
                "owner_id": row["account_id"],
                "requester_id": row["account_id"],
                "groups": row["groups"],
                "instances": [],
            }
        reservation["instances"].append(row["shows"])
    return list(by_id.values())


def to_api(row: ListedInstance, hypervisor: str, region: str) -> dict[str, object]:
    """Return a row with its tags and groups as the API's Instance."""
    alive = row["state"] != "terminated"
    address = row["private_ip_address"] if alive else None  # another may have it by now
    public = default_vpc.public_address(row)
    reason = {"code": row["state_reason_code"], "message": row["state_reason_message"]}
    return {
        "instance_id": row["instance_id"],
        "image_id": row["image_id"],
        "kernel_id": row["kernel_id"],
        "ramdisk_id": row["ramdisk_id"],
        "platform": row["platform"] or None,
        "instance_type": row["instance_type"],
        "key_name": row["key_name"],
        "ami_launch_index": row["ami_launch_index"],
        "state": {"code": row["state_code"], "name": row["state"]},
        "state_reason": reason if row["state_reason_code"] else None,
        "state_transition_reason": _transition_reason(row),
        "launch_time": ids.parse_time(row["launch_time"]),
        "placement": {
            "availability_zone": row["availability_zone"],
            "availability_zone_id": default_vpc.zone_id(region),
            "group_name": "",
            "tenancy": "default",
        },
        "monitoring": {"state": "enabled" if row["monitoring"] else "disabled"},
        "private_ip_address": address or None,
        "public_ip_address": public,
        "private_dns_name": (row["private_dns_name"] or address) if address else "",
        "public_dns_name": public or "",  # the host can't resolve the name,
        "vpc_id": default_vpc.vpc_id(row["account_id"]) if alive else None,
        "subnet_id": default_vpc.subnet_id(row["account_id"]) if alive else None,
        "architecture": row["architecture"],
        "virtualization_type": row["virtualization_type"],
        "hypervisor": hypervisor,
        "root_device_type": "instance-store",
        "root_device_name": row["root_device_name"],
        "block_device_mappings": [],
        "product_codes": image_access.product_codes(row),
        "network_interfaces": [default_vpc.interface_to_api(row)]
        if default_vpc.has_interface(row)
        else [],
        "security_groups": row["groups"],
        "tags": row["tags"],
        "client_token": row["client_token"] or "",
        "ebs_optimized": False,
        "source_dest_check": True,
        "metadata_options": dict(_metadata_options(row["metadata_options"])),
        "iam_instance_profile": _show_profile(row),
        **_describe_fixed(row),
    }


def _show_profile(row: ListedInstance) -> dict[str, object] | None:
    if not row["instance_profile_id"]:
        return None
    return {"arn": row["instance_profile_arn"], "id": row["instance_profile_id"]}


_SAME_FOR_ALL = {
    "ena_support": False,
    "enclave_options": MappingProxyType({"enabled": False}),
    "hibernation_options": MappingProxyType({"configured": False}),
    "maintenance_options": MappingProxyType({"auto_recovery": "disabled"}),
    "operator": MappingProxyType({"managed": False}),
    "network_performance_options": MappingProxyType({"bandwidth_weighting": "default"}),
    "capacity_reservation_specification": MappingProxyType(
        {"capacity_reservation_preference": "open"}
    ),
    "private_dns_name_options": MappingProxyType(
        {
            "hostname_type": "ip-name",
            "enable_resource_name_dns_a_record": False,
            "enable_resource_name_dns_aaaa_record": False,
        }
    ),
}


def _describe_fixed(row: ListedInstance) -> dict[str, object]:
    """Return the members that follow from image and type, or are the same for every instance."""
    boot = settings.read(row["image_settings"] or "{}")
    return {
        "boot_mode": boot.boot_mode or None,
        "current_instance_boot_mode": "uefi" if boot.uefi else "legacy-bios",
        "platform_details": "Windows" if row["platform"] else "Linux/UNIX",
        "usage_operation": "RunInstances",
        "usage_operation_update_time": ids.parse_time(row["launch_time"]),
        "cpu_options": {"core_count": row["vcpus"], "threads_per_core": 1},
        **_SAME_FOR_ALL,
    }


def state_change(row: ListedInstance, state: InstanceState) -> dict[str, object]:
    """Return the API's InstanceStateChange for a row and its new state, or its present one."""
    return {
        "instance_id": row["instance_id"],
        "previous_state": {"code": row["state_code"], "name": row["state"]},
        "current_state": {"code": state.code, "name": state.value},
    }


def check_behavior(behavior: str, node: NodeSection) -> str:
    """Return the shutdown behaviour, if an instance may have it here."""
    if behavior not in ("stop", "terminate"):
        raise InvalidParameterValue(
            parameter="InstanceInitiatedShutdownBehavior",
            value=behavior[:60],
            reason="Choose one of stop, terminate.",
        )
    if behavior == "stop" and not node.stop_keeps_disk:
        raise UnsupportedOperation(
            what="InstanceInitiatedShutdownBehavior stop: an instance-store instance can't be"
            " stopped. Choose terminate, or let the administrator set stop_keeps_disk = yes."
        )
    return behavior


def _transition_reason(row: ListedInstance) -> str:
    if not row["state_reason_message"]:
        return ""
    moment = row["state_time"][:19].replace("T", " ")
    return f"{row['state_reason_message']} ({moment} GMT)"


@lru_cache(maxsize=256)
def _metadata_options(text: str) -> dict[str, object]:
    return {"state": "applied", **json.loads(text)}
