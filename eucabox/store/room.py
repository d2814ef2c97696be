"""One bucket's folder: its descriptors, its configuration, its reserved folder; no object."""

import contextlib
import json
import os
import secrets
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

from eucabox.errors import NoSuchBucket
from eucabox.files import sync_folder, write_whole
from eucabox.store import tree
from eucabox.store.facts import Bucket, to_datetime, to_nanoseconds
from eucabox.store.paths import RESERVED, components

CONFIGURATION = "bucket.json"
OBJECTS, TEMPORARY, UPLOADS, ATTRIBUTES = "objects", "temporary", "uploads", "attributes"
VERSIONS = "versions"  # made with the first version that a bucket keeps
INSIDE = (OBJECTS, TEMPORARY, UPLOADS, ATTRIBUTES)


class Room:
    """A bucket's folder, open as long as anyone has it. `gone` once the bucket is deleted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.gone = False
        self.bucket = _read_configuration(path)
        self.fd = os.open(path, tree.FOLDER)
        self.reserved = self._make(RESERVED, self.fd)
        for name in INSIDE:
            os.close(self._make(name, self.reserved))
        self.temporary = self._make(TEMPORARY, self.reserved)

    def _make(self, name: str, folder: int) -> int:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=folder)
        return os.open(name, tree.FOLDER, dir_fd=folder)

    def __del__(self) -> None:
        # Not earlier: another thread may be inside a room that was just deleted.
        for name in ("fd", "reserved", "temporary"):
            descriptor = vars(self).get(name)
            if descriptor is not None:
                os.close(descriptor)

    @property
    def versioned(self) -> bool:
        """True if the bucket has, or had, versioning."""
        return bool(self.bucket.settings.get("versioning"))

    @property
    def keeps_versions(self) -> bool:
        """True if what is overwritten and deleted is kept as a version."""
        found: dict[str, Any] = self.bucket.settings.get("versioning") or {}
        return found.get("status") == "Enabled"

    def check(self) -> None:
        """Raise NoSuchBucket if the bucket was deleted since the caller got it."""
        if self.gone:
            raise NoSuchBucket(name=self.name)

    def components(self, key: bytes) -> list[bytes] | None:
        """Return the names of folders and a file for a key, None if no path can hold it."""
        return components(key, len(os.fsencode(self.path)) + 1)

    def configure(self, **changed: Any) -> Bucket:
        """Change fields of the bucket and keep them."""
        bucket = replace(self.bucket, **changed)
        write_configuration(self.path, bucket)
        self.bucket = bucket
        return bucket

    def clear_temporary(self) -> None:
        """Remove what a killed process was writing."""
        tree.clear(self.path / RESERVED / TEMPORARY)


def write_configuration(path: Path, bucket: Bucket) -> None:
    """Keep what a bucket is in its reserved folder."""
    said = {**vars(bucket), "created": to_nanoseconds(bucket.created)}
    write_whole(path / RESERVED / CONFIGURATION, json.dumps(said, indent=1).encode())


def make(root: Path, bucket: Bucket) -> Path:
    """Make the folder of a new bucket beside the others and return it; on the disk when done."""
    new = root / RESERVED / "new" / secrets.token_hex(8)
    for name in INSIDE:
        (new / RESERVED / name).mkdir(parents=True)
    write_configuration(new, bucket)
    sync_folder(new)
    path = root / bucket.name
    new.rename(path)
    sync_folder(root)
    return path


def _read_configuration(path: Path) -> Bucket:
    """Return what a bucket is; of a folder without configuration only name and age are known."""
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise NoSuchBucket(name=path.name)
    try:
        said = json.loads((path / RESERVED / CONFIGURATION).read_text())
        created = to_datetime(said["created"])
        return Bucket(**{**said, "name": path.name, "created": created})
    except (OSError, ValueError, KeyError, TypeError):
        settings = {}
        if (path / RESERVED / VERSIONS).is_dir():
            settings["versioning"] = {"status": "Enabled"}  # rather than lose what was kept
        return Bucket(path.name, "", to_datetime(status.st_mtime_ns), settings=settings)
