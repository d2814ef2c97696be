"""Images are registered, found by who may see them, changed and taken off the list."""

import json
from typing import Any

import pytest

from eucabox import errors
from eucabox.hypervisor import architecture
from eucabox.hypervisor.architecture import AARCH64, X86_64, Architecture
from tests.actions.stand_ins import ADMIN, ALICE, BOB, World


def found(world: World, caller: Any = ALICE, **params: Any) -> list[str]:
    return [each["image_id"] for each in world.do("DescribeImages", caller, **params)["images"]]


def test_a_registered_image_is_described(world: World) -> None:
    kernel = world.image(image_type="kernel")
    image_id = world.do(
        "RegisterImage",
        image_location="bucket/i.manifest.xml",
        name="mine",
        description="d",
        kernel_id=kernel,
        virtualization_type="paravirtual",
        block_device_mappings=[{"device_name": "sda2", "virtual_name": "ephemeral0"}],
        tag_specifications=[{"resource_type": "image", "tags": [{"key": "a", "value": "b"}]}],
    )["image_id"]
    (image,) = world.do("DescribeImages", image_ids=[image_id])["images"]
    assert image["image_location"] == "bucket/i.manifest.xml"
    assert image["root_device_type"] == "instance-store"
    assert image["public"] is False
    assert image["owner_id"] == ALICE.account_id
    assert image["kernel_id"] == kernel
    assert image["hypervisor"] == "kvm"
    assert image["tags"] == [{"key": "a", "value": "b"}]
    assert image["state_reason"] is None


def test_tags_of_a_public_image_are_its_owners(world: World) -> None:
    public = world.image(is_public=1)
    world.do("CreateTags", resources=[public], tags=[{"key": "customer", "value": "secret"}])
    seen = {
        caller.user_name: world.do("DescribeImages", caller, image_ids=[public])["images"][0]
        for caller in (ALICE, BOB, ADMIN)
    }
    assert {name: len(image["tags"]) for name, image in seen.items()} == {
        ALICE.user_name: 1,
        BOB.user_name: 0,
        ADMIN.user_name: 1,
    }
    filters = [{"name": "tag:customer", "values": ["secret"]}]
    assert found(world, BOB, filters=filters) == []
    assert found(world, filters=filters) == [public]


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"image_location": ""}, "ImageLocation"),
        ({"architecture": "sparc"}, "Architecture"),
        ({"virtualization_type": "container"}, "VirtualizationType"),
        ({"name": "x" * 129}, "between 3 and 128"),
        ({"name": "ab"}, "between 3 and 128"),
        ({"name": "tab\there"}, "between 3 and 128"),
        ({"name": "\u00e9tude"}, "between 3 and 128"),
        ({"name": "star*"}, "between 3 and 128"),
        (
            {"block_device_mappings": [{"device_name": "/dev/sdb", "virtual_name": "ephemeral0"}]},
            "/dev/sdb: the devices of an instance are fixed",
        ),
        ({"block_device_mappings": [{"device_name": "sda2", "no_device": ""}]}, "are fixed"),
        (
            {
                "virtualization_type": "hvm",
                "block_device_mappings": [{"device_name": "sda2", "virtual_name": "ephemeral0"}],
            },
            "are fixed",
        ),
        ({"kernel_id": "eki-00000000"}, "eki-00000000"),
        ({"kernel_id": "nothing"}, "nothing"),
        ({"block_device_mappings": [{"device_name": "sda", "ebs": {"snapshot_id": "s"}}]}, "EBS"),
        ({"boot_mode": "floppy"}, "BootMode"),
        ({"tpm_support": "v2.0"}, "TpmSupport"),
    ],
)
def test_a_bad_registration_is_refused(world: World, params: dict[str, Any], word: str) -> None:
    with pytest.raises(errors.Fault, match=word):
        world.do("RegisterImage", **{"image_location": "b/k", **params})
    assert found(world) == []


def test_who_sees_which_image(world: World) -> None:
    mine, public = world.image(), world.image(ADMIN, is_public=1)
    hidden = world.image(BOB)
    gone = world.image(state="deregistered")
    assert found(world) == sorted([mine, public])
    assert found(world, owners=["self"]) == found(world, owners=[ALICE.account_id]) == [mine]
    assert found(world, owners=["amazon"]) == []
    assert found(world, owners=[ADMIN.account_id]) == [public]
    assert found(world, executable_users=["self"]) == sorted([mine, public])
    assert found(world, executable_users=["all"]) == [public]
    assert found(world, image_ids=[public]) == [public]
    assert found(world, ADMIN) == [public]
    assert found(world, ADMIN, image_ids=["verbose"]) == sorted([mine, public, hidden])
    for image_id in (hidden, gone, "emi-00000000"):
        with pytest.raises(errors.ImageNotFound):
            found(world, image_ids=[image_id])
    with pytest.raises(errors.ImageIdMalformed):
        found(world, image_ids=["emi-12"])


def test_filters_find_images(world: World) -> None:
    kernel = world.image(image_type="kernel", name="vmlinuz")
    image = world.image(state="failed", state_reason="part 3 is damaged", kernel_id=kernel)
    for name, value, expected in (
        ("image-type", "kernel", [kernel]),
        ("kernel-id", kernel, [image]),
        ("is-public", "false", sorted([kernel, image])),
        ("name", "vm*", [kernel]),
        ("state", "failed", [image]),
        ("state-reason-message", "*damaged", [image]),
        ("root-device-type", "ebs", []),
        ("block-device-mapping.snapshot-id", "*", []),
    ):
        assert found(world, filters=[{"name": name, "values": [value]}]) == expected


def test_a_failed_image_says_why(world: World) -> None:
    world.image(state="failed", state_reason="part 3 is damaged")
    (image,) = world.do("DescribeImages")["images"]
    assert image["state_reason"]["message"] == "part 3 is damaged"


def test_an_image_is_made_public_and_private(world: World) -> None:
    image_id = world.image()
    add = {"launch_permission": {"add": [{"group": "all"}]}}
    with pytest.raises(errors.ImageNotFound):
        world.do("ModifyImageAttribute", BOB, image_id=image_id, **add)
    world.do("ModifyImageAttribute", image_id=image_id, **add)
    shown = world.do("DescribeImageAttribute", image_id=image_id, attribute="launchPermission")
    assert shown["launch_permissions"] == [{"group": "all"}]
    assert found(world, BOB) == [image_id]
    with pytest.raises(errors.ImageNotYours) as refused:
        world.do("DeregisterImage", BOB, image_id=image_id)
    assert refused.value.code == "AuthFailure"
    world.do("ResetImageAttribute", image_id=image_id, attribute="launchPermission")
    assert found(world, BOB) == []
    older = {"attribute": "launchPermission", "operation_type": "add", "user_groups": ["all"]}
    world.do("ModifyImageAttribute", image_id=image_id, **older)
    world.do("ModifyImageAttribute", image_id=image_id, description={"value": "new"})
    (image,) = world.do("DescribeImages")["images"]
    assert (image["public"], image["description"]) == (True, "new")
    with pytest.raises(errors.MissingParameter):
        world.do("ModifyImageAttribute", image_id=image_id)


def test_a_deregistered_image_is_gone(world: World) -> None:
    image_id = world.image()
    world.do("DeregisterImage", image_id=image_id)
    assert found(world) == []
    with pytest.raises(errors.ImageNotFound):
        world.do("DeregisterImage", image_id=image_id)


@pytest.mark.parametrize(
    "attribute", ["description", "kernel", "ramdisk", "blockDeviceMapping", "productCodes"]
)
def test_attributes_are_shown(world: World, attribute: str) -> None:
    answer = world.do("DescribeImageAttribute", image_id=world.image(), attribute=attribute)
    assert len(answer) == 2


def test_an_unknown_attribute_is_refused(world: World) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="launchPermission"):
        world.do("DescribeImageAttribute", image_id=world.image(), attribute="colour")


def test_an_image_says_how_its_instances_are_made(world: World) -> None:
    image_id = world.do("RegisterImage", image_location="b/k", boot_mode="uefi")["image_id"]
    (image,) = world.do("DescribeImages", image_ids=[image_id])["images"]
    assert image["boot_mode"] == "uefi"
    world.do("ModifyImageAttribute", image_id=image_id, attribute="seed", value="nocloud")
    shown = world.do("DescribeImageAttribute", image_id=image_id, attribute="seed")
    assert shown["seed"] == {"value": "nocloud"}
    shown = world.do("DescribeImageAttribute", image_id=image_id, attribute="bootMode")
    assert shown["boot_mode"] == {"value": "uefi"}
    world.do("ModifyImageAttribute", image_id=image_id, attribute="bootMode", value="")
    assert world.do("DescribeImages")["images"][0]["boot_mode"] is None


def test_only_the_owner_of_a_machine_image_sets_known_words(world: World) -> None:
    public, kernel = world.image(is_public=1), world.image(image_type="kernel")
    change = {"attribute": "diskBus", "value": "ide"}
    with pytest.raises(errors.ImageNotYours):
        world.do("ModifyImageAttribute", BOB, image_id=public, **change)
    world.do("ModifyImageAttribute", ADMIN, image_id=public, **change)
    with pytest.raises(errors.InvalidParameterValue, match="kernel image"):
        world.do("ModifyImageAttribute", image_id=kernel, **change)
    with pytest.raises(errors.InvalidParameterValue, match="Choose one of scsi, virtio, ide"):
        world.do("ModifyImageAttribute", image_id=public, attribute="diskBus", value="usb")


def test_the_metadata_of_a_guest_that_is_seeded_from_a_cdrom_is_closed(world: World) -> None:
    image_id = world.image(settings='{"seed": "nocloud"}')
    (made,) = world.run(image_id=image_id)["instances"]
    assert made["metadata_options"]["http_endpoint"] == "disabled"
    opened = {"http_endpoint": "enabled"}
    (made,) = world.run(image_id=image_id, metadata_options=opened)["instances"]
    assert made["metadata_options"]["http_endpoint"] == "enabled"


def test_both_verbs_show_the_devices_that_instances_have(world: World) -> None:
    mapping = {"ami": "sda1", "root": "/dev/sda1", "ephemeral0": "/dev/sdb", "swap": "sda3"}
    members = json.dumps({"block_device_mapping": mapping})
    image_id = world.image(settings=members, virtualization_type="paravirtual")
    right = [
        {"virtual_name": "ami", "device_name": "sda1"},
        {"virtual_name": "root", "device_name": "/dev/sda1"},
        {"virtual_name": "swap", "device_name": "sda3"},
    ]
    params = {"image_id": image_id, "attribute": "blockDeviceMapping"}
    assert world.do("DescribeImageAttribute", **params)["block_device_mappings"] == right
    (image,) = world.do("DescribeImages", image_ids=[image_id])["images"]
    assert image["block_device_mappings"] == right
    name = "block-device-mapping.device-name"
    assert found(world, filters=[{"name": name, "values": ["sda3"]}]) == [image_id]
    assert found(world, filters=[{"name": name, "values": ["/dev/sdb"]}]) == []


@pytest.mark.parametrize("name", ["abc", "x" * 128, "A (b) [c] d.e/f-g'h@i_j"])
def test_the_names_that_aws_takes_are_taken(world: World, name: str) -> None:
    image_id = world.do("RegisterImage", image_location="b/k", name=name)["image_id"]
    (image,) = world.do("DescribeImages", image_ids=[image_id])["images"]
    assert image["name"] == name


def test_a_copy_is_made_in_the_one_region(world: World) -> None:
    source = {"source_image_id": world.image(), "name": "copy"}
    with pytest.raises(errors.InvalidParameterValue, match="has one region"):
        world.do("CopyImage", source_region="us-east-1", **source)
    assert world.do("CopyImage", source_region="eucabox", **source)["image_id"]
    with pytest.raises(errors.ImageNameMalformed):
        world.do("CopyImage", **{**source, "name": "x"})


@pytest.mark.parametrize(
    ("host", "words"),
    [(X86_64, "Choose one of i386, x86_64"), (AARCH64, "Choose one of arm64")],
    ids=["x86_64", "aarch64"],
)
def test_an_image_is_registered_for_the_processor_of_the_host_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, host: Architecture, words: str
) -> None:
    other = AARCH64 if host is X86_64 else X86_64
    monkeypatch.setattr(architecture, "HOST", host)
    with pytest.raises(errors.InvalidParameterValue, match=words):
        world.do("RegisterImage", image_location="b/k", architecture=other.ec2[-1])


@pytest.mark.parametrize("host", [AARCH64], ids=["aarch64"])
def test_an_image_for_aarch64_boots_by_no_bios(
    world: World, monkeypatch: pytest.MonkeyPatch, host: Architecture
) -> None:
    monkeypatch.setattr(architecture, "HOST", host)
    with pytest.raises(errors.InvalidParameterValue, match="Choose one of uefi, uefi-preferred"):
        world.do("RegisterImage", image_location="b/k", boot_mode="legacy-bios")
