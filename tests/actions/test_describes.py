"""The small verbs that only tell: regions, types, account, identity, console, VPC, attributes."""

import base64
from typing import Any

import pytest

from eucabox import errors
from eucabox.actions import perform
from eucabox.ec2 import default_vpc
from tests.actions.stand_ins import ALICE, BOB, MOMENT, World


def test_the_region_is_where_the_client_reached_it(world: World) -> None:
    (region,) = world.do("DescribeRegions")["regions"]
    assert region["region_name"] == "eucabox-1"
    assert region["endpoint"] == "http://127.0.0.1:8773/services/compute"
    assert world.do("DescribeRegions", filters=[{"name": "region-name", "values": ["us*"]}]) == {
        "regions": []
    }
    with pytest.raises(errors.InvalidParameterValue):
        world.do("DescribeRegions", region_names=["us-east-1"])


def test_types_are_told_in_both_forms(world: World) -> None:
    world.run(instance_type="m1.small")
    answer = world.do("DescribeInstanceTypes", instance_types=["m1.small"])
    (kind,) = answer["instance_types"]
    assert kind["v_cpu_info"]["default_v_cpus"] == 1
    assert kind["memory_info"] == {"size_in_mi_b": 256}
    assert kind["burstable_performance_supported"] is False
    (detail,) = answer["instance_type_details"]
    assert detail == {
        "name": "m1.small",
        "cpu": 1,
        "memory": 256,
        "disk": 2,
        "network_interfaces": 1,
        "availability": [{"available": 3, "max": 4, "zone_name": "eucabox-1a"}],
    }
    with pytest.raises(errors.InvalidInstanceType):
        world.do("DescribeInstanceTypes", instance_types=["t2.micro"])


def test_types_are_paged_and_filtered(world: World) -> None:
    first = world.do("DescribeInstanceTypes", max_results=5)
    rest = world.do("DescribeInstanceTypes", max_results=5, next_token=first["next_token"])
    names = [each["instance_type"] for each in first["instance_types"] + rest["instance_types"]]
    assert sorted(names) == sorted(
        each["instance_type"] for each in world.do("DescribeInstanceTypes")["instance_types"]
    )
    large = [{"name": "memory-info.size-in-mib", "values": ["4096"]}]
    (kind,) = world.do("DescribeInstanceTypes", filters=large)["instance_types"]
    assert kind["instance_type"] == "c1.xlarge"


def test_every_type_is_offered_in_the_zone(world: World) -> None:
    offers = world.do("DescribeInstanceTypeOfferings", location_type="availability-zone")
    assert {each["location"] for each in offers["instance_type_offerings"]} == {"eucabox-1a"}
    with pytest.raises(errors.InvalidParameterValue):
        world.do("DescribeInstanceTypeOfferings", location_type="outpost")


def test_an_account_has_no_elastic_addresses(world: World) -> None:
    def value(name: str) -> str:
        answer = world.do("DescribeAccountAttributes", attribute_names=[name])
        return str(answer["account_attributes"][0]["attribute_values"][0]["attribute_value"])

    assert value("max-elastic-ips") == "0"
    assert value("max-instances") == "8"
    assert value("default-vpc") == default_vpc.vpc_id(ALICE.account_id)
    with pytest.raises(errors.InvalidParameterValue):
        value("colour")


def test_the_caller_is_told_who_it_is(world: World) -> None:
    assert perform("sts", "GetCallerIdentity", world.call(), {}) == {
        "user_id": ALICE.account_id,
        "account": ALICE.account_id,
        "arn": f"arn:aws:iam::{ALICE.account_id}:root",
    }
    with pytest.raises(errors.MissingAuthenticationToken):
        perform("sts", "GetCallerIdentity", world.call(None), {})


def test_console_output_is_base64_of_any_bytes(world: World) -> None:
    instance_id = world.run()["instances"][0]["instance_id"]
    world.node.console[instance_id] = b"login: \xff\0\x1b[0m"
    answer = world.do("GetConsoleOutput", instance_id=instance_id, latest=True)
    assert base64.b64decode(answer["output"]) == b"login: \xff\0\x1b[0m"
    assert answer["timestamp"] == MOMENT
    with pytest.raises(errors.InstanceNotFound):
        world.do("GetConsoleOutput", BOB, instance_id=instance_id)


@pytest.mark.parametrize(
    ("attribute", "answer"),
    [
        ("instanceType", {"instance_type": {"value": "m1.tiny"}}),
        ("kernel", {"kernel_id": {"value": ""}}),
        ("ramdisk", {"ramdisk_id": {"value": ""}}),
        ("userData", {"user_data": {"value": "aGk="}}),
        ("disableApiTermination", {"disable_api_termination": {"value": False}}),
        ("disableApiStop", {"disable_api_stop": {"value": False}}),
        (
            "instanceInitiatedShutdownBehavior",
            {"instance_initiated_shutdown_behavior": {"value": "terminate"}},
        ),
        ("rootDeviceName", {"root_device_name": {"value": "/dev/sda1"}}),
        ("blockDeviceMapping", {"block_device_mappings": []}),
        ("productCodes", {"product_codes": []}),
        ("sourceDestCheck", {"source_dest_check": {"value": True}}),
        ("ebsOptimized", {"ebs_optimized": {"value": False}}),
        ("enaSupport", {"ena_support": {"value": False}}),
        ("sriovNetSupport", {}),
        ("enclaveOptions", {"enclave_options": {"enabled": False}}),
    ],
)
def test_an_instance_tells_one_attribute(
    world: World, attribute: str, answer: dict[str, Any]
) -> None:
    instance_id = world.run(user_data="aGk=")["instances"][0]["instance_id"]
    found = world.do("DescribeInstanceAttribute", instance_id=instance_id, attribute=attribute)
    assert found == {"instance_id": instance_id, **answer}
