"""One reading of a file serves all who ask for its MD5."""

import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from eucabox.store import md5_once
from eucabox.store.md5_once import Md5Once


@pytest.fixture
def descriptor(tmp_path: Path) -> Any:
    (tmp_path / "file").write_bytes(b"content")
    opened = os.open(tmp_path / "file", os.O_RDONLY)
    yield opened
    os.close(opened)


def test_many_callers_wait_for_one_reading(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, count = threading.Event(), threading.Event(), []

    def slow(opened: int) -> tuple[str, str]:
        count.append(opened)
        begun.set()
        assert go.wait(10)
        return "sum", ""

    monkeypatch.setattr(md5_once, "digest_file", slow)
    shared = Md5Once()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(shared.md5, descriptor)
        assert begun.wait(10)
        others = [pool.submit(shared.md5, descriptor) for _ in range(3)]
        (running,) = shared._running.values()
        deadline = time.monotonic() + 10
        while len(running._condition._waiters) < 3:  # type: ignore[attr-defined]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        go.set()
        assert {each.result() for each in (first, *others)} == {"sum"}
    assert count == [descriptor]


def test_a_finished_md5_is_not_cached(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Md5Once()
    assert shared.md5(descriptor) == hashlib.md5(b"content").hexdigest()

    def broken(opened: int) -> tuple[str, str]:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(md5_once, "digest_file", broken)
        with pytest.raises(OSError, match="Input/output"):
            shared.md5(descriptor)
    assert shared.md5(descriptor) == hashlib.md5(b"content").hexdigest()
