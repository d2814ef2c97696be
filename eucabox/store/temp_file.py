"""Receives a stream into a temporary file, with its length and checksums; never gives it its
name."""

import contextlib
import errno
import hashlib
import os
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, count
from typing import Protocol

from eucabox.errors import ContentMd5Mismatch, EntityTooLarge, IncompleteBody, InvalidDigest
from eucabox.store import checksums
from eucabox.store.bucket_folder import BucketFolder
from eucabox.store.fsync import ALWAYS, start_writing
from eucabox.store.types import EncryptionInfo, to_datetime, unique_time

CHUNK = 1 << 19
AHEAD = 4  # pieces that may be written before they are hashed
FLUSHED = 8 << 20  # bytes after which the kernel starts to write, so that the last flush is short
LARGEST = 5 << 30  # bytes in one put or part
NO_COPY = {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}

# Names of temporary files, which no other process takes: its own begins otherwise.
_PROCESS, _NUMBERS = secrets.token_hex(8), count()

Trailers = Callable[[], dict[str, str]]
Name = bytes | str


class BodyStream(Protocol):
    """A body."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, b"" at the end; a Fault if the body is not as signed."""


@dataclass(frozen=True)
class ExpectedBody:
    """What a body must be, as far as that is known before it is read.

    Checksums are {"CRC32": base64}; `trailers` returns those that follow the body. The
    `algorithms` are computed whether a checksum is stated or not; CRC64NVME if there is none.
    """

    size: int | None = None
    content_md5: bytes | None = None
    checksums: dict[str, str] = field(default_factory=dict)
    algorithms: tuple[str, ...] = ()
    trailers: Trailers | None = None


ANY_BODY = ExpectedBody()


@dataclass(frozen=True)
class ReceivedBody:
    """The size, MD5 and checksums of a received body."""

    size: int
    md5: str
    checksums: dict[str, str]


class TempFile:
    """A temporary file in a bucket, removed at the end of the `with` unless it was moved."""

    def __init__(self, folder: BucketFolder) -> None:
        self._name: str | None = f"{_PROCESS}{next(_NUMBERS):x}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._dir_fd = folder.temporary  # the folder stays open until the end
            self.fd = os.open(self._name, flags, 0o644, dir_fd=self._dir_fd)
        except FileNotFoundError:
            folder.ensure_exists()
            raise
        self.status: os.stat_result | None = None

    def __enter__(self) -> "TempFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file, unless it was moved."""
        os.close(self.fd)
        if self._name is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._name, dir_fd=self._dir_fd)

    def move(self, name: Name, dir_fd: int) -> None:
        """Rename the file, replacing any file of that name."""
        if self._name is not None:
            os.rename(self._name, name, src_dir_fd=self._dir_fd, dst_dir_fd=dir_fd)
            self._name = None

    def write(self, data: bytes | memoryview) -> None:
        """Append all of the bytes."""
        written = os.write(self.fd, data)
        while written < len(data):
            data = memoryview(data)[written:]
            written = os.write(self.fd, data)

    def finish(self, md5: str) -> tuple[str, EncryptionInfo | None]:
        """Complete the file; return the ETag and, if it is encrypted, how."""
        return md5, None

    def digest(self, algorithm: str) -> tuple[str, str]:
        """Return the hex MD5 and a base64 checksum of what was written."""
        return digest_file(self.fd, algorithm)

    def date(self) -> datetime:
        """Give the file a unique time and return it; `status` is final from here."""
        now = unique_time()
        os.utime(self.fd, ns=(now, now))
        self.status = os.fstat(self.fd)
        return to_datetime(self.status.st_mtime_ns)


def write_small(folder: BucketFolder, content: bytes, name: Name, dir_fd: int) -> None:
    """Write a small file into a folder, whole or not at all; on the disk when done, also with
    `relaxed`: half a sidecar or key's name would harm an object that has long been on the disk."""
    flush = ALWAYS if folder.flush.relaxed else folder.flush
    with TempFile(folder) as temp_file:
        temp_file.write(content)
        flush.content(temp_file.fd)
        temp_file.move(name, dir_fd)
    flush.folder(dir_fd)


def receive(temp_file: TempFile, stream: BodyStream, expected: ExpectedBody) -> ReceivedBody:
    """Read a body to its end into a temporary file; a Fault if it is not as expected."""
    if expected.content_md5 is not None and len(expected.content_md5) != 16:
        raise InvalidDigest
    for algorithm, stated in expected.checksums.items():
        checksums.decode(algorithm, stated)
    if expected.size is not None and expected.size > LARGEST:
        raise EntityTooLarge(size=expected.size, limit=LARGEST)
    md5 = hashlib.md5(usedforsecurity=False)
    names = (*expected.algorithms, *expected.checksums) or (checksums.DEFAULT,)
    sums = {name: checksums.new(name) for name in names}
    size = _write_and_hash(temp_file, stream, [md5, *sums.values()])
    computed = {name: checksums.encode(value.digest()) for name, value in sums.items()}
    received = ReceivedBody(size, md5.hexdigest(), computed)
    _verify(temp_file, received, expected)
    return received


def _write_and_hash(temp_file: TempFile, stream: BodyStream, sums: Sequence[checksums.Hash]) -> int:
    first = stream.read(CHUNK)
    second = stream.read(CHUNK) if first else b""
    if second:
        with ThreadPoolExecutor(1) as summing:
            pieces = chain((first, second), iter(lambda: stream.read(CHUNK), b""))
            return _write_and_hash_large(temp_file, pieces, sums, summing)
    if len(first) > LARGEST:
        raise EntityTooLarge(limit=LARGEST)
    _update(sums, first)
    if first:
        temp_file.write(first)
    return len(first)


def _write_and_hash_large(
    temp_file: TempFile, pieces: Iterable[bytes], sums: Sequence[checksums.Hash], summing: Executor
) -> int:
    """Write while another core computes the checksums; MD5 alone is slower than the disk."""
    size = flushed = 0
    pending: deque[Future[None]] = deque()
    for data in pieces:
        size += len(data)
        if size > LARGEST:
            raise EntityTooLarge(limit=LARGEST)
        pending.append(summing.submit(_update, sums, data))
        temp_file.write(data)
        if size - flushed >= FLUSHED:
            start_writing(temp_file.fd, flushed, size - flushed)
            flushed = size
        if len(pending) > AHEAD:
            pending.popleft().result()
    while pending:
        pending.popleft().result()
    return size


def _update(sums: Sequence[checksums.Hash], data: bytes) -> None:
    for checksum in sums:
        checksum.update(data)


def _verify(temp_file: TempFile, received: ReceivedBody, expected: ExpectedBody) -> None:
    if expected.size is not None and expected.size != received.size:
        raise IncompleteBody(found=received.size, stated=expected.size)
    if expected.content_md5 is not None and expected.content_md5.hex() != received.md5:
        raise ContentMd5Mismatch(found=received.md5, stated=expected.content_md5.hex())
    stated = {**expected.checksums, **(expected.trailers() if expected.trailers else {})}
    for algorithm, value in stated.items():
        if algorithm not in received.checksums:
            checksums.decode(algorithm, value)
            received.checksums[algorithm] = temp_file.digest(algorithm)[1]
        checksums.compare(algorithm, received.checksums[algorithm], value)


def digest_file(descriptor: int, algorithm: str = "") -> tuple[str, str]:
    """Return the hex MD5 of a file and, with `algorithm`, its base64 checksum."""
    md5 = hashlib.md5(usedforsecurity=False)
    sums = [md5, checksums.new(algorithm)] if algorithm else [md5]
    offset = 0
    while data := os.pread(descriptor, CHUNK, offset):
        offset += len(data)
        for checksum in sums:
            checksum.update(data)
    return md5.hexdigest(), checksums.encode(sums[1].digest()) if algorithm else ""


def copy_file(source: int, temp_file: TempFile, size: int) -> None:
    """Append `size` bytes of a file to a temporary file, in the kernel where possible."""
    offset = 0
    while offset < size:
        copied = _copy_some(source, temp_file, offset, size - offset)
        if copied == 0:
            raise IncompleteBody(found=offset, stated=size)
        offset += copied


def _copy_some(source: int, temp_file: TempFile, offset: int, count: int) -> int:
    try:
        return os.copy_file_range(source, temp_file.fd, min(count, LARGEST), offset_src=offset)
    except OSError as error:
        if error.errno not in NO_COPY:
            raise
    data = os.pread(source, min(count, CHUNK), offset)
    temp_file.write(data)
    return len(data)
