"""Tags that the metadata shows have keys that a path can hold; others are refused by name."""

from typing import Any

import pytest

from eucabox.errors import TagKeyNotForMetadata
from tests.actions.stand_ins import World

OPEN = {"instance_metadata_tags": "enabled"}
BAD = ["a/b", "two words", ".", "..", "_index", "k8s.io/cluster/enabled", "caf\u00e9", "a?"]
GOOD = ["Name", "a:b", "a+b-c=d._,e@f", "_index2", "...", ".hidden"]


def tagged(*keys: str) -> list[dict[str, Any]]:
    return [{"key": key, "value": "v"} for key in keys]


def specified(*keys: str) -> list[dict[str, Any]]:
    return [{"resource_type": "instance", "tags": tagged(*keys)}]


@pytest.mark.parametrize("key", BAD)
def test_a_launch_with_metadata_tags_refuses_a_key_that_no_path_holds(
    world: World, key: str
) -> None:
    with pytest.raises(TagKeyNotForMetadata, match="is not a valid tag key") as caught:
        world.run(metadata_options=OPEN, tag_specifications=specified("Name", key))
    assert caught.value.code == "InvalidParameterValue"
    assert f"'{key.encode('ascii', 'backslashreplace').decode()}'" in caught.value.message
    assert not world.state.query("select * from instances")
    world.run(tag_specifications=specified(key))


def test_what_a_path_holds_is_taken(world: World) -> None:
    instance = world.run(metadata_options=OPEN, tag_specifications=specified(*GOOD))["instances"][0]
    assert {tag["key"] for tag in instance["tags"]} == set(GOOD)


@pytest.mark.parametrize("key", BAD)
def test_a_key_is_refused_in_either_order(world: World, key: str) -> None:
    instance_id = world.run()["instances"][0]["instance_id"]
    world.do("CreateTags", resources=[instance_id], tags=tagged(key))
    with pytest.raises(TagKeyNotForMetadata):
        world.do("ModifyInstanceMetadataOptions", instance_id=instance_id, **OPEN)
    world.do("DeleteTags", resources=[instance_id], tags=[{"key": key}])
    world.do("ModifyInstanceMetadataOptions", instance_id=instance_id, **OPEN)
    with pytest.raises(TagKeyNotForMetadata):
        world.do("CreateTags", resources=[instance_id], tags=tagged(key))
    closed = {"instance_metadata_tags": "disabled"}
    world.do("ModifyInstanceMetadataOptions", instance_id=instance_id, **closed)
    world.do("CreateTags", resources=[instance_id], tags=tagged(key))


def test_tags_of_other_resources_may_have_any_key(world: World) -> None:
    world.run(metadata_options=OPEN)
    world.do("CreateTags", resources=[world.image()], tags=tagged("a/b"))
