"""The one zone, and what the administrator sees of its capacity."""

import pytest

from eucabox import errors
from tests.actions.stand_ins import ADMIN, ALICE, World


def rows(world: World, caller: object = ALICE, **params: object) -> list[tuple[str, str]]:
    answer = world.do("DescribeAvailabilityZones", caller, **params)  # type: ignore[arg-type]
    return [(each["zone_name"], each["state"]) for each in answer["availability_zones"]]


def test_there_is_one_zone(world: World) -> None:
    assert rows(world) == rows(world, zone_names=["eucabox-1a"]) == [("eucabox-1a", "available")]
    assert rows(world, zone_names=["verbose"]) == [("eucabox-1a", "available")]
    assert rows(world, filters=[{"name": "state", "values": ["impaired"]}]) == []
    with pytest.raises(errors.InvalidParameterValue, match="mars"):
        rows(world, zone_names=["mars"])


def test_the_administrator_sees_capacity_as_eucalyptus_showed_it(world: World) -> None:
    world.run(min_count=2, max_count=2, instance_type="m1.small")
    zone, header, *types = rows(world, ADMIN, zone_names=["verbose"])
    assert zone == ("eucabox-1a", "available")
    assert header == ("|- vm types", "free / max   cpu   ram  disk")
    assert types[:2] == [
        ("|- m1.tiny", "0004 / 0008   1    128     1"),
        ("|- m1.small", "0002 / 0004   1    256     2"),
    ]
    assert types[-1] == ("|- c1.xlarge", "0000 / 0000   4   4096    20")
