"""The index's connections: how many stay open, and until when."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eucabox.store.index import MOST_IDLE, Index


@pytest.fixture(name="index")
def _index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path)
    index.open()
    yield index
    index.close()


def count_connections(folder: Path) -> int:
    """How many connections of this process have the index's write-ahead log open, also those whose
    file is deleted."""
    names = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return sum(name.startswith(f"{folder}/index.db-wal") for name in names)


def read_at_once(index: Index, readers: int, meanwhile: Callable[[], object]) -> None:
    """Let some threads hold a reader each until `meanwhile` is done."""
    barrier = threading.Barrier(readers + 1)

    def read() -> None:
        with index._reading() as reader:
            reader.execute("SELECT count(*) FROM objects").fetchone()
            barrier.wait(10)
            barrier.wait(10)

    threads = [threading.Thread(target=read) for _ in range(readers)]
    for thread in threads:
        thread.start()
    barrier.wait(10)
    meanwhile()
    barrier.wait(10)
    for thread in threads:
        thread.join()


def test_a_burst_of_listings_leaves_few_connections(index: Index, tmp_path: Path) -> None:
    counts: list[int] = []
    read_at_once(index, MOST_IDLE + 6, lambda: counts.append(count_connections(tmp_path)))
    assert counts == [MOST_IDLE + 6 + 1]  # and the writer
    assert count_connections(tmp_path) < MOST_IDLE + 6


def test_readers_of_an_index_that_is_rebuilt_under_them_are_closed(
    index: Index, tmp_path: Path
) -> None:
    read_at_once(index, 4, index.reset)
    assert count_connections(tmp_path) == 1
    assert index.usage() == {}


def test_a_reader_that_outlasts_the_index_is_closed(tmp_path: Path) -> None:
    index = Index(tmp_path)
    index.open()
    read_at_once(index, 4, index.close)
    assert count_connections(tmp_path) == 0
