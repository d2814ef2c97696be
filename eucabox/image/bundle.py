"""Bundles: cuts an image into sealed parts with a manifest; never reads a bundle back."""

import hashlib
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from secrets import token_bytes
from typing import BinaryIO

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from eucabox.errors import BundleFailed
from eucabox.hypervisor import architecture as architectures
from eucabox.image import bundle_crypto, manifest_writer
from eucabox.image.manifest import TYPES, ManifestPart
from eucabox.image.names import BUNDLE_NAME
from eucabox.image.sparse import CHUNK, ZEROS, data_runs

PART_SIZE = 10 * 2**20
AES_BLOCK = 16
GZIP = 16 + zlib.MAX_WBITS
LEVEL = 6  # gzip's own default, which euca2ools leaves alone

Progress = Callable[[int, int], None]


def bundle(
    image: Path,
    folder: Path,
    *,
    user: str,
    cloud_certificate: str,
    user_certificate: str,
    user_private_key: str,
    prefix: str | None = None,
    image_type: str = "machine",
    architecture: str | None = None,
    kernel_id: str | None = None,
    ramdisk_id: str | None = None,
    block_device_mapping: Mapping[str, str] | None = None,
    part_size: int = PART_SIZE,
    progress: Progress | None = None,
) -> Path:
    """Bundle an image file into a folder and return the path of the manifest.

    Certificates and key are PEM texts; `user` is the 12-digit account id; `part_size` is in
    bytes. `progress` is called with bytes done and bytes in all. Memory use does not depend on
    the image's size. On any failure the parts written so far are removed.
    """
    prefix = prefix or image.name
    _check(prefix, image_type, part_size)
    seals = _keys(cloud_certificate, user_certificate, user_private_key)
    key, iv = token_bytes(AES_BLOCK), token_bytes(AES_BLOCK)
    writer = _PartWriter(folder, prefix, part_size)
    try:
        tar = _Tar(image, prefix, progress)
        for piece in _encrypt(_gzip(tar), key, iv):
            writer.write(piece)
        text = manifest_writer.ManifestDraft(
            parts=writer.finish(),
            name=prefix,
            user=user,
            image_type=image_type,
            architecture=architecture or architectures.HOST.ec2[-1],
            kernel_id=kernel_id or "",
            ramdisk_id=ramdisk_id or "",
            block_device_mapping=block_device_mapping or {},
            size=tar.size,
            bundled_size=writer.total,
            tar_digest=tar.digest.hexdigest(),
            key=key,
            iv=iv,
        )
        manifest = folder / f"{prefix}.manifest.xml"
        manifest.write_bytes(manifest_writer.write(text, *seals))
    except BaseException:
        writer.remove()
        raise
    return manifest


def _check(prefix: str, image_type: str, part_size: int) -> None:
    if not BUNDLE_NAME.fullmatch(prefix):
        raise BundleFailed(name=prefix, reason="its name must be plain ASCII without a slash.")
    if image_type not in TYPES:
        raise BundleFailed(name=prefix, reason=f"its type must be one of {', '.join(TYPES)}.")
    if part_size < 1:
        raise BundleFailed(name=prefix, reason="the part size must be 1 byte or more.")


def _keys(
    cloud: str, user: str, private: str
) -> tuple[bundle_crypto.Public, bundle_crypto.Public, bundle_crypto.Private]:
    loaders: dict[str, tuple[Callable[[str], object], str]] = {
        "cloud certificate": (bundle_crypto.public_key, cloud),
        "user certificate": (bundle_crypto.public_key, user),
        "private key": (bundle_crypto.private_key, private),
    }
    for name, (load, text) in loaders.items():
        try:
            load(text)
        except ValueError as problem:
            raise BundleFailed(
                name="The image", reason=f"the {name} is not usable PEM: {problem}."
            ) from None
    return (
        bundle_crypto.public_key(cloud),
        bundle_crypto.public_key(user),
        bundle_crypto.private_key(private),
    )


class _Tar:
    """The tar stream of one file: iterates its bytes, and keeps their SHA-1."""

    def __init__(self, image: Path, prefix: str, progress: Progress | None) -> None:
        self.image, self.prefix, self.progress = image, prefix, progress
        self.size = image.stat().st_size
        self.digest = hashlib.sha1(usedforsecurity=False)

    def __iter__(self) -> Iterator[bytes]:
        written = 0
        for piece in self._member():
            self.digest.update(piece)
            written += len(piece)
            yield piece
        ending = 2 * tarfile.BLOCKSIZE
        end = bytes(ending + (-written - ending) % tarfile.RECORDSIZE)
        self.digest.update(end)
        yield end

    def _member(self) -> Iterator[bytes]:
        member = tarfile.TarInfo(self.prefix)
        member.size = self.size
        yield member.tobuf(tarfile.GNU_FORMAT, "ascii")
        done = 0
        with self.image.open("rb") as source:
            for start, end in (*data_runs(source, self.size), (self.size, self.size)):
                yield from self._count(_zeros(start - done), done)
                yield from self._count(self._read(source, start, end), start)
                done = end
        yield bytes(-self.size % tarfile.BLOCKSIZE)

    def _read(self, source: BinaryIO, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            data = os.pread(source.fileno(), min(CHUNK, end - start), start)
            if not data:
                raise BundleFailed(name=self.prefix, reason="the file was cut while it was read.")
            yield data
            start += len(data)

    def _count(self, pieces: Iterator[bytes], done: int) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            done += len(piece)
            if self.progress:
                self.progress(done, self.size)


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield ZEROS[:count]
        count -= CHUNK


def _gzip(pieces: _Tar) -> Iterator[bytes]:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def _encrypt(pieces: Iterator[bytes], key: bytes, iv: bytes) -> Iterator[bytes]:
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    count = 0
    for piece in pieces:
        count += len(piece)
        yield cipher.update(piece)
    padding = AES_BLOCK - count % AES_BLOCK
    yield cipher.update(bytes([padding]) * padding) + cipher.finalize()


class _PartWriter:
    """Cuts a stream into part files; a part of 0 bytes ends a stream that fills its parts."""

    def __init__(self, folder: Path, prefix: str, part_size: int) -> None:
        self.folder, self.prefix, self.part_size = folder, prefix, part_size
        self.total = 0
        self.parts: list[ManifestPart] = []
        self.paths: list[Path] = []
        self._open()

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            piece = rest[: self.part_size - self._filled]
            self._file.write(piece)
            self._digest.update(piece)
            self._filled += len(piece)
            self.total += len(piece)
            rest = rest[len(piece) :]
            if self._filled == self.part_size:
                self._close()
                self._open()

    def finish(self) -> list[ManifestPart]:
        self._close()
        return self.parts

    def remove(self) -> None:
        self._file.close()
        for path in self.paths:
            path.unlink(missing_ok=True)

    def _open(self) -> None:
        path = self.folder / f"{self.prefix}.part.{len(self.parts):02}"
        self._file = path.open("wb")
        self.paths.append(path)
        self._digest = hashlib.sha1(usedforsecurity=False)
        self._filled = 0

    def _close(self) -> None:
        self._file.close()
        self.parts.append(ManifestPart(self.paths[-1].name, self._digest.hexdigest()))
