"""Guests that were paused or saved on the host, and how often a full disk is tried."""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from eucabox.config import Config, NodeSection
from eucabox.domains import health
from eucabox.domains.health import Health
from eucabox.domains.instance_rows import NEW_DOMAIN
from eucabox.domains.libvirt_domains import Domains, DomainState
from eucabox.errors import DomainFailed
from eucabox.state import State
from tests.domains.house import URI, House, open_house
from tests.domains.rows import row_of

SETTINGS = NodeSection(virt_type="qemu", libvirt_uri=URI, shutdown_grace=0, reboot_timeout=5)
STARVED = DomainState("i-1", "", libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR)
RUNS = DomainState("i-1", "", libvirt.VIR_DOMAIN_RUNNING, 0)


@pytest.fixture
def house(config: Config, state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with open_house(config, state, monkeypatch, SETTINGS) as made:
        yield made


def test_a_guest_paused_on_the_host_is_in_trouble_until_it_goes_on(house: House) -> None:
    told: list[dict[str, str]] = []
    with house.node() as node:
        house.wait(lambda: node._reported == "")
        node.watch(lambda: told.append(node.status()["guests"]))
        instance_id = house.launch(node)
        house.virt.lookupByName(instance_id).suspend()
        house.wait(lambda: node.trouble(instance_id) is not None)
        house.virt.lookupByName(instance_id).resume()
        house.wait(lambda: node.trouble(instance_id) is None)
        assert row_of(house.state, instance_id)["state"] == "running"
    assert told == [{instance_id: health.PAUSED}, {}]


def test_a_pause_of_our_own_is_no_trouble(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
        node.suspend(instance_id)
        assert node._loop.run_once() is not None
        assert node.trouble(instance_id) is None
        node.resume(instance_id)


@pytest.mark.not_fast
def test_a_reboot_waits_until_the_copy_of_a_paused_guests_disk_is_done(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
        node.suspend(instance_id)
        house.want(instance_id, "reboot")
        for _ in range(3):
            node._loop.run_once()
        time.sleep(0.5)
        state = house.virt.lookupByName(instance_id).state()[0]
        assert state == libvirt.VIR_DOMAIN_PAUSED, "the disk would change under the copy"
        node.resume(instance_id)
        node.wake()
        house.wait(lambda: not row_of(house.state, instance_id)["wanted"])


def test_a_guest_that_does_not_go_on_after_a_copy_is_in_trouble(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Domains, instance_id: str) -> None:
        raise DomainFailed(action="resume", id=instance_id, reason="no")

    with house.node() as node:
        instance_id = house.launch(node)
        node.suspend(instance_id)
        monkeypatch.setattr(Domains, "resume", refuse)
        with pytest.raises(DomainFailed):
            node.resume(instance_id)
        node.wake()
        house.wait(lambda: node.trouble(instance_id) is not None)


def test_the_trouble_of_an_instance_ends_with_it(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
        house.virt.lookupByName(instance_id).suspend()
        house.wait(lambda: node.trouble(instance_id) is not None)
        house.want(instance_id, "terminate")
        node.wake()
        house.becomes(instance_id, "terminated")
        house.wait(lambda: not node.status()["guests"])


def test_a_guest_saved_on_the_host_is_stopped_with_its_disk(house: House, tmp_path: Path) -> None:
    file = tmp_path / "saved"
    with house.node() as node:
        instance_id = house.launch(node)
        house.virt.lookupByName(instance_id).save(str(file))
        row = house.becomes(instance_id, "stopped")
        assert "saved" in row["state_reason_message"]
        assert ("forget", instance_id) not in house.images.notes
        house.virt.restore(str(file))
        row = house.becomes(instance_id, "running")
        assert row["state_reason_message"] == ""
        assert house.network.notes[-1] == ("plug", instance_id)


class Fed:
    """Guests that stand still again at once, and the moments at which they were let go on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.moments: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def resume(self, instance_id: str) -> None:
        self.moments.append(self.now)

    def is_hung(self, instance_id: str) -> bool:
        return False

    def probe(self, instance_id: str) -> None:
        pass

    def submit(self, key: str, work: object) -> None:
        work()  # type: ignore[operator]


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> Fed:
    made = Fed()
    monkeypatch.setattr(health, "time", made)
    return made


def test_a_guest_that_stops_again_is_let_go_on_ever_more_rarely(
    fed: Fed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_free", lambda folder: health.ENOUGH)
    made = Health(tmp_path, fed, fed, lambda: None)  # type: ignore[arg-type]
    for _ in range(1200):
        made.check(STARVED)
        fed.now += 0.1
    assert 5 <= len(fed.moments) <= 9
    waits = [late - early for early, late in zip(fed.moments, fed.moments[1:], strict=False)]
    assert max(waits) <= health.LONGEST_PAUSE + 0.2
    made.check(RUNS)
    fed.now += health.CALM
    made.check(RUNS)
    before = len(fed.moments)
    made.check(STARVED)
    assert len(fed.moments) == before + 1, "a new case is tried at once"


def test_a_guest_is_not_tried_while_the_disk_has_no_space(
    fed: Fed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_free", lambda folder: 0)
    made = Health(tmp_path, fed, fed, lambda: None)  # type: ignore[arg-type]
    for _ in range(600):
        assert made.check(STARVED) <= health.LOOK_AT_DISK
        fed.now += 0.1
    assert fed.moments == []
    monkeypatch.setattr(health, "_free", lambda folder: health.ENOUGH)
    fed.now += health.LOOK_AT_DISK
    made.check(STARVED)
    assert len(fed.moments) == 1


@pytest.mark.slow
def test_a_guest_that_cannot_be_ended_is_not_terminated_before_it_is(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eucabox.domains.termination.RETRY", 0.1)
    destroy = Domains.destroy

    def fail(self: Domains, instance_id: str, uuid: str = "") -> None:
        raise DomainFailed(action="stop", id=instance_id, reason="Device or resource busy")

    short = dataclasses.replace(house.config.node, shutdown_timeout=5)
    house.config = dataclasses.replace(house.config, node=short)
    with house.node() as node:
        instance_id = house.launch(node)
        monkeypatch.setattr(Domains, "destroy", fail)
        house.want(instance_id, "terminate")
        node.wake()
        house.wait(lambda: node.status()["guests"] == {instance_id: health.STUCK})
        assert row_of(house.state, instance_id)["state"] == "shutting-down"
        monkeypatch.setattr(Domains, "destroy", destroy)
        house.becomes(instance_id, "terminated")
        assert instance_id not in house.names()


def test_a_domain_that_was_to_be_made_anew_is_after_a_kill(house: House) -> None:
    with house.node() as node:
        instance_id = house.launch(node)
    house.virt.lookupByName(instance_id).destroy()
    house.want(instance_id, NEW_DOMAIN)
    with house.node() as node:
        house.wait(lambda: row_of(house.state, instance_id)["wanted"] == "")
        assert instance_id in house.names()
        assert row_of(house.state, instance_id)["state"] == "running"
        assert ("forget", instance_id) not in house.images.notes


def test_a_guest_that_cannot_be_reset_gets_a_new_domain(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Domains, instance_id: str) -> None:
        raise DomainFailed(action="reset", id=instance_id, reason="by intent")

    monkeypatch.setattr(Domains, "reboot", fail)
    monkeypatch.setattr(Domains, "reset", fail)
    with house.node() as node:
        instance_id = house.launch(node)
        before = house.virt.lookupByName(instance_id).ID()
        house.want(instance_id, "reboot")
        node.wake()
        house.wait(lambda: row_of(house.state, instance_id)["wanted"] == "")
        assert house.virt.lookupByName(instance_id).ID() != before
        assert row_of(house.state, instance_id)["state"] == "running"
