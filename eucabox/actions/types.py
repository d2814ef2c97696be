"""Instance types: what each one has, in AWS' words and in Eucalyptus'; never changes one."""

from collections.abc import Sequence
from typing import Any

from eucabox import vpc
from eucabox.actions import Call, Result, action
from eucabox.errors import InvalidInstanceType, InvalidParameterValue
from eucabox.filters import Columns, Filter, page, select
from eucabox.instance_types import TYPES, InstanceType

ARCHITECTURES = ["i386", "x86_64"]
FILTERS: Columns = {
    "instance-type": "instance_type",
    "current-generation": "current_generation",
    "bare-metal": "bare_metal",
    "burstable-performance-supported": "burstable_performance_supported",
    "hypervisor": "hypervisor",
    "instance-storage-supported": "instance_storage_supported",
    "instance-storage-info.total-size-in-gb": lambda row: row["instance_storage_info"][
        "total_size_in_gb"
    ],
    "memory-info.size-in-mib": lambda row: row["memory_info"]["size_in_mi_b"],
    "processor-info.supported-architecture": lambda row: row["processor_info"][
        "supported_architectures"
    ],
    "supported-root-device-type": "supported_root_device_types",
    "supported-usage-class": "supported_usage_classes",
    "supported-virtualization-type": "supported_virtualization_types",
    "vcpu-info.default-vcpus": lambda row: row["v_cpu_info"]["default_v_cpus"],
    "vcpu-info.default-cores": lambda row: row["v_cpu_info"]["default_cores"],
    "free-tier-eligible": "free_tier_eligible",
    "hibernation-supported": "hibernation_supported",
}
OFFERING_FILTERS = {"instance-type": "instance_type", "location": "location"}
LOCATIONS = ("region", "availability-zone", "availability-zone-id")


@action()
def describe_instance_types(
    call: Call,
    *,
    instance_types: Sequence[str] = (),
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List the instance types, smallest first without pages; in Eucalyptus' form as well."""
    for name in instance_types:
        if name not in TYPES:
            raise InvalidInstanceType(type=name[:60], known=", ".join(TYPES))
    rows = [_view(each) for each in TYPES.values() if each.name in (instance_types or TYPES)]
    rows = select(rows, filters, FILTERS)
    shown, token = rows, None
    if max_results or next_token:
        shown, token = page(rows, _name, max_results, next_token, most=100)
    details = [_euca_view(call, TYPES[_name(row)]) for row in shown]
    return {"instance_types": shown, "instance_type_details": details, "next_token": token}


@action()
def describe_instance_type_offerings(
    call: Call,
    *,
    location_type: str = "region",
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List every instance type as offered in the one region and its one zone."""
    config = call.cloud.config.cloud
    places = dict(
        zip(LOCATIONS, (config.region, config.zone, vpc.zone_id(config.region)), strict=True)
    )
    if location_type not in places:
        reason = f"Choose one of {', '.join(LOCATIONS)}."
        raise InvalidParameterValue(
            parameter="LocationType", value=location_type[:60], reason=reason
        )
    place = {"location_type": location_type, "location": places[location_type]}
    rows = select([{"instance_type": name, **place} for name in TYPES], filters, OFFERING_FILTERS)
    shown, token = page(rows, _name, max_results, next_token)
    return {"instance_type_offerings": shown, "next_token": token}


def _name(row: dict[str, Any]) -> str:
    return str(row["instance_type"])


def _view(kind: InstanceType) -> dict[str, Any]:
    return {
        "instance_type": kind.name,
        "current_generation": True,
        "free_tier_eligible": False,
        "supported_usage_classes": ["on-demand"],
        "supported_root_device_types": ["instance-store"],
        "supported_virtualization_types": ["hvm", "paravirtual"],
        "bare_metal": False,
        "hypervisor": "xen",
        "processor_info": {"supported_architectures": ARCHITECTURES},
        "v_cpu_info": {
            "default_v_cpus": kind.vcpus,
            "default_cores": kind.vcpus,
            "default_threads_per_core": 1,
        },
        "memory_info": {"size_in_mi_b": kind.memory_mb},
        "instance_storage_supported": True,
        "instance_storage_info": {
            "total_size_in_gb": kind.disk_gb,
            "disks": [{"size_in_gb": kind.disk_gb, "count": 1, "type": "hdd"}],
            "nvme_support": "unsupported",
        },
        "ebs_info": {"ebs_optimized_support": "unsupported", "encryption_support": "unsupported"},
        "network_info": {
            "network_performance": "Low",
            "maximum_network_interfaces": 1,
            "ipv4_addresses_per_interface": 1,
            "ipv6_addresses_per_interface": 0,
            "ipv6_supported": False,
            "ena_support": "unsupported",
            "efa_supported": False,
        },
        "placement_group_info": {"supported_strategies": []},
        "hibernation_supported": False,
        "burstable_performance_supported": False,
        "dedicated_hosts_supported": False,
        "auto_recovery_supported": False,
    }


def _euca_view(call: Call, kind: InstanceType) -> dict[str, Any]:
    rows = [row for row in call.cloud.capacity.table() if row.type == kind.name]
    zone = call.cloud.config.cloud.zone
    return {
        "name": kind.name,
        "cpu": kind.vcpus,
        "memory": kind.memory_mb,
        "disk": kind.disk_gb,
        "network_interfaces": 1,
        "availability": [
            {"available": row.free, "max": row.max, "zone_name": zone} for row in rows
        ],
    }
