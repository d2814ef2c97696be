"""A node without libvirt or its hypervisor, and with a libvirt that comes, goes or is silent."""

import dataclasses
import time
from collections.abc import Iterator

import pytest

from eucabox.config import Config, NodeSection
from eucabox.domains import connection as connections
from eucabox.domains.libvirt_binding import VirConnect
from eucabox.errors import LibvirtUnreachable
from eucabox.node import Node
from eucabox.state import State
from tests.domains.house import URI, House, PretendedHypervisor, open_house
from tests.domains.rows import add_instance, row_of

SETTINGS = NodeSection(virt_type="qemu", libvirt_uri=URI, shutdown_grace=0)


@pytest.fixture
def house(config: Config, state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with open_house(config, state, monkeypatch, SETTINGS) as made:
        yield made


def test_who_watches_learns_that_libvirt_is_reached_and_the_loop_turns_when_woken(
    house: House,
) -> None:
    told: list[str] = []
    node = Node(house.config, house.state, house.images, house.network)
    node.watch(lambda: told.append(node.problem))
    node.start()
    try:
        house.wait(lambda: bool(told) and told[-1] == "")
        before = node.turns
        node.wake()
        house.wait(lambda: node.turns > before)
    finally:
        node.stop()


def test_without_libvirt_a_launch_fails_with_its_words(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eucabox.domains.libvirt_domains.RECONNECT_WAIT", 0.1)
    nowhere = dataclasses.replace(SETTINGS, libvirt_uri="test:///no/such/file")
    house.config = dataclasses.replace(house.config, node=nowhere)
    instance_id = add_instance(house.state)
    with house.node() as node:
        row = house.becomes(instance_id, "terminated")
        assert "can't be reached" in node.problem
    assert "/no/such/file" in row["state_reason_message"]
    assert "Start libvirtd" in row["state_reason_message"]


def test_without_the_binding_the_package_is_named(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "libvirt", None)
    monkeypatch.setattr("eucabox.domains.libvirt_domains.RECONNECT_WAIT", 0.0)
    instance_id = add_instance(house.state)
    with house.node():
        row = house.becomes(instance_id, "terminated")
    assert "python3-libvirt" in row["state_reason_message"]


def test_an_unusable_hypervisor_is_the_reason(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PretendedHypervisor, "probe", lambda self, folder: "it is not here")
    instance_id = add_instance(house.state)
    with house.node() as node:
        row = house.becomes(instance_id, "terminated")
        assert (node.virt_type, node.hypervisor_name) == ("", "qemu")
        assert "it is not here" in node.virt_reason
    assert "it is not here" in row["state_reason_message"]


def test_a_hypervisor_that_is_installed_later_is_found(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(house.config, house.state, house.images, house.network)
    with monkeypatch.context() as missing:
        missing.setattr(PretendedHypervisor, "probe", lambda self, folder: "it is not here")
        assert node.virt_type == ""
    assert node.virt_type == "test"


@pytest.mark.not_fast
def test_a_lost_connection_is_opened_again(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
        node._connection.report_lost(node._connection.get(), "by intent")
        other = house.launch(node)
        assert row_of(house.state, instance_id)["state"] == "running"
        house.virt.lookupByName(other).shutdown()  # events come again too
        house.becomes(other, "terminated")


@pytest.mark.slow
def test_a_libvirt_that_lets_in_and_answers_nothing_is_not_asked_all_the_time() -> None:
    opened: list[VirConnect] = []

    def lose() -> None:
        if made.alive:
            opened.append(made.get())
            made.report_lost(opened[-1], connections.SILENT)

    made = connections.LibvirtConnection(URI, lambda *_: None, lose)
    made.start()
    try:
        time.sleep(1.5)
        assert 1 <= len(opened) <= 2
    finally:
        made.stop()


def test_purge_without_libvirt_says_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eucabox.domains.termination.RECONNECT_WAIT", 0.1)
    nowhere = dataclasses.replace(SETTINGS, libvirt_uri="test:///no/such/file")
    config = dataclasses.replace(house.config, node=nowhere)
    with pytest.raises(LibvirtUnreachable):
        Node(config, house.state, house.images, house.network).purge()
