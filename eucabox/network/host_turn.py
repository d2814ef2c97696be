"""Whose turn it is to choose a network on this host: two clouds that start must not choose one."""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eucabox.atomic_files import make_folder

log = logging.getLogger("eucabox.network")
WAIT_SECONDS = 10  # anyone on this host can hold the lock, so nobody waits for ever
PAUSE_SECONDS = 0.02


@contextmanager
def take_turn(folder: Path, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Be the only cloud that looks at this host's networks and takes one; `folder` is the lock.

    After `wait_seconds`, and where there can be no such folder, it goes on without.
    """
    try:
        make_folder(folder, 0o755)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as problem:
        log.warning("role=cluster %s can't be locked: %s", folder, problem.strerror)
        yield
        return
    try:
        if not _lock(descriptor, time.monotonic() + wait_seconds):
            log.warning("role=cluster %s is still locked after %g s", folder, wait_seconds)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(PAUSE_SECONDS)
        else:
            return True
