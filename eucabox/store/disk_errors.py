"""Errors of the disk as Faults, and hints to the kernel about writing; knows no file."""

import ctypes
import errno
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from eucabox.errors import DiskFull, StorageFailed

FULL = {errno.ENOSPC, errno.EDQUOT}
REFUSED = {
    errno.EIO,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EMFILE,
    errno.ENFILE,
    errno.EFBIG,
    errno.ESTALE,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ELOOP,
}
SYNC_FILE_RANGE_WRITE = 2
P = ParamSpec("P")
R = TypeVar("R")


def translate_disk_errors(method: Callable[P, R]) -> Callable[P, R]:
    """Turn ENOSPC, EIO and the like of the wrapped function into DiskFull and StorageFailed."""

    @functools.wraps(method)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except OSError as error:
            if error.errno in FULL:
                raise DiskFull from error
            if error.errno in REFUSED:
                raise StorageFailed(reason=error.strerror) from error
            raise

    return wrapped


def start_writing(descriptor: int, offset: int, count: int) -> None:
    """Make the kernel write a range of a file soon, without waiting for it, so that less is left to
    flush."""
    function = _sync_file_range()
    if function is not None:
        function(descriptor, offset, count, SYNC_FILE_RANGE_WRITE)


@functools.cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    function = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function
