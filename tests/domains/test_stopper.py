"""Stopping against libvirt's test driver: the guest goes, disk and address stay, it comes back."""

from collections.abc import Callable, Iterator

import pytest

from eucabox.config import Config, NodeSection
from eucabox.errors import InvalidParameterValue
from eucabox.node import Node
from eucabox.state import State
from tests.domains.house import URI, House, open_house
from tests.domains.rows import add_instance, row_of

SETTINGS = NodeSection(virt_type="qemu", libvirt_uri=URI, shutdown_grace=0, stop_timeout=60)


@pytest.fixture
def house(config: Config, state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with open_house(config, state, monkeypatch, SETTINGS) as made:
        yield made


def running(house: House, node: Node, **columns: object) -> str:
    instance_id = add_instance(house.state, **columns)
    node.wake()
    house.becomes(instance_id, "running")
    return instance_id


def ask(house: House, node: Node, instance_id: str, state: str, code: int, wanted: str) -> None:
    where = {"instance_id": instance_id}
    house.state.update("instances", where, state=state, state_code=code, wanted=wanted)
    node.wake()


def stopped(house: House, node: Node, wanted: str = "stop") -> str:
    instance_id = running(house, node)
    ask(house, node, instance_id, "stopping", 64, wanted)
    house.becomes(instance_id, "stopped")
    return instance_id


@pytest.mark.parametrize("wanted", ["stop", "stop-by-force"])
def test_a_stopped_instance_keeps_its_disk_and_comes_back(house: House, wanted: str) -> None:
    with house.node() as node:
        instance_id = stopped(house, node, wanted)
        row = row_of(house.state, instance_id)
        assert (row["state_code"], row["wanted"], row["launch_state"]) == (80, "", "")
        assert instance_id not in house.names()
        assert ("unplug", instance_id) in house.network.notes
        assert ("forget", instance_id) not in house.images.notes
        ask(house, node, instance_id, "pending", 0, "")
        house.becomes(instance_id, "running")
        assert instance_id in house.names()


def test_a_stop_that_was_killed_is_finished(house: House) -> None:
    with house.node() as node:
        instance_id = running(house, node)
    where = {"instance_id": instance_id}
    house.state.update("instances", where, state="stopping", wanted="stop")
    with house.node():
        house.becomes(instance_id, "stopped")
    assert instance_id not in house.names()


def test_a_stopped_instance_stays_so_over_restarts(house: House) -> None:
    with house.node() as node:
        instance_id = stopped(house, node)
    with house.node() as node:
        running(house, node)
        assert row_of(house.state, instance_id)["state"] == "stopped"


def test_a_start_that_fails_does_not_cost_the_disk(house: House) -> None:
    def fail(progress: Callable[[str], None]) -> None:
        raise InvalidParameterValue(parameter="KernelId", value="eki-1", reason="It is no kernel.")

    with house.node() as node:
        instance_id = stopped(house, node)
        house.images.prepared = fail
        ask(house, node, instance_id, "pending", 0, "")
        house.wait(lambda: "no kernel" in row_of(house.state, instance_id)["state_reason_message"])
        house.becomes(instance_id, "stopped")
    assert ("forget", instance_id) not in house.images.notes


@pytest.mark.parametrize(("behavior", "end"), [("stop", "stopped"), ("terminate", "terminated")])
def test_a_poweroff_in_the_guest_does_what_was_chosen(
    house: House, behavior: str, end: str
) -> None:
    with house.node() as node:
        instance_id = running(house, node, shutdown_behavior=behavior)
        house.virt.lookupByName(instance_id).shutdown()
        row = house.becomes(instance_id, end)
    assert row["state_reason_code"] == "Client.InstanceInitiatedShutdown"
    has_disk = ("forget", instance_id) not in house.images.notes
    assert has_disk == (behavior == "stop")


def test_a_crash_does_not_cost_the_disk_of_what_was_stopped_once(house: House) -> None:
    with house.node() as node:
        instance_id = stopped(house, node)
        ask(house, node, instance_id, "pending", 0, "")
        house.becomes(instance_id, "running")
        house.virt.lookupByName(instance_id).destroy()
        row = house.becomes(instance_id, "stopped")
    assert row["state_reason_code"] == "Server.InternalError"


def test_a_stopped_instance_can_be_terminated(house: House) -> None:
    with house.node() as node:
        instance_id = stopped(house, node)
        ask(house, node, instance_id, "shutting-down", 32, "terminate")
        house.becomes(instance_id, "terminated")
    assert ("forget", instance_id) in house.images.notes


def test_a_guest_of_a_stopped_row_is_ended_and_its_disk_kept(house: House) -> None:
    with house.node() as node:
        instance_id = running(house, node)
    house.state.update("instances", {"instance_id": instance_id}, state="stopped")
    with house.node():
        house.wait(lambda: instance_id not in house.names())
    assert ("forget", instance_id) not in house.images.notes
    assert row_of(house.state, instance_id)["state"] == "stopped"


def test_a_purge_ends_stopped_instances_too(house: House) -> None:
    with house.node() as node:
        instance_id = stopped(house, node)
    node = Node(house.config, house.state, house.images, house.network)
    node.purge()
    assert row_of(house.state, instance_id)["state"] == "terminated"
    assert ("forget", instance_id) in house.images.notes
