"""The node on a hypervisor that lacks what Xen lacks, on libvirt's test driver."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import libvirt
import pytest

from eucabox.config import Config, NodeSection
from eucabox.domains import capacity, termination
from eucabox.domains import reconciler as loops
from eucabox.domains.connection import LibvirtConnection
from eucabox.errors import DomainFailed, ScreenUnreadable
from eucabox.hypervisor import xen
from eucabox.state import State
from tests.domains.house import URI, House, PretendedHypervisor, open_house
from tests.domains.rows import row_of

SETTINGS = NodeSection(virt_type="qemu", libvirt_uri=URI, shutdown_grace=0, reboot_timeout=5)
STARTED = (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_BOOTED)
STOPPED = (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)


def unsupported(thing: Any, *_: Any) -> Any:
    """Fail as libvirt fails where a driver has no such function; its test driver has not this."""
    connection = thing if isinstance(thing, libvirt.virConnect) else thing.connect()
    return connection.listNWFilters()


@pytest.fixture
def house(config: Config, state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(PretendedHypervisor, "capabilities", lambda self: xen.capabilities())
    monkeypatch.setattr(libvirt.virConnect, "getAllDomainStats", unsupported)
    monkeypatch.setattr(libvirt.virConnect, "domainListGetStats", unsupported)
    monkeypatch.setattr(libvirt.virDomain, "reset", unsupported)
    with open_house(config, state, monkeypatch, SETTINGS) as made:
        yield made


def with_settings(house: House, **settings: Any) -> Config:
    return dataclasses.replace(house.config, node=dataclasses.replace(SETTINGS, **settings))


def test_libvirt_is_asked_once_for_the_list_that_it_has_not(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def refuse(virt: libvirt.virConnect, stats: int) -> Any:
        asked.append(stats)
        return unsupported(virt)

    monkeypatch.setattr(libvirt.virConnect, "getAllDomainStats", refuse)
    with house.node() as node:
        house.launch(node)
        node._domains.all()
    assert len(asked) == 1, "libvirtd writes each refusal into its log"


def test_guests_are_seen_where_libvirt_lists_no_states(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
        house.virt.lookupByName(instance_id).shutdown()
        row = house.becomes(instance_id, "terminated")
    assert row["state_reason_code"] == "Client.InstanceInitiatedShutdown"


def test_a_guest_is_looked_after_where_libvirt_has_no_statistics(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
        node._domains.probe(instance_id)


def test_other_failures_of_the_list_are_not_taken_for_that(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(virt: libvirt.virConnect, *_: Any) -> Any:
        return virt.lookupByName("nobody")

    monkeypatch.setattr(libvirt.virConnect, "getAllDomainStats", fail)
    with house.node() as node:
        house.wait(lambda: node._connection.alive)
        with pytest.raises(DomainFailed, match="not found"):
            node._domains.all()


def test_a_guest_that_heeds_no_reboot_gets_a_new_domain_with_its_disk(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
        uuid = row_of(house.state, instance_id)["domain_uuid"]
        first = house.virt.lookupByName(instance_id).ID()
        house.virt.lookupByName(instance_id).suspend()  # it can't heed anything now
        house.want(instance_id, "reboot")
        node.wake()
        house.wait(lambda: not row_of(house.state, instance_id)["wanted"])
        domain = house.virt.lookupByName(instance_id)
        assert domain.ID() != first
        assert domain.UUIDString() == uuid
        assert row_of(house.state, instance_id)["state"] == "running"
    assert ("forget", instance_id) not in house.images.notes


def test_a_new_domain_is_the_end_of_a_reboot(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirt.virDomain, "reboot", lambda domain, flags: 0)
    with house.node() as node:
        instance_id = house.launch(node)
        house.want(instance_id, "reboot")
        node.wake()
        house.wait(lambda: instance_id in node._loop._rebooter._requested)
        assert row_of(house.state, instance_id)["wanted"] == "reboot"
        node._event(instance_id, *STARTED)
        house.wait(lambda: not row_of(house.state, instance_id)["wanted"])


def test_the_end_that_is_told_after_the_new_start_ends_nothing(house: House) -> None:
    """libxl tells of the old domain's end when the new one has started."""
    with house.node() as node:
        instance_id = house.launch(node)
        node._event(instance_id, *STARTED)
        node._event(instance_id, *STOPPED)
        house.wait(lambda: not node._loop._events.get(instance_id))
        assert row_of(house.state, instance_id)["state"] == "running"


def define_and_end(house: House, instance_id: str) -> libvirt.virDomain:
    """Have libvirt list a domain as ended, as libxl does while it starts a rebooted one again."""
    domain = house.virt.lookupByName(instance_id)
    house.virt.defineXML(domain.XMLDesc(0))
    domain.destroy()
    return domain


def test_a_domain_that_is_started_again_in_time_lives_on(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
        domain = define_and_end(house, instance_id)
        house.wait(lambda: instance_id in node._loop._ended)
        domain.create()
        house.wait(lambda: instance_id not in node._loop._ended)
        assert row_of(house.state, instance_id)["state"] == "running"
        domain.undefine()


@pytest.mark.not_fast
def test_a_domain_that_libvirt_could_not_start_again_is_made_anew(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house, "config", with_settings(house, reboot_timeout=0.3))
    with house.node() as node:
        instance_id = house.launch(node)
        define_and_end(house, instance_id)
        house.wait(lambda: instance_id in house.names(active=True))
        house.wait(lambda: not row_of(house.state, instance_id)["wanted"])
        assert row_of(house.state, instance_id)["state"] == "running"
        assert ("forget", instance_id) not in house.images.notes


def test_an_ended_domain_that_libvirt_goes_on_listing_is_removed_once(
    house: House, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    monkeypatch.setattr(termination, "RETRY", 0.05)
    monkeypatch.setattr(loops, "RETRY", 0.05)
    with house.node() as node:
        instance_id = house.launch(node)
        # libxl's is transient, so it can't be undefined either.
        monkeypatch.setattr(libvirt.virDomain, "undefine", lambda domain: 0)
        define_and_end(house, instance_id)
        house.state.update(
            "instances", {"instance_id": instance_id}, state="terminated", launch_state="cleaned"
        )
        turns = node.turns
        node.wake()
        house.wait(lambda: node.turns > turns + 5)
    told = [line for line in lines if f"ended what was left of {instance_id}" in line]
    assert len(told) == 1
    monkeypatch.undo()
    house.virt.lookupByName(instance_id).undefine()


def test_the_hypervisors_own_memory_counts(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "OVERHEAD_MB", 1)  # the test driver has 3 MiB free, for ever
    unused = house.virt.getFreeMemory() // 2**20
    with house.node() as node:
        house.wait(lambda: node.host().memory_mb == unused - 1)
        house.launch(node)
        node._memory_due = 0.0
        node.wake()
        # The guest's own comes on top.
        house.wait(lambda: node.host().memory_mb == unused + 128 - 1)


def test_the_administrators_memory_counts_before_the_hypervisors(house: House) -> None:
    house.config = with_settings(house, memory_mb=700)
    with house.node() as node:
        house.launch(node)
        assert node.host().memory_mb == 700


def test_a_screenshot_is_refused_in_the_drivers_words(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
        with pytest.raises(ScreenUnreadable, match="libvirt takes none of a Xen guest") as caught:
            node.screenshot(instance_id)
    assert caught.value.code == "UnsupportedOperation"


def test_a_console_that_libvirt_can_not_open_disturbs_nothing(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
        house.wait(lambda: instance_id not in node._consoles._lines)
        assert node.console_output(instance_id)[0] == b""
        assert isinstance(node._connection, LibvirtConnection)
