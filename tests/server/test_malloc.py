import ctypes
import subprocess
import sys
from typing import Any

import pytest

from eucabox.server import malloc

MIB = 1 << 20


def test_a_c_library_without_the_knobs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    class Glibc:
        @staticmethod
        def mallopt(name: int, value: int) -> int:
            asked.append((name, value))
            return 1

    libraries: list[Any] = [object(), Glibc(), object()]
    monkeypatch.setattr(ctypes, "CDLL", lambda _: libraries.pop(0))
    malloc.give_back()
    malloc.limit_arenas()
    malloc.limit_arenas()
    assert dict(asked) == {-8: 2, -3: 4 << 20, -1: 8 << 20}


# In a process of its own: that of the tests has free blocks of its own.
FREE = """
import os
from pathlib import Path
from eucabox.server import malloc

def measure():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

before = measure()
blocks = [b"x" * 100_000 for _ in range(500)]
last = b"y" * 100_000  # which keeps the end of the heap
full = measure()
del blocks
malloc.give_back()
print(full - before, measure() - before)
"""


@pytest.mark.not_fast
def test_what_is_free_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", FREE], check=True, capture_output=True, text=True)
    full, left = map(int, done.stdout.split())
    assert full > 40 * MIB
    assert left < 10 * MIB
