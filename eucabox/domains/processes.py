"""Guests as processes of this host, known by what they were started with; asks libvirt nothing.

The last resort where libvirt can't end a guest. A process counts as a guest's only if its own
command line has both the name and the UUID of the domain, and it is looked at again once it is
held by a descriptor: a number that another process got meanwhile is never sent a signal.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

PROC = Path("/proc")
SECONDS_TO_END = 5.0  # a killed process ends at once, unless it waits for a disk


def pids(name: str, uuid: str) -> list[int]:
    """Return the numbers of the processes that run this domain: one, or none."""
    numbers = (int(each.name) for each in PROC.iterdir() if each.name.isdigit())
    return [pid for pid in numbers if _is_domain_process(pid, name, uuid)]


def kill(name: str, uuid: str) -> bool:
    """End the processes of this domain; True once there are none."""
    with contextlib.ExitStack() as stack:
        descriptors = [fd for pid in pids(name, uuid) for fd in _open_pidfd(stack, pid, name, uuid)]
        for fd in descriptors:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        deadline = time.monotonic() + SECONDS_TO_END
        return all(_wait_until_ended(fd, deadline - time.monotonic()) for fd in descriptors)


def _open_pidfd(stack: contextlib.ExitStack, pid: int, name: str, uuid: str) -> Iterator[int]:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    stack.callback(os.close, fd)
    if _is_domain_process(pid, name, uuid):
        yield fd


def _wait_until_ended(fd: int, seconds: float) -> bool:
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    return bool(waiting.poll(max(0.0, seconds) * 1000))


def _is_domain_process(pid: int, name: str, uuid: str) -> bool:
    """Tell whether a process is this domain's; one that has ended has no command line."""
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    pairs = set(pairwise(words))
    names = [value for option, value in pairs if option == b"-name"]
    has_name = any(value.split(b",")[0] == b"guest=" + name.encode() for value in names)
    return has_name and (b"-uuid", uuid.lower().encode()) in pairs
