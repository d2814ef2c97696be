"""Samples of what guests use, on libvirt's test driver; real numbers are in tests/live."""

import dataclasses
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import libvirt
import pytest

from eucabox.config import Config, NodeSection
from eucabox.domains import guest_counters, libvirt_domains
from eucabox.domains.guest_counters import GuestCounters
from eucabox.domains.usage_sampler import MOST_SAMPLES, UsageSampler
from eucabox.errors import DomainHung, Fault
from eucabox.hypervisor import xen
from eucabox.hypervisor.capabilities import Capabilities
from eucabox.state import State
from tests.domains.house import URI, House, open_house
from tests.domains.test_xens_ways import unsupported

SETTINGS = NodeSection(virt_type="qemu", libvirt_uri=URI, shutdown_grace=0)
STATS = {
    "cpu.time": 3_500_000_000, "balloon.current": 131072, "balloon.rss": 65536,
    "net.count": 1, "net.0.rx.bytes": 10, "net.0.tx.bytes": 20,
    "block.count": 3, "block.0.rd.bytes": 1, "block.0.wr.bytes": 2, "block.2.rd.bytes": 4,
}  # fmt: skip


@pytest.fixture
def house(config: Config, state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with open_house(config, state, monkeypatch, SETTINGS) as made:
        yield made


class Counted:
    """What libvirt counts, as a test says."""

    def __init__(self) -> None:
        self.guests: dict[str, GuestCounters] = {}
        self.with_disks: list[bool] = []
        self.problem: Fault | None = None

    def count_usage(self, name_device: object, *, with_disks: bool) -> dict[str, GuestCounters]:
        self.with_disks.append(with_disks)
        if self.problem:
            raise self.problem
        return self.guests


@dataclasses.dataclass
class Sampling:
    """A sampler whose clock is the test's."""

    counted: Counted
    sampler: UsageSampler
    monkeypatch: pytest.MonkeyPatch
    looks: list[float] = dataclasses.field(default_factory=list)

    def look(self, moment: float, **guests: GuestCounters) -> None:
        self.monkeypatch.setattr("eucabox.domains.usage_sampler.time.monotonic", lambda: moment)
        self.counted.guests = guests
        self.sampler.look()


@pytest.fixture
def sampling(monkeypatch: pytest.MonkeyPatch) -> Sampling:
    counted: Any = Counted()
    looks: list[float] = []
    sampler = UsageSampler(counted, Capabilities, str, lambda: looks.append(0.0))
    return Sampling(counted, sampler, monkeypatch, looks)


def test_libvirts_numbers_are_read_by_their_names() -> None:
    assert guest_counters.read_stats(STATS) == GuestCounters(3.5, 64 * 2**20, 5, 2, 10, 20)
    assert guest_counters.read_stats({"cpu.time": 0}) == GuestCounters(0.0)


def test_a_sample_is_what_was_used_between_two_looks(sampling: Sampling) -> None:
    sampling.look(100, a=GuestCounters(10.0, 500, 0, 0, 0, 1000))
    assert sampling.sampler.list_samples("a") == []
    sampling.look(120, a=GuestCounters(40.0, 600, 2000, None, 40, 1000))
    (sample,) = sampling.sampler.list_samples("a")
    assert (sample.cpus, sample.memory_bytes) == (1.5, 600)
    assert (sample.disk_read, sample.disk_write) == (100.0, None)
    assert (sample.network_in, sample.network_out) == (2.0, 0.0)
    assert (datetime.now(UTC) - sample.time).total_seconds() < 60
    assert sampling.looks == [0.0, 0.0]


def test_a_guest_that_began_anew_makes_no_negative_sample(sampling: Sampling) -> None:
    for moment, seconds in ((0, 100.0), (20, 120.0), (40, 1.0), (60, 3.0)):
        sampling.look(moment, a=GuestCounters(seconds))
    assert [each.cpus for each in sampling.sampler.list_samples("a")] == [1.0, 0.1]


def test_the_last_hour_is_kept_and_guests_that_are_gone_are_forgotten(sampling: Sampling) -> None:
    for number in range(3 * MOST_SAMPLES):
        sampling.look(20.0 * number, a=GuestCounters(20.0 * number))
    samples = sampling.sampler.list_samples("a")
    assert len(samples) == MOST_SAMPLES
    assert len(sampling.sampler.list_samples("a", 5)) == 5
    now = 20.0 * 3 * MOST_SAMPLES
    sampling.look(now + 1800, b=GuestCounters(1.0))
    assert 0 < len(sampling.sampler.list_samples("a")) < MOST_SAMPLES
    sampling.look(now + 4000, b=GuestCounters(2.0))
    assert sampling.sampler.list_samples("a") == []
    assert list(sampling.sampler._readings) == ["b"]


def test_where_disks_are_not_counted_libvirt_is_not_asked_for_them() -> None:
    counted: Any = Counted()
    UsageSampler(counted, xen.capabilities, str, lambda: None).look()
    UsageSampler(counted, Capabilities, str, lambda: None).look()
    assert counted.with_disks == [False, True]


def test_guests_are_counted_one_by_one_where_libvirt_has_no_call_for_all(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libvirt.virConnect, "getAllDomainStats", unsupported)
    with house.node() as node:
        instance_id = house.launch(node)
        node.usage.look()
        node.usage.look()
        (sample,) = node.usage.list_samples(instance_id)
        assert node.usage.list_samples("test") == [], "a domain of libvirt's own, and not ours"
    assert sample.memory_bytes == 128 * 2**20
    assert sample.disk_read is None


def test_a_guest_that_hangs_keeps_one_call_and_not_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libvirt_domains, "COUNT", 0.2)
    with house.node() as node:
        house.wait(lambda: node._connection.alive)
        hung, asked = threading.Event(), []

        def count(virt: Any, *, with_disks: bool) -> list[Any]:
            asked.append(virt)
            if len(asked) == 1:
                hung.wait(10)
            return []

        monkeypatch.setattr(guest_counters, "count_all", count)
        with pytest.raises(DomainHung):
            node.usage.look()
        node.usage.look()
        assert len(asked) == 2
        hung.set()
