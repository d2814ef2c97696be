"""What a cut leaves: all that was flushed, and of the rest any part, in sectors that are whole."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.power.cuts import SECTOR, Log, Replay
from tests.power.fuse import FLUSH, RECORD, WRITE

SECTORS = 8
MANY = 60  # cuts of one moment: each fate of a write comes up


def write(folder: Path, steps: Sequence[tuple[int, bytes] | None]) -> Replay:
    """A log of writes, (sector, content of one byte or more sectors), and flushes, None."""
    empty, log = folder / "empty", folder / "log"
    empty.write_bytes(bytes(SECTORS * SECTOR))
    with log.open("wb") as file:
        for at, step in enumerate(steps):
            if step is None:
                file.write(RECORD.pack(FLUSH, at, 0, 0))
                continue
            content = b"".join(bytes([each]) * SECTOR for each in step[1])
            file.write(RECORD.pack(WRITE, at, step[0] * SECTOR, len(content)) + content)
    return Replay(Log.read(log), empty, folder)


def cut(folder: Path, replay: Replay, number: int, seed: int) -> bytes:
    """The first byte of each sector after a cut; every sector is whole."""
    replay.cut(number, random.Random(seed), folder / "cut")
    disk = (folder / "cut").read_bytes()
    sectors = [disk[start : start + SECTOR] for start in range(0, len(disk), SECTOR)]
    assert all(each == each[:1] * SECTOR for each in sectors)
    return bytes(each[0] for each in sectors)


@pytest.mark.not_fast
def test_what_was_flushed_is_there_and_no_more_before_it_is_written(tmp_path: Path) -> None:
    replay = write(tmp_path, [(0, b"a"), (1, b"b"), None, (0, b"c"), None, (2, b"d")])
    for number, left in ((3, b"ab\0"), (5, b"cb\0")):
        assert {cut(tmp_path, replay, number, seed)[:3] for seed in range(MANY)} == {left}
    replay.close()


@pytest.mark.not_fast
def test_what_was_not_flushed_is_kept_or_lost_in_any_order(tmp_path: Path) -> None:
    replay = write(tmp_path, [(0, b"a"), None, (0, b"b"), (1, b"c")])
    seen = {cut(tmp_path, replay, 4, seed)[:2] for seed in range(MANY)}
    assert seen == {b"a\0", b"b\0", b"ac", b"bc"}
    assert replay.cut(2, random.Random(1), tmp_path / "cut") == {"kept": 0, "lost": 0, "torn": 0}
    replay.close()


@pytest.mark.not_fast
def test_a_long_write_may_be_torn(tmp_path: Path) -> None:
    replay = write(tmp_path, [(0, b"abcd")])
    seen = {cut(tmp_path, replay, 1, seed)[:4] for seed in range(MANY * 10)}
    assert {bytes(4), b"abcd", b"a\0\0\0", b"\0\0\0d", b"a\0c\0"} <= seen
    replay.close()


def test_the_same_seed_cuts_the_same(tmp_path: Path) -> None:
    replay = write(tmp_path, [(each % SECTORS, b"xy"[each % 2 :]) for each in range(7)])
    cuts = [cut(tmp_path, replay, 7, seed) for seed in (1, 2, 3, 1, 2, 3)]
    assert cuts[:3] == cuts[3:]
    replay.close()


def test_a_record_that_was_cut_off_is_none(tmp_path: Path) -> None:
    replay = write(tmp_path, [(0, b"a"), None, (1, b"b")])
    replay.close()
    whole = (tmp_path / "log").read_bytes()
    for left in (1, SECTOR, SECTOR + RECORD.size - 1):
        (tmp_path / "log").write_bytes(whole[:-left])
        assert len(Log.read(tmp_path / "log").records) == 2


@pytest.mark.parametrize(("moment", "count"), [(0, 1), (1.5, 2), (9, 4)])
def test_moments_and_full_caches_are_found(tmp_path: Path, moment: float, count: int) -> None:
    write(tmp_path, [(0, b"a"), (1, b"b"), None, (2, b"c")]).close()
    log = Log.read(tmp_path / "log")
    assert log.count_before(moment / 1e9) == count
    assert log.fullest(0, 4) == [2]
