"""How many instances fit: limits, what this host has, and what rows take."""

import dataclasses
import os
import threading
from pathlib import Path

import pytest

from eucabox.config import Config, NodeSection
from eucabox.domains import capacity
from eucabox.domains.capacity import Capacity, Host
from eucabox.instance_types import DEFAULT_SIZES
from eucabox.state import State
from tests.domains.rows import add_instance

TINY = DEFAULT_SIZES["m1.tiny"]
LIMITS = NodeSection(cores=8, memory_mb=1024, disk_gb=20)


@pytest.fixture
def limited(config: Config, state: State) -> Capacity:
    return Capacity(dataclasses.replace(config, node=LIMITS), state)


def count_free(capacity: Capacity, name: str) -> int:
    return capacity.check(DEFAULT_SIZES[name], 1000)


def test_limits_of_the_administrator_count(limited: Capacity) -> None:
    assert limited.host() == Host(cores=8, memory_mb=1024, disk_gb=20)
    assert count_free(limited, "m1.tiny") == 8
    assert count_free(limited, "m1.large") == 1
    assert count_free(limited, "m1.xlarge") == 0


@pytest.mark.parametrize("state_name", ["pending", "running", "shutting-down", "stopping"])
def test_what_lives_takes_room(limited: Capacity, state: State, state_name: str) -> None:
    add_instance(state, state=state_name, memory_mb=512, vcpus=3, disk_gb=2)
    assert count_free(limited, "m1.tiny") == 4
    assert limited.check(TINY, 3) == 3
    assert limited.check(TINY, 9) == 4


@pytest.mark.parametrize("state_name", ["terminated", "stopped"])
def test_what_has_ended_takes_none(limited: Capacity, state: State, state_name: str) -> None:
    add_instance(state, state=state_name, memory_mb=1024)
    assert count_free(limited, "m1.tiny") == 8


def test_a_host_that_shrank_has_no_negative_room(limited: Capacity, state: State) -> None:
    add_instance(state, memory_mb=4096)
    assert count_free(limited, "m1.tiny") == 0


def test_the_table_has_every_type_in_order(limited: Capacity, state: State) -> None:
    add_instance(state)
    table = limited.table()
    assert [row.type for row in table] == list(DEFAULT_SIZES)
    tiny = table[0]
    assert (tiny.free, tiny.max, tiny.vcpus, tiny.memory_mb, tiny.disk_gb) == (7, 8, 1, 128, 1)


def test_without_limits_the_host_counts(config: Config, state: State) -> None:
    host = Capacity(config, state).host()
    assert host.cores == capacity.processors() * capacity.VCPUS_A_CORE
    total = next(
        int(line.split()[1]) // 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal")
    )
    assert total * 0.5 < host.memory_mb <= total - capacity.MEMORY_RESERVE_MB
    assert host.disk_gb > 0


@pytest.mark.not_fast
def test_disks_that_instances_fill_are_not_counted_twice(config: Config) -> None:
    folder = config.cloud.data_dir / "instances" / "i-1"
    folder.mkdir(parents=True)
    before = capacity._disk_bytes(config.cloud.data_dir)
    with (folder / "disk.qcow2").open("wb") as disk:
        os.posix_fallocate(disk.fileno(), 0, 2**30)
    # Others write to this disk meanwhile, but not as much.
    assert abs(capacity._disk_bytes(config.cloud.data_dir) - before) < 2**29


def test_concurrent_launches_never_take_more_than_there_is(limited: Capacity, state: State) -> None:
    def launch() -> None:
        for _ in range(4):
            with state.transaction():
                if limited.check(TINY, 1):
                    add_instance(state)

    threads = [threading.Thread(target=launch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(state.query("select 1 from instances")) == 8
    assert count_free(limited, "m1.tiny") == 0


def test_a_disk_that_grew_counts_without_a_restart(
    config: Config, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [100 * 2**30]
    monkeypatch.setattr(capacity, "_disk_bytes", lambda _: free[0])
    monkeypatch.setattr(capacity, "MEASURED_FOR", 0)
    found = Capacity(config, state)
    before = found.host().disk_gb
    free[0] *= 2
    assert found.host().disk_gb == before + 100
