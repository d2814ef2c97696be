"""A short form of `make test-kills`, and that its model would notice a loss."""

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from eucabox import ids
from tests.live import guests
from tests.live.kills import launches, people, resources, rows
from tests.live.kills.__main__ import run
from tests.live.kills.history import NOTHING, Register, Write
from tests.live.kills.host import RUN, Host
from tests.live.kills.moments import Moment
from tests.live.kills.things import Lost, Named, Things, whole
from tests.live.kills.world import World
from tests.live.process import Running

KILLS = 6
DONE = (
    {"put", "copy", "delete", "part", "version", "marker"}, {"launch"},
    {"key pair", "group", "authorize", "register image", "mark"},
    {"user", "policy", "team", "access key", "inline policy"},
)  # fmt: skip


def test_nothing_acknowledged_is_lost() -> None:
    loop = run(KILLS, seed=1)
    assert loop.world.problems == []
    assert loop.kills >= KILLS
    for each in DONE:
        assert each & loop.world.counts.keys(), loop.world.counts


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


# --- what EC2 and IAM keep -----------------------------------------------------------------------


def lose() -> None:
    raise EndpointConnectionError(endpoint_url="http://127.0.0.1")


def write(things: Things, value: str, ask: Callable[[], object] = dict, **members: str) -> None:
    """Have a thing, or several of one kind, be a value."""
    values: dict[Named, str] = {("group", name): value for name in members.values()}
    things.write("group", values, ask)


def test_a_thing_that_was_acknowledged_and_is_not_listed_is_a_problem() -> None:
    things = Things(World())
    write(things, "first", name="web")
    things.compare("group", {"web": "first"})
    assert things.world.problems == []
    things.compare("group", {})
    assert "group web is ''" in things.world.problems[0]


def test_a_thing_whose_answer_was_lost_is_there_or_not_and_nothing_else() -> None:
    for listed in ({}, {"web": "first"}):
        things = Things(World())
        with pytest.raises(Lost):
            write(things, "first", lose, name="web")
        things.compare("group", listed)
        assert things.world.problems == []
        assert things.value("group", "web") == listed.get("web", NOTHING)
    things.compare("group", {"web": whole("first", description="")})
    assert "torn" in things.world.problems[0]


def test_a_thing_that_was_deleted_or_never_made_is_a_problem() -> None:
    things = Things(World())
    write(things, "first", name="web")
    write(things, NOTHING, name="web")
    things.compare("group", {"web": "first", "other": "second"})
    assert ["other" in each for each in things.world.problems] == [True, False]


def test_a_request_for_two_of_which_one_alone_was_done_is_a_problem() -> None:
    things = Things(World())
    with pytest.raises(Lost):
        write(things, "both", lose, name="web", other="mail")
    things.compare("group", {"web": "both"})
    assert things.world.problems == []
    things.compare_groups()
    assert "a part of one request" in things.world.problems[0]


def test_a_refusal_that_may_not_be_is_a_problem() -> None:
    things = Things(World())

    def refuse() -> None:
        raise ClientError({"Error": {"Code": "InternalError", "Message": ""}}, "CreateGroup")

    with pytest.raises(Lost):
        write(things, "first", refuse, name="web")
    assert "InternalError" in things.world.problems[0]


def test_the_moment_of_a_kill_is_a_line_that_comes_after_the_beginning(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("i-1 runs\n")
    assert Moment(" runs", 0).wait(log, 0) == " runs"
    assert Moment("", 0).wait(log, 0) == "at random"
    assert Moment(" runs", 0).wait(log, log.stat().st_size) == "without  runs"


def test_what_the_services_do_not_list_any_more_is_found(cloud: Running) -> None:
    for kind, service, compare in (
        ("instance", "ec2", launches.compare),
        ("key pair", "ec2", resources.compare),
        ("group", "ec2", resources.compare),
        ("image", "ec2", resources.compare),
        ("user", "iam", people.compare),
        ("key", "iam", people.compare),
        ("policy", "iam", people.compare),
    ):
        things, client = Things(World()), cloud.client(service)
        things.learn(kind, "lost", "value")
        compare(things, client)
        client.close()
        (problem,) = things.world.problems
        assert problem.startswith(f"{kind} lost is ''")


# --- what is on the host -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def host(cloud: Running) -> Iterator[Host]:
    found = Host(cloud)
    yield found
    found.close()


@contextmanager
def dummy(name: str) -> Iterator[None]:
    subprocess.run(["ip", "tuntap", "add", name, "mode", "tap"], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True)


@contextmanager
def file(path: Path, text: str) -> Iterator[None]:
    before = path.read_text() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    yield
    if before is None:
        path.unlink()
    else:
        path.write_text(before)


def test_what_belongs_to_no_row_is_found_on_the_host(host: Host) -> None:
    things, data = Things(World()), host.cloud.data
    guests.until(lambda: not host.differences(things), "end of the start")
    with dummy(ids.tap_prefix(host.bridge) + "0123"):
        assert "devices" in str(host.differences(things))
    with file(RUN / host.bridge / "names", "172.31.0.9 ip-172-31-0-9.internal ip-172-31-0-9\n"):
        assert "names are" in str(host.differences(things))
    with file(data / "cache" / ("0" * 64 + ".raw"), "content"):
        assert "belongs to no image" in str(host.differences(things))
    with file(data / "instances" / "i-0" / "disk.qcow2", "content"):
        assert "folders of no instance" in str(host.differences(things))
    (data / "instances" / "i-0").rmdir()
    assert host.differences(things) == []


def test_a_row_without_its_owner_is_found(host: Host) -> None:
    assert rows.differences(host) == []
    sql = "insert into {} values ({})"
    strays = {
        "tags": "'i-0', '1', 'instance', 'own', 'value'",
        "inline_policies": "'AIDA', 'policy', '{}'",
        "attached_policies": "'AIDA', 'arn'",
        "iam_tags": "'AIDA', 'own', 'value'",
        "group_members": "'AGPA', 'AIDA'",
    }
    with closing(sqlite3.connect(host.cloud.data / "eucabox.db", timeout=30)) as database:
        for table, values in strays.items():
            with database:
                database.execute(sql.format(table, values))
            assert len(rows.differences(host)) == 1, table
            with database:
                database.execute(f"delete from {table}")
    assert rows.differences(host) == []
