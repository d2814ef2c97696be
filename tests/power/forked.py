"""A eucabox that a prepared process forks: it has read its modules, which is half of a start.

The prepared process, `python -m tests.power.forked`, forks one for each line that it reads, a JSON
array of the file for standard error and of eucabox's arguments, and answers with its process id.
"""

import atexit
import contextlib
import functools
import importlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

READ = ("eucabox.cli", "eucabox.cloud", "eucabox.server", "eucabox.api")


@functools.cache
def _prepared() -> "subprocess.Popen[str]":
    argv = [sys.executable, "-m", "tests.power.forked"]
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    atexit.register(process.kill)
    return process


class Forked:
    """What the tests ask of a process that they started."""

    def __init__(self, argv: list[str], errors: Path) -> None:
        parent = _prepared()
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(json.dumps([str(errors), *argv]) + "\n")
        parent.stdin.flush()
        self.pid = int(parent.stdout.readline())
        self._handle = os.pidfd_open(self.pid)

    def __del__(self) -> None:
        os.close(self._handle)

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int | None:
        return self._ended(timeout)

    def send_signal(self, number: int) -> None:
        signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        """A status once it has ended; which, its parent knows."""
        return -signal.SIGKILL if select.select([self._handle], [], [], timeout)[0] else None


def _serve(errors: str, *argv: str) -> None:
    os.setsid()
    nothing, output = os.open(os.devnull, os.O_RDONLY), os.open(errors, LOG, 0o600)
    for standard, target in enumerate((nothing, output, output)):
        os.dup2(target, standard)
    sys.argv = ["eucabox", *argv]
    importlib.import_module("eucabox.cli").main()


LOG = os.O_WRONLY | os.O_APPEND | os.O_CREAT


def _fork_for_each_line() -> None:
    while line := os.read(0, 1 << 16):
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        child = os.fork()
        if not child:
            try:
                _serve(*json.loads(line))
            finally:
                os._exit(1)
        os.write(1, b"%d\n" % child)


if __name__ == "__main__":
    for each in READ:
        importlib.import_module(each)
    _fork_for_each_line()
