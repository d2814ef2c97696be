import contextlib
import threading
import time
from collections.abc import Iterator

from eucabox import gil_turns


@contextlib.contextmanager
def hold_turn() -> Iterator[None]:
    gil_turns.acquire()
    try:
        yield
    finally:
        gil_turns.release()


def test_a_turn_is_waited_for_and_not_for_long() -> None:
    inside, goes = threading.Event(), threading.Event()

    def slow() -> None:
        with hold_turn():
            inside.set()
            assert goes.wait(5)

    thread = threading.Thread(target=slow)
    thread.start()
    assert inside.wait(5)
    began = time.monotonic()
    with hold_turn():
        waited = time.monotonic() - began
        assert gil_turns._turn.locked()
    assert gil_turns.PATIENCE <= waited < 2
    assert gil_turns._turn.locked()  # still the other's
    goes.set()
    thread.join(5)
    with hold_turn():
        assert gil_turns._turn.locked()
    assert not gil_turns._turn.locked()


def test_a_turn_is_lent_while_the_disk_is_waited_for() -> None:
    with hold_turn():
        with gil_turns.yielding():
            assert not gil_turns._turn.locked()
        assert gil_turns._turn.locked()
        gil_turns.acquire()  # who has it needs not wait for it
        gil_turns.release()
        assert not gil_turns._turn.locked()
        gil_turns.release()
    with gil_turns.yielding():
        assert not gil_turns._turn.locked()
    assert not gil_turns._turn.locked()
