import subprocess
import sys
import threading

from eucabox.image.workers import Workers


def test_work_is_done_in_order_and_outlived() -> None:
    done: list[int] = []
    ended = threading.Event()
    workers = Workers("w", 1)
    workers.submit(done.append, 1)
    workers.submit(lambda: 1 / 0)
    workers.submit(done.append, 2)
    workers.submit(ended.set)
    assert ended.wait(10)
    assert done == [1, 2]
    assert workers.close()


def test_what_waits_is_not_begun_after_the_end() -> None:
    done: list[int] = []
    begun, go = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go.wait(10)

    workers = Workers("w", 1)
    workers.submit(hold)
    workers.submit(done.append, 1)
    assert begun.wait(10)
    assert not workers.close(0.05)
    go.set()
    assert workers.close(10)
    assert done == []


def test_a_process_ends_whatever_a_worker_does() -> None:
    script = """if True:
        import threading
        from eucabox.image.workers import Workers
        begun = threading.Event()
        workers = Workers("w", 1)
        workers.submit(lambda: (begun.set(), threading.Event().wait()))
        begun.wait()
        workers.close(0.1)
    """
    subprocess.run([sys.executable, "-c", script], check=True, timeout=20)
