"""Received bytes become entries of the cache, disks checked and made whole; never fetches them."""

import os
from pathlib import Path

from eucabox.errors import DiskImageRefused
from eucabox.image import disk, probe
from eucabox.image.cache import Cache, Entry


def settle(cache: Cache, received: Path, digest: str, name: str, image_type: str) -> Entry:
    """Make a received file the entry of its digest.

    The entry's facts are `kind` (see probe.kind) and `size`, the bytes that a guest sees. They and
    the entry's file follow from the bytes alone, since images of other types may share it. `name`
    is what messages call it. A stranger's qcow2 is written anew, so that nothing of its header
    reaches a hypervisor. Raises DiskImageRefused.
    """
    kind = probe.kind(received)
    size = received.stat().st_size
    if not size:
        raise DiskImageRefused(name=name, reason="it has 0 bytes.")
    if image_type == "kernel":
        probe.kernel(received, name)
    if kind == "qcow2":
        if image_type != "machine":
            raise DiskImageRefused(name=name, reason=f"it is a qcow2 disk and no {image_type}.")
        return _whole(cache, received, digest, name)
    if image_type == "machine":
        probe.disk(received, name)
    return cache.adopt(received, digest, "raw", kind=kind, size=size)


def _whole(cache: Cache, received: Path, digest: str, name: str) -> Entry:
    facts = probe.disk(received, name)
    with cache.partial() as file:
        target = Path(file.name)
        disk.convert(received, facts.format, target)
        with target.open("rb") as written:
            os.fsync(written.fileno())
        return cache.adopt(target, digest, "qcow2", kind="disk", size=facts.size)
