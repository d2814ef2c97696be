"""Writes all buckets into a backup, key by key, while the cloud serves them; restores nothing.

Uploads come before objects: one that is completed meanwhile is there as an upload, as an object, or
both, which the next start puts in order; it is never lost. A bucket's settings are read once more
at its end, so that versions never lack the setting that shows them.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from eucabox.errors import BucketUnusable, InvalidBucketName, NoSuchBucket
from eucabox.operator.backup import places
from eucabox.operator.backup.contents import Contents
from eucabox.operator.backup.members import write_member, write_small
from eucabox.operator.backup.sealed_file import SealedWriter
from eucabox.store import attributes, dirfd
from eucabox.store.bucket_folder import CONFIGURATION, UPLOADS, BucketFolder
from eucabox.store.fsync import RELAXED, Flush
from eucabox.store.held_key import HeldFile, HeldKey, hold_key
from eucabox.store.key_plan import KeyPlan
from eucabox.store.paths import RESERVED, check_bucket_name
from eucabox.store.upload_parts import sidecar_name

UPLOAD_FILE = "upload.json"
UPLOAD_ID = re.compile(r"[0-9a-f]{40}", re.ASCII)
Share = Callable[[int, int], None]  # bytes done, and in all
Note = Callable[[str, bytes], None]  # bucket and key that are done


class BucketWriter:
    """Writes the buckets below a root folder; `note` is told each bucket and key that is done."""

    def __init__(
        self, root: Path, sink: SealedWriter, contents: Contents, share: Share, note: Note
    ) -> None:
        self._root, self._sink, self._contents = root, sink, contents
        self._share, self._note = share, note

    def write(self, after_bucket: str = "", after_key: bytes = b"") -> None:
        """Write all buckets, or go on behind a key of one."""
        folders = {folder.name: folder for folder in self._open_folders()}
        names = sorted(name for name in folders if name >= after_bucket)
        with contextlib.closing(KeyPlan()) as plan:
            for name in names:
                plan.add_bucket(folders[name])
            plan.add_index(self._root / RESERVED, names)
            for name in names:
                is_begun = name == after_bucket
                self._write_bucket(folders[name], plan, after_key if is_begun else None)

    def _open_folders(self) -> Iterator[BucketFolder]:
        for path in sorted(self._root.iterdir()) if self._root.is_dir() else ():
            with contextlib.suppress(InvalidBucketName):
                check_bucket_name(path.name)
                if path.is_symlink() or not path.is_dir():
                    continue
                try:
                    folder = BucketFolder(path, Flush(RELAXED))
                except BucketUnusable as fault:
                    self._contents.note(fault.message)
                    continue
                folder.has_hashed = folder.has_sidecars = True  # others may make the first ones
                yield folder

    def _write_bucket(self, folder: BucketFolder, plan: KeyPlan, after: bytes | None) -> None:
        if after is None:
            self._write_settings(folder)
            self._contents.buckets += 1
            self._write_uploads(folder)
        for key in plan.read_keys(folder.name, after or b""):
            with self._skipping_deleted(folder), hold_key(folder, key) as held:
                self._write_key(folder, held)
            self._share(self._contents.bytes, plan.bytes)
            self._note(folder.name, key)
        self._write_settings(folder)

    def _write_settings(self, folder: BucketFolder) -> None:
        """Write bucket.json as it is now; of a bucket that is deleted meanwhile, as it was."""
        with self._skipping_deleted(folder):
            content = dirfd.read_small(folder.reserved, [CONFIGURATION])
            if content is None:
                self._contents.note(f"The bucket {folder.name} has lost its settings.")
                return
            write_small(self._sink, f"buckets/{folder.name}/{RESERVED}/{CONFIGURATION}", content)

    @contextlib.contextmanager
    def _skipping_deleted(self, folder: BucketFolder) -> Iterator[None]:
        try:
            yield
        except (NoSuchBucket, FileNotFoundError):  # neither comes in the middle of a member
            if folder.exists():
                raise

    # --- a key --------------------------------------------------------------------------------

    def _write_key(self, folder: BucketFolder, held: HeldKey) -> None:
        top = f"buckets/{folder.name}/"
        if held.versions:
            path = top + places.make_hashed_path(places.VERSION_OF, held.key)
            write_small(self._sink, path, held.key)
            for entry, file in held.read_versions():
                path = top + places.make_hashed_path(places.VERSION, held.key, entry.name)
                self._write_file(path, file)
                self._contents.versions += 1
        if held.current is None:
            return
        path = top + held.key.decode()
        if held.is_hashed:
            key_path = top + places.make_hashed_path(places.HASHED_KEY, held.key)
            write_small(self._sink, key_path, held.key)
            path = top + places.make_hashed_path(places.HASHED, held.key)
        self._write_file(path, held.current)
        self._contents.objects += 1

    def _write_file(self, path: str, file: HeldFile) -> None:
        size, mtime = file.status.st_size, file.status.st_mtime_ns
        write_member(self._sink, path, size, file.chunks(), mtime, file.attributes)
        self._contents.bytes += size

    # --- uploads in progress ------------------------------------------------------------------

    def _write_uploads(self, folder: BucketFolder) -> None:
        with contextlib.ExitStack() as stack:
            try:
                uploads = dirfd.open_folder(folder.reserved, [UPLOADS])
            except FileNotFoundError:
                return
            stack.enter_context(dirfd.closing(uploads))
            for upload_id in sorted(dirfd.list_names(uploads)):
                if UPLOAD_ID.fullmatch(upload_id):
                    self._write_upload(folder, uploads, upload_id)

    def _write_upload(self, folder: BucketFolder, uploads: int, upload_id: str) -> None:
        """Write the parts, and then the record without which they are nothing, if it is there."""
        try:
            dir_fd = dirfd.open_folder(uploads, [upload_id])
        except FileNotFoundError:
            return  # completed or aborted meanwhile
        top = f"buckets/{folder.name}/{RESERVED}/{UPLOADS}/{upload_id}/"
        with dirfd.closing(dir_fd):
            for name in sorted(dirfd.list_names(dir_fd)):
                if name.isdigit():
                    self._write_part(dir_fd, name, top)
            if dirfd.is_folder(upload_id, uploads):
                self._contents.uploads += self._write_part(dir_fd, UPLOAD_FILE, top)

    def _write_part(self, dir_fd: int, name: str, top: str) -> bool:
        """Write a file of an upload; False if it is gone."""
        descriptor = dirfd.open_file(dir_fd, [name])
        if descriptor is None:
            return False
        with dirfd.closing(descriptor):
            status = os.fstat(descriptor)
            raw = attributes.read(descriptor)
            if raw is None:
                raw = dirfd.read_small(dir_fd, [sidecar_name(name, status)])
            self._write_file(top + name, HeldFile(descriptor, status, raw))
        return True
