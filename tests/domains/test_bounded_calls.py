"""Calls that may not come back: what they return, when they are given up, and no second one."""

import threading
from contextlib import suppress

import pytest

from eucabox.domains.bounded_calls import Bounded, Overdue


def test_a_call_returns_and_raises_what_it_does() -> None:
    bounded = Bounded()
    assert bounded.call("a", lambda: 5, 5) == 5
    with pytest.raises(KeyError):
        bounded.call("a", lambda: {"some": 1}["nothing"], 5)
    assert bounded.stuck("a") is None


def test_a_call_that_hangs_is_given_up_and_no_other_for_its_key_is_begun_until_it_is_back() -> None:
    bounded, go, began = Bounded(), threading.Event(), threading.Event()
    with pytest.raises(Overdue):
        bounded.call("a", lambda: go.wait(10), 0.05)
    with pytest.raises(Overdue):
        bounded.call("a", began.set, 5)
    assert not began.is_set()
    assert bounded.call("b", lambda: "another key", 5) == "another key"
    assert bounded.stuck("a") is not None
    go.set()
    for _ in range(500):
        if bounded.stuck("a") is None:
            break
        threading.Event().wait(0.01)
    assert bounded.call("a", lambda: "again", 5) == "again"


def test_what_a_failed_call_held_is_let_go() -> None:
    class Held:
        gone = threading.Event()

        def __del__(self) -> None:
            self.gone.set()

    def fail() -> None:
        held = Held()
        raise ValueError(str(held))

    with suppress(ValueError):
        Bounded().call("a", fail, 5)
    assert Held.gone.wait(5), "a connection of libvirt would stay open"
