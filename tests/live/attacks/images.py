"""Images that are small to send and large, deep or endless to read."""

import hashlib
import struct
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from eucabox.cli import image as command
from eucabox.cli.client import Client
from eucabox.cli.progress import Steps
from eucabox.image import bundle
from tests.live.attacks.world import World

BUCKET = "attacks-images"
CLUSTER = 1 << 16
GIB = 1 << 30


class Raw:
    """A tar as it is, in the place of the one that a bundle would make of its file."""

    def __init__(self, tar: bytes, size: int) -> None:
        self._tar, self.size = tar, size
        self.digest = hashlib.sha1(tar, usedforsecurity=False)

    def __iter__(self) -> Iterator[bytes]:
        yield self._tar


def _register(world: World, key: str) -> str:
    ec2: Any = world.cloud.client("ec2")
    image_id: str = ec2.register_image(ImageLocation=f"{BUCKET}/{key}", Name=f"a-{key}")["ImageId"]
    return image_id


def _put(world: World, key: str, body: bytes) -> None:
    s3: Any = world.cloud.client("s3")
    if BUCKET not in {each["Name"] for each in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def _until_over(world: World, key: str, reason: str) -> None:
    """Register what was put, and take it away at the end; it is refused for this reason."""
    ec2: Any = world.cloud.client("ec2", read_timeout=60)
    try:
        image_id = _register(world, key)
    except ec2.exceptions.ClientError as refused:
        message = str(refused)
    else:
        world.over.wait()
        (image,) = ec2.describe_images(ImageIds=[image_id])["Images"]
        message = image.get("StateReason", {}).get("Message", reason)  # pending: not read yet
        ec2.deregister_image(ImageId=image_id)
    if reason not in message:
        world.failures.append(f"{key} is not refused as it should be: {message}")


def _manifests(world: World) -> None:
    _put(world, "deep.manifest.xml", b"<manifest>" + b"a<b/>" * 420_000 + b"</manifest>")
    _until_over(world, "deep.manifest.xml", "times the character <")


def _bundle(world: World, name: str, tar: bytes, size: int, reason: str) -> None:
    user = Client(world.cloud.settings)
    with tempfile.TemporaryDirectory(prefix="eucabox-attack-") as folder:
        file = Path(folder) / name
        file.write_bytes(b"")
        with mock.patch.object(bundle, "_Tar", lambda *_: Raw(tar, size)):
            manifest = command.bundle_file(user, file, Path(folder) / "out", Steps(quiet=True))
        command.upload_bundle(user, manifest, BUCKET, Steps(quiet=True))
    _until_over(world, f"{name}.manifest.xml", reason)


def _ending(tar: bytes) -> bytes:
    return tar + bytes(2 * tarfile.BLOCKSIZE + -(len(tar) + 1024) % tarfile.RECORDSIZE)


def _sparse(world: World) -> None:
    """One member of the old GNU kind that says it is 8 GiB, and has no byte."""
    member = tarfile.TarInfo("sparse")
    member.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    size = 8 * GIB  # within every limit, so that its kind alone is wrong
    header[386:410] = b"%011o\0%011o\0" % (size, 0) if size < 8**11 else b"\x80" + bytes(23)
    header[483:495] = b"\x80" + size.to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    _bundle(world, "sparse", _ending(bytes(header)), size, "sparse file")


def _long_links(world: World) -> None:
    link = tarfile.TarInfo("././@LongLink")
    link.type, link.size = tarfile.GNUTYPE_LONGNAME, 2
    one = link.tobuf(tarfile.GNU_FORMAT) + b"a\0".ljust(512, b"\0")
    file = tarfile.TarInfo("image")
    file.size = 512
    tar = one * 900 + file.tobuf(tarfile.GNU_FORMAT) + bytes(512)
    _bundle(world, "links", _ending(tar), 512, "more than 3 headers")


def _shared_cluster(world: World) -> None:
    """A qcow2 of six clusters: every entry of its tables is the same one of data."""
    tables, size = 64, 32 * GIB  # within every limit, so that its clusters alone are wrong
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, size, 0, tables, 3 * CLUSTER, CLUSTER, 1, 0, 0
    )
    disk = bytearray(6 * CLUSTER)
    disk[: len(header)] = header
    disk[CLUSTER : CLUSTER + 8] = struct.pack(">Q", 2 * CLUSTER)
    disk[2 * CLUSTER : 2 * CLUSTER + 12] = struct.pack(">6H", *[1] * 6)
    disk[3 * CLUSTER : 3 * CLUSTER + 8 * tables] = struct.pack(">Q", 4 * CLUSTER) * tables
    disk[4 * CLUSTER : 5 * CLUSTER] = struct.pack(">Q", 5 * CLUSTER) * (CLUSTER // 8)
    disk[5 * CLUSTER :] = b"eucabox!" * (CLUSTER // 8)
    _put(world, "shared.qcow2", bytes(disk))
    _until_over(world, "shared.qcow2", "share its clusters")


ATTACKS: dict[str, Callable[[World], None]] = {
    "manifest of 2 MiB": _manifests,
    "sparse member of 8 GiB": _sparse,
    "900 long names": _long_links,
    "qcow2 of one cluster": _shared_cluster,
}
