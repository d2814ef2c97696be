"""RunInstances honours, refuses or repeats what it is asked, and writes whole rows or none."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eucabox import errors, steady_clock
from eucabox.actions import Call
from eucabox.ec2 import default_vpc
from eucabox.hypervisor import architecture
from eucabox.hypervisor.architecture import AARCH64, X86_64, Architecture
from eucabox.network import GuestAddress
from tests.actions.stand_ins import ADMIN, ALICE, BOB, World


def row_of(world: World, reservation: dict[str, Any]) -> dict[str, Any]:
    instance_id = reservation["instances"][0]["instance_id"]
    row = world.state.one("select * from instances where instance_id = ?", (instance_id,))
    assert row is not None
    return row


def count(world: World) -> int:
    return int(world.state.query("select count(*) as n from instances")[0]["n"])


def test_a_launch_is_a_pending_row_and_the_node_is_woken(world: World) -> None:
    reservation = world.run()
    row = row_of(world, reservation)
    assert (row["state"], row["state_code"], row["wanted"]) == ("pending", 0, "")
    assert (row["vcpus"], row["memory_mb"], row["disk_gb"]) == (1, 128, 1)
    assert row["domain_uuid"].startswith("ec2")
    assert row["mac_address"] == "d0:0d:ac:1e:40:04"
    assert row["private_ip_address"] == "172.30.64.4"
    assert row["user_data"] is None
    assert row["state_time"] == row["launch_time"]
    assert steady_clock.seconds_since(row["state_clock"], row["state_time"]) < 60
    assert world.node.woken == 1


def test_an_address_that_somebody_else_gives_comes_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def assign(taken: set[str], instance_id: str) -> GuestAddress:
        asked.append(instance_id)
        return GuestAddress(f"d0:0d:00:00:00:{len(asked):02x}", "", "")

    monkeypatch.setattr(world.network, "assign", assign)
    made = world.run(min_count=2, max_count=2)["instances"]
    assert [each["instance_id"] for each in made] == asked
    row = row_of(world, {"instances": made})
    assert row["mac_address"] == "d0:0d:00:00:00:01"
    assert (row["private_ip_address"], row["private_dns_name"]) == (None, None)
    reservation = world.do("DescribeInstances", instance_ids=asked[:1])["reservations"][0]
    (shown,) = reservation["instances"]
    assert (shown["private_ip_address"], shown["private_dns_name"]) == (None, "")
    assert (shown["public_ip_address"], shown["public_dns_name"]) == (None, "")
    assert shown["vpc_id"] == default_vpc.vpc_id(ALICE.account_id)
    world.state.update("instances", {"instance_id": asked[0]}, private_ip_address="10.0.0.5")
    chosen = [{"name": "private-ip-address", "values": ["10.0.0.5"]}]
    found = world.do("DescribeInstances", filters=chosen)["reservations"]
    assert [each["instance_id"] for each in found[0]["instances"]] == asked[:1]


def test_every_member_that_is_honoured_is_stored(world: World) -> None:
    world.do("CreateKeyPair", key_name="k", key_type="ed25519")
    kernel = world.image(image_type="kernel")
    image = world.image(
        virtualization_type="paravirtual", kernel_id=world.image(image_type="kernel")
    )
    reservation = world.run(
        image_id=image,
        kernel_id=kernel,
        key_name="k",
        user_data=base64.encodebytes(b"\0binary\xff" * 20).decode(),
        monitoring={"enabled": True},
        disable_api_termination=True,
        placement={"availability_zone": "eucabox-1a", "tenancy": "default"},
        metadata_options={"http_tokens": "required", "http_put_response_hop_limit": 2},
        block_device_mappings=[
            {"device_name": "/dev/sda2", "virtual_name": "ephemeral0"},
            {"device_name": "/dev/sdf", "no_device": ""},
        ],
        tag_specifications=[
            {"resource_type": "instance", "tags": [{"key": "a", "value": "b"}]},
            {"resource_type": "volume", "tags": [{"key": "a", "value": "b"}]},
        ],
    )
    row = row_of(world, reservation)
    assert row["user_data"] == b"\0binary\xff" * 20
    assert row["public_key"].startswith("ssh-ed25519 ")
    assert row["kernel_id"] == kernel
    assert row["monitoring"] == row["disable_api_termination"] == 1
    assert json.loads(row["metadata_options"])["http_tokens"] == "required"
    (instance,) = reservation["instances"]
    assert instance["tags"] == [{"key": "a", "value": "b"}]
    assert instance["metadata_options"]["http_put_response_hop_limit"] == 2
    assert instance["monitoring"] == {"state": "enabled"}


def test_as_many_start_as_there_is_room_for(world: World) -> None:
    reservation = world.run(min_count=1, max_count=100)  # 1024 MiB hold eight of 128
    assert [each["ami_launch_index"] for each in reservation["instances"]] == list(range(8))
    addresses = {each["private_ip_address"] for each in reservation["instances"]}
    assert len(addresses) == 8
    with pytest.raises(errors.InsufficientInstanceCapacity) as caught:
        world.run()
    assert "room for 0 more" in caught.value.message
    world.set_state(reservation["instances"][3]["instance_id"], "terminated")
    again = world.run()["instances"][0]
    assert again["private_ip_address"] == reservation["instances"][3]["private_ip_address"]


def test_too_little_room_for_the_least_starts_none(world: World) -> None:
    with pytest.raises(errors.InsufficientInstanceCapacity):
        world.run(min_count=9, max_count=9)
    assert count(world) == 0
    assert world.state.query("select * from reservations") == []


def test_addresses_bound_a_launch_too(world: World) -> None:
    world.network.subnet = type(world.network.subnet)("172.30.64.0/29")  # three for instances
    assert len(world.run(min_count=1, max_count=5)["instances"]) == 3
    with pytest.raises(errors.InsufficientFreeAddresses):
        world.run()
    assert count(world) == 3


def test_launches_at_once_share_room_and_addresses(world: World) -> None:
    image = world.image()

    def launch(number: int) -> list[str]:
        try:
            made = world.run(image_id=image, min_count=2, max_count=2)
        except errors.InsufficientInstanceCapacity:
            return []
        return [each["private_ip_address"] for each in made["instances"]]

    with ThreadPoolExecutor(6) as pool:
        addresses = [address for found in pool.map(launch, range(6)) for address in found]
    assert len(addresses) == len(set(addresses)) == count(world) == 8


def test_a_request_has_the_digest_that_earlier_versions_stored(world: World) -> None:
    """Or a client that repeats a launch after an upgrade would be told that it changed it."""
    world.state.update("images", {"image_id": world.image()}, image_id="emi-12345678")
    world.run(
        image_id="emi-12345678",
        max_count=2,
        client_token="t",
        user_data="aGk=",
        tag_specifications=[
            {"resource_type": "instance", "tags": [{"key": "a", "value": "b"}]},
        ],
        placement={"tenancy": "default"},
    )
    (row,) = world.state.query("select request_digest from reservations")
    assert row["request_digest"] == (
        "471554d3f0230785ec8dd05a5867024be5d4b73003efe0f0451af979893ef03e"
    )


def test_a_client_token_repeats_the_answer(world: World) -> None:
    image = world.image()
    first = world.run(image_id=image, client_token="t")
    again = world.run(image_id=image, client_token="t")
    assert again["reservation_id"] == first["reservation_id"]
    assert again["instances"][0]["client_token"] == "t"
    assert count(world) == 1
    with pytest.raises(errors.IdempotentParameterMismatch):
        world.run(image_id=image, client_token="t", max_count=2)
    assert world.run(BOB, client_token="t")["reservation_id"] != first["reservation_id"]


def test_a_token_counts_for_its_day_when_the_clock_is_set_forward(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = world.image()
    first = world.run(image_id=image, client_token="t")
    monkeypatch.setattr(Call, "now", lambda self: datetime.now(UTC) + timedelta(days=30))
    again = world.run(image_id=image, client_token="t")
    assert again["reservation_id"] == first["reservation_id"]


def test_a_token_is_free_after_a_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    image = world.image()
    first = world.run(image_id=image, client_token="t")
    later = steady_clock.uptime() + 25 * 3600
    monkeypatch.setattr(steady_clock, "uptime", lambda: later)
    again = world.run(image_id=image, client_token="t", max_count=2)
    assert again["reservation_id"] != first["reservation_id"]


def test_a_token_whose_instances_are_gone_starts_nothing(world: World) -> None:
    image = world.image()
    world.run(image_id=image, client_token="t")
    with world.state.transaction() as database:
        database.conn.execute("delete from instances")
    with pytest.raises(errors.IdempotentInstanceTerminated):
        world.run(image_id=image, client_token="t")


def test_groups_are_named_by_name_by_id_or_by_the_interface(world: World) -> None:
    group = world.do("CreateSecurityGroup", group_name="web", description="d")["group_id"]
    subnet = default_vpc.subnet_id(ALICE.account_id)
    for params in (
        {"security_groups": ["web"]},
        {"security_groups": [group]},
        {"security_group_ids": [group], "subnet_id": subnet},
        {"network_interfaces": [{"device_index": 0, "groups": [group], "subnet_id": subnet}]},
    ):
        (instance,) = world.run(**params)["instances"]
        assert instance["security_groups"] == [{"group_id": group, "group_name": "web"}]
    with pytest.raises(errors.GroupNotFound):
        world.run(security_groups=["other"])
    with pytest.raises(errors.GroupIdMalformed):
        world.run(security_group_ids=["web"])


def test_images_are_launched_by_who_may(world: World) -> None:
    private, public = world.image(ADMIN), world.image(ADMIN, is_public=1)
    world.run(image_id=public)
    with pytest.raises(errors.ImageNotFound):
        world.run(image_id=private)
    with pytest.raises(errors.ImageNotFound):
        world.run(image_id="emi-00000000")
    with pytest.raises(errors.ImageIdMalformed):
        world.run(image_id="picture")


@pytest.mark.parametrize(
    ("host", "of_type", "of_image"),
    [(X86_64, "x86_64", "arm64"), (AARCH64, "arm64", "i386"), (AARCH64, "arm64", "x86_64")],
    ids=lambda value: getattr(value, "name", value),
)
def test_an_image_for_another_processor_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, host: Architecture, of_type: str, of_image: str
) -> None:
    monkeypatch.setattr(architecture, "HOST", host)
    words = f"architecture '{of_type}' of the specified instance type .* '{of_image}'"
    with pytest.raises(errors.ArchitectureMismatch, match=words):
        world.run(image_id=world.image(architecture=of_image))
    assert count(world) == 0


def test_an_image_whose_processor_nobody_knows_is_launched(world: World) -> None:
    world.run(image_id=world.image(architecture="sparc"))


def test_an_image_that_cannot_boot_says_why(world: World) -> None:
    with pytest.raises(errors.ImageUnavailable, match="part 3 is damaged"):
        world.run(image_id=world.image(state="failed", state_reason="part 3 is damaged"))
    with pytest.raises(errors.ImageUnavailable, match="no kernel"):
        world.run(image_id=world.image(virtualization_type="paravirtual"))
    with pytest.raises(errors.InvalidParameterValue, match="kernel image"):
        world.run(image_id=world.image(image_type="kernel"))
    with pytest.raises(errors.InvalidParameterValue, match="give a kernel"):
        world.run(kernel_id=world.image(image_type="ramdisk"))
    with pytest.raises(errors.ImageTooLarge):
        world.run(image_id=world.image(size=3 * 2**30))
    world.run(image_id=world.image(state="pending"))


REFUSED: list[tuple[dict[str, Any], type[errors.Fault], str]] = [
    ({"min_count": 0}, errors.InvalidParameterValue, "MinCount"),
    ({"min_count": 3, "max_count": 2}, errors.InvalidParameterValue, "MinCount"),
    ({"max_count": 10**9}, errors.InvalidParameterValue, "MaxCount"),
    ({"instance_type": "t2.micro"}, errors.InvalidParameterValue, "InstanceType"),
    ({"key_name": "none"}, errors.KeyPairNotFound, "none"),
    ({"user_data": "not base64!"}, errors.UserDataMalformed, "base64"),
    ({"user_data": "YQ"}, errors.UserDataMalformed, "base64"),
    ({"user_data": base64.b64encode(b"x" * 16385).decode()}, errors.InvalidParameterValue, "16384"),
    ({"subnet_id": "subnet-12345678"}, errors.SubnetNotFound, "subnet-12345678"),
    ({"placement": {"availability_zone": "mars"}}, errors.InvalidParameterValue, "eucabox-1a"),
    ({"placement": {"tenancy": "host"}}, errors.UnsupportedOperation, "Tenancy"),
    ({"placement": {"host_id": "h-1"}}, errors.UnsupportedParameter, "Placement.HostId"),
    ({"ebs_optimized": True}, errors.UnsupportedOperation, "EbsOptimized"),
    ({"iam_instance_profile": {"name": "p"}}, errors.InvalidInstanceProfile, "Profile name"),
    ({"private_ip_address": "10.0.0.4"}, errors.UnsupportedParameter, "PrivateIpAddress"),
    ({"launch_template": {"version": "1"}}, errors.UnsupportedParameter, "LaunchTemplate"),
    ({"metadata_options": {"http_tokens": "yes"}}, errors.InvalidParameterValue, "required"),
    (
        {"metadata_options": {"http_put_response_hop_limit": 65}},
        errors.InvalidParameterValue,
        "1 to 64",
    ),
    (
        {"instance_initiated_shutdown_behavior": "stop"},
        errors.UnsupportedOperation,
        "InstanceInitiatedShutdownBehavior",
    ),
    (
        {"block_device_mappings": [{"device_name": "/dev/sdf", "ebs": {"volume_size": 1}}]},
        errors.UnsupportedOperation,
        "/dev/sdf: EBS",
    ),
    (
        {"block_device_mappings": [{"device_name": "/dev/sdb", "virtual_name": "ephemeral0"}]},
        errors.UnsupportedOperation,
        "devices of an instance are fixed",
    ),
    ({"network_interfaces": [{"device_index": 1}]}, errors.UnsupportedOperation, "DeviceIndex 0"),
    ({"network_interfaces": [{}, {}]}, errors.UnsupportedOperation, "DeviceIndex 0"),
    (
        {"network_interfaces": [{"private_ip_address": "10.0.0.4"}]},
        errors.UnsupportedParameter,
        "NetworkInterfaces.1.PrivateIpAddress",
    ),
    (
        {"network_interfaces": [{"groups": ["sg-1"]}], "security_groups": ["default"]},
        errors.InvalidParameterCombination,
        "not both",
    ),
    (
        {"tag_specifications": [{"resource_type": "vpc", "tags": []}]},
        errors.InvalidParameterValue,
        "TagSpecification.ResourceType",
    ),
    ({"client_token": "t" * 65}, errors.InvalidParameterValue, "ClientToken"),
]


@pytest.mark.not_fast
@pytest.mark.parametrize(("params", "fault", "word"), REFUSED)
def test_what_is_not_honoured_is_refused_by_name(
    world: World, params: dict[str, Any], fault: type[errors.Fault], word: str
) -> None:
    with pytest.raises(fault, match=word.replace(".", r"\.")):
        world.run(**params)
    assert count(world) == 0


def test_a_dry_run_starts_nothing(world: World) -> None:
    with pytest.raises(errors.DryRunOperation):
        world.run(dry_run=True)
    assert count(world) == 0
