"""Guests' processes are known by name and UUID together, and ended for good."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from eucabox import ids
from eucabox.domains import processes

pytestmark = pytest.mark.slow
NAME, UUID = "i-0123456789abcdef0", ids.domain_uuid()


def started(name: str, uuid: str) -> "subprocess.Popen[bytes]":
    """Start a process with the words that QEMU is started with; it says when it is there."""
    script = "import sys, time; print('there', flush=True); time.sleep(60)"
    words = ["-name", f"guest={name},debug-threads=on", "-S", "-uuid", uuid]
    made = subprocess.Popen([sys.executable, "-c", script, *words], stdout=subprocess.PIPE)
    assert made.stdout is not None
    with made.stdout:
        made.stdout.readline()
    return made


@pytest.fixture
def others() -> Iterator[list["subprocess.Popen[bytes]"]]:
    made = [
        started("i-0123456789abcdef1", UUID),
        started(NAME, ids.domain_uuid()),
        started(f"x,guest={NAME}", UUID),
    ]
    yield made
    for each in made:
        each.kill()
        each.wait()


def test_the_process_of_a_guest_alone_is_killed(others: list["subprocess.Popen[bytes]"]) -> None:
    own = started(NAME, UUID)
    assert processes.pids(NAME, UUID) == [own.pid]
    assert processes.kill(NAME, UUID.upper())
    assert own.wait(5) == -9
    assert processes.pids(NAME, UUID) == []
    assert [each.poll() for each in others] == [None] * len(others)


def test_what_is_not_there_is_ended() -> None:
    assert processes.kill(NAME, ids.domain_uuid())
