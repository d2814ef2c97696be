"""Checks the free space on the cache's disk for one image that is being fetched."""

import os
from collections.abc import Callable

from eucabox.errors import DiskTooSmall
from eucabox.image.cache import Cache

LEFT = 2**26  # bytes that an image never takes: the rest of this host goes on


class DiskSpace:
    """The free space for an image. `go_on` is called at every check and may raise to stop."""

    def __init__(self, cache: Cache, name: str, go_on: Callable[[], None] = lambda: None) -> None:
        self.cache, self.name, self._check_wanted = cache, name, go_on

    def check(self, size: int) -> None:
        """Raise DiskTooSmall unless so many bytes fit, after unused images are dropped."""
        free = self.cache.make_room(size + LEFT)
        if free < size + LEFT:
            raise DiskTooSmall(name=self.name, size=size, free=max(free - LEFT, 0))

    def watch(self) -> None:
        """Raise DiskTooSmall if the disk is almost full."""
        self._check_wanted()
        status = os.statvfs(self.cache.folder)
        if status.f_bavail * status.f_frsize < LEFT:
            self.check(0)
