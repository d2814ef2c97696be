"""Every filter of every Describe verb finds what the answer shows, and nothing else."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from eucabox import errors, ids
from eucabox.ec2 import default_vpc
from eucabox.ec2.filters import get_dotted
from tests.actions.ec2.test_bundles import storage
from tests.actions.stand_ins import ADMIN, ALICE, World
from tests.rows import add_profile

# As in test_documented_filters: all that AWS documents, or euca2ools lets a user type.
DOCUMENTED: dict[str, list[str]] = json.loads(
    (Path(__file__).parents[1] / "filters.json").read_text()
)  # fmt: skip
# Each verb's list, and the member that names one of it.
LISTS = {
    "DescribeAddresses": ("addresses", "public_ip"),
    "DescribeAvailabilityZones": ("availability_zones", "zone_name"),
    "DescribeBundleTasks": ("bundle_tasks", "bundle_id"),
    "DescribeDhcpOptions": ("dhcp_options", "dhcp_options_id"),
    "DescribeIamInstanceProfileAssociations": (
        "iam_instance_profile_associations",
        "association_id",
    ),
    "DescribeImages": ("images", "image_id"),
    "DescribeInstanceStatus": ("instance_statuses", "instance_id"),
    "DescribeInstanceTypeOfferings": ("instance_type_offerings", "instance_type"),
    "DescribeInstanceTypes": ("instance_types", "instance_type"),
    "DescribeInstances": ("instances", "instance_id"),
    "DescribeInternetGateways": ("internet_gateways", "internet_gateway_id"),
    "DescribeKeyPairs": ("key_pairs", "key_pair_id"),
    "DescribeNetworkAcls": ("network_acls", "network_acl_id"),
    "DescribeNetworkInterfaces": ("network_interfaces", "network_interface_id"),
    "DescribeRegions": ("regions", "region_name"),
    "DescribeRouteTables": ("route_tables", "route_table_id"),
    "DescribeSecurityGroupRules": ("security_group_rules", "security_group_rule_id"),
    "DescribeSecurityGroups": ("security_groups", "group_id"),
    "DescribeSubnets": ("subnets", "subnet_id"),
    "DescribeTags": ("tags", "id"),
    "DescribeVpcs": ("vpcs", "vpc_id"),
}
# Where the answer has what a filter is about, if not at the filter's own name.
PATHS: dict[str, dict[str, str]] = {
    "DescribeBundleTasks": {
        "error-code": "bundle_task_error.code",
        "error-message": "bundle_task_error.message",
        "s3-bucket": "storage.s3.bucket",
        "s3-prefix": "storage.s3.prefix",
    },
    "DescribeImages": {
        "is-public": "public",
        "manifest-location": "image_location",
        "owner-id": "owner_id",
        "product-code": "product_codes.product_code_id",
        "product-code.type": "product_codes.product_code_type",
        "state-reason-code": "state_reason.code",
        "state-reason-message": "state_reason.message",
    },
    "DescribeInstanceStatus": {
        "instance-state-code": "instance_state.code",
        "instance-state-name": "instance_state.name",
        "instance-status.reachability": "instance_status.details.status",
        "system-status.reachability": "system_status.details.status",
        "event.code": "events.code",
    },
    "DescribeInstanceTypes": {
        "instance-storage-info.disk.count": "instance_storage_info.disks.count",
        "instance-storage-info.disk.size-in-gb": "instance_storage_info.disks.size_in_gb",
        "instance-storage-info.disk.type": "instance_storage_info.disks.type",
        "memory-info.size-in-mib": "memory_info.size_in_mi_b",
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
    },
    "DescribeInstances": {
        "association.ip-owner-id": "network_interfaces.association.ip_owner_id",
        "association.public-ip": "network_interfaces.association.public_ip",
        "availability-zone": "placement.availability_zone",
        "availability-zone-id": "placement.availability_zone_id",
        "dns-name": "public_dns_name",
        "group-id": "reservation.groups.group_id",
        "group-name": "reservation.groups.group_name",
        "instance-state-code": "state.code",
        "instance-state-name": "state.name",
        "instance.group-id": "security_groups.group_id",
        "instance.group-name": "security_groups.group_name",
        "ip-address": "public_ip_address",
        "launch-index": "ami_launch_index",
        "monitoring-state": "monitoring.state",
        "owner-id": "reservation.owner_id",
        "placement-group-name": "placement.group_name",
        "product-code": "product_codes.product_code_id",
        "product-code.type": "product_codes.product_code_type",
        "reason": "state_transition_reason",
        "requester-id": "reservation.requester_id",
        "reservation-id": "reservation.reservation_id",
        "state-reason-code": "state_reason.code",
        "state-reason-message": "state_reason.message",
        "tenancy": "placement.tenancy",
    },
    "DescribeInternetGateways": {
        "attachment.state": "attachments.state",
        "attachment.vpc-id": "attachments.vpc_id",
    },
    "DescribeKeyPairs": {"fingerprint": "key_fingerprint"},
    "DescribeNetworkAcls": {
        "association.association-id": "associations.network_acl_association_id",
        "association.network-acl-id": "associations.network_acl_id",
        "association.subnet-id": "associations.subnet_id",
        "default": "is_default",
        "entry.cidr": "entries.cidr_block",
        "entry.egress": "entries.egress",
        "entry.protocol": "entries.protocol",
        "entry.rule-action": "entries.rule_action",
        "entry.rule-number": "entries.rule_number",
    },
    "DescribeDhcpOptions": {
        "key": "dhcp_configurations.key",
        "value": "dhcp_configurations.values.value",
    },
    "DescribeNetworkInterfaces": {
        "addresses.association.owner-id": "private_ip_addresses.association.ip_owner_id",
        "addresses.association.public-ip": "private_ip_addresses.association.public_ip",
        "addresses.primary": "private_ip_addresses.primary",
        "addresses.private-ip-address": "private_ip_addresses.private_ip_address",
        "addresses.private-ip-addresses": "private_ip_addresses.private_ip_address",
        "attachment.attach.time": "attachment.attach_time",
        "group-id": "groups.group_id",
        "group-name": "groups.group_name",
    },
    "DescribeRouteTables": {
        "association.main": "associations.main",
        "association.route-table-association-id": "associations.route_table_association_id",
        "association.route-table-id": "associations.route_table_id",
        "association.subnet-id": "associations.subnet_id",
        "route.destination-cidr-block": "routes.destination_cidr_block",
        "route.gateway-id": "routes.gateway_id",
        "route.origin": "routes.origin",
        "route.state": "routes.state",
    },
    "DescribeSubnets": {"cidr": "cidr_block", "cidrBlock": "cidr_block"},
    "DescribeVpcs": {
        "cidr": "cidr_block",
        "cidr-block-association.association-id": "cidr_block_association_set.association_id",
        "cidr-block-association.cidr-block": "cidr_block_association_set.cidr_block",
        "cidr-block-association.state": "cidr_block_association_set.cidr_block_state.state",
        "isDefault": "is_default",
    },
}
# In the interface, as DescribeNetworkInterfaces shows it.
OF_INTERFACES = {
    "addresses.association.ip-owner-id": "private_ip_addresses.association.ip_owner_id",
    "addresses.association.public-dns-name": "private_ip_addresses.association.public_dns_name",
    "addresses.association.public-ip": "private_ip_addresses.association.public_ip",
    "addresses.primary": "private_ip_addresses.primary",
    "addresses.private-dns-name": "private_ip_addresses.private_dns_name",
    "addresses.private-ip-address": "private_ip_addresses.private_ip_address",
    "group-id": "groups.group_id",
    "group-name": "groups.group_name",
    "network-interface.id": "network_interface_id",
    "public-dns-name": "association.public_dns_name",
    "source-destination-check": "source_dest_check",
    "tag-key": "tag_set.key",
    "tag-value": "tag_set.value",
}
IP = {
    "cidr": "ip_ranges.cidr_ip",
    "from-port": "from_port",
    "group-id": "user_id_group_pairs.group_id",
    "group-name": "user_id_group_pairs.group_name",
    "ipv6-cidr": "ipv6_ranges.cidr_ipv6",
    "prefix-list-id": "prefix_list_ids.prefix_list_id",
    "protocol": "ip_protocol",
    "to-port": "to_port",
    "user-id": "user_id_group_pairs.user_id",
}
PATHS["DescribeInstances"] |= {
    f"network-interface.{name}": f"interfaces.{path}" for name, path in OF_INTERFACES.items()
}
PATHS["DescribeSecurityGroups"] = {
    f"{way}ip-permission.{name}": f"ip_permissions{egress}.{path}"
    for way, egress in (("", ""), ("egress.", "_egress"))
    for name, path in IP.items()
}


@pytest.fixture
def town(world: World) -> World:
    """A world that has one of everything: of each state, public and hidden, tagged and not."""
    kernel = world.image(image_type="kernel")
    whole = world.image(settings='{"boot_mode": "uefi"}', platform="windows", name="whole")
    root = world.image(kernel_id=kernel, virtualization_type="paravirtual", description="root")
    world.image(state="failed", state_reason="torn", product_codes='["code1"]', is_public=1)
    group = world.do("CreateSecurityGroup", group_name="web", description="w")["group_id"]
    ranges = {"ip_ranges": [{"cidr_ip": "10.0.0.0/8"}], "ipv6_ranges": [{"cidr_ipv6": "fd00::/8"}]}
    rules = [
        {"ip_protocol": "tcp", "from_port": 80, "to_port": 81, **ranges},
        {"ip_protocol": "-1", "user_id_group_pairs": [{"group_id": group}]},
    ]
    world.do("AuthorizeSecurityGroupIngress", group_id=group, ip_permissions=rules)
    world.do("CreateKeyPair", key_name="a", key_type="ed25519")
    add_profile(world.state, ALICE.account_id, "web", path="/team/")
    launches: list[tuple[str, dict[str, Any]]] = [
        ("running", {"image_id": whole, "key_name": "a", "security_group_ids": [group]}),
        (
            "running",
            {
                "network_interfaces": [{"associate_public_ip_address": False}],
                "iam_instance_profile": {"name": "web"},
            },
        ),
        ("stopped", {"image_id": root, "monitoring": {"enabled": True}, "client_token": "t"}),
        ("terminated", {"metadata_options": {"http_tokens": "required"}}),
    ]
    for number, (state, members) in enumerate(launches):
        instance_id = world.run(**members)["instances"][0]["instance_id"]
        world.set_state(instance_id, state)
        if number == 0:
            world.network.heard.add(instance_id)
            params = {"state_reason_code": "Client.X", "state_reason_message": "Client.X: because"}
            world.state.update("instances", {"instance_id": instance_id}, **params)
            tagged = [instance_id, default_vpc.network_interface_id(instance_id), whole, group]
            parts = ("vpc", "subnet", "igw", "rtb", "acl", "dopt")
            tagged += [default_vpc.part_id(each, ALICE.account_id) for each in parts]
            world.do("CreateTags", resources=tagged, tags=[{"key": "colour", "value": "blue"}])
            task = {"instance_id": instance_id, "storage": storage()}
            world.do("BundleInstance", **task)
            params = {"error_code": "Client.Cancelled", "error_message": "cancelled"}
            world.state.update("bundle_tasks", {"instance_id": instance_id}, **params)
    return world


def answer(world: World, verb: str, **members: Any) -> list[dict[str, Any]]:
    more = {"include_all_instances": True} if verb == "DescribeInstanceStatus" else {}
    found = world.do(verb, **members, **more)
    if verb == "DescribeInstances":
        return list(instances(found, world))
    if verb == "DescribeTags":
        return [
            {**each, "id": f"{each['resource_id']} {each['key']}", "tags": [each]}
            for each in found["tags"]
        ]
    if verb == "DescribeInstanceStatus":  # which are the tags of the instance
        tags = {row["instance_id"]: row["tags"] for row in answer(world, "DescribeInstances")}
        return [{**each, "tags": tags[each["instance_id"]]} for each in found["instance_statuses"]]
    return list(found[LISTS[verb][0]])


def instances(found: dict[str, Any], world: World) -> Iterator[dict[str, Any]]:
    """Each instance with its reservation, and its interface as its own verb shows it."""
    every = world.do("DescribeNetworkInterfaces")["network_interfaces"]
    for reservation in found["reservations"]:
        for each in reservation["instances"]:
            own = {inner["network_interface_id"] for inner in each["network_interfaces"]}
            shown = [inner for inner in every if inner["network_interface_id"] in own]
            profile = each["iam_instance_profile"]
            named = profile and {**profile, "name": profile["arn"].rpartition("/")[2]}
            more = {"interfaces": shown, "iam_instance_profile": named}
            yield {**each, "reservation": reservation, **more}


def path_of(verb: str, name: str) -> str:
    if name in ("tag-key", "tag-value"):
        where = "tag_set" if verb == "DescribeNetworkInterfaces" else "tags"
        return f"{where}.{name.removeprefix('tag-')}"
    if found := PATHS.get(verb, {}).get(name):
        return found
    snake = "".join(f"_{each.lower()}" if each.isupper() else each for each in name)
    inner = snake.replace("-", "_")
    if verb == "DescribeInstances" and inner.startswith("network_interface."):
        return inner.replace("network_interface.", "interfaces.", 1)
    return inner


def texts(row: dict[str, Any], path: str) -> set[str]:
    """What a client reads at a path of an answer; nothing where it is empty."""
    found = get_dotted(row, path)
    values = found if isinstance(found, list) else [found]
    return {written(each) for each in values if each not in (None, "")}


def written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return ids.time_text(value.astimezone(UTC))
    return str(value)


def find(world: World, verb: str, name: str, value: str) -> set[str]:
    rows = answer(world, verb, filters=[{"name": name, "values": [value]}])
    return {row[LISTS[verb][1]] for row in rows}


def literal(value: str) -> str:
    return "".join(f"\\{each}" if each in "*?\\" else each for each in value)


@pytest.mark.not_fast
@pytest.mark.parametrize("verb", LISTS)
def test_every_filter_finds_what_is_shown(town: World, verb: str) -> None:
    rows = answer(town, verb)
    for name in [*DOCUMENTED[verb], "tag-key", "tag-value"]:
        check(town, verb, name, rows)


def check(town: World, verb: str, name: str, rows: list[dict[str, Any]]) -> None:
    key, path = LISTS[verb][1], path_of(verb, name)
    shown = {row[key]: texts(row, path) for row in rows}
    for value in sorted(set().union(*shown.values())):
        having = {row for row, values in shown.items() if value in values}
        assert find(town, verb, name, literal(value)) == having, f"{name}={value}"
    having = {row for row, values in shown.items() if values}
    assert find(town, verb, name, "*") == having, f"{name}=*"
    assert find(town, verb, name, "no such value") == set(), name


@pytest.mark.not_fast
@pytest.mark.parametrize("verb", LISTS)
def test_tags_are_found_by_key_and_value(town: World, verb: str) -> None:
    where = "tag_set" if verb == "DescribeNetworkInterfaces" else "tags"
    key = LISTS[verb][1]
    rows = answer(town, verb)
    having = {
        row[key]
        for row in rows
        if "blue" in [tag["value"] for tag in row.get(where) or [] if tag["key"] == "colour"]
    }
    assert find(town, verb, "tag:colour", "blue") == having
    assert find(town, verb, "tag:colour", "red") == set()


def test_the_town_shows_what_the_filters_are_about(town: World) -> None:
    """So that a filter that never matches can't pass by having nothing to find."""
    rows = {verb: answer(town, verb) for verb in LISTS}
    silent = {
        f"{verb} {name}"
        for verb, names in DOCUMENTED.items()
        for name in names
        if not any(texts(row, path_of(verb, name)) for row in rows[verb])
    }
    for case in (
        *("DescribeInstances private-ip-address", "DescribeInstances ip-address"),
        *("DescribeInstances dns-name", "DescribeInstances vpc-id", "DescribeInstances subnet-id"),
        *("DescribeImages boot-mode", "DescribeInstances boot-mode"),
        *("DescribeSubnets availabilityZoneId", "DescribeInstances network-interface.tag-key"),
        "DescribeInstanceStatus instance-status.reachability",
        "DescribeInstances enclave-options.enabled",
        *(f"DescribeInstances iam-instance-profile.{each}" for each in ("arn", "id", "name")),
        "DescribeIamInstanceProfileAssociations state",
        "DescribeSecurityGroups ip-permission.group-name",
    ):
        assert case not in silent


def test_what_an_ended_instance_had_finds_nothing(town: World) -> None:
    ended = next(
        each for each in answer(town, "DescribeInstances") if each["state"]["name"] == "terminated"
    )
    sql = "select private_ip_address from instances where instance_id = ?"
    (row,) = town.state.query(sql, (ended["instance_id"],))
    assert row["private_ip_address"], "the row keeps it until another instance has it"
    for name in ("private-ip-address", "ip-address", "dns-name"):
        assert not find(town, "DescribeInstances", name, row["private_ip_address"])
    vpc_id = default_vpc.vpc_id(ALICE.account_id)
    assert ended["instance_id"] not in find(town, "DescribeInstances", "vpc-id", vpc_id)


def test_an_unknown_filter_is_told_of_tags_too(town: World) -> None:
    for verb in LISTS:
        with pytest.raises(errors.InvalidParameterValue, match="tag:KEY"):
            town.do(verb, ADMIN, filters=[{"name": "colour", "values": ["x"]}])
