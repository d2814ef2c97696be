"""RunInstances refuses what the hypervisor can't run, and names both."""

import json

import pytest

from eucabox import errors
from eucabox.hypervisor.capabilities import Capabilities
from tests.actions.stand_ins import World

XEN = Capabilities(whole_disks="it has no HVM", uefi="it has no UEFI", ide_disks="it has no IDE")


def image(world: World, kind: str, **settings: str) -> str:
    kernel = world.image(image_type="kernel")
    facts = {"virtualization_type": kind, "settings": json.dumps(settings)}
    return world.image(**facts, kernel_id=kernel if kind == "paravirtual" else None)


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("hvm", {}, "whole disk, which xen can't run: it has no HVM"),
        ("paravirtual", {"boot_mode": "uefi"}, "bootMode uefi is not available under xen"),
        ("paravirtual", {"disk_bus": "ide"}, "diskBus ide is not available under xen"),
    ],
)
def test_what_is_lacking_is_refused_before_a_row_is_written(
    world: World, kind: str, settings: dict[str, str], words: str
) -> None:
    image_id = image(world, kind, **settings)
    world.node.hypervisor_name, world.node.capabilities = "xen", XEN
    with pytest.raises(errors.Fault, match=words) as caught:
        world.run(image_id=image_id)
    assert caught.value.code == "UnsupportedOperation"
    assert world.state.query("select 1 from instances") == []


@pytest.mark.parametrize(
    ("able", "kind", "settings"),
    [
        (XEN, "paravirtual", {}),
        (XEN, "paravirtual", {"disk_bus": "virtio"}),
        (Capabilities(), "hvm", {"boot_mode": "uefi"}),
    ],
)
def test_what_is_not_lacking_is_launched(
    world: World, able: Capabilities, kind: str, settings: dict[str, str]
) -> None:
    image_id = image(world, kind, **settings)
    world.node.capabilities = able
    assert world.run(image_id=image_id)["instances"]
