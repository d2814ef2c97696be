"""Bundles read back: parts to an image's bytes, checked on the way; never keeps them in memory."""

import hashlib
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from eucabox.errors import InvalidManifest
from eucabox.image.manifest import Manifest, ManifestPart
from eucabox.image.sparse import CHUNK, SparseWriter

AES_BLOCK = 16
GZIP = 16 + zlib.MAX_WBITS
HEADERS = 2**20  # bytes of tar headers we read before the image must begin
PADDING = 2**20  # bytes of tar padding we read after the image's end
PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
EXTENSIONS = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE),
)
MOST_EXTENSIONS = 3  # headers before that of a file: its long name and POSIX' two
LONGEST_EXTENSION = 65536  # bytes
PAX_SIZE = re.compile(rb"[0-9]{1,4} size=([0-9]{1,18})\n")
SPARSE = "its archive holds a sparse file. Bundle it again, without tar's --sparse."


class Source(Protocol):
    """An open part: `chunks` yields `length` of its bytes from `start` on."""

    @property
    def size(self) -> int:
        """Bytes in the part."""

    def chunks(self, start: int, length: int) -> Iterator[bytes]:
        """Yield the bytes of a range in pieces."""


Opener = Callable[[str], AbstractContextManager[Source]]
Progress = Callable[[int, int], None]


def unbundle(
    manifest: Manifest,
    key: bytes,
    iv: bytes,
    opener: Opener,
    target: SparseWriter,
    progress: Progress | None = None,
) -> str:
    """Write a bundle's image to target and return the image's SHA-256 in hex.

    `opener` opens a part by name. Every part's SHA-1 is checked before a byte of it is used.
    Raises InvalidManifest that names the part and the cause; `progress` gets bytes of the
    bundle read and bytes in all, again and again while something is done, and may raise to give up.
    """
    reading = _PartReader(manifest, opener, progress)
    stream = _Stream(manifest, _gunzip(manifest, _decrypt(manifest, reading, key, iv)))
    _skip_to_image(manifest, stream)
    stream.limit = stream.count + manifest.size + PADDING + CHUNK
    while left := manifest.size - target.written:
        data = stream.read(min(CHUNK, left))
        if not data:
            raise _invalid(
                manifest,
                f"its archive ends after {target.written} of the image's {manifest.size} bytes.",
            )
        target.write(data)
        reading.tell()
    while stream.read(CHUNK):  # so that the last part and gzip's checksum are checked as well
        reading.tell()
    return target.finish()


def check_sizes(manifest: Manifest, sizes: list[int]) -> None:
    """Compare the sizes of the parts, in order, with the manifest; raises InvalidManifest."""
    total = sum(sizes)
    for number, size in enumerate(sizes[:-1]):
        if size != sizes[0]:
            part = manifest.parts[number]
            raise _invalid(
                manifest,
                f"part {number} ({part.name}) has {size} bytes and part 0 has {sizes[0]};"
                " upload it again.",
            )
    if total != manifest.bundled_size:
        raise _invalid(
            manifest,
            f"its {len(sizes)} parts have {total} bytes together and the manifest says"
            f" {manifest.bundled_size}; the last one is part {len(sizes) - 1}"
            f" ({manifest.parts[-1].name}). Upload the bundle again.",
        )


def _invalid(manifest: Manifest, reason: str) -> InvalidManifest:
    return InvalidManifest(name=manifest.location, reason=reason)


class _PartReader:
    """Iterates the bytes of all parts in order, each part checked first."""

    def __init__(self, manifest: Manifest, opener: Opener, progress: Progress | None) -> None:
        self.manifest, self.opener, self.progress = manifest, opener, progress
        self.done = 0

    def __iter__(self) -> Iterator[bytes]:
        for number, part in enumerate(self.manifest.parts):
            with self.opener(part.name) as source:
                self._check(number, part, source)
                for chunk in source.chunks(0, source.size):
                    yield chunk
                    self.done += len(chunk)
                    self.tell()

    def _check(self, number: int, part: ManifestPart, source: Source) -> None:
        digest = hashlib.sha1(usedforsecurity=False)
        for chunk in source.chunks(0, source.size):
            digest.update(chunk)
            self.tell()
        if digest.hexdigest() != part.digest:
            raise _invalid(
                self.manifest,
                f"part {number} ({part.name}) has SHA-1 {digest.hexdigest()}, the manifest says"
                f" {part.digest}; upload it again.",
            )

    def tell(self) -> None:
        """Say how far the reading is, even where it has not gone on."""
        if self.progress:
            self.progress(self.done, self.manifest.bundled_size)


def _decrypt(manifest: Manifest, pieces: _PartReader, key: bytes, iv: bytes) -> Iterator[bytes]:
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    rest = b""
    count = 0
    for piece in pieces:
        count += len(piece)
        plain = rest + cipher.update(piece)
        rest = plain[-AES_BLOCK:]
        yield plain[:-AES_BLOCK]
    padding = rest[-1] if rest else 0
    if count % AES_BLOCK or rest[-padding:] != bytes([padding]) * padding or not padding:
        raise _invalid(
            manifest, "its last part ends too early, or it was encrypted by another key."
        )
    yield rest[:-padding]


def _gunzip(manifest: Manifest, pieces: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(GZIP)
    try:
        for piece in pieces:
            rest = piece
            while rest and not unpacker.eof:
                yield unpacker.decompress(rest, CHUNK)
                rest = unpacker.unconsumed_tail
    except zlib.error as problem:
        raise _invalid(
            manifest, f"its parts do not decrypt to a gzip stream ({problem})."
        ) from None
    if not unpacker.eof:
        raise _invalid(manifest, "its gzip stream has no end; the bundle was cut when it was made.")


class _Stream:
    """Pieces joined, with a limit that stops an archive without end."""

    def __init__(self, manifest: Manifest, pieces: Iterator[bytes]) -> None:
        self.manifest, self.pieces = manifest, pieces
        self.limit = HEADERS + CHUNK
        self.count = 0
        self.rest = b""

    def read(self, size: int = CHUNK) -> bytes:
        while not self.rest:
            piece = next(self.pieces, None)
            if piece is None:
                return b""
            self.rest = piece
            self.count += len(piece)
            self._check()
        data, self.rest = self.rest[:size], self.rest[size:]
        return data

    def exactly(self, size: int) -> bytes:
        """Return so many bytes, fewer at the end alone."""
        data = b""
        while len(data) < size and (more := self.read(size - len(data))):
            data += more
        return data

    def _check(self) -> None:
        if self.count > self.limit:
            raise _invalid(
                self.manifest,
                f"its archive does not end after the image of {self.manifest.size} bytes.",
            )


def _skip_to_image(manifest: Manifest, stream: _Stream) -> None:
    """Read an archive's headers up to the image's bytes.

    They are read here and not by a library: its image is one plain file, and a sparse file, a link
    or a chain of long names has no business in a bundle, whose every header costs the reader.
    """
    extension: dict[str, str] = {}
    for _ in range(MOST_EXTENSIONS + 1):
        member = _header(manifest, stream.exactly(tarfile.BLOCKSIZE))
        if member.type not in EXTENSIONS:
            _check_member(manifest, member, int(extension.get("size", member.size)))
            return
        if not 0 <= member.size <= LONGEST_EXTENSION:
            raise _invalid(manifest, f"its archive has a header of {member.size} bytes.")
        content = stream.exactly(-(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
        if member.type == tarfile.XHDTYPE:
            extension = _read_pax_size(manifest, content[: member.size])
    raise _invalid(manifest, f"its archive has more than {MOST_EXTENSIONS} headers for one file.")


def _header(manifest: Manifest, block: bytes) -> tarfile.TarInfo:
    if block and not block.strip(b"\0"):
        raise _invalid(manifest, "the first thing in its archive is not a file.")
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as problem:
        reason = f"its parts hold no tar archive ({problem})."
        raise _invalid(manifest, reason) from None


def _read_pax_size(manifest: Manifest, content: bytes) -> dict[str, str]:
    """Return the size that a POSIX header of long values tells, for files beyond 8 GiB."""
    if b" GNU.sparse." in content:
        raise _invalid(manifest, SPARSE)
    sizes = PAX_SIZE.findall(content)
    return {"size": sizes[-1].decode("ascii")} if sizes else {}


def _check_member(manifest: Manifest, member: tarfile.TarInfo, size: int) -> None:
    if member.type == tarfile.GNUTYPE_SPARSE:
        raise _invalid(manifest, SPARSE)
    if member.type not in PLAIN or member.name.endswith("/"):
        raise _invalid(manifest, "the first thing in its archive is not a file.")
    if size != manifest.size:
        raise _invalid(
            manifest,
            f"its archive holds {size} bytes and the manifest says {manifest.size}.",
        )
