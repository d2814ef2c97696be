"""Flushes files and folders to the disk: before the answer, or when the operating system likes.

If several threads wait for the same folder, one fsync serves all who asked before it began; if it
fails, it fails for all of them.

On ext4 with ordered data a new file's content is written without a commit of the journal, as the
flush of the folder that follows its rename commits one: sync_file_range returns after the blocks
are written and their allocation is in the journal's transaction of then, or an earlier one; the
rename is in that one or a later one; and the commit, before its own record, has the disk empty its
cache. So whoever finds the name after a loss of power finds the content.

There too one thread may make several changes and flush once, before any of them is acknowledged:
what the last one did is in the transaction that is current then, or in an earlier one, and its
commit is that of all before it. Elsewhere each change waits for its own flush.
"""

import contextlib
import ctypes
import functools
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from eucabox import gil_turns

COMMIT, RELAXED = "commit", "relaxed"
WAIT_BEFORE, WRITE, WAIT_AFTER = 1, 2, 4  # what sync_file_range can be told to do
MOUNTS, SYSTEM = Path("/proc/self/mountinfo"), Path("/sys")


@dataclass
class _Queue:
    """The flushes of one folder: how many began and ended, and how many threads wait or flush."""

    begun: int = 0
    ended: int = 0
    users: int = 0
    working: bool = False
    failures: dict[int, OSError] = field(default_factory=dict)  # by the number of the flush


class PostponedFlush:
    """The flush that one thread owes for the changes that it has made."""

    def __init__(self) -> None:
        self._where: tuple[int, int] | None = None
        self._flush: Flush | None = None
        self._descriptor = -1  # of the folder that was changed last

    @contextlib.contextmanager
    def postponing(self) -> Iterator[None]:
        """Postpone what this thread would flush in the block, where the file system allows it."""
        _mine.postponed = self
        try:
            yield
        finally:
            _mine.postponed = None

    @property
    def is_owed(self) -> bool:
        """Whether there is something to flush."""
        return self._flush is not None

    def add(self, where: tuple[int, int], flush: "Flush", descriptor: int) -> None:
        """Owe the flush of a folder."""
        if where != self._where:
            own = os.dup(descriptor)  # where that fails, what is owed stays owed
            flush.owe(1)
            self._drop()
            self._where, self._flush, self._descriptor = where, flush, own

    def flush(self) -> None:
        """Flush what is owed; OSError if that fails."""
        try:
            if self._flush is not None:
                self._flush.folder(self._descriptor)
        finally:
            self._drop()

    def _drop(self) -> None:
        if self._flush is not None:
            self._flush.owe(-1)
            os.close(self._descriptor)
        self._where = self._flush = None


class _ThreadFlush(threading.local):
    postponed: PostponedFlush | None = None


_mine = _ThreadFlush()


class Flush:
    """Flushes files and folders. With `relaxed` that is left to the operating system: a killed
    process loses nothing, a power loss may.

    `is_apart`: the disk is another one than the index's, which may not know of a change that this
    one does not have.
    """

    def __init__(
        self, durability: str = COMMIT, *, is_ordered: bool = False, is_apart: bool = False
    ) -> None:
        self.relaxed = durability == RELAXED
        self.is_ordered = is_ordered
        self.can_postpone = is_ordered and not self.relaxed and not is_apart
        self._finished = threading.Condition()
        self._queues: dict[tuple[int, int], _Queue] = {}
        self._owing = 0  # threads that have postponed a flush

    def file(self, descriptor: int) -> None:
        """Flush a file's content and attributes. fdatasync would leave attributes out, and on ext4
        it does where no content changed."""
        if not self.relaxed:
            with gil_turns.yielding():
                os.fsync(descriptor)

    def content(self, descriptor: int) -> None:
        """Flush a file that has no name yet: it is given one next, in a folder that is flushed
        after it."""
        if self.relaxed or not self.is_ordered:
            self.file(descriptor)
            return
        with gil_turns.yielding():
            _write_now(descriptor)

    def begin_content(self, descriptor: int) -> None:
        """Begin what `content` does, where this thread does something else before it."""
        if self.can_postpone and _mine.postponed is not None:
            start_writing(descriptor, 0, 0)

    def folder(self, descriptor: int) -> None:
        """Flush a folder's entries as they are now, or owe it where the thread postpones that."""
        if self.relaxed:
            return
        status = os.fstat(descriptor)
        where = status.st_dev, status.st_ino
        if self.can_postpone and _mine.postponed is not None:
            _mine.postponed.add(where, self, descriptor)
        else:
            self._folder_now(where, descriptor)

    def absence(self, descriptor: int) -> None:
        """Flush a folder in which something is not, where another thread may have removed that and
        owes the flush: this one, which says that it is gone, may be heard before. What this thread
        owes itself comes in any case, and has to stay the last change that it made."""
        if self.others_owe:
            status = os.fstat(descriptor)
            self._folder_now((status.st_dev, status.st_ino), descriptor)

    @property
    def others_owe(self) -> bool:
        """Whether other threads than this one have postponed a flush."""
        mine = _mine.postponed
        return self._owing > (mine is not None and mine.is_owed)

    def owe(self, more: int) -> None:
        """Count the threads that have postponed a flush."""
        with self._finished:
            self._owing += more

    def _folder_now(self, where: tuple[int, int], descriptor: int) -> None:
        with gil_turns.yielding(), self._finished:
            queue = self._queues.setdefault(where, _Queue())
            queue.users += 1
            wanted = queue.begun + 1  # the flush under way may have missed our change
            try:
                while queue.ended < wanted:
                    if queue.working:
                        self._finished.wait()
                    else:
                        self._fsync(queue, descriptor)
                if problem := queue.failures.get(wanted):
                    raise OSError(problem.errno, problem.strerror)
            finally:
                queue.users -= 1
                if not queue.users:
                    del self._queues[where]

    def _fsync(self, queue: _Queue, descriptor: int) -> None:
        queue.working = True
        queue.begun += 1
        self._finished.release()
        try:
            os.fsync(descriptor)
        except OSError as problem:
            queue.failures[queue.begun] = problem
        finally:
            self._finished.acquire()
            queue.working = False
            queue.ended = queue.begun
            self._finished.notify_all()


ALWAYS = Flush()  # for what says something of objects that are older and on the disk


def is_ordered(folder: Path) -> bool:
    """Tell whether a folder is on an ext4 that writes data before its journal names it."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}".encode()
    for line in MOUNTS.read_bytes().split(b"\n"):
        here, _, below = line.partition(b" - ")
        if number in here.split(b" ")[2:3]:
            kind, _, options = below.split(b" ", 2)
            unlike = [x for x in options.split(b",") if x.startswith((b"data=", b"dax"))]
            return kind == b"ext4" and unlike in ([], [b"data=ordered"]) and _has_journal(device)
    return False


def _has_journal(device: int) -> bool:
    """Tell whether an ext4 has a journal, of which its mount says nothing. Without one the flush of
    a folder leaves out the inodes of the files in it."""
    number = f"{os.major(device)}:{os.minor(device)}"
    name = (SYSTEM / "dev" / "block" / number).resolve().name
    try:
        task = (SYSTEM / "fs" / "ext4" / name / "journal_task").read_text()
    except OSError:  # of an old kernel, or hidden
        return False
    return not task.startswith("<none>")


def start_writing(descriptor: int, offset: int, count: int) -> None:
    """Make the kernel write a range of a file soon, without waiting for it, so that less is left to
    flush; a `count` of 0 is the rest of it."""
    if function := _sync_file_range():
        function(descriptor, offset, count, WRITE)


def _write_now(descriptor: int) -> None:
    function = _sync_file_range()
    if function is None:
        os.fsync(descriptor)
    elif function(descriptor, 0, 0, WAIT_BEFORE | WRITE | WAIT_AFTER):  # 0, 0: the whole file
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@functools.cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """Return sync_file_range(2), None with a C library that has none."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function
