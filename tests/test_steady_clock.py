"""What counts seconds does so whatever becomes of the host's clock."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eucabox import ids, steady_clock
from eucabox.config import Config, NodeSection
from eucabox.iam import accounts
from eucabox.iam.accounts import Accounts
from eucabox.node import Node
from eucabox.state import State
from tests.domains.house import URI, House, open_house
from tests.domains.rows import add_instance, row_of


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what sets the host's clock, for all that tells the time of day, by some seconds."""
    stepped = [0.0]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=stepped[0])

    for module in (ids, steady_clock, accounts):
        monkeypatch.setattr(module, "datetime", Clock)

    def step(seconds: float) -> None:
        stepped[0] += seconds

    return step


@pytest.fixture
def house(config: Config, state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    settings = NodeSection(virt_type="qemu", libvirt_uri=URI, shutdown_grace=0)
    with open_house(config, state, monkeypatch, settings) as made:
        yield made


@pytest.mark.parametrize("seconds", [700, -1800])
def test_the_seconds_since_a_moment_are_the_same_after_a_step(
    step: Callable[[float], None], seconds: float
) -> None:
    reading, moment = steady_clock.reading(), ids.now()
    step(seconds)
    assert 0 <= steady_clock.seconds_since(reading, moment) < 5


def test_what_was_before_the_hosts_start_counts_from_that() -> None:
    assert (
        abs(steady_clock.seconds_since("another-boot 5000.0", ids.now()) - steady_clock.uptime())
        < 5
    )


def test_what_an_older_version_wrote_counts_by_its_time_of_day() -> None:
    earlier = ids.time_text(datetime.now(UTC) - timedelta(seconds=50))
    assert 49 <= steady_clock.seconds_since("", earlier) < 60
    later = ids.time_text(datetime.now(UTC) + timedelta(seconds=50))
    assert steady_clock.seconds_since("", later) == 0


@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_set_forward_ends_no_launch(
    house: House, step: Callable[[float], None], restarted: bool
) -> None:
    begun, go = threading.Event(), threading.Event()

    def wait(progress: Callable[[str], None]) -> None:
        begun.set()
        assert go.wait(10)

    house.images.prepared = wait
    instance_id = add_instance(house.state, state_clock=steady_clock.reading())
    with house.node() as node:
        assert begun.wait(10)
        step(700)
        looked(node)
        assert row_of(house.state, instance_id)["state"] == "pending"
        if not restarted:
            go.set()
            house.becomes(instance_id, "running")
        else:
            threading.Timer(0.2, go.set).start()
    if restarted:
        with house.node():
            house.becomes(instance_id, "running")


def looked(node: Node) -> None:
    """Have the loop look once more, in this thread."""
    node._loop.run_once()


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [700, -1800])
def test_a_stop_lasts_as_long_as_it_is_set_whatever_the_clock_does(
    house: House, step: Callable[[float], None], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = dataclasses.replace(house.config.node, stop_timeout=3)
    house.config = dataclasses.replace(house.config, node=short)
    monkeypatch.setattr(
        "eucabox.domains.libvirt_domains.Domains.shutdown", lambda *_: None
    )  # it is deaf
    monkeypatch.setattr("eucabox.domains.stopper.RETRY", 0.2)
    with house.node() as node:
        instance_id = add_instance(house.state)
        node.wake()
        house.becomes(instance_id, "running")
        columns = {"state": "stopping", "wanted": "stop", "state_clock": steady_clock.reading()}
        house.state.update("instances", {"instance_id": instance_id}, **columns)
        step(seconds)
        looked(node)
        assert row_of(house.state, instance_id)["state"] == "stopping"
        assert instance_id in house.names()
        house.becomes(instance_id, "stopped")


def test_terminated_instances_are_kept_as_long_as_before_a_step(
    house: House, step: Callable[[float], None]
) -> None:
    with house.node() as node:
        instance_id = add_instance(house.state)
        node.wake()
        house.becomes(instance_id, "running")
        house.want(instance_id, "terminate")
        node.wake()
        house.becomes(instance_id, "terminated")
        step(7200)
        looked(node)
        assert row_of(house.state, instance_id)["state"] == "terminated"


@pytest.mark.not_fast
def test_a_signature_is_not_new_again_when_the_clock_is_set_back(
    config: Config, state: State, step: Callable[[float], None]
) -> None:
    known = Accounts(config, state)
    assert known.record_signature("signature")
    step(3000)
    assert known.record_signature("another"), "which forgets what is over"
    step(-3000 - 1800)
    later = steady_clock.uptime() + accounts.TWIN_SECONDS + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steady_clock, "uptime", lambda: later)
        assert not known.record_signature("signature")
