"""Each attribute of an instance changes, is reset, or is refused by its name."""

import base64
import time
from typing import Any

import pytest

from eucabox import errors
from tests.actions.ec2.test_stop_start import keep_disks
from tests.actions.stand_ins import ADMIN, BOB, World

SCRIPT = "#!/bin/sh\necho hi\n"


def one(world: World, state: str = "running", **params: Any) -> str:
    instance_id = str(world.run(**params)["instances"][0]["instance_id"])
    world.set_state(instance_id, state)
    return instance_id


def change(world: World, instance_id: str, **params: Any) -> None:
    assert world.do("ModifyInstanceAttribute", instance_id=instance_id, **params)["return"]


def told(world: World, instance_id: str, attribute: str) -> dict[str, Any]:
    named = {"instance_id": instance_id, "attribute": attribute}
    answer = world.do("DescribeInstanceAttribute", **named)
    return {name: value for name, value in answer.items() if name != "instance_id"}


@pytest.mark.parametrize(
    ("attribute", "member"),
    [
        ("disableApiTermination", "disable_api_termination"),
        ("disableApiStop", "disable_api_stop"),
    ],
)
def test_protections_change_in_both_forms(world: World, attribute: str, member: str) -> None:
    instance_id = one(world)
    change(world, instance_id, attribute=attribute, value="True")
    assert told(world, instance_id, attribute) == {member: {"value": True}}
    change(world, instance_id, **{member: {"value": False}})
    assert told(world, instance_id, attribute) == {member: {"value": False}}
    with pytest.raises(errors.InvalidParameterValue, match="true or false"):
        change(world, instance_id, attribute=attribute, value="maybe")


def test_groups_change_while_the_instance_runs(world: World) -> None:
    instance_id = one(world)
    made = world.do("CreateSecurityGroup", group_name="web", description="d")["group_id"]
    woken = world.node.woken
    change(world, instance_id, groups=[made])
    assert told(world, instance_id, "groupSet")["groups"] == [
        {"group_id": made, "group_name": "web"}
    ]
    assert world.node.woken > woken
    theirs = world.do("CreateSecurityGroup", BOB, group_name="x", description="d")["group_id"]
    with pytest.raises(errors.GroupNotFound):
        change(world, instance_id, groups=[made, theirs])
    assert len(told(world, instance_id, "groupSet")["groups"]) == 1
    world.do("DeleteSecurityGroup", BOB, group_id=theirs)
    with pytest.raises(errors.GroupInUse):
        world.do("DeleteSecurityGroup", group_id=made)


@pytest.mark.parametrize(
    ("sent", "data"),
    [
        (SCRIPT, SCRIPT.encode()),
        (base64.b64encode(SCRIPT.encode()).decode(), SCRIPT.encode()),
        (base64.encodebytes(bytes(99)).decode(), bytes(99)),
        ("hello", b"hello"),
        ("ab\xe9", b"ab\xc3\xa9"),
        ("ab=c", b"ab=c"),
    ],
)
def test_user_data_changes_in_every_form(world: World, sent: str, data: bytes) -> None:
    instance_id = one(world, "stopped")
    change(world, instance_id, user_data={"value": sent})
    assert told(world, instance_id, "userData")["user_data"]["value"] == (
        base64.b64encode(data).decode()
    )
    change(world, instance_id, attribute="userData", value="")
    assert told(world, instance_id, "userData") == {"user_data": {}}
    with pytest.raises(errors.InvalidParameterValue, match="16384"):
        change(world, instance_id, user_data={"value": "!" * 16385})
    began = time.process_time()
    with pytest.raises(errors.InvalidParameterValue, match="16384"):
        change(world, instance_id, user_data={"value": "\n" * 100_000 + "!"})
    assert time.process_time() - began < 1


def test_a_stopped_instance_takes_another_type_kernel_and_ramdisk(world: World) -> None:
    kernel, ramdisk = world.image(image_type="kernel"), world.image(image_type="ramdisk")
    own = world.image(image_type="kernel")
    image_id = world.image(virtualization_type="paravirtual", kernel_id=own)
    instance_id = one(world, "stopped", image_id=image_id)
    change(world, instance_id, instance_type={"value": "m1.small"})
    change(world, instance_id, kernel={"value": kernel})
    change(world, instance_id, attribute="ramdisk", value=ramdisk)
    assert told(world, instance_id, "instanceType") == {"instance_type": {"value": "m1.small"}}
    assert told(world, instance_id, "kernel") == {"kernel_id": {"value": kernel}}
    assert told(world, instance_id, "ramdisk") == {"ramdisk_id": {"value": ramdisk}}
    row = world.state.one("select vcpus, memory_mb, disk_gb from instances")
    assert row == {"vcpus": 1, "memory_mb": 256, "disk_gb": 1}
    for attribute, value in (("kernel", own), ("ramdisk", "")):
        world.do("ResetInstanceAttribute", instance_id=instance_id, attribute=attribute)
        assert told(world, instance_id, attribute) == {f"{attribute}_id": {"value": value}}
    with pytest.raises(errors.InvalidParameterValue, match="kernel image"):
        change(world, instance_id, ramdisk={"value": kernel})


@pytest.mark.parametrize(
    "params",
    [
        {"instance_type": {"value": "m1.small"}},
        {"attribute": "instanceType", "value": "m1.small"},
    ],
)
def test_another_type_gives_the_sizes_that_the_administrator_set(
    world: World, params: dict[str, Any]
) -> None:
    instance_id = one(world, "stopped", instance_type="m1.tiny")
    world.do("ModifyInstanceTypeAttribute", ADMIN, name="m1.small", cpu=3, memory=640)
    change(world, instance_id, **params)
    row = world.state.one("select vcpus, memory_mb, disk_gb from instances")
    assert row == {"vcpus": 3, "memory_mb": 640, "disk_gb": 1}


@pytest.mark.parametrize(
    "params",
    [
        {"instance_type": {"value": "m1.small"}},
        {"user_data": {"value": "x"}},
        {"attribute": "instanceType", "value": "m1.small"},
    ],
)
def test_a_change_that_needs_a_stopped_instance_is_refused_for_a_running_one(
    world: World, params: dict[str, Any]
) -> None:
    with pytest.raises(errors.IncorrectInstanceState, match="stopped"):
        change(world, one(world), **params)


def test_the_shutdown_behavior_changes_where_stops_are_allowed(world: World) -> None:
    instance_id = one(world)
    stop = {"instance_initiated_shutdown_behavior": {"value": "stop"}}
    with pytest.raises(errors.UnsupportedOperation, match="stop_keeps_disk"):
        change(world, instance_id, **stop)
    keep_disks(world)
    change(world, instance_id, **stop)
    assert told(world, instance_id, "instanceInitiatedShutdownBehavior") == stop
    with pytest.raises(errors.InvalidParameterValue):
        change(world, instance_id, instance_initiated_shutdown_behavior={"value": "sleep"})


@pytest.mark.parametrize(
    "params",
    [
        {"source_dest_check": {"value": True}},
        {"ebs_optimized": {"value": False}},
        {"ena_support": {"value": False}},
        {"enclave_options": {"enabled": False}},
    ],
)
def test_a_value_that_always_holds_is_accepted(world: World, params: dict[str, Any]) -> None:
    change(world, one(world), **params)


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"source_dest_check": {"value": False}}, errors.UnsupportedOperation),
        ({"attribute": "ebsOptimized", "value": "true"}, errors.UnsupportedOperation),
        ({"ena_support": {"value": True}}, errors.UnsupportedOperation),
        ({"enclave_options": {"enabled": True}}, errors.UnsupportedOperation),
        ({"sriov_net_support": {"value": "simple"}}, errors.UnsupportedOperation),
        ({"block_device_mappings": [{"device_name": "sda"}]}, errors.UnsupportedOperation),
        ({"kernel": {"value": "x"}}, errors.ImageIdMalformed),
        ({"instance_type": {"value": "z9"}}, errors.InvalidParameterValue),
        ({"instance_type": {}}, errors.InvalidParameterValue),
        ({"attribute": "rootDeviceName", "value": "x"}, errors.InvalidParameterValue),
        ({"groups": ["web"]}, errors.GroupIdMalformed),
        ({}, errors.MissingParameter),
        (
            {"ena_support": {"value": False}, "disable_api_stop": {"value": True}},
            errors.InvalidParameterCombination,
        ),
    ],
)
def test_an_impossible_change_is_refused(
    world: World, params: dict[str, Any], fault: type[errors.Fault]
) -> None:
    with pytest.raises(fault):
        change(world, one(world), **params)


def test_a_whole_disk_has_no_kernel_to_change(world: World) -> None:
    with pytest.raises(errors.UnsupportedOperation, match="whole disk"):
        change(world, one(world, "stopped"), kernel={"value": world.image(image_type="kernel")})


def test_other_accounts_and_terminated_instances_are_refused(world: World) -> None:
    instance_id = one(world)
    with pytest.raises(errors.InstanceNotFound):
        world.do("ResetInstanceAttribute", BOB, instance_id=instance_id, attribute="kernel")
    with pytest.raises(errors.IncorrectInstanceState):
        world.do("ResetInstanceAttribute", instance_id=instance_id, attribute="kernel")
    with pytest.raises(errors.InvalidParameterValue):
        world.do("ResetInstanceAttribute", instance_id=instance_id, attribute="userData")
    world.do("ResetInstanceAttribute", instance_id=instance_id, attribute="sourceDestCheck")
    world.set_state(instance_id, "terminated")
    with pytest.raises(errors.IncorrectInstanceState):
        change(world, instance_id, disable_api_stop={"value": True})


def test_metadata_options_change_at_once(world: World) -> None:
    instance_id = one(world, metadata_options={"http_put_response_hop_limit": 3})
    answer = world.do(
        "ModifyInstanceMetadataOptions", instance_id=instance_id, http_tokens="required"
    )
    options = answer["instance_metadata_options"]
    assert (options["state"], options["http_tokens"]) == ("applied", "required")
    assert options["http_put_response_hop_limit"] == 3
    (shown,) = world.do("DescribeInstances")["reservations"][0]["instances"]
    assert shown["metadata_options"] == options
    for bad in ({"http_tokens": "maybe"}, {"http_put_response_hop_limit": 65}):
        with pytest.raises(errors.InvalidParameterValue):
            world.do("ModifyInstanceMetadataOptions", instance_id=instance_id, **bad)
