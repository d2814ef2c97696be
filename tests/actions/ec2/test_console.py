"""What is told of an instance's console, screen and password, and to whom."""

import base64

import pytest

from eucabox import errors
from tests.actions.stand_ins import BOB, World


def one(world: World) -> str:
    return str(world.run()["instances"][0]["instance_id"])


def test_a_running_instance_has_a_picture(world: World) -> None:
    instance_id = one(world)
    with pytest.raises(errors.IncorrectInstanceState):
        world.do("GetConsoleScreenshot", instance_id=instance_id)
    world.set_state(instance_id, "running")
    answer = world.do("GetConsoleScreenshot", instance_id=instance_id, wake_up=True)
    assert answer["instance_id"] == instance_id
    assert base64.b64decode(answer["image_data"]) == b"picture\x01"


def test_linux_has_no_password(world: World) -> None:
    instance_id = one(world)
    answer = world.do("GetPasswordData", instance_id=instance_id)
    assert (answer["instance_id"], answer["password_data"]) == (instance_id, "")
    assert answer["timestamp"].tzinfo is not None


@pytest.mark.parametrize("name", ["GetConsoleScreenshot", "GetPasswordData", "GetConsoleOutput"])
def test_another_account_gets_no_console(world: World, name: str) -> None:
    with pytest.raises(errors.InstanceNotFound):
        world.do(name, BOB, instance_id=one(world))
