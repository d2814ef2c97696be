"""The room that is kept for the index."""

import os
from pathlib import Path
from typing import Any

import pytest

from eucabox.store import disk_reserve
from eucabox.store.disk_reserve import Reserve


def test_it_takes_up_room_until_it_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "reserve"
    kept = Reserve(file)
    assert not kept.release()
    kept = Reserve(file)
    kept.allocate()
    kept.allocate()
    assert 0 < file.stat().st_blocks * 512 <= disk_reserve.SIZE
    assert kept.release()
    assert not file.exists()
    assert not kept.release()
    kept.allocate()
    assert not file.exists(), "who has just let go does not fight for it"


def test_what_a_killed_process_kept_is_kept_again(tmp_path: Path) -> None:
    Reserve(tmp_path / "reserve").allocate()
    again = Reserve(tmp_path / "reserve")
    again.allocate()
    assert again.release()


def test_a_disk_that_has_no_room_is_left_alone(tmp_path: Path, monkeypatch: Any) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    kept = Reserve(tmp_path / "reserve")
    kept.allocate()
    assert not (tmp_path / "reserve").exists()
    assert not kept.release()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"x")
    (tmp_path / "reserve").symlink_to(tmp_path / "other")
    kept = Reserve(tmp_path / "reserve")
    kept.allocate()
    assert (tmp_path / "other").read_bytes() == b"x"
    assert not (tmp_path / "reserve").is_symlink()


@pytest.mark.parametrize("free", [0, 15])
def test_little_is_left_to_others(tmp_path: Path, monkeypatch: Any, free: int) -> None:
    status = os.statvfs_result((1, 1, 100, free, free, 9, 9, 9, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: status)
    kept = Reserve(tmp_path / "reserve")
    kept.allocate()
    assert not (tmp_path / "reserve").exists()
