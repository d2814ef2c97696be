"""A world at a moment: what was answered is sure, what was sent may be, what came later is not."""

from tests.live.kills.history import NOTHING, UNKNOWN, Register, Write
from tests.live.kills.world import Made
from tests.power.world import NewVersion, PowerWorld

PLACE = ("plain", "a")


def write(register: Register, value: str, began: float, ended: float = UNKNOWN) -> None:
    register.begin(value, began).ended = ended


def allowed(register: Register, *values: str) -> set[str]:
    return {each for each in (NOTHING, *values) if register.allows(each, 100, 100)}


def test_an_answered_write_must_be_there() -> None:
    world = PowerWorld()
    write(world.objects[PLACE], "first", 1, 2)
    write(world.objects[PLACE], "second", 3, 4)
    left = {
        moment: allowed(world.at(moment).objects[PLACE], "first", "second")
        for moment in (0.5, 1.5, 2.5, 3.5, 4.5)
    }
    assert left == {
        0.5: {NOTHING},
        1.5: {NOTHING, "first"},
        2.5: {"first"},
        3.5: {"first", "second"},
        4.5: {"second"},
    }
    assert world.acknowledged() == [2, 4]


def test_a_promise_of_seconds_lets_younger_objects_go_and_no_rows() -> None:
    world = PowerWorld()
    for register in (world.objects[PLACE], world.row("User", "one")):
        write(register, "first", 1, 2)
        write(register, "second", 3, 4)
    view = world.at(11, promise=8)
    assert allowed(view.objects[PLACE], "first", "second") == {
        *("first", "second"),
        NOTHING,  # the second had replaced the first
    }
    assert allowed(view.row("User", "one"), "first", "second") == {"second"}
    assert allowed(world.at(13, promise=8).objects[PLACE], "first", "second") == {"second"}


def test_versions_are_known_by_their_id_once_they_were_answered() -> None:
    world = PowerWorld()
    asked = NewVersion("version1", "a", Write("version1", 1, 3), "id")
    world.new_versions.append(asked)
    world.versions["a", "id"] = Register([Write("version1", 3, 3)])
    write(world.versions["a", "id"], NOTHING, 5, 6)
    assert (world.at(0.5).versions, world.at(0.5).unnamed) == ({}, {})
    assert (world.at(2).versions, world.at(2).unnamed) == ({}, {"version1": "a"})
    for moment, left in ((4, {"version1"}), (5.5, {"version1", NOTHING}), (7, {NOTHING})):
        view = world.at(moment)
        assert not view.unnamed
        assert allowed(view.versions["a", "id"], "version1") == left


def test_an_upload_has_the_parts_that_were_answered() -> None:
    world = PowerWorld()
    part = Register()
    write(part, "upload1.1", 2, 3)
    world.uploads["id"] = Made("upload1", PLACE, Register([Write("upload1", 1, 1)]), {1: part})
    assert not world.at(0.5).uploads
    assert allowed(world.at(2.5).uploads["id"].parts[1], "upload1.1") == {NOTHING, "upload1.1"}
    view = world.at(4)
    assert allowed(view.uploads["id"].there, "upload1") == {"upload1"}
    assert allowed(view.uploads["id"].parts[1], "upload1.1") == {"upload1.1"}
    young = world.at(4, promise=10).uploads["id"]
    assert allowed(young.there, "upload1") == {NOTHING, "upload1"}
