"""A member that is not served may say "no": clients send whole structures."""

from typing import Any, get_args, get_origin, is_typeddict

import pytest
from botocore import xform_name
from botocore.model import Shape

from eucabox import actions, errors
from eucabox.actions import perform
from eucabox.validation import to_api_name, type_hints
from tests.actions.stand_ins import ADMIN, World
from tests.actions.test_refusals import MODELS, sensible

EC2 = MODELS["ec2"]
VERBS = sorted(name for service, name in actions.load() if service == "ec2")
KNOWN = [name for name in VERBS if name in EC2.operation_names]
NOTHING = {"boolean": False, "integer": 0, "long": 0, "float": 0.0, "double": 0.0, "blob": b""}


def nothing(shape: Shape, depth: int = 0) -> Any:
    """The value of a shape that asks for nothing; of a structure, with all of its members."""
    if shape.type_name == "structure" and depth < 4:
        members = shape.members.items()
        return {xform_name(name): nothing(inner, depth + 1) for name, inner in members}
    if shape.type_name in ("list", "structure", "map"):
        return [] if shape.type_name == "list" else {}
    return NOTHING.get(shape.type_name, "")


def members(name: str) -> dict[str, Shape]:
    shape = EC2.operation_model(name).input_shape
    found = {xform_name(member): inner for member, inner in shape.members.items()} if shape else {}
    return {member: inner for member, inner in found.items() if member != "dry_run"}


def values(member: str, shape: Shape, hint: Any) -> list[Any]:
    """What asks for nothing in a member: all of it, or each thing that its TypedDict has not."""
    kinds = [hint, *get_args(hint)]
    known = next((each for each in kinds if is_typeddict(each)), None)
    if known is None:
        return [nothing(shape)]
    listed = get_origin(hint) is not None and shape.type_name == "list"
    inner = shape.member if listed else shape
    unserved = {
        xform_name(name): nothing(each)
        for name, each in inner.members.items()
        if xform_name(name) not in known.__annotations__
    }
    return [[unserved] if listed else unserved]


@pytest.mark.not_fast
@pytest.mark.parametrize("name", KNOWN)
def test_no_member_is_refused_for_asking_nothing(world: World, name: str) -> None:
    found = actions.ACTIONS[("ec2", name)]
    hints = type_hints(found.function)
    for member, shape in members(name).items():
        for value in values(member, shape, hints.get(member)):
            params = {**sensible(world, found.required), member: value}
            try:
                perform("ec2", name, world.call(ADMIN), params)
            except errors.UnsupportedParameter as fault:
                pytest.fail(f"{member}={value!r}: {fault.message}")
            except errors.Fault:
                pass  # the rest of the request is no better than it needs to be


def ebs(**members: Any) -> dict[str, Any]:
    return {"block_device_mappings": [{"device_name": "/dev/sda1", "ebs": members}]}


ASKS_NOTHING: list[dict[str, Any]] = [
    {"enclave_options": {"enabled": False}},
    {"iam_instance_profile": {"name": ""}},
    {"iam_instance_profile": {"arn": "", "name": ""}},
    {"hibernation_options": {"configured": False}},
    {"maintenance_options": {"auto_recovery": "default"}},
    {"maintenance_options": {"auto_recovery": "disabled"}},
    {"private_dns_name_options": {"hostname_type": "ip-name"}},
    {"private_dns_name_options": {"enable_resource_name_dns_aaaa_record": False}},
    {"capacity_reservation_specification": {"capacity_reservation_preference": "open"}},
    {"capacity_reservation_specification": {"capacity_reservation_preference": "none"}},
    {"credit_specification": {"cpu_credits": "standard"}},
    {"network_performance_options": {"bandwidth_weighting": "default"}},
    {"cpu_options": {"amd_sev_snp": "disabled"}},
    {"placement": {"group_name": "", "host_id": "", "partition_number": 0, "affinity": "default"}},
    {"placement": {"availability_zone": "", "tenancy": "", "availability_zone_id": ""}},
    {"network_interfaces": [{"device_index": 0, "interface_type": "interface"}]},
    {"network_interfaces": [{"device_index": 0, "network_card_index": 0, "primary_ipv6": False}]},
    {"network_interfaces": [{"ipv6_address_count": 0, "secondary_private_ip_address_count": 0}]},
    {"network_interfaces": [{"ipv4_prefix_count": 0, "ipv6_prefix_count": 0}]},
    {"network_interfaces": [{"private_ip_address": "", "network_interface_id": ""}]},
    {"network_interfaces": [{"ena_srd_specification": {"ena_srd_enabled": False}}]},
    {"ipv6_address_count": 0, "enable_primary_ipv6": False, "private_ip_address": ""},
    {"license_specifications": [], "elastic_gpu_specification": [], "launch_template": {}},
    {"instance_market_options": {"market_type": ""}},
    {"metadata_options": {"http_tokens": "", "http_protocol_ipv6": "disabled"}},
    {"instance_type": "", "instance_initiated_shutdown_behavior": "", "kernel_id": ""},
    {"ebs_optimized": False, "subnet_id": "", "user_data": "", "key_name": ""},
    ebs(),
    ebs(encrypted=False, iops=0, snapshot_id="", kms_key_id=""),
]


@pytest.mark.parametrize("params", ASKS_NOTHING, ids=str)
def test_a_launch_takes_what_asks_for_nothing(world: World, params: dict[str, Any]) -> None:
    (instance,) = world.run(**params)["instances"]
    assert instance["state"]["name"] == "pending"


ASKS_SOMETHING: list[dict[str, Any]] = [
    {"enclave_options": {"enabled": True}},
    {"hibernation_options": {"configured": True}},
    {"private_dns_name_options": {"hostname_type": "resource-name"}},
    {"capacity_reservation_specification": {"capacity_reservation_preference": "only"}},
    {"placement": {"group_name": "near"}},
    {"placement": {"tenancy": "host"}},
    {"placement": {"availability_zone_id": "elsewhere-az1"}},
    {"network_interfaces": [{"device_index": 0, "interface_type": "efa"}]},
    {"network_interfaces": [{"secondary_private_ip_address_count": 1}]},
    {"instance_market_options": {"market_type": "spot"}},
    {"credit_specification": {"cpu_credits": "unlimited"}},
    ebs(volume_size=8),
]


@pytest.mark.parametrize("params", ASKS_SOMETHING, ids=str)
def test_a_launch_refuses_by_name_what_is_not_served(world: World, params: dict[str, Any]) -> None:
    with pytest.raises((errors.UnsupportedOperation, errors.UnsupportedParameter,
                        errors.InvalidParameterValue)):  # fmt: skip
        world.run(**params)


def test_the_request_that_packer_sends_is_served(world: World) -> None:
    """As its builders launch a source instance, with all that their user did not set."""
    group = world.do("CreateSecurityGroup", group_name="packer_1", description="Temporary group")
    world.do("CreateKeyPair", key_name="packer_1", key_type="ed25519")
    tags = [{"key": "Name", "value": "Packer Builder"}]
    kinds = ("instance", "network-interface", "volume")
    answer = world.run(
        user_data="",
        iam_instance_profile={"name": ""},
        placement={"availability_zone": ""},
        ebs_optimized=False,
        enclave_options={"enabled": False},
        credit_specification={"cpu_credits": "standard"},
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "optional",
            "http_put_response_hop_limit": 1,
        },
        block_device_mappings=[
            {"device_name": f"xvdc{letter}", "no_device": ""} for letter in "abc"
        ],
        tag_specifications=[{"resource_type": kind, "tags": tags} for kind in kinds],
        key_name="packer_1",
        subnet_id="",
        security_group_ids=[group["group_id"]],
    )
    (instance,) = answer["instances"]
    assert instance["tags"] == tags
    assert instance["security_groups"][0]["group_name"] == "packer_1"


@pytest.mark.not_fast
def test_attributes_are_left_as_they_are_by_what_asks_for_nothing(world: World) -> None:
    instance_id = world.run()["instances"][0]["instance_id"]
    for params in (
        {"enclave_options": {"enabled": False}},
        {"sriov_net_support": {"value": ""}},
        {"kernel": {"value": ""}},
        {"ramdisk": {"value": ""}},
        {"instance_initiated_shutdown_behavior": {"value": ""}},
        {"ena_support": {"value": False}},
        {"source_dest_check": {"value": True}},
        {"attribute": "blockDeviceMapping", "value": ""},
    ):
        answer = world.do("ModifyInstanceAttribute", instance_id=instance_id, **params)
        assert answer == {"return": True}, params


def test_parameters_have_their_names_of_the_api_in_messages(world: World) -> None:
    for name in KNOWN:
        shape = EC2.operation_model(name).input_shape
        for member in shape.members if shape else ():
            assert to_api_name(xform_name(member)) == member
    with pytest.raises(errors.InvalidParameterValue) as caught:
        world.run(metadata_options={"http_put_response_hop_limit": 65})
    assert "MetadataOptions.HttpPutResponseHopLimit" in caught.value.message
    instance_id = world.run()["instances"][0]["instance_id"]
    with pytest.raises(errors.MissingParameter, match=r"Storage\.S3\.UploadPolicy\."):
        storage = {"s3": {"aws_access_key_id": "a", "bucket": "b", "prefix": "c"}}
        world.do("BundleInstance", instance_id=instance_id, storage=storage)
