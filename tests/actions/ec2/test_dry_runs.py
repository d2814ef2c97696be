"""DryRun checks all that the request itself would have checked, and changes nothing."""

from typing import Any

import pytest

from eucabox import actions, errors
from eucabox.actions import perform
from eucabox.actions.ec2 import elastic_addresses, volumes
from tests.actions.stand_ins import ADMIN, BOB, World
from tests.actions.test_refusals import sensible

NOWHERE = "i-" + "0" * 17
VERBS = sorted(name for service, name in actions.load() if service == "ec2")
ABSENT = {*volumes.REFUSED, *elastic_addresses.REFUSED}  # each has one answer, whatever its members
ODD: list[Any] = [
    *("", "x", NOWHERE, "emi-00000000", "sg-" + "0" * 17, "default", "\x07", "\u00e9"),
    *(-1, 0, 7, True, [], [NOWHERE], ["emi-00000000"], ["sg-" + "0" * 17], ["x"], {}),
    [{"name": "no-such", "values": ["x"]}],
    [{"name": "tag:a", "values": []}],
    [{"key": f"k{number}", "value": ""} for number in range(51)],
    [{"resource_type": "nonsense", "tags": [{"key": "a", "value": "b"}]}],
    [{"ip_protocol": "tcp", "from_port": 22, "to_port": 22, "ip_ranges": [{"cidr_ip": "x"}]}],
    [{"ip_protocol": "tcp", "from_port": 5, "to_port": 6, "ip_ranges": [{"cidr_ip": "1.0.0.0/8"}]}],
]


class Watch:
    """Everything that a verb could have changed; rows are read again only after a statement that
    writes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._mark: object = None
        self._rows: list[Any] = []

    def dump(self) -> list[Any]:
        state = self._world.state
        if state.mark() != self._mark:
            tables = state.query("select name from sqlite_master where type = 'table'")
            self._rows = [state.query(f"select * from [{row['name']}]") for row in tables]
            self._mark = state.mark()
        return [*self._rows, self._world.cloud.store.owners.copy(), self._world.node.woken]


def outcome(world: World, name: str, params: dict[str, Any]) -> str:
    try:
        perform("ec2", name, world.call(ADMIN), params)
    except errors.Fault as fault:
        return fault.code
    return "DryRunOperation"  # what a dry run says of a request that succeeds


@pytest.mark.not_fast
@pytest.mark.parametrize("name", [each for each in VERBS if each not in ABSENT])
def test_a_dry_run_says_what_the_request_would(world: World, name: str) -> None:
    world.run(ADMIN)
    world.do("CreateKeyPair", ADMIN, key_name="default", key_type="ed25519")
    found = actions.ACTIONS[("ec2", name)]
    watch = Watch(world)
    for member in sorted(found.parameters) or ["filters"]:
        for value in [None, *ODD]:
            params = {**sensible(world, found.required), member: value}
            if value is None:
                params = sensible(world, found.required)
            before = watch.dump()
            dry = outcome(world, name, {**params, "dry_run": True})
            assert watch.dump() == before, f"{member}={value!r} changed something"
            assert dry == outcome(world, name, params), f"{member}={value!r}"


def launch(world: World, **members: Any) -> dict[str, Any]:
    return {"image_id": world.image(), "min_count": 1, "max_count": 1, **members}


def instance(world: World) -> str:
    return str(world.run()["instances"][0]["instance_id"])


REFUSED: list[tuple[str, dict[str, Any], type[errors.Fault]]] = [
    ("RunInstances", {"image_id": "emi-00000000"}, errors.ImageNotFound),
    ("RunInstances", {"image_id": "nonsense"}, errors.ImageIdMalformed),
    ("RunInstances", {"key_name": "lost"}, errors.KeyPairNotFound),
    ("RunInstances", {"security_groups": ["lost"]}, errors.GroupNotFound),
    ("RunInstances", {"subnet_id": "subnet-00000000"}, errors.SubnetNotFound),
    ("RunInstances", {"instance_type": "z9.huge"}, errors.InvalidParameterValue),
    ("RunInstances", {"min_count": 3, "max_count": 2}, errors.InvalidParameterValue),
    ("RunInstances", {"min_count": 99, "max_count": 99}, errors.InsufficientInstanceCapacity),
    ("RunInstances", {"user_data": "%"}, errors.UserDataMalformed),
    ("TerminateInstances", {"instance_ids": [NOWHERE]}, errors.InstanceNotFound),
    ("RebootInstances", {"instance_ids": [NOWHERE]}, errors.InstanceNotFound),
    ("StopInstances", {"instance_ids": [NOWHERE]}, errors.InstanceNotFound),
    ("StartInstances", {"instance_ids": [NOWHERE]}, errors.InstanceNotFound),
    ("DescribeInstances", {"instance_ids": [NOWHERE]}, errors.InstanceNotFound),
    ("GetConsoleOutput", {"instance_id": NOWHERE}, errors.InstanceNotFound),
    ("CreateImage", {"instance_id": NOWHERE, "name": "made"}, errors.InstanceNotFound),
    ("DeregisterImage", {"image_id": "emi-00000000"}, errors.ImageNotFound),
    ("CreateTags", {"resources": [NOWHERE], "tags": [{"key": "a"}]}, errors.InstanceNotFound),
    ("CreateSecurityGroup", {"group_name": "default", "description": "d"}, errors.GroupReserved),
    ("DeleteSecurityGroup", {"group_name": "lost"}, errors.GroupNotFound),
    ("DescribeVpcs", {"vpc_ids": ["vpc-00000000"]}, errors.VpcNotFound),
    ("CreateVolume", {"size": 1}, errors.UnsupportedOperation),
]


@pytest.mark.not_fast
@pytest.mark.parametrize(("name", "params", "fault"), REFUSED, ids=lambda each: str(each)[:60])
def test_a_dry_run_of_a_wrong_request_names_the_fault(
    world: World, name: str, params: dict[str, Any], fault: type[errors.Fault]
) -> None:
    params = launch(world, **params) if name == "RunInstances" else params
    with pytest.raises(fault):
        world.do(name, **params, dry_run=True)


def test_a_dry_run_of_a_launch_makes_no_row(world: World) -> None:
    params = launch(world)
    with pytest.raises(errors.DryRunOperation):
        world.do("RunInstances", **params, dry_run=True)
    assert not world.state.query("select * from instances")
    assert not world.node.woken
    assert world.do("RunInstances", **params)["instances"]


def test_a_dry_run_does_not_use_up_a_client_token(world: World) -> None:
    params = launch(world, client_token="once")
    with pytest.raises(errors.DryRunOperation):
        world.do("RunInstances", **params, dry_run=True)
    first = world.do("RunInstances", **params)
    assert world.do("RunInstances", **params)["reservation_id"] == first["reservation_id"]


def test_a_dry_run_makes_no_bucket(world: World) -> None:
    instance_id = instance(world)
    world.set_state(instance_id, "running")
    with pytest.raises(errors.DryRunOperation):
        world.do("CreateImage", instance_id=instance_id, name="made", dry_run=True)
    assert not world.cloud.store.owners


def test_a_dry_run_does_not_wake_the_screen(world: World) -> None:
    instance_id = instance(world)
    world.set_state(instance_id, "running")
    pressed: list[bool] = []
    world.node.screenshot = lambda instance_id, wake_up=False: pressed.append(wake_up) or b""  # type: ignore[method-assign,func-returns-value]
    with pytest.raises(errors.DryRunOperation):
        world.do("GetConsoleScreenshot", instance_id=instance_id, wake_up=True, dry_run=True)
    assert True not in pressed


def test_a_dry_run_tells_a_stranger_nothing(world: World) -> None:
    with pytest.raises(errors.InstanceNotFound):
        world.do("TerminateInstances", BOB, instance_ids=[instance(world)], dry_run=True)


def test_after_a_dry_run_the_thread_writes_again(world: World) -> None:
    with pytest.raises(errors.DryRunOperation):
        world.do("CreateSecurityGroup", group_name="a", description="a", dry_run=True)
    world.do("CreateSecurityGroup", group_name="a", description="a")
    (found,) = world.do("DescribeSecurityGroups", group_names=["a"])["security_groups"]
    assert found["group_name"] == "a"
