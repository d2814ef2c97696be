import threading
import time

from eucabox import turns


def test_a_turn_is_waited_for_and_not_for_long() -> None:
    inside, goes = threading.Event(), threading.Event()

    def slow() -> None:
        with turns.taken():
            inside.set()
            assert goes.wait(5)

    thread = threading.Thread(target=slow)
    thread.start()
    assert inside.wait(5)
    began = time.monotonic()
    with turns.taken():
        waited = time.monotonic() - began
        assert turns._turn.locked()
    assert turns.PATIENCE <= waited < 2
    assert turns._turn.locked()  # still the other's
    goes.set()
    thread.join(5)
    with turns.taken():
        assert turns._turn.locked()
    assert not turns._turn.locked()


def test_a_turn_is_lent_while_the_disk_is_waited_for() -> None:
    with turns.taken():
        with turns.lent():
            assert not turns._turn.locked()
        assert turns._turn.locked()
        turns.take()  # who has it needs not wait for it
        turns.give()
        assert not turns._turn.locked()
        turns.give()
    with turns.lent():
        assert not turns._turn.locked()
    assert not turns._turn.locked()
