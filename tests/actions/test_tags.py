"""Tags are put on the caller's own resources, and taken off by key or by key and value."""

from typing import Any

import pytest

from eucabox import errors
from tests.actions.stand_ins import BOB, World


def tags_of(world: World, resource_id: str) -> dict[str, str]:
    only = [{"name": "resource-id", "values": [resource_id]}]
    return {tag["key"]: tag["value"] for tag in world.do("DescribeTags", filters=only)["tags"]}


def test_every_kind_of_resource_can_have_tags(world: World) -> None:
    group = world.do("CreateSecurityGroup", group_name="g", description="d")["group_id"]
    key = world.do("CreateKeyPair", key_name="k", key_type="ed25519")["key_pair_id"]
    reservation = world.run()
    instance, image = reservation["instances"][0]["instance_id"], world.image()
    resources = [group, key, instance, image, world.image(image_type="kernel")]
    world.do("CreateTags", resources=resources, tags=[{"key": "a"}, {"key": "b", "value": "1"}])
    for resource_id in resources:
        assert tags_of(world, resource_id) == {"a": "", "b": "1"}
    kinds = {tag["resource_type"] for tag in world.do("DescribeTags")["tags"]}
    assert kinds == {"security-group", "key-pair", "instance", "image"}
    assert world.do("DescribeTags", BOB)["tags"] == []


def test_tags_go_by_key_or_by_key_and_value(world: World) -> None:
    image = world.image()
    tags = [{"key": key, "value": value} for key, value in (("a", "1"), ("b", "2"), ("c", ""))]
    world.do("CreateTags", resources=[image], tags=tags)
    world.do("CreateTags", resources=[image], tags=[{"key": "a", "value": "3"}])
    world.do("DeleteTags", resources=[image], tags=[{"key": "b", "value": ""}])
    world.do("DeleteTags", resources=[image], tags=[{"key": "c", "value": ""}])
    assert tags_of(world, image) == {"a": "3", "b": "2"}
    world.do("DeleteTags", resources=[image], tags=[{"key": "b"}])
    assert tags_of(world, image) == {"a": "3"}
    world.do("DeleteTags", resources=[image])
    assert tags_of(world, image) == {}


@pytest.mark.parametrize(
    ("tags", "fault"),
    [
        ([], errors.MissingParameter),
        ([{}], errors.InvalidParameterValue),
        ([{"key": "aws:x"}], errors.InvalidParameterValue),
        ([{"key": "a"}, {"key": "a"}], errors.InvalidParameterValue),
        ([{"key": "k" * 129}], errors.InvalidParameterValue),
        ([{"key": "a", "value": "v" * 257}], errors.InvalidParameterValue),
        ([{"key": "a", "value": "\x01"}], errors.InvalidParameterValue),
        ([{"key": str(number)} for number in range(51)], errors.TagLimitExceeded),
    ],
)
def test_bad_tags_are_refused(
    world: World, tags: list[dict[str, Any]], fault: type[errors.Fault]
) -> None:
    image = world.image()
    with pytest.raises(fault):
        world.do("CreateTags", resources=[image], tags=tags)
    assert tags_of(world, image) == {}


@pytest.mark.parametrize("resource", ["vol-12345678", "", "emi-00000000", "sg-1", "i-1", "key-1"])
def test_an_unknown_resource_is_named(world: World, resource: str) -> None:
    image = world.image()
    with pytest.raises(errors.Fault):
        world.do("CreateTags", resources=[image, resource], tags=[{"key": "a"}])
    assert tags_of(world, image) == {}


def test_tags_end_with_their_resource(world: World) -> None:
    made = world.do("CreateSecurityGroup", group_name="g", description="d")["group_id"]
    world.do("CreateTags", resources=[made], tags=[{"key": "a"}])
    world.do("DeleteSecurityGroup", group_id=made)
    assert tags_of(world, made) == {}
