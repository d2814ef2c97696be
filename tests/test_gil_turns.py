import threading
import time

from eucabox import gil_turns


def test_a_turn_is_waited_for_and_not_for_long() -> None:
    inside, goes = threading.Event(), threading.Event()

    def slow() -> None:
        with gil_turns.holding():
            inside.set()
            assert goes.wait(5)

    thread = threading.Thread(target=slow)
    thread.start()
    assert inside.wait(5)
    began = time.monotonic()
    with gil_turns.holding():
        waited = time.monotonic() - began
        assert gil_turns._turn.locked()
    assert gil_turns.PATIENCE <= waited < 2
    assert gil_turns._turn.locked()  # still the other's
    goes.set()
    thread.join(5)
    with gil_turns.holding():
        assert gil_turns._turn.locked()
    assert not gil_turns._turn.locked()


def test_a_turn_is_lent_while_the_disk_is_waited_for() -> None:
    with gil_turns.holding():
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
