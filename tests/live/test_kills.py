"""A short form of `make test-kills`, and that its model would notice a loss."""

from types import SimpleNamespace

from tests.live.kills import checks
from tests.live.kills.__main__ import run
from tests.live.kills.history import NOTHING, Register
from tests.live.kills.world import World

KILLS = 12


def test_nothing_acknowledged_is_lost() -> None:
    loop = run(KILLS, seed=1)
    assert loop.world.problems == []
    assert loop.kills >= KILLS
    done = {"put", "copy", "delete", "part", "version", "marker", "read"}
    assert done <= loop.world.counts.keys()


def test_the_model_knows_what_may_be() -> None:
    register = Register()
    assert register.allows(NOTHING, 0, 1)
    first = register.begin("first", 1)
    assert register.allows(NOTHING, 2, 3)
    assert register.allows("first", 2, 3)
    first.ended = 4
    assert not register.allows(NOTHING, 5, 6)
    assert register.allows(NOTHING, 3, 6)
    lost = register.begin("lost", 5)
    assert register.allows("lost", 6, 7)
    assert register.allows("first", 6, 7)
    assert not register.allows("first", 0, 0.5)
    second = register.begin("second", 8)
    second.ended = 9
    assert not register.allows("first", 10, 11)
    assert register.allows("lost", 10, 11)  # without an answer it may take effect late
    register.forget(lost)
    assert not register.allows("lost", 10, 11)
    register.settle("second", 12)
    assert register.allows("second", 13, 14)
    assert not register.allows("first", 13, 14)


def test_the_model_knows_whose_marks_they_may_be() -> None:
    place = ("plain", "a")
    s3 = SimpleNamespace(get_object_tagging=lambda **_: {"TagSet": [{"Key": "own", "Value": "t"}]})

    def problems(*writes: tuple[int, int]) -> list[str]:
        world = World()
        world.marks["tags", place].begin("t", 3).ended = 4
        for began, ended in writes:
            world.objects[place].begin("upload1", began).ended = ended
        checks._marked(world, s3, "tags", place, "upload1", 9)
        return world.problems

    assert problems((1, 2)) == []
    assert "may not be" in problems((5, 6))[0]
    assert problems((1, 2), (5, 6)) == []  # completed again: it is the same object
