"""Instance types: describes them in AWS' and Eucalyptus' form, and changes their sizes."""

from collections.abc import Iterable, Mapping, Sequence

from eucabox.actions import Call, Result, action
from eucabox.domains.capacity import TypeCapacity
from eucabox.ec2 import default_vpc
from eucabox.ec2.filters import Columns, Filter, page, select
from eucabox.errors import InvalidInstanceType, InvalidParameterCombination, InvalidParameterValue
from eucabox.hypervisor import architecture
from eucabox.instance_types import (
    LIMITS,
    InstanceType,
    change,
    current_types,
    restore_default,
)

FILTERS: Columns[Result] = {
    "auto-recovery-supported": "auto_recovery_supported",
    "bare-metal": "bare_metal",
    "burstable-performance-supported": "burstable_performance_supported",
    "current-generation": "current_generation",
    "dedicated-hosts-supported": "dedicated_hosts_supported",
    "ebs-info.ebs-optimized-support": "ebs_info.ebs_optimized_support",
    "ebs-info.encryption-support": "ebs_info.encryption_support",
    "ebs-info.nvme-support": "ebs_info.nvme_support",
    "free-tier-eligible": "free_tier_eligible",
    "hibernation-supported": "hibernation_supported",
    "hypervisor": "hypervisor",
    "instance-storage-info.disk.count": "instance_storage_info.disks.count",
    "instance-storage-info.disk.size-in-gb": "instance_storage_info.disks.size_in_gb",
    "instance-storage-info.disk.type": "instance_storage_info.disks.type",
    "instance-storage-info.encryption-support": "instance_storage_info.encryption_support",
    "instance-storage-info.nvme-support": "instance_storage_info.nvme_support",
    "instance-storage-info.total-size-in-gb": "instance_storage_info.total_size_in_gb",
    "instance-storage-supported": "instance_storage_supported",
    "instance-type": "instance_type",
    "memory-info.size-in-mib": "memory_info.size_in_mi_b",
    "nitro-enclaves-support": "nitro_enclaves_support",
    "nitro-tpm-support": "nitro_tpm_support",
    "processor-info.supported-architecture": "processor_info.supported_architectures",
    "supported-boot-mode": "supported_boot_modes",
    "supported-root-device-type": "supported_root_device_types",
    "supported-usage-class": "supported_usage_classes",
    "supported-virtualization-type": "supported_virtualization_types",
    "vcpu-info.default-cores": "v_cpu_info.default_cores",
    "vcpu-info.default-threads-per-core": "v_cpu_info.default_threads_per_core",
    "vcpu-info.default-vcpus": "v_cpu_info.default_v_cpus",
    "vcpu-info.valid-cores": "v_cpu_info.valid_cores",
    "vcpu-info.valid-threads-per-core": "v_cpu_info.valid_threads_per_core",
    **{
        f"network-info.{each}": f"network_info.{each.replace('-', '_')}"
        for each in (
            *("efa-supported", "ena-support", "encryption-in-transit-supported"),
            *("ipv4-addresses-per-interface", "ipv6-addresses-per-interface", "ipv6-supported"),
            *("maximum-network-cards", "maximum-network-interfaces", "network-performance"),
        )
    },
    **dict.fromkeys(
        (
            *("ebs-info.attachment-limit-type", "ebs-info.maximum-ebs-attachments"),
            *(
                f"ebs-info.ebs-optimized-info.{kind}-{unit}"
                for kind in ("baseline", "maximum")
                for unit in ("bandwidth-in-mbps", "iops", "throughput-in-mbps")
            ),
            *("network-info.bandwidth-weightings", "nitro-tpm-info.supported-versions"),
            *("network-info.efa-info.maximum-efa-interfaces", "reboot-migration-support"),
            *("network-info.flexible-ena-queues-support", "processor-info.supported-features"),
            "processor-info.sustained-clock-speed-in-ghz",
        )
    ),
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
    """List the instance types, also in Eucalyptus' form; smallest first, but by name in pages."""
    types = current_types(call.cloud.state)
    for name in instance_types:
        _refuse_unknown(name, types)
    rows = [_to_api(each) for each in types.values() if each.name in (instance_types or types)]
    rows = select(rows, filters, FILTERS)
    page_rows, token = rows, None
    if max_results or next_token:
        page_rows, token = page(rows, _type_name, max_results, next_token, most=100)
    capacities = {row.type: row for row in call.cloud.capacity.table()}
    details = [_to_euca_api(call, capacities[_type_name(row)]) for row in page_rows]
    return {"instance_types": page_rows, "instance_type_details": details, "next_token": token}


@action(admin=True, ignored=["force"])
def modify_instance_type_attribute(
    call: Call,
    *,
    name: str,
    cpu: int | None = None,
    memory: int | None = None,
    disk: int | None = None,
    network_interfaces: int = 1,
    reset: bool = False,
) -> Result:
    """Change the sizes of a type, or reset them to the defaults; Eucalyptus' own action."""
    state = call.cloud.state
    members = {"Cpu": ("vcpus", cpu), "Memory": ("memory_mb", memory), "Disk": ("disk_gb", disk)}
    changes = {key: value for key, value in members.items() if value[1] is not None}
    for parameter, (column, value) in changes.items():
        least, most = LIMITS[column]
        if not least <= int(value or 0) <= most:
            reason = f"Give a number from {least} to {most}."
            raise InvalidParameterValue(parameter=parameter, value=value, reason=reason)
    if network_interfaces != 1:
        reason = "Every instance has one network interface."
        raise InvalidParameterValue(
            parameter="NetworkInterfaces", value=network_interfaces, reason=reason
        )
    if reset and changes:
        reason = "Reset gives a type the sizes that it came with; leave out Cpu, Memory and Disk."
        raise InvalidParameterCombination(reason=reason)
    with state.transaction():
        before = current_types(state)
        _refuse_unknown(name, before)
        if reset:
            restore_default(state, name)
        elif changes:
            change(state, name, **{column: int(value or 0) for column, value in changes.values()})
        after = current_types(state)[name]
    return {
        "previous_instance_type": _sizes_to_api(before[name]),
        "instance_type": _sizes_to_api(after),
    }


@action()
def describe_instance_type_offerings(
    call: Call,
    *,
    location_type: str = "region",
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List every instance type as offered in the region and its zone."""
    config = call.cloud.config.cloud
    places = dict(
        zip(
            LOCATIONS, (config.region, config.zone, default_vpc.zone_id(config.region)), strict=True
        )
    )
    if location_type not in places:
        reason = f"Choose one of {', '.join(LOCATIONS)}."
        raise InvalidParameterValue(
            parameter="LocationType", value=location_type[:60], reason=reason
        )
    place = {"location_type": location_type, "location": places[location_type]}
    names = current_types(call.cloud.state)
    rows = select([{"instance_type": name, **place} for name in names], filters, OFFERING_FILTERS)
    offerings, token = page(rows, _type_name, max_results, next_token)
    return {"instance_type_offerings": offerings, "next_token": token}


def _type_name(row: Mapping[str, object]) -> str:
    return str(row["instance_type"])


def _to_api(instance_type: InstanceType) -> Result:
    return {
        "instance_type": instance_type.name,
        "current_generation": True,
        "free_tier_eligible": False,
        "supported_usage_classes": ["on-demand"],
        "supported_root_device_types": ["instance-store"],
        "supported_virtualization_types": ["hvm", "paravirtual"],
        "bare_metal": False,
        "hypervisor": "xen",
        "processor_info": {"supported_architectures": list(architecture.HOST.ec2)},
        "v_cpu_info": {
            "default_v_cpus": instance_type.vcpus,
            "default_cores": instance_type.vcpus,
            "default_threads_per_core": 1,
            "valid_cores": [instance_type.vcpus],
            "valid_threads_per_core": [1],
        },
        "memory_info": {"size_in_mi_b": instance_type.memory_mb},
        "instance_storage_supported": True,
        "instance_storage_info": {
            "total_size_in_gb": instance_type.disk_gb,
            "disks": [{"size_in_gb": instance_type.disk_gb, "count": 1, "type": "hdd"}],
            "nvme_support": "unsupported",
            "encryption_support": "unsupported",
        },
        "ebs_info": {
            "ebs_optimized_support": "unsupported",
            "encryption_support": "unsupported",
            "nvme_support": "unsupported",
        },
        "network_info": {
            "network_performance": "Low",
            "maximum_network_interfaces": 1,
            "maximum_network_cards": 1,
            "default_network_card_index": 0,
            "network_cards": [
                {
                    "network_card_index": 0,
                    "network_performance": "Low",
                    "maximum_network_interfaces": 1,
                }
            ],
            "ipv4_addresses_per_interface": 1,
            "ipv6_addresses_per_interface": 0,
            "ipv6_supported": False,
            "ena_support": "unsupported",
            "efa_supported": False,
            "encryption_in_transit_supported": False,
        },
        "placement_group_info": {"supported_strategies": []},
        "hibernation_supported": False,
        "burstable_performance_supported": False,
        "dedicated_hosts_supported": False,
        "auto_recovery_supported": False,
        "supported_boot_modes": ["legacy-bios" if architecture.HOST.has_bios else "uefi"],
        "nitro_enclaves_support": "unsupported",
        "nitro_tpm_support": "unsupported",
    }


def _to_euca_api(call: Call, capacity: TypeCapacity) -> Result:
    zone = call.cloud.config.cloud.zone
    sizes = InstanceType(capacity.type, capacity.vcpus, capacity.memory_mb, capacity.disk_gb)
    counts = {"available": capacity.free, "max": capacity.max, "zone_name": zone}
    return {**_sizes_to_api(sizes), "availability": [counts]}


def _sizes_to_api(instance_type: InstanceType) -> Result:
    return {
        "name": instance_type.name,
        "cpu": instance_type.vcpus,
        "memory": instance_type.memory_mb,
        "disk": instance_type.disk_gb,
        "network_interfaces": 1,
    }


def _refuse_unknown(name: str, types: Iterable[str]) -> None:
    if name not in types:
        raise InvalidInstanceType(type=name[:60], known=", ".join(types))
