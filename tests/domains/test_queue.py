"""Launches at a time, and what the others are told that wait for them."""

import threading
from collections.abc import Callable, Iterator

import pytest

from eucabox import node as nodes
from eucabox.config import Config, NodeSection
from eucabox.domains import capacity
from eucabox.state import State
from tests.domains.house import URI, House, open_house
from tests.domains.rows import add_instance


@pytest.fixture
def house(config: Config, state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    settings = NodeSection(virt_type="qemu", libvirt_uri=URI, shutdown_grace=0)
    with open_house(config, state, monkeypatch, settings) as made:
        yield made


def test_as_many_launches_at_once_as_the_host_has_processors_and_the_rest_is_queued(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert max(2, capacity.processors()) == nodes.LAUNCHERS
    monkeypatch.setattr(nodes, "LAUNCHERS", 3)
    together, go = threading.Barrier(4), threading.Event()

    def wait(progress: Callable[[str], None]) -> None:
        if not go.is_set():
            together.wait(10)
        assert go.wait(10)

    house.images.prepared = wait
    moments = [f"2026-11-23T01:02:0{number}.000Z" for number in range(5)]
    made = [add_instance(house.state, launch_time=moment) for moment in moments]
    with house.node() as node:
        together.wait(10)  # three are prepared, and no fourth
        assert [node.queue(each) for each in made[:3]] == ["", "", ""]
        words = [f"Waits for {number} other launches; 3 are made at a time" for number in (3, 4)]
        house.wait(lambda: [node.queue(each) for each in made[3:]] == words)
        go.set()
        for each in made:
            house.becomes(each, "running")
        house.wait(lambda: [node.queue(each) for each in made] == [""] * len(made))
