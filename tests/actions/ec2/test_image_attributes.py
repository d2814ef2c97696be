"""Who may launch an image, its codes and its copies, as the API tells and changes them."""

from typing import Any

import pytest

from eucabox import errors
from tests.actions.stand_ins import ADMIN, ALICE, BOB, World

GIVEN = {"launch_permission": {"add": [{"user_id": BOB.account_id}]}}


def found(world: World, caller: Any = ALICE, **params: Any) -> list[str]:
    answer = world.do("DescribeImages", caller, **params)
    return [each["image_id"] for each in answer["images"]]


def change(world: World, image_id: str, **params: Any) -> None:
    assert world.do("ModifyImageAttribute", image_id=image_id, **params)["return"]


def permissions(world: World, image_id: str, caller: Any = ALICE) -> Any:
    named = {"image_id": image_id, "attribute": "launchPermission"}
    return world.do("DescribeImageAttribute", caller, **named)["launch_permissions"]


def test_an_image_is_given_to_one_account_and_taken_back(world: World) -> None:
    image_id = world.image()
    change(world, image_id, **GIVEN)
    change(world, image_id, **GIVEN)
    assert permissions(world, image_id) == [{"user_id": BOB.account_id}]
    assert found(world, BOB) == found(world, BOB, executable_users=["self"]) == [image_id]
    assert found(world, BOB, owners=["self"]) == []
    assert found(world, executable_users=[BOB.account_id]) == [image_id]
    assert found(world, BOB, executable_users=[ALICE.account_id]) == []
    launched = world.run(BOB, image_id=image_id)["instances"][0]
    assert launched["image_id"] == image_id
    for name in ("DeregisterImage", "ResetImageAttribute"):
        params = {"attribute": "launchPermission"} if name.startswith("Reset") else {}
        with pytest.raises(errors.ImageNotYours):
            world.do(name, BOB, image_id=image_id, **params)
    change(world, image_id, launch_permission={"remove": [{"user_id": BOB.account_id}]})
    assert found(world, BOB) == []
    with pytest.raises(errors.ImageNotFound):
        world.run(BOB, image_id=image_id)


def test_to_whom_else_it_is_given_is_the_owners_business(world: World) -> None:
    image_id = world.image()
    change(world, image_id, **GIVEN)
    change(world, image_id, launch_permission={"add": [{"user_id": ADMIN.account_id}]})
    assert permissions(world, image_id, BOB) == [{"user_id": BOB.account_id}]
    assert len(permissions(world, image_id, ADMIN)) == 2
    assert found(world, BOB, executable_users=[ADMIN.account_id]) == []


def test_the_older_form_names_users_too(world: World) -> None:
    image_id = world.image()
    older = {"attribute": "launchPermission", "operation_type": "add"}
    number = BOB.account_id
    dashed = f"{number[:4]}-{number[4:8]}-{number[8:]}"
    change(world, image_id, **older, user_ids=[dashed], user_groups=["all"])
    assert permissions(world, image_id) == [{"group": "all"}, {"user_id": number}]
    world.do("ResetImageAttribute", image_id=image_id, attribute="launchPermission")
    assert permissions(world, image_id) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"user_id": "999999999999"},
        {"user_id": "bob"},
        {"user_id": ""},
        {"group": "none"},
        {"group": "all", "user_id": BOB.account_id},
        {},
    ],
)
def test_nobody_is_no_one_to_give_to(world: World, bad: dict[str, str]) -> None:
    image_id = world.image()
    with pytest.raises(errors.ImageAttributeItemInvalid):
        change(world, image_id, launch_permission={"add": [{"group": "all"}, bad]})
    assert permissions(world, image_id) == []


def test_a_deregistered_image_is_given_to_nobody(world: World) -> None:
    image_id = world.image()
    change(world, image_id, **GIVEN)
    world.do("DeregisterImage", image_id=image_id)
    assert found(world, BOB) == []
    assert world.state.query("select * from launch_permissions") == []


def test_product_codes_are_added_and_confirmed(world: World) -> None:
    image_id = world.image()
    change(world, image_id, **GIVEN)
    change(world, image_id, product_codes=["A1", "B2"])
    change(world, image_id, attribute="productCodes", value="B2")
    codes = [{"product_code_id": each, "product_code_type": "devpay"} for each in ("A1", "B2")]
    (image,) = world.do("DescribeImages")["images"]
    assert image["product_codes"] == codes
    product = [{"name": "product-code", "values": ["A?"]}]
    assert found(world, filters=product) == [image_id]
    instance = world.run(BOB, image_id=image_id)["instances"][0]
    assert instance["product_codes"] == codes
    assert world.do("DescribeInstances", BOB, filters=product)["reservations"]
    ask = {"instance_id": instance["instance_id"], "product_code": "A1"}
    for caller in (ALICE, BOB):
        answer = world.do("ConfirmProductInstance", caller, **ask)
        assert answer == {"return": True, "owner_id": BOB.account_id}
    no = world.do("ConfirmProductInstance", **{**ask, "product_code": "C3"})
    assert no == {"return": False}
    other = world.run(BOB)["instances"][0]["instance_id"]
    for wrong, fault in ((other, errors.InstanceNotFound), ("x", errors.InstanceIdMalformed)):
        with pytest.raises(fault):
            world.do("ConfirmProductInstance", **{**ask, "instance_id": wrong})
    with pytest.raises(errors.InvalidParameterValue, match="at most 10"):
        change(world, image_id, product_codes=[str(each) for each in range(9)])


def test_a_root_file_system_takes_another_kernel(world: World) -> None:
    kernel, ramdisk = world.image(image_type="kernel"), world.image(image_type="ramdisk")
    image_id = world.image(virtualization_type="paravirtual")
    change(world, image_id, attribute="kernel", value=kernel)
    change(world, image_id, attribute="ramdisk", value=ramdisk)
    (image,) = world.do("DescribeImages", image_ids=[image_id])["images"]
    assert (image["kernel_id"], image["ramdisk_id"]) == (kernel, ramdisk)
    with pytest.raises(errors.InvalidParameterValue):
        change(world, image_id, attribute="kernel", value=ramdisk)
    with pytest.raises(errors.UnsupportedOperation):
        change(world, world.image(), attribute="kernel", value=kernel)
    with pytest.raises(errors.InvalidParameterValue):
        change(world, image_id, attribute="blockDeviceMapping", value="x")


def test_a_shared_image_is_copied(world: World) -> None:
    image_id = world.image(BOB, is_public=1)
    tags = [{"resource_type": "image", "tags": [{"key": "a", "value": "b"}]}]
    copied = {"source_image_id": image_id, "source_region": "eucabox", "name": "mine"}
    made = world.do("CopyImage", **copied, tag_specifications=tags)["image_id"]
    (image,) = world.do("DescribeImages", owners=["self"])["images"]
    assert (image["image_id"], image["name"], image["state"]) == (made, "mine", "pending")
    assert image["tags"] == [{"key": "a", "value": "b"}]
    with pytest.raises(errors.InvalidParameterValue, match="eucabox"):
        world.do("CopyImage", **{**copied, "source_region": "mars-1"})
    with pytest.raises(errors.ImageUnavailable):
        world.do("CopyImage", **{**copied, "source_image_id": made})
    with pytest.raises(errors.ImageNotFound):
        world.do("CopyImage", **{**copied, "source_image_id": world.image(BOB)})
