"""Bundles read back: parts to an image's bytes, checked on the way; never keeps them in memory."""

import hashlib
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from eucabox.errors import InvalidManifest
from eucabox.image.manifest import Manifest, Part
from eucabox.image.sparse import CHUNK, SparseWriter

AES_BLOCK = 16
GZIP = 16 + zlib.MAX_WBITS
HEADERS = 2**20  # bytes of tar headers we read before the image must begin
PADDING = 2**20  # bytes of tar padding we read after the image's end


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
    bundle read and bytes in all, and may raise to give up.
    """
    reading = _Parts(manifest, opener, progress)
    stream = _Stream(manifest, _gunzipped(manifest, _decrypted(manifest, reading, key, iv)))
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK) as tar:
            _member(manifest, tar, stream, target)
        stream.drain()
    except (tarfile.TarError, ValueError) as problem:
        raise _bad(manifest, f"its parts hold no tar archive ({problem}).") from None
    return target.finish()


def check_sizes(manifest: Manifest, sizes: list[int]) -> None:
    """Compare the sizes of the parts, in order, with the manifest; raises InvalidManifest."""
    total = sum(sizes)
    for number, size in enumerate(sizes[:-1]):
        if size != sizes[0]:
            part = manifest.parts[number]
            raise _bad(
                manifest,
                f"part {number} ({part.name}) has {size} bytes and part 0 has {sizes[0]};"
                " upload it again.",
            )
    if total != manifest.bundled_size:
        raise _bad(
            manifest,
            f"its {len(sizes)} parts have {total} bytes together and the manifest says"
            f" {manifest.bundled_size}; the last one is part {len(sizes) - 1}"
            f" ({manifest.parts[-1].name}). Upload the bundle again.",
        )


def _bad(manifest: Manifest, reason: str) -> InvalidManifest:
    return InvalidManifest(name=manifest.location, reason=reason)


class _Parts:
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
                    self._count(len(chunk))

    def _check(self, number: int, part: Part, source: Source) -> None:
        digest = hashlib.sha1(usedforsecurity=False)
        for chunk in source.chunks(0, source.size):
            digest.update(chunk)
        if digest.hexdigest() != part.digest:
            raise _bad(
                self.manifest,
                f"part {number} ({part.name}) has SHA-1 {digest.hexdigest()}, the manifest says"
                f" {part.digest}; upload it again.",
            )

    def _count(self, count: int) -> None:
        self.done += count
        if self.progress:
            self.progress(self.done, self.manifest.bundled_size)


def _decrypted(manifest: Manifest, pieces: _Parts, key: bytes, iv: bytes) -> Iterator[bytes]:
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    held = b""
    count = 0
    for piece in pieces:
        count += len(piece)
        plain = held + cipher.update(piece)
        held = plain[-AES_BLOCK:]
        yield plain[:-AES_BLOCK]
    padding = held[-1] if held else 0
    if count % AES_BLOCK or held[-padding:] != bytes([padding]) * padding or not padding:
        raise _bad(manifest, "its last part ends too early, or it was encrypted by another key.")
    yield held[:-padding]


def _gunzipped(manifest: Manifest, pieces: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(GZIP)
    try:
        for piece in pieces:
            rest = piece
            while rest and not unpacker.eof:
                yield unpacker.decompress(rest, CHUNK)
                rest = unpacker.unconsumed_tail
    except zlib.error as problem:
        raise _bad(manifest, f"its parts do not decrypt to a gzip stream ({problem}).") from None
    if not unpacker.eof:
        raise _bad(manifest, "its gzip stream has no end; the bundle was cut when it was made.")


class _Stream(io.RawIOBase):
    """What tarfile reads from: pieces joined, with a limit that stops an archive without end."""

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

    def drain(self) -> None:
        """Read to the end, so that the last part and gzip's checksum are checked as well."""
        while self.read(CHUNK):
            continue

    def _check(self) -> None:
        if self.count > self.limit:
            raise _bad(
                self.manifest,
                f"its archive does not end after the image of {self.manifest.size} bytes.",
            )


def _member(
    manifest: Manifest, tar: tarfile.TarFile, stream: _Stream, target: SparseWriter
) -> None:
    member = tar.next()
    content = tar.extractfile(member) if member and member.isreg() else None
    if member is None or content is None:
        raise _bad(manifest, "the first thing in its archive is not a file.")
    if member.size != manifest.size:
        raise _bad(
            manifest,
            f"its archive holds {member.size} bytes and the manifest says {manifest.size}.",
        )
    stream.limit = stream.count + manifest.size + PADDING + CHUNK
    with content:
        while data := content.read(CHUNK):
            target.write(data)
    if target.written != manifest.size:
        raise _bad(
            manifest,
            f"its archive ends after {target.written} of the image's {manifest.size} bytes.",
        )
