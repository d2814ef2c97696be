"""Room on the disk of the cache for one image that is being fetched; never makes any for others."""

import os
from collections.abc import Callable

from eucabox.errors import DiskTooSmall
from eucabox.image.cache import Cache

LEFT = 2**26  # bytes that an image never takes: the rest of this host goes on


class DiskSpace:
    """What is free for an image. `go_on` is asked with every look and may raise to give up."""

    def __init__(self, cache: Cache, name: str, go_on: Callable[[], None] = lambda: None) -> None:
        self.cache, self.name, self._check_wanted = cache, name, go_on

    def check(self, size: int) -> None:
        """Raise DiskTooSmall unless so many bytes fit, after images that nobody uses are gone."""
        free = self.cache.make_room(size + LEFT)
        if free < size + LEFT:
            raise DiskTooSmall(name=self.name, size=size, free=max(free - LEFT, 0))

    def watch(self) -> None:
        """Raise DiskTooSmall where hardly anything is free any more."""
        self._check_wanted()
        status = os.statvfs(self.cache.folder)
        if status.f_bavail * status.f_frsize < LEFT:
            self.check(0)
