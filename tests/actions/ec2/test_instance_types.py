"""Instance types: the administrator sizes them, and everything follows."""

import subprocess
import sys
from typing import Any

import pytest

from eucabox import errors
from eucabox.hypervisor import architecture
from eucabox.hypervisor.architecture import AARCH64, X86_64, Architecture
from eucabox.state import State
from tests.actions.stand_ins import ADMIN, World

NAME = "ModifyInstanceTypeAttribute"


def shown(world: World, name: str) -> dict[str, Any]:
    (kind,) = world.do("DescribeInstanceTypes", instance_types=[name])["instance_types"]
    return dict(kind)


def test_the_administrator_sizes_a_type(world: World) -> None:
    before = world.run(instance_type="m1.small")["instances"][0]["instance_id"]
    answer = world.do(NAME, ADMIN, name="m1.small", cpu=2, memory=512)
    assert answer["previous_instance_type"]["memory"] == 256
    assert answer["instance_type"] == {
        "name": "m1.small", "cpu": 2, "memory": 512, "disk": 2, "network_interfaces": 1,
    }  # fmt: skip
    assert shown(world, "m1.small")["memory_info"] == {"size_in_mi_b": 512}
    assert shown(world, "m1.small")["v_cpu_info"]["valid_cores"] == [2]
    after = world.run(instance_type="m1.small")["instances"][0]["instance_id"]
    sizes = {
        row["instance_id"]: (row["vcpus"], row["memory_mb"])
        for row in world.state.query("select * from instances")
    }
    assert sizes == {before: (1, 256), after: (2, 512)}
    with pytest.raises(errors.InsufficientInstanceCapacity):
        world.run(instance_type="m1.small")
    zones = world.do("DescribeAvailabilityZones", ADMIN, zone_names=["verbose"])
    lines = {each["zone_name"]: each["state"] for each in zones["availability_zones"]}
    assert lines["|- m1.small"].split() == ["0000", "/", "0002", "2", "512", "2"]


def test_sizes_outlive_a_restart_and_can_be_reset(world: World) -> None:
    world.do(NAME, ADMIN, name="m1.tiny", disk=3)
    again = State(world.state.path)
    assert again.query("select name, disk_gb from instance_types") == [
        {"name": "m1.tiny", "disk_gb": 3}
    ]
    again.close()
    answer = world.do(NAME, ADMIN, name="m1.tiny", reset=True)
    assert answer["instance_type"]["disk"] == 1
    assert world.state.query("select * from instance_types") == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"cpu": 0}, "from 1 to 255"),
        ({"memory": 1}, "from 32"),
        ({"disk": 10**9}, "from 1 to 1000"),
        ({"disk": 5, "reset": True}, "leave out"),
        ({"network_interfaces": 2}, "one network interface"),
        ({"name": "t2.micro"}, "There are: m1.tiny"),
    ],
)
def test_an_invalid_size_is_refused(world: World, params: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.Fault, match=words):
        world.do(NAME, ADMIN, **{"name": "m1.small", **params})
    assert world.state.query("select * from instance_types") == []


def test_only_the_administrator_may(world: World) -> None:
    with pytest.raises(errors.UnauthorizedOperation):
        world.do(NAME, name="m1.small", cpu=2)


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("vcpu-info.valid-cores", "4", 1),
        ("instance-storage-info.disk.size-in-gb", "20", 2),
        ("network-info.maximum-network-interfaces", "1", 7),
        ("ebs-info.ebs-optimized-support", "unsupported", 7),
        ("ebs-info.maximum-ebs-attachments", "*", 0),
    ],
)
def test_filters_look_into_the_shape(world: World, name: str, value: str, count: int) -> None:
    filters = [{"name": name, "values": [value]}]
    assert len(world.do("DescribeInstanceTypes", filters=filters)["instance_types"]) == count


@pytest.mark.parametrize(
    ("host", "architectures", "boot_mode"),
    [(X86_64, ["i386", "x86_64"], "legacy-bios"), (AARCH64, ["arm64"], "uefi")],
    ids=["x86_64", "aarch64"],
)
def test_types_have_the_processor_and_firmware_of_the_host(
    world: World, monkeypatch: pytest.MonkeyPatch, host: Architecture,
    architectures: list[str], boot_mode: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(architecture, "HOST", host)
    for kind in world.do("DescribeInstanceTypes")["instance_types"]:
        assert kind["processor_info"]["supported_architectures"] == architectures
        assert kind["supported_boot_modes"] == [boot_mode]


@pytest.mark.not_fast
@pytest.mark.parametrize(("machine", "least", "tiny"), [("x86_64", 32, 128), ("aarch64", 192, 192)])
def test_no_type_has_less_memory_than_the_firmware_of_the_host_boots_with(
    machine: str, least: int, tiny: int
) -> None:
    script = (
        f"import platform; platform.machine = lambda: {machine!r};"
        "from eucabox.instance_types import DEFAULT_SIZES, LIMITS;"
        "print(LIMITS['memory_mb'][0], DEFAULT_SIZES['m1.tiny'].memory_mb)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == [str(least), str(tiny)]
