"""The node's loop against libvirt's test driver: rows become domains, events become rows."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from eucabox import ids
from eucabox.config import Config, NodeSection
from eucabox.domains import health, screen, termination
from eucabox.domains import reconciler as loops
from eucabox.ec2 import instances
from eucabox.errors import (
    InstanceNotFound,
    InvalidParameterValue,
    ProgramFailed,
    ScreenUnreadable,
)
from eucabox.network import GuestAddress
from eucabox.node import Node
from eucabox.state import State
from tests.domains.house import URI, House, open_house
from tests.domains.rows import add_instance, row_of

SETTINGS = NodeSection(virt_type="qemu", libvirt_uri=URI, shutdown_grace=0)


@pytest.fixture
def house(config: Config, state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with open_house(config, state, monkeypatch, SETTINGS) as made:
        yield made


def ago(seconds: float) -> str:
    return ids.time_text(datetime.now(UTC) - timedelta(seconds=seconds))


def test_an_address_that_the_network_learnt_is_in_the_row(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
        mac = row_of(house.state, instance_id)["mac_address"] or ""
        house.network.learnt(GuestAddress(mac, "10.0.0.5", "ip-10-0-0-5.eucabox.internal"))
        assert row_of(house.state, instance_id)["private_ip_address"] == "10.0.0.5"


def test_a_pending_row_becomes_a_running_domain(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
    row = row_of(house.state, instance_id)
    domain = house.virt.lookupByName(instance_id)
    assert (row["state_code"], row["launch_state"]) == (16, "booted")
    assert domain.UUIDString() == row["domain_uuid"]
    assert house.images.notes == [("prepare", instance_id)]
    assert house.network.notes[-1] == ("plug", instance_id)


def test_terminate_ends_domain_address_and_disk(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
        house.want(instance_id, "terminate")
        node.wake()
        row = house.becomes(instance_id, "terminated")
    assert instance_id not in house.names()
    assert row["state_code"] == 48
    assert row["state_reason_code"] == "Client.UserInitiatedShutdown"
    assert row["terminated_time"]
    assert ("unplug", instance_id) in house.network.notes
    assert ("forget", instance_id) in house.images.notes


def test_the_power_button_is_pressed_before_the_plug_is_pulled(house: House) -> None:
    house.config = dataclasses.replace(
        house.config, node=dataclasses.replace(SETTINGS, shutdown_grace=60)
    )
    with house.node() as node:
        instance_id = house.launch(node)
        house.want(instance_id, "terminate")
        node.wake()
        house.becomes(instance_id, "terminated")  # the test driver's guests heed the button


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        ("shutdown", "Client.InstanceInitiatedShutdown", "Instance initiated shutdown"),
        ("destroy", "Server.InternalError", "stopped on the host"),
    ],
)
def test_a_domain_that_ends_by_itself_ends_its_row(
    house: House, end: str, code: str, words: str
) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
        getattr(house.virt.lookupByName(instance_id), end)()
        row = house.becomes(instance_id, "terminated")
    assert row["state_reason_code"] == code
    assert words in row["state_reason_message"]
    assert ("unplug", instance_id) in house.network.notes


def test_a_guest_runs_on_and_is_taken_back(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
    with house.node() as node:
        other = house.launch(node)
        assert row_of(house.state, instance_id)["state"] == "running"
        assert ("sync", instance_id) in house.network.notes
    assert {instance_id, other} <= house.names()


@pytest.mark.parametrize("step", ["", "disk", "plugged", "booting"])
def test_a_launch_that_was_killed_is_taken_up(house: House, step: str) -> None:
    instance_id = add_instance(house.state, launch_state=step)
    with house.node():
        house.becomes(instance_id, "running")


def test_a_killed_launch_whose_guest_runs_gets_no_new_disk(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
    where = {"instance_id": instance_id}
    house.state.update("instances", where, state="pending", launch_state="booting")
    house.images.notes.clear()
    with house.node():
        house.becomes(instance_id, "running")
    assert house.images.notes == []


@pytest.mark.parametrize(("boot_id", "words"), [(None, "while eucabox"), ("old", "restarted")])
def test_a_guest_that_is_gone_at_the_start_has_a_truthful_end(
    house: House, boot_id: str | None, words: str
) -> None:
    instance_id = add_instance(house.state, state="running", launch_state="booted")
    if boot_id:
        with house.state.transaction() as database:
            database.conn.execute("insert into settings values ('boot_id', ?)", (boot_id,))
    with house.node():
        row = house.becomes(instance_id, "terminated")
    assert row["state_reason_code"] == "Server.InternalError"
    assert words in row["state_reason_message"]


def test_domains_of_ours_without_a_living_row_are_ended(house: House) -> None:
    with house.node() as node:
        ended, gone = house.launch(node), house.launch(node)
    house.state.update("instances", {"instance_id": ended}, state="terminated")
    with house.state.transaction() as database:
        database.conn.execute("delete from instances where instance_id = ?", (gone,))
    with house.node():
        house.wait(lambda: not {ended, gone} & house.names())


def test_what_is_not_ours_is_never_touched(house: House) -> None:
    with house.node() as node:
        theirs = house.launch(node)
    house.state.update("settings", {"key": "cloud_id"}, value="another cloud")
    house.state.update("instances", {"instance_id": theirs}, wanted="terminate")
    with house.node() as node:
        house.launch(node)
        house.wait(lambda: row_of(house.state, theirs)["state"] == "shutting-down")
    assert {"test", theirs} <= house.names()


def test_a_launch_that_fails_tells_the_user_why(house: House) -> None:
    def fail(progress: Callable[[str], None]) -> None:
        raise InvalidParameterValue(parameter="KernelId", value="eki-1", reason="It is no kernel.")

    house.images.prepared = fail
    instance_id = add_instance(house.state)
    with house.node():
        row = house.becomes(instance_id, "terminated")
    assert row["state_reason_code"] == "Client.InvalidParameterValue"
    assert "It is no kernel." in row["state_reason_message"]
    assert ("forget", instance_id) in house.images.notes


def test_libvirts_refusal_is_the_reason(house: House) -> None:
    instance_id = add_instance(house.state, mac_address="no mac")
    with house.node():
        row = house.becomes(instance_id, "terminated")
    assert row["state_reason_code"] == "Server.InternalError"
    assert "no mac" in row["state_reason_message"]


def test_a_terminate_in_the_middle_of_a_launch_stops_it(house: House) -> None:
    begun, go = threading.Event(), threading.Event()

    def wait(progress: Callable[[str], None]) -> None:
        begun.set()
        assert go.wait(10)
        progress("half of it")

    house.images.prepared = wait
    instance_id = add_instance(house.state)
    with house.node() as node:
        assert begun.wait(10)
        house.want(instance_id, "terminate")
        node.wake()
        house.becomes(instance_id, "shutting-down")
        go.set()
        row = house.becomes(instance_id, "terminated")
    assert row["state_reason_code"] == "Client.UserInitiatedShutdown"
    assert ("plug", instance_id) not in house.network.notes
    assert instance_id not in house.names()


def test_a_slow_image_does_not_hold_up_another(house: House) -> None:
    go, first = threading.Event(), threading.Event()

    def wait(progress: Callable[[str], None]) -> None:
        if not first.is_set():
            first.set()
            assert go.wait(10)

    house.images.prepared = wait
    slow = add_instance(house.state)
    with house.node() as node:
        assert first.wait(10)
        house.launch(node)
        assert row_of(house.state, slow)["state"] == "pending"
        go.set()
        house.becomes(slow, "running")


@pytest.mark.not_fast
def test_a_launch_that_takes_too_long_ends(house: House) -> None:
    go = threading.Event()

    def wait(progress: Callable[[str], None]) -> None:
        assert go.wait(10)
        progress("late")

    house.images.prepared = wait
    instance_id = add_instance(house.state, state_time=ago(599.5))
    with house.node():
        house.becomes(instance_id, "shutting-down")
        go.set()
        row = house.becomes(instance_id, "terminated")
    assert "Not started within 600 s" in row["state_reason_message"]


@pytest.mark.not_fast
def test_a_clean_up_that_fails_does_not_keep_the_user_waiting(house: House) -> None:
    def fail() -> None:
        raise ProgramFailed(program="ip", status=1, reason="by intent")

    house.network.unplugged = fail
    instance_id = add_instance(house.state, state="shutting-down", state_time=ago(119.5))
    with house.node():
        row = house.becomes(instance_id, "terminated")
    assert "goes on trying" in row["state_reason_message"]


@pytest.mark.not_fast
def test_the_address_of_a_guest_that_does_not_end_stays_its_own(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(termination, "RETRY", 0.1)
    monkeypatch.setattr(loops, "RETRY", 0.1)

    def fail() -> None:
        raise ProgramFailed(program="ip", status=1, reason="by intent")

    house.network.unplugged = fail
    instance_id = add_instance(house.state, state="shutting-down", state_time=ago(119.5))
    with house.node() as node:
        row = house.becomes(instance_id, "terminated")
        assert instances.addresses(house.state) == {row["mac_address"], row["private_ip_address"]}
        house.state.update(
            "instances", {"instance_id": instance_id}, state_time=ago(10000), state_clock=""
        )
        node.wake()
        house.wait(lambda: house.network.notes.count(("unplug", instance_id)) > 3)
        assert row_of(house.state, instance_id)["state"] == "terminated", "it is not forgotten"
        house.network.unplugged = lambda: None
        house.wait(lambda: not instances.addresses(house.state))
        house.wait(lambda: not house.state.query("select 1 from instances"))


@pytest.mark.not_fast
def test_a_reboot_that_is_not_heeded_becomes_a_reset(house: House) -> None:
    house.config = dataclasses.replace(
        house.config, node=dataclasses.replace(SETTINGS, reboot_timeout=1)
    )
    with house.node() as node:
        instance_id = house.launch(node)
        house.want(instance_id, "reboot")
        node.wake()
        house.wait(lambda: row_of(house.state, instance_id)["wanted"] == "")
        assert row_of(house.state, instance_id)["state"] == "running"


def test_terminated_instances_are_kept_for_a_while_and_then_gone(house: House) -> None:
    recent = add_instance(house.state, state="terminated", state_time=ago(60))
    old = add_instance(house.state, state="terminated", state_time=ago(4000), created=ago(90000))
    tag = {"account_id": "1", "resource_type": "instance", "key": "a", "value": "b"}
    house.state.insert("tags", {"resource_id": old, **tag})
    console = house.config.cloud.data_dir / "instances" / old / "console.log"
    console.parent.mkdir()
    console.write_bytes(b"last words")
    with house.node():
        house.wait(lambda: not console.parent.exists())
        house.wait(lambda: len(house.state.query("select * from instances")) == 1)
    assert row_of(house.state, recent)["state"] == "terminated"
    assert house.state.query("select * from tags") == []
    assert len(house.state.query("select * from reservations")) == 1


def test_the_console_is_told_with_the_time_of_its_last_byte(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
        console = house.config.cloud.data_dir / "instances" / instance_id / "console.log"
        assert console.exists()
        console.write_bytes(b"x" * 70_000 + b"login: ")
        output, moment = node.console_output(instance_id)
        assert (len(output), output[-7:]) == (64 * 1024, b"login: ")
        assert abs((datetime.now(UTC) - moment).total_seconds()) < 5
        with pytest.raises(InstanceNotFound):
            node.console_output("i-0")


def test_a_console_that_was_never_written_is_empty(house: House) -> None:
    instance_id = add_instance(house.state, state="terminated")
    node = Node(house.config, house.state, house.images, house.network)
    output, moment = node.console_output(instance_id)
    assert output == b""
    assert ids.time_text(moment) == row_of(house.state, instance_id)["state_time"]


def test_a_stop_leaves_launches_for_the_next_start(house: House) -> None:
    begun, go = threading.Event(), threading.Event()

    def wait(progress: Callable[[str], None]) -> None:
        begun.set()
        assert go.wait(10)
        progress("late")

    house.images.prepared = wait
    instance_id = add_instance(house.state)
    with house.node():
        assert begun.wait(10)
        threading.Timer(0.2, go.set).start()
    assert row_of(house.state, instance_id)["state"] == "pending"
    house.images.prepared = lambda progress: None
    with house.node():
        house.becomes(instance_id, "running")


def test_purge_ends_everything_at_once(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
    waiting = add_instance(house.state)
    Node(house.config, house.state, house.images, house.network).purge()
    assert {row_of(house.state, each)["state"] for each in (instance_id, waiting)} == {"terminated"}
    assert instance_id not in house.names()
    assert "test" in house.names()


def test_the_loop_sleeps_when_nothing_is_due(house: House) -> None:
    with house.node() as node:
        house.wait(lambda: node._connection.alive)
        assert node._loop.run_once() is None
        house.launch(node)
        wait = node._loop.run_once()
        assert wait is not None
        assert 1 <= wait <= health.PROBE_EVERY, "until the guest is looked after"


def test_a_new_configuration_counts_from_now_on(house: House) -> None:
    with house.node() as node:
        limited = dataclasses.replace(house.config.node, cores=1, terminated_kept=0)
        node.config = dataclasses.replace(house.config, node=limited)
        assert node.host().cores == 1
        ended = add_instance(house.state, state="terminated", state_time=ago(1))
        node.wake()
        house.wait(lambda: not house.state.query("select 1 from instances"))
        assert ended not in house.names()


def test_the_status_says_which_hypervisor_and_why(house: House) -> None:
    with house.node() as node:
        house.wait(lambda: node._connection.alive)
        assert node.status() == {
            "virt_type": "test",
            "detail": "test: virt_type = qemu is configured",
            "libvirt": URI,
            "problem": "",
            "guests": {},
        }


def test_the_screen_is_told_as_a_png_or_refused(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
        try:
            assert node.screenshot(instance_id).startswith(screen.PNG)
        except ScreenUnreadable as fault:  # the test driver's picture is not packaged everywhere
            assert instance_id in fault.message
        with pytest.raises(ScreenUnreadable):
            node.screenshot("i-00000000000000000")


def test_rules_are_in_force_before_the_guest_starts(house: House) -> None:
    seen: list[bool] = []
    notes = house.network.notes

    def plug(row: dict[str, str]) -> None:
        notes.append(("plug", row["instance_id"]))
        house.network.filtered.clear()  # as if the thread had not come to it yet

    house.network.plug = plug  # type: ignore[method-assign,assignment]
    with house.node() as node:
        create = node._domains.create

        def created(name: str, xml: str) -> None:
            tap = ids.tap(name, house.network.bridge)
            seen.append(tap in house.network.filtered and f'dev="{tap}"' in xml)
            create(name, xml)

        node._domains.create = created  # type: ignore[method-assign,assignment]
        house.launch(node)
    assert seen == [True]
