"""Images made to hold the service up: refused with a reason, bounded, and ended by a stop."""

import secrets
import tarfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from eucabox.cli.client import Client
from tests.image.vectors import forge, gzip
from tests.image_cloud import shared_clusters
from tests.live import guests
from tests.live.process import Running

BUCKET = "attacks"
GIB = 2**30
SOON = 5.0  # seconds, on a busy machine


@pytest.fixture
def ec2(cloud: Running) -> Iterator[Any]:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.close()
    found = cloud.client("ec2")
    yield found
    found.close()


def put(cloud: Running, *files: Path) -> str:
    s3 = cloud.client("s3")
    for file in files:
        s3.put_object(Bucket=BUCKET, Key=file.name, Body=file.read_bytes())
    s3.close()
    return f"{BUCKET}/{files[-1].name}"


def bundle(cloud: Running, folder: Path, packed: bytes, size: int) -> str:
    user = Client(cloud.settings)
    own = (user.file("EC2_CERT").read_text(), user.file("EC2_PRIVATE_KEY").read_text())
    cert = user.file("EUCALYPTUS_CERT").read_text()
    manifest = forge(folder, packed, size, cloud=cert, user=own)
    return put(cloud, folder / "forged.part.00", manifest)


def header(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo("root.img")
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


def zeros(size: int) -> bytes:
    """A gzip stream of a tar of so many zeros, which is made in a moment."""
    packer = zlib.compressobj(wbits=31)
    head = packer.compress(header(size)) + packer.flush(zlib.Z_FULL_FLUSH)
    raw = zlib.compressobj(wbits=-15)
    block = raw.compress(bytes(64 << 20)) + raw.flush(zlib.Z_FULL_FLUSH)
    return head + block * (size // (64 << 20))


def register(ec2: Any, location: str) -> str:
    name = f"attack-{secrets.token_hex(4)}"
    return str(ec2.register_image(ImageLocation=location, Name=name)["ImageId"])


def failure(ec2: Any, location: str) -> str:
    image_id = register(ec2, location)

    def look() -> Any:
        row = ec2.describe_images(ImageIds=[image_id])["Images"][0]
        return row if row["State"] != "pending" else None

    reason: str = guests.until(look, "end of it")["StateReason"]["Message"]
    return reason


def test_hostile_images_are_refused_in_a_moment_and_a_stop_ends_what_goes_on(
    cloud: Running, ec2: Any, tmp_path: Path
) -> None:
    took: dict[str, float] = {}

    def timed(name: str, location: str, reason: str) -> None:
        started = time.monotonic()
        try:
            message = failure(ec2, location)
        except ClientError as refused:
            message = refused.response["Error"]["Message"]
        took[name] = time.monotonic() - started
        assert reason in message
        assert str(cloud.data) not in message

    text = tmp_path / "text.manifest.xml"
    text.write_bytes(b"<manifest>" + b"a<b/>" * 400_000 + b"</manifest>")
    timed("2 MiB of a<b/>", put(cloud, text), "times the character <")
    sparse = gzip(header(10 * GIB, tarfile.GNUTYPE_SPARSE) + bytes(10240))
    timed("a sparse file", bundle(cloud, tmp_path, sparse, 10 * GIB), "sparse file")
    chain = gzip((header(512, tarfile.GNUTYPE_LONGNAME) + b"n" * 512) * 900)
    timed("900 long names", bundle(cloud, tmp_path, chain, 1), "more than 3 headers")
    qcow2 = shared_clusters(tmp_path / "disk", 900 * GIB)
    timed("shared clusters", put(cloud, qcow2), "share its clusters")
    assert max(took[name] for name in took if name != "shared clusters") < SOON
    assert took["shared clusters"] < 6 * SOON  # qemu-img counts 14 million clusters

    location = bundle(cloud, tmp_path, zeros(20 * GIB), 20 * GIB)
    endless = [register(ec2, location) for _ in "12"]
    time.sleep(1)
    started = time.monotonic()
    cloud.stop()
    stopped = time.monotonic() - started
    took["SIGTERM"] = stopped
    assert stopped < 10
    cloud.start()
    for image_id in endless:
        row = ec2.describe_images(ImageIds=[image_id])["Images"][0]
        assert row["State"] == "pending", "the next start goes on with it"
        ec2.deregister_image(ImageId=image_id)
    timed("after it", bundle(cloud, tmp_path, chain, 1), "more than 3 headers")
    assert took["after it"] < SOON, "the workers are free again"
