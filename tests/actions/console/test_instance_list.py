"""The console's list of instances says of each what DescribeInstances says."""

from typing import Any

import pytest

from eucabox.actions import perform
from eucabox.errors import UnauthorizedOperation
from eucabox.iam.caller import Caller
from tests.actions.people import People, statement
from tests.actions.stand_ins import ADMIN, ALICE, BOB, World


def list_them(world: World, caller: Caller = ALICE, **members: Any) -> list[dict[str, Any]]:
    answer = perform("console", "ListInstances", world.call(caller), members)
    assert answer is not None
    instances: Any = answer["instances"]
    return list(instances)


@pytest.mark.not_fast
def test_it_has_a_few_members_of_each_the_newest_first(world: World) -> None:
    tags = [{"resource_type": "instance", "tags": [{"key": "a"}]}]
    first = world.run(tag_specifications=tags)["instances"][0]["instance_id"]
    second, third = (
        each["instance_id"] for each in world.run(min_count=2, max_count=2)["instances"]
    )
    world.set_state(first, "running")
    world.set_state(third, "terminated")
    world.node.queued[second] = "2nd in the queue"
    described = {
        each["instance_id"]: each
        for reservation in world.do("DescribeInstances")["reservations"]
        for each in reservation["instances"]
    }
    listed = list_them(world)
    assert [each["instance_id"] for each in listed] == [second, third, first]
    for each in listed:
        assert each.pop("owner_id") == ALICE.account_id
        whole = described[each["instance_id"]]
        assert each == {name: whole[name] for name in each}
    assert listed[0]["state_reason"]["message"] == "pending: 2nd in the queue"
    assert {len(each["security_groups"]) for each in list_them(world, with_groups=False)} == {0}


def test_a_part_of_it_is_read_and_how_many_there_are(world: World) -> None:
    world.run(min_count=3, max_count=3)
    instance_ids = [each["instance_id"] for each in list_them(world)]
    world.set_state(instance_ids[1], "running")
    for members, found in (
        ({"first": 1}, instance_ids[1:]),
        ({"most": 2}, instance_ids[:2]),
        ({"first": 1, "most": 1}, instance_ids[1:2]),
        ({"first": 3}, []),
        ({"state_name": "running"}, instance_ids[1:2]),
        ({"state_name": "running", "first": 1}, []),
    ):
        answer = perform("console", "ListInstances", world.call(ALICE), dict(members))
        assert answer is not None
        rows: Any = answer["instances"]
        assert [each["instance_id"] for each in rows] == found
        assert answer["total"] == (1 if "state_name" in members else 3)


def test_only_the_administrator_sees_those_of_others(world: World) -> None:
    own, others = (world.run(who)["instances"][0]["instance_id"] for who in (ALICE, BOB))
    for caller, found in ((ALICE, {own}), (BOB, {others}), (ADMIN, {own, others})):
        assert {
            each["instance_id"] for each in list_them(world, caller, every_account=True)
        } == found
    assert list_them(world, ADMIN) == []


@pytest.mark.not_fast
def test_whoever_may_describe_instances_may_list_them(people: People) -> None:
    members: dict[str, Any] = {}
    may = people.user("may", statement("ec2:DescribeInstances"))
    assert people.perform("console", "ListInstances", people.call(may), members)
    may_not = people.user("maynot", statement("ec2:DescribeImages"))
    with pytest.raises(UnauthorizedOperation):
        people.perform("console", "ListInstances", people.call(may_not), members)
