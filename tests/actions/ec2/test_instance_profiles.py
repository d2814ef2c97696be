"""Instances are given their profiles at the launch or later, and lose them."""

from typing import Any

import pytest

from eucabox import errors, ids, instance_states
from eucabox.ec2 import instance_profiles
from eucabox.instance_states import InstanceState
from tests.actions.stand_ins import ADMIN, ALICE, BOB, World
from tests.rows import add_profile

ARN = f"arn:aws:iam::{ALICE.account_id}:instance-profile/team/web"


@pytest.fixture(name="profile_id")
def _profile_id(world: World) -> str:
    return add_profile(world.state, ALICE.account_id, "web", path="/team/")


def launch(world: World, **members: Any) -> str:
    return str(world.run(**members)["instances"][0]["instance_id"])


def associate(world: World, instance_id: str, name: str = "web", caller: Any = ALICE) -> Any:
    wanted = {"instance_id": instance_id, "iam_instance_profile": {"name": name}}
    answer = world.do("AssociateIamInstanceProfile", caller, **wanted)
    return answer["iam_instance_profile_association"]


def describe(world: World, caller: Any = ALICE, /, **members: Any) -> Any:
    answer = world.do("DescribeIamInstanceProfileAssociations", caller, **members)
    return answer["iam_instance_profile_associations"]


def shown(world: World, instance_id: str) -> Any:
    answer = world.do("DescribeInstances", instance_ids=[instance_id])
    return answer["reservations"][0]["instances"][0]["iam_instance_profile"]


def add_session(world: World, instance_id: str) -> None:
    row = {"access_key_id": ids.temporary_access_key_id(), "secret": b"", "token_hash": ""}
    row |= {"account_id": ALICE.account_id, "instance_id": instance_id}
    world.state.insert("sessions", {**row, "created": ids.now(), "expires": "9"})


def count_sessions(world: World) -> int:
    return len(world.state.query("select 1 from sessions"))


@pytest.mark.parametrize("named", [{"name": "web"}, {"arn": ARN}, {"name": "web", "arn": ""}])
def test_a_launch_gives_the_profile(world: World, profile_id: str, named: dict[str, str]) -> None:
    answer = world.run(max_count=2, iam_instance_profile=named)
    has = {"arn": ARN, "id": profile_id}
    assert [each["iam_instance_profile"] for each in answer["instances"]] == [has, has]
    assert {row["instance_id"] for row in describe(world)} == {
        each["instance_id"] for each in answer["instances"]
    }


def test_a_launch_without_one_has_none(world: World, profile_id: str) -> None:
    instance_id = launch(world)
    assert shown(world, instance_id) is None
    assert instance_profiles.find_role(world.state, instance_id) is None
    assert describe(world) == []


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        (
            {"name": "none"},
            "Value (none) for parameter iamInstanceProfile.name is invalid."
            " Invalid IAM Instance Profile name",
        ),
        (
            {"arn": ARN.replace("team", "other")},
            f"Value ({ARN.replace('team', 'other')}) for parameter iamInstanceProfile.arn is"
            " invalid. Invalid IAM Instance Profile ARN",
        ),
        (
            {"name": "empty"},
            f'IAM Instance Profile "arn:aws:iam::{ALICE.account_id}:instance-profile/empty" has no'
            " associated IAM Roles",
        ),
        ({"name": "bobs"}, "Invalid IAM Instance Profile name"),
        ({"name": "x" * 9999}, "Invalid IAM Instance Profile name"),
    ],
)
def test_a_profile_that_is_none_is_refused(
    world: World, profile_id: str, named: dict[str, str], sentence: str
) -> None:
    add_profile(world.state, ALICE.account_id, "empty", role="")
    add_profile(world.state, BOB.account_id, "bobs")
    with pytest.raises(errors.Fault) as caught:
        world.run(iam_instance_profile=named)
    assert caught.value.code == "InvalidParameterValue"
    assert sentence in caught.value.message
    assert len(caught.value.message) < 400
    assert world.do("DescribeInstances")["reservations"] == []
    with pytest.raises(errors.Fault, match="IAM Instance Profile"):
        associate(world, launch(world), named.get("name", "none"))


def test_a_name_and_an_arn_are_too_much(world: World, profile_id: str) -> None:
    with pytest.raises(errors.InvalidParameterCombination, match="may not be used"):
        world.run(iam_instance_profile={"name": "web", "arn": ARN})


def test_a_profile_comes_and_goes(world: World, profile_id: str) -> None:
    instance_id = launch(world)
    association = associate(world, instance_id)
    has = {"arn": ARN, "id": profile_id}
    assert association["state"] == "associating"
    assert association["iam_instance_profile"] == has
    (listed,) = describe(world, association_ids=[association["association_id"]])
    assert listed == {**association, "state": "associated"}
    assert listed["association_id"].startswith("iip-assoc-")
    assert shown(world, instance_id) == has
    role = instance_profiles.find_role(world.state, instance_id)
    assert role is not None
    assert role["role_name"] == "app"
    add_session(world, instance_id)
    answer = world.do(
        "DisassociateIamInstanceProfile", association_id=association["association_id"]
    )
    assert answer["iam_instance_profile_association"] == {**association, "state": "disassociating"}
    assert shown(world, instance_id) is None
    assert describe(world) == []
    assert count_sessions(world) == 0


def test_a_second_profile_is_refused_and_another_takes_its_place(
    world: World, profile_id: str
) -> None:
    instance_id = launch(world, iam_instance_profile={"name": "web"})
    other = add_profile(world.state, ALICE.account_id, "db", role="db")
    with pytest.raises(errors.InstanceHasProfile) as caught:
        associate(world, instance_id, "db")
    assert caught.value.code == "IncorrectState"
    assert caught.value.message == f"There is an existing association for instance {instance_id}"
    (old,) = describe(world)
    add_session(world, instance_id)
    answer = world.do(
        "ReplaceIamInstanceProfileAssociation",
        association_id=old["association_id"],
        iam_instance_profile={"name": "db"},
    )
    made = answer["iam_instance_profile_association"]
    assert made["association_id"] != old["association_id"]
    assert shown(world, instance_id)["id"] == other
    assert count_sessions(world) == 0, "the old role's credentials are void"


def test_an_association_that_is_none_is_refused(world: World, profile_id: str) -> None:
    association_id = associate(world, launch(world))["association_id"]
    wanted = {"name": "web"}
    for caller, named in ((ALICE, "iip-assoc-0"), (ALICE, ""), (BOB, association_id)):
        for verb, more in (
            ("DisassociateIamInstanceProfile", {"association_id": named}),
            ("DescribeIamInstanceProfileAssociations", {"association_ids": [named]}),
            (
                "ReplaceIamInstanceProfileAssociation",
                {"association_id": named, "iam_instance_profile": wanted},
            ),
        ):
            with pytest.raises(errors.AssociationNotFound) as caught:
                world.do(verb, caller, **more)
            assert caught.value.code == "NoSuchAssociation"
    assert describe(world, BOB) == []
    assert len(describe(world, ADMIN, association_ids=[association_id])) == 1


def test_others_instances_and_ended_ones_get_none(world: World, profile_id: str) -> None:
    add_profile(world.state, BOB.account_id, "bobs")
    instance_id = launch(world)
    with pytest.raises(errors.InstanceNotFound):
        associate(world, instance_id, "bobs", BOB)
    with pytest.raises(errors.InvalidInstanceProfile):
        associate(world, instance_id, "bobs", ADMIN)
    assert associate(world, instance_id, "web", ADMIN)["instance_id"] == instance_id
    for state in ("shutting-down", "terminated"):
        ended = launch(world)
        world.set_state(ended, state)
        with pytest.raises(errors.IncorrectInstanceState):
            associate(world, ended)
    with pytest.raises(errors.MissingParameter, match="IamInstanceProfile"):
        associate(world, launch(world), "")


def test_the_end_takes_credentials_at_once_and_at_last_the_profile(
    world: World, profile_id: str
) -> None:
    instance_id = launch(world, iam_instance_profile={"name": "web"})
    add_session(world, instance_id)
    add_session(world, "i-other")
    world.do("TerminateInstances", instance_ids=[instance_id])
    assert count_sessions(world) == 1
    assert shown(world, instance_id)["id"] == profile_id
    old, new = InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED
    assert instance_states.change(world.state, instance_id, old, new)
    assert shown(world, instance_id) is None
    assert describe(world) == []


def test_a_stop_keeps_credentials(world: World, profile_id: str) -> None:
    instance_id = launch(world, iam_instance_profile={"name": "web"})
    add_session(world, instance_id)
    for old, new in (
        (InstanceState.PENDING, InstanceState.RUNNING),
        (InstanceState.RUNNING, InstanceState.STOPPING),
        (InstanceState.STOPPING, InstanceState.STOPPED),
    ):
        assert instance_states.change(world.state, instance_id, old, new)
    assert count_sessions(world) == 1
    assert shown(world, instance_id)["id"] == profile_id


def test_a_profile_that_is_deleted_leaves_its_instances(world: World, profile_id: str) -> None:
    instance_id = launch(world, iam_instance_profile={"name": "web"})
    world.state.delete("instance_profiles", {"instance_profile_id": profile_id})
    assert shown(world, instance_id) is None
    assert describe(world) == []


def test_instances_are_found_by_profile(world: World, profile_id: str) -> None:
    mine = launch(world, iam_instance_profile={"name": "web"})
    launch(world)
    for name, value in (("arn", ARN), ("id", profile_id), ("name", "we*")):
        filters = [{"name": f"iam-instance-profile.{name}", "values": [value]}]
        (found,) = world.do("DescribeInstances", filters=filters)["reservations"]
        assert found["instances"][0]["instance_id"] == mine


def test_associations_are_filtered_and_paged(world: World, profile_id: str) -> None:
    answer = world.run(max_count=7, iam_instance_profile={"name": "web"})
    one = answer["instances"][0]["instance_id"]
    found = describe(world, filters=[{"name": "instance-id", "values": [one]}])
    assert [row["instance_id"] for row in found] == [one]
    assert len(describe(world, filters=[{"name": "state", "values": ["associated"]}])) == 7
    assert describe(world, filters=[{"name": "state", "values": ["disassociated"]}]) == []
    verb = "DescribeIamInstanceProfileAssociations"
    first = world.do(verb, max_results=5)
    rest = world.do(verb, max_results=5, next_token=first["next_token"])
    pages = [first, rest]
    seen = [
        row["instance_id"] for page in pages for row in page["iam_instance_profile_associations"]
    ]
    assert len(set(seen)) == len(seen) == 7
    assert rest["next_token"] is None
    named = {"association_ids": ["iip-assoc-1"], "max_results": 5}
    with pytest.raises(errors.InvalidParameterCombination):
        world.do(verb, **named)
    with pytest.raises(errors.InvalidParameterValue):
        world.do(verb, max_results=1)


def test_a_rehearsal_changes_nothing(world: World, profile_id: str) -> None:
    instance_id = launch(world)
    wanted = {"instance_id": instance_id, "iam_instance_profile": {"name": "web"}}
    with pytest.raises(errors.DryRunOperation):
        world.do("AssociateIamInstanceProfile", dry_run=True, **wanted)
    assert describe(world) == []
