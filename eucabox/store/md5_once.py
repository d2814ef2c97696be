"""MD5s of files that were copied in: concurrent requests share one reading; stores none."""

import os
import threading
from concurrent.futures import Future

from eucabox.store.temp_file import digest_file


class Md5Once:
    """The readings under way. A client that gave up on a large file and asks again waits for the
    first reading instead of starting another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[tuple[int, ...], Future[str]] = {}

    def md5(self, descriptor: int) -> str:
        """Return the hex MD5 of an open file."""
        status = os.fstat(descriptor)
        what = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        with self._lock:
            running = self._running.get(what)
            if running is None:
                mine = self._running[what] = Future()
        if running is not None:
            return running.result()
        try:
            mine.set_result(digest_file(descriptor)[0])
        except BaseException as error:
            mine.set_exception(error)
        finally:
            with self._lock:
                del self._running[what]
        return mine.result()
