"""Received bytes become entries of the cache, disks checked and made whole; never fetches them."""

import os
from pathlib import Path

from eucabox.errors import DiskImageRefused, ProgramFailed
from eucabox.image import disk, formats
from eucabox.image.cache import Cache, CacheEntry
from eucabox.image.disk_space import DiskSpace


def add_to_cache(
    cache: Cache,
    received: Path,
    digest: str,
    name: str,
    image_type: str,
    space: DiskSpace | None = None,
) -> CacheEntry:
    """Make a received file the entry of its digest.

    The entry's facts are `kind` (see formats.kind) and `size`, the bytes that a guest sees. They
    and the entry's file depend on the bytes alone, since images of other types may share it.
    `name` is for messages. A qcow2 is converted, so that nothing of its header reaches a
    hypervisor, within the free `space`. Raises DiskImageRefused and DiskTooSmall.
    """
    kind = formats.kind(received)
    size = received.stat().st_size
    if not size:
        raise DiskImageRefused(name=name, reason="it has 0 bytes.")
    if image_type == "kernel":
        formats.kernel(received, name)
    if kind == "qcow2":
        if image_type != "machine":
            raise DiskImageRefused(name=name, reason=f"it is a qcow2 disk and no {image_type}.")
        return _add_disk(cache, received, digest, name, space or DiskSpace(cache, name))
    if image_type == "machine":
        formats.disk(received, name)
    return cache.adopt(received, digest, "raw", kind=kind, size=size)


def _add_disk(cache: Cache, received: Path, digest: str, name: str, space: DiskSpace) -> CacheEntry:
    facts = formats.disk(received, name)
    most = formats.measure_converted(received, name, space.watch)
    space.check(most)
    with cache.partial() as file:
        target = Path(file.name)
        _convert(received, facts.format, target, most, space)
        with target.open("rb") as written:
            os.fsync(written.fileno())
        return cache.adopt(target, digest, "qcow2", kind="disk", size=facts.size)


def _convert(received: Path, form: str, target: Path, most: int, space: DiskSpace) -> None:
    try:
        disk.convert(received, form, target, most, space.watch)
    except ProgramFailed as problem:
        space.watch()  # perhaps the disk is full, which is the host's fault and not the image's
        reason = f"it can't be read to its end ({problem.facts['reason']})."
        raise DiskImageRefused(name=space.name, reason=reason) from None
