"""One cloud at a time chooses a network, and nobody who holds the lock stops it for ever."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from eucabox.network.host_turn import take_turn


def is_locked(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield tmp_path
    os.close(descriptor)


def test_the_folder_is_made_and_locked_until_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with take_turn(folder):
        assert is_locked(folder)
    assert not is_locked(folder)


def test_a_failure_ends_the_turn(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), take_turn(tmp_path):
        raise ZeroDivisionError
    assert not is_locked(tmp_path)


def test_who_keeps_the_lock_is_not_waited_for_for_ever(
    held: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with take_turn(held, wait_seconds=0.05):
        assert "is still locked after 0.05 s" in caplog.text


def test_it_goes_on_where_no_folder_can_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run").write_text("")
    with take_turn(tmp_path / "run"):
        assert "can't be locked" in caplog.text
