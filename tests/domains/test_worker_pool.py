"""The pool: one thing at a time for a key, several keys at a time, and no end by a fault."""

import logging
import threading
from collections.abc import Callable

import pytest

from eucabox.domains.worker_pool import WorkerPool


def waiting(go: threading.Event) -> Callable[[], None]:
    def work() -> None:
        assert go.wait(5)

    return work


def test_a_key_is_worked_on_once_at_a_time() -> None:
    go, done = threading.Event(), threading.Event()
    pool = WorkerPool("test", 2, done.set)
    assert pool.submit("a", waiting(go))
    assert not pool.submit("a", lambda: None)
    assert pool.is_busy("a")
    assert pool.submit("b", done.set)
    assert done.wait(5)
    go.set()
    pool.stop(5)
    assert not pool.is_busy("a")


def test_no_more_threads_than_its_size() -> None:
    go = threading.Event()
    pool = WorkerPool("sized", 2, lambda: None)
    before = threading.active_count()
    for key in "abcde":
        pool.submit(key, waiting(go))
    assert threading.active_count() - before == 2
    go.set()
    pool.stop(5)


def test_a_fault_ends_neither_the_worker_nor_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    finished = threading.Semaphore(0)
    pool = WorkerPool("test", 1, finished.release)

    def fail() -> None:
        raise RuntimeError("by intent")

    with caplog.at_level(logging.ERROR):
        pool.submit("a", fail)
        assert finished.acquire(timeout=5)
    assert "by intent" in caplog.text
    assert pool.submit("a", lambda: None)
    assert finished.acquire(timeout=5)
    pool.stop(5)


def test_what_waits_knows_how_much_comes_before_it() -> None:
    go = threading.Event()
    pool = WorkerPool("queue", 2, lambda: None)
    for key in "abcd":
        pool.submit(key, waiting(go))
    for _ in range(500):
        if pool.count_ahead("b") is None:
            break
        threading.Event().wait(0.01)
    assert [pool.count_ahead(key) for key in "abcd"] == [None, None, 2, 3]
    assert pool.count_ahead("nobody") is None
    go.set()
    pool.stop(5)
    assert pool.count_ahead("d") is None
