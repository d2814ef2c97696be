"""Disk space that is reserved for the index."""

import os
from pathlib import Path
from typing import Any

import pytest

from eucabox.store import disk_reserve
from eucabox.store.disk_reserve import Reserve


def test_it_takes_up_space_until_it_is_released(tmp_path: Path) -> None:
    file = tmp_path / "reserve"
    reserve = Reserve(file)
    assert not reserve.release()
    reserve = Reserve(file)
    reserve.allocate()
    reserve.allocate()
    assert 0 < file.stat().st_blocks * 512 <= disk_reserve.SIZE
    assert reserve.release()
    assert not file.exists()
    assert not reserve.release()
    reserve.allocate()
    assert not file.exists(), "who has just let go does not fight for it"


def test_the_reserve_of_a_killed_process_is_allocated_again(tmp_path: Path) -> None:
    Reserve(tmp_path / "reserve").allocate()
    again = Reserve(tmp_path / "reserve")
    again.allocate()
    assert again.release()


def test_nothing_is_allocated_on_a_full_disk(tmp_path: Path, monkeypatch: Any) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    reserve = Reserve(tmp_path / "reserve")
    reserve.allocate()
    assert not (tmp_path / "reserve").exists()
    assert not reserve.release()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"x")
    (tmp_path / "reserve").symlink_to(tmp_path / "other")
    reserve = Reserve(tmp_path / "reserve")
    reserve.allocate()
    assert (tmp_path / "other").read_bytes() == b"x"
    assert not (tmp_path / "reserve").is_symlink()


@pytest.mark.parametrize("free", [0, 15])
def test_little_free_space_is_left_to_others(tmp_path: Path, monkeypatch: Any, free: int) -> None:
    status = os.statvfs_result((1, 1, 100, free, free, 9, 9, 9, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: status)
    reserve = Reserve(tmp_path / "reserve")
    reserve.allocate()
    assert not (tmp_path / "reserve").exists()
