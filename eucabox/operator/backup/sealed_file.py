"""Writes a backup's frames so that a killed run goes on, and reads them; knows no content."""

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eucabox.atomic_files import sync_folder
from eucabox.errors import (
    BackupDamaged,
    BackupExists,
    BackupInUse,
    BackupNotResumed,
    BackupNotWritten,
    Fault,
)
from eucabox.operator.backup import sealed_form
from eucabox.operator.backup.sealed_form import (
    CHECKPOINT,
    CHUNK,
    COUNT,
    DATA,
    END,
    HEAD,
    TAG,
    ZEROS,
    Frames,
)

PARTIAL = ".partial"  # behind the name, until it is whole
CHECKPOINT_BYTES, CHECKPOINT_SECONDS = 64 << 20, 5.0
MODE = 0o600
NOTHING = bytes(CHUNK)

Position = dict[str, Any]  # what a run needs to know to go on, as JSON


class SealedWriter:
    """A backup that is being written, as FILE.partial until `finish`.

    `position` is what the last checkpoint of a killed run had; None for a new one.
    """

    def __init__(self, file: Path, passphrase: bytes, *, anew: bool = False) -> None:
        if os.path.lexists(file):
            raise BackupExists(file=file)
        self.file, self._partial = file, file.with_name(file.name + PARTIAL)
        self.written = 0  # bytes of content, in this run
        self._buffer = bytearray()
        self._noted = time.monotonic()
        self._noted_bytes = 0
        self._descriptor = _open_alone(self._partial, file)
        try:
            self.position = None if anew else self._resume(passphrase)
            if self.position is None:
                self._begin(passphrase)
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> "SealedWriter":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def _begin(self, passphrase: bytes) -> None:
        header, key = sealed_form.make_header(passphrase)
        self._frames = Frames(header, key)
        with self._explaining():
            os.ftruncate(self._descriptor, 0)
            _write_all(self._descriptor, header)

    def _resume(self, passphrase: bytes) -> Position | None:
        """Go back to the last checkpoint that is whole; None if there is none."""
        if os.fstat(self._descriptor).st_size == 0:
            return None
        try:
            header, key = sealed_form.read_header(self._descriptor, self._partial, passphrase)
        except Fault as fault:
            reason = fault.message.removesuffix(".")
            raise BackupNotResumed(file=self._partial, reason=reason) from None
        self._frames = Frames(header, key)
        for offset, number, last_tag in reversed(_find_checkpoints(self._descriptor, len(header))):
            self._frames.go_to(number, last_tag)
            head, sealed = _read_frame(self._descriptor, offset)
            content = self._frames.open(head, sealed)
            if content is not None:
                os.ftruncate(self._descriptor, offset + head.size)
                os.lseek(self._descriptor, 0, os.SEEK_END)
                position: Position = json.loads(content)
                return position
        return None

    def write(self, data: bytes) -> None:
        """Append content."""
        self.written += len(data)
        self._buffer += data
        while len(self._buffer) >= CHUNK:
            chunk = bytes(self._buffer[:CHUNK])
            del self._buffer[:CHUNK]
            self._write_chunk(chunk)

    def _write_chunk(self, chunk: bytes) -> None:
        if chunk == NOTHING:
            self._write_frame(ZEROS, COUNT.pack(len(chunk)))
        else:
            self._write_frame(DATA, chunk)

    def _write_frame(self, kind: bytes, content: bytes) -> None:
        with self._explaining():
            _write_all(self._descriptor, self._frames.seal(kind, content))

    def _flush(self) -> None:
        if self._buffer:
            self._write_frame(DATA, bytes(self._buffer))
            self._buffer.clear()

    @property
    def is_note_due(self) -> bool:
        """Whether enough was written since the last checkpoint."""
        recent = time.monotonic() - self._noted < CHECKPOINT_SECONDS
        return not recent or self.written - self._noted_bytes >= CHECKPOINT_BYTES

    def note(self, position: Position) -> None:
        """Write a checkpoint, from which a killed run goes on; call it between two members."""
        self._flush()
        with self._explaining():
            os.fdatasync(self._descriptor)  # what the position rests on, before it
        self._write_frame(CHECKPOINT, json.dumps(position).encode())
        self._noted, self._noted_bytes = time.monotonic(), self.written

    def finish(self) -> int:
        """Give the whole backup its name, on the disk; return its bytes."""
        self._flush()
        self._write_frame(END, b"")
        with self._explaining():
            os.fsync(self._descriptor)
            with contextlib.suppress(FileNotFoundError):
                if self.file.lstat():
                    raise BackupExists(file=self.file)
            self._partial.rename(self.file)
            sync_folder(self.file.parent)
        return os.fstat(self._descriptor).st_size

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise BackupNotWritten(file=self._partial, reason=reason) from None


def _open_alone(partial: Path, file: Path) -> int:
    """Open the unfinished file for this process alone; raises BackupInUse."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(partial, flags, MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(descriptor, MODE)
    except OSError as problem:
        os.close(descriptor)
        if problem.errno in (errno.EAGAIN, errno.EACCES):
            raise BackupInUse(file=file) from None
        raise
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _find_checkpoints(descriptor: int, offset: int) -> list[tuple[int, int, bytes]]:
    """Return (offset, number, tag of the frame before) of each frame that says it is one."""
    found, number, last_tag = [], 0, sealed_form.NO_TAG
    size = os.fstat(descriptor).st_size
    while head := sealed_form.read_head(os.pread(descriptor, HEAD.size, offset)):
        if offset + head.size > size:
            break
        if head.kind == CHECKPOINT:
            found.append((offset, number, last_tag))
        number, offset = number + 1, offset + head.size
        last_tag = os.pread(descriptor, TAG, offset - TAG)
    return found


def _read_frame(descriptor: int, offset: int) -> tuple[sealed_form.FrameHead, bytes]:
    head = sealed_form.read_head(os.pread(descriptor, HEAD.size, offset))
    assert head is not None  # _find_checkpoints has seen it
    return head, os.pread(descriptor, head.length + TAG, offset + HEAD.size)


class SealedReader:
    """The content of a backup, from its beginning to its end; `place` is told in a fault."""

    def __init__(self, descriptor: int, file: Path, passphrase: bytes) -> None:
        self.file, self._descriptor = file, descriptor
        header, key = sealed_form.read_header(descriptor, file, passphrase)
        self._frames = Frames(header, key)
        self._offset = len(header)
        self._size = os.fstat(descriptor).st_size
        self._content = memoryview(b"")
        self._ended = False
        self.place = "at its beginning"

    @property
    def share(self) -> tuple[int, int]:
        """Bytes of the file that are read, and of all."""
        return self._offset, self._size

    def read(self, size: int) -> bytes:
        """Return exactly so many bytes; BackupDamaged if there are less."""
        pieces, left = [], size
        while left:
            if not self._content and not self._next():
                raise self.make_fault("it ends too early")
            pieces.append(bytes(self._content[:left]))
            self._content = self._content[left:]
            left -= len(pieces[-1])
        return b"".join(pieces) if len(pieces) != 1 else pieces[0]

    def finish(self) -> None:
        """Make sure that nothing follows; raises BackupDamaged."""
        if self._content or self._next():
            raise self.make_fault("something stands behind its end")
        if self._offset != self._size:
            raise self.make_fault("something that is no frame stands behind its end")

    def make_fault(self, reason: str) -> BackupDamaged:
        """Return the fault for what was read last."""
        return BackupDamaged(file=self.file, offset=self._offset, place=self.place, reason=reason)

    def _next(self) -> bool:
        """Read the next frame with content; False at the end."""
        while not self._ended:
            kind, content = self._read_next()
            if kind == DATA and content:
                self._content = memoryview(content)
                return True
            if kind == ZEROS:
                self._content = memoryview(self._make_zeros(content))
                return True
            self._ended = kind == END
        return False

    def _read_next(self) -> tuple[bytes, bytes]:
        head = sealed_form.read_head(self._read_at(HEAD.size, self._offset))
        if head is None:
            ends = self._offset >= self._size
            raise self.make_fault("it is cut off" if ends else "that is no frame")
        sealed = self._read_at(head.length + TAG, self._offset + HEAD.size)
        if len(sealed) != head.length + TAG:
            raise self.make_fault("it is cut off")
        content = self._frames.open(head, sealed)
        if content is None:
            raise self.make_fault("a frame is not as it was written")
        self._offset += head.size
        return head.kind, content

    def _read_at(self, size: int, offset: int) -> bytes:
        try:
            return os.pread(self._descriptor, size, offset)
        except OSError as problem:
            raise self.make_fault(f"it can't be read: {problem.strerror}") from None

    def _make_zeros(self, content: bytes) -> bytes:
        count = COUNT.unpack(content)[0] if len(content) == COUNT.size else 0
        if not 0 < count <= CHUNK:
            raise self.make_fault("a frame stands for too many zeros")
        return NOTHING[:count]
