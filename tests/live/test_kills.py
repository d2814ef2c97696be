"""A short form of `make test-kills`, and that its model would notice a loss."""

from tests.live.kills.__main__ import run
from tests.live.kills.history import NOTHING, Register, Write

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


def test_the_model_knows_what_may_be_kept_beside_an_object() -> None:
    tags = Register()
    first, repeated = Write("upload", 1, 3), Write("upload", 6, 7)
    assert tags.allows_beside("upload", "upload", [first])
    change = tags.begin("changed", 2)
    assert tags.allows_beside("upload", "upload", [first])  # unanswered, it may never have been
    change.ended = 5
    assert tags.allows_beside("changed", "upload", [first])
    assert tags.allows_beside("upload", "upload", [first]), "sent before the write had ended"
    assert not tags.allows_beside("changed", "upload", [repeated]), "replaced by the write"
    assert tags.allows_beside("changed", "upload", [first, repeated])
    after = tags.begin("after", 8)
    after.ended = 9
    assert not tags.allows_beside("changed", "upload", [first, repeated])
    assert not tags.allows_beside("upload", "upload", [first, repeated])
