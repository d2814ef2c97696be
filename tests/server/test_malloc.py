import ctypes
from typing import Any

import pytest

from eucabox.server import malloc


def test_a_c_library_without_the_knobs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    class Glibc:
        @staticmethod
        def mallopt(name: int, value: int) -> int:
            asked.append((name, value))
            return 1

    libraries: list[Any] = [Glibc(), object()]
    monkeypatch.setattr(ctypes, "CDLL", lambda _: libraries.pop(0))
    malloc.limit_arenas()
    malloc.limit_arenas()
    assert dict(asked) == {-8: 2, -3: 262_144, -1: 1_048_576}
