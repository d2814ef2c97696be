"""Instance profiles and their one role, as IAM answers."""

import pytest

from tests.actions.iam.entities import AWAY, HOME, OTHER_ROOT, Entities
from tests.actions.stand_ins import World


@pytest.fixture
def iam(world: World) -> Entities:
    return Entities(world)


def test_an_instance_profile_is_told_as_it_was_created(iam: Entities) -> None:
    tags = [{"key": "team", "value": "red"}]
    members = {"instance_profile_name": "web", "path": "/app/", "tags": tags}
    created = iam.do("CreateInstanceProfile", **members)["instance_profile"]
    assert created == {
        "path": "/app/",
        "instance_profile_name": "web",
        "instance_profile_id": created["instance_profile_id"],
        "arn": f"arn:aws:iam::{HOME}:instance-profile/app/web",
        "create_date": created["create_date"],
        "roles": [],
        "tags": tags,
    }
    assert created["instance_profile_id"].startswith("AIPA")
    got = iam.do("GetInstanceProfile", instance_profile_name="WEB")["instance_profile"]
    assert got == created
    assert iam.do("ListInstanceProfileTags", instance_profile_name="web")["tags"] == tags
    assert iam.refused("CreateInstanceProfile", instance_profile_name="Web") == (
        "EntityAlreadyExists", "Instance Profile Web already exists.",
    )  # fmt: skip
    assert iam.refused("CreateInstanceProfile", instance_profile_name="a/b")[0] == (
        "ValidationError"
    )


def test_an_instance_profile_has_one_role(iam: Entities) -> None:
    role = iam.add_role("web")
    iam.add_role("other")
    both = {"instance_profile_name": "web", "role_name": "web"}
    assert iam.refused("AddRoleToInstanceProfile", **both) == (
        "NoSuchEntity", "Instance Profile web cannot be found.",
    )  # fmt: skip
    iam.do("CreateInstanceProfile", instance_profile_name="web")
    iam.do("AddRoleToInstanceProfile", **both)
    (told,) = iam.do("GetInstanceProfile", instance_profile_name="web")["instance_profile"]["roles"]
    assert (told["role_id"], told["arn"]) == (role["role_id"], role["arn"])
    for name in ("web", "other"):
        members = {"instance_profile_name": "web", "role_name": name}
        assert iam.refused("AddRoleToInstanceProfile", **members) == (
            "LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1",
        )  # fmt: skip
    other = {"instance_profile_name": "web", "role_name": "other"}
    assert iam.refused("RemoveRoleFromInstanceProfile", **other)[0] == "NoSuchEntity"
    assert iam.refused("DeleteInstanceProfile", instance_profile_name="web") == (
        "DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.",
    )  # fmt: skip
    iam.do("RemoveRoleFromInstanceProfile", **both)
    iam.do("DeleteInstanceProfile", instance_profile_name="web")
    assert iam.refused("GetInstanceProfile", instance_profile_name="web")[0] == "NoSuchEntity"
    assert iam.state.query("select * from instance_profiles") == []


def test_instance_profiles_are_listed_of_the_account_a_path_and_a_role(iam: Entities) -> None:
    iam.add_role("web")
    for name, path in (("b", "/x/"), ("A", "/x/y/"), ("c", "/")):
        iam.do("CreateInstanceProfile", instance_profile_name=name, path=path)
        if name != "c":
            members = {"instance_profile_name": name, "role_name": "web"}
            iam.do("AddRoleToInstanceProfile", **members)
    iam.do("CreateInstanceProfile", OTHER_ROOT, instance_profile_name="d")
    listed = iam.page_all("ListInstanceProfiles", "instance_profiles")
    assert [each["instance_profile_name"] for each in listed] == ["A", "b", "c"]
    assert iam.do("ListInstanceProfiles")["instance_profiles"] == listed
    assert iam.do("ListInstanceProfiles", path_prefix="/x/")["instance_profiles"] == listed[:2]
    of_role = {"role_name": "web"}
    assert (
        iam.page_all("ListInstanceProfilesForRole", "instance_profiles", **of_role) == (listed[:2])
    )
    assert iam.refused("ListInstanceProfilesForRole", role_name="none")[0] == "NoSuchEntity"
    (theirs,) = iam.do("ListInstanceProfiles", OTHER_ROOT)["instance_profiles"]
    assert theirs["arn"] == f"arn:aws:iam::{AWAY}:instance-profile/d"


def test_a_role_of_another_account_is_not_handed_out(iam: Entities) -> None:
    iam.add_role("web", OTHER_ROOT)
    iam.do("CreateInstanceProfile", instance_profile_name="web")
    both = {"instance_profile_name": "web", "role_name": "web"}
    assert iam.refused("AddRoleToInstanceProfile", **both) == (
        "NoSuchEntity", "The role with name web cannot be found.",
    )  # fmt: skip
