"""Throw-away keys, and bundles that the real euca2ools 3.4 made with them."""

import contextlib
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from eucabox.image import bundle, bundle_crypto, manifest, manifest_writer, unbundle
from eucabox.image.manifest import Manifest, ManifestPart
from eucabox.image.sparse import SparseWriter

DATA = Path(__file__).parent / "data"
USER = "123456789012"
USER_CERTIFICATE, USER_KEY = (DATA / "user.crt").read_text(), (DATA / "user.key").read_text()
CLOUD_CERTIFICATE, CLOUD_KEY = (DATA / "cloud.crt").read_text(), (DATA / "cloud.key").read_text()


class PartFile:
    """A part in a folder, as unbundle reads it."""

    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()

    @property
    def size(self) -> int:
        return len(self.content)

    def chunks(self, start: int, length: int) -> Iterator[bytes]:
        for begin in range(start, start + length, 1000):
            yield self.content[begin : min(begin + 1000, start + length)]


def opener(folder: Path) -> unbundle.Opener:
    @contextlib.contextmanager
    def open_part(name: str) -> Iterator[PartFile]:
        yield PartFile(folder / name)

    return open_part


def make(image: Path, folder: Path, **members: Any) -> Path:
    folder.mkdir(exist_ok=True)
    return bundle.bundle(
        image,
        folder,
        user=USER,
        cloud_certificate=CLOUD_CERTIFICATE,
        user_certificate=USER_CERTIFICATE,
        user_private_key=USER_KEY,
        **members,
    )


def read(path: Path) -> Manifest:
    return manifest.parse(path.read_bytes(), f"bucket/{path.name}")


def take_out(path: Path, target: Path) -> str:
    """Verify and unbundle what a manifest names, with the cloud's key."""
    found = read(path)
    manifest.verify(found, [CLOUD_CERTIFICATE, USER_CERTIFICATE])
    key, iv = manifest.open_key(found, bundle_crypto.private_key(CLOUD_KEY))
    unbundle.check_sizes(found, [(path.parent / part.name).stat().st_size for part in found.parts])
    with target.open("w+b") as file:
        return unbundle.unbundle(found, key, iv, opener(path.parent), SparseWriter(file))


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member, content in members:
            member.size = len(content) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def gzip(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(content) + packer.flush()


def forge(
    folder: Path,
    packed: bytes,
    size: int,
    *,
    cloud: str = CLOUD_CERTIFICATE,
    user: tuple[str, str] = (USER_CERTIFICATE, USER_KEY),
    **changes: Any,
) -> Path:
    """Make a rightly signed bundle of one part around any bytes where a gzip stream belongs."""
    key, iv = b"k" * 16, b"i" * 16
    padding = 16 - len(packed) % 16
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    sealed = cipher.update(packed + bytes([padding]) * padding) + cipher.finalize()
    part = folder / "forged.part.00"
    part.write_bytes(sealed)
    parts = [ManifestPart(part.name, hashlib.sha1(sealed).hexdigest())]
    facts: dict[str, Any] = {
        "name": "forged",
        "user": USER,
        "image_type": "machine",
        "architecture": "x86_64",
        "kernel_id": "",
        "ramdisk_id": "",
        "block_device_mapping": {},
        "size": size,
        "bundled_size": len(sealed),
        "tar_digest": "0" * 40,
        "key": key,
        "iv": iv,
        "parts": parts,
        **changes,
    }
    path = folder / "forged.manifest.xml"
    path.write_bytes(
        manifest_writer.write(
            manifest_writer.ManifestDraft(**facts),
            bundle_crypto.public_key(cloud),
            bundle_crypto.public_key(user[0]),
            bundle_crypto.private_key(user[1]),
        )
    )
    return path
