"""What goes wrong ends in a clear error to the client, and nothing is left behind."""

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from eucabox.cli import image
from eucabox.cli.client import Client
from eucabox.cli.progress import Steps
from eucabox.image.tiny_guest import TinyGuest
from tests.live import guests
from tests.live.process import Running, running

BUCKET = "faults"
QUIET = Steps(quiet=True)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Running]:
    limits = "cores = 3\nmemory_mb = 300\ndisk_gb = 20\n"
    with running(f"[node]\nvirt_type = qemu\npending_timeout = 60\n{limits}") as found:
        yield found


@pytest.fixture(scope="module")
def ec2(cloud: Running) -> Iterator[Any]:
    client = cloud.client("ec2")
    yield client
    client.close()


@pytest.fixture(scope="module")
def owner(cloud: Running) -> Client:
    return Client(cloud.settings)


def register(ec2: Any, location: str) -> tuple[str, str]:
    """Register an image and return why it failed, at the call or afterwards, and the code."""
    try:
        image_id = ec2.register_image(ImageLocation=location, Name="faulty")["ImageId"]
    except ClientError as refused:
        return refused.response["Error"]["Message"], refused.response["Error"]["Code"]

    def look() -> Any:
        row = ec2.describe_images(ImageIds=[image_id])["Images"][0]
        assert row["State"] != "available", row
        return row if row["State"] == "failed" else None

    row = guests.until(look, "failure")
    return row["StateReason"]["Message"], row["StateReason"]["Code"]


def cached(cloud: Running) -> set[str]:
    return {str(each.relative_to(cloud.data)) for each in (cloud.data / "cache").rglob("*.*")}


@pytest.fixture
def some_file(tmp_path: Path) -> Path:
    file = tmp_path / "disk.img"
    file.write_bytes(bytes(range(256)) * 4096)
    return file


def test_a_corrupted_part_names_the_part(
    cloud: Running, ec2: Any, owner: Client, some_file: Path, tmp_path: Path
) -> None:
    manifest = image.bundle_file(owner, some_file, tmp_path / "b", QUIET)
    location = image.upload_bundle(owner, manifest, BUCKET, QUIET)
    before = cached(cloud)
    part = next(manifest.parent.glob("*.part.*"))
    content = bytearray(part.read_bytes())
    content[100] ^= 1
    s3 = owner.s3()
    s3.put_object(Bucket=BUCKET, Key=part.name, Body=bytes(content))
    message, _ = register(ec2, location)
    assert part.name in message
    assert "SHA" in message
    assert cached(cloud) == before
    s3.close()


def test_a_bundle_for_another_cloud_is_refused(
    cloud: Running, ec2: Any, owner: Client, some_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=other",
         "-keyout", str(tmp_path / "k"), "-out", str(other)],
        check=True, capture_output=True,
    )  # fmt: skip
    foreign = Client({**owner.settings, "EUCALYPTUS_CERT": str(other)})
    manifest = image.bundle_file(foreign, some_file, tmp_path / "b", QUIET, prefix="foreign")
    message, code = register(ec2, image.upload_bundle(owner, manifest, BUCKET, QUIET))
    assert code == "InvalidManifest"
    assert "cloud" in message


def test_a_bundle_signed_by_a_stranger_is_refused(
    cloud: Running, ec2: Any, owner: Client, some_file: Path, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    files = {"EC2_CERT": str(certificate), "EC2_PRIVATE_KEY": str(key)}
    stranger = Client({**owner.settings, **files})
    manifest = image.bundle_file(stranger, some_file, tmp_path / "b", QUIET, prefix="stranger")
    message, code = register(ec2, image.upload_bundle(owner, manifest, BUCKET, QUIET))
    assert code == "InvalidManifest"
    assert "sign" in message


def test_a_missing_part_is_named_at_the_call(
    ec2: Any, owner: Client, some_file: Path, tmp_path: Path
) -> None:
    manifest = image.bundle_file(owner, some_file, tmp_path / "b", QUIET, prefix="missing")
    location = image.upload_bundle(owner, manifest, BUCKET, QUIET)
    s3 = owner.s3()
    s3.delete_object(Bucket=BUCKET, Key="missing.part.00")
    s3.delete_object(Bucket=BUCKET, Key="missing.part.0")
    message, code = register(ec2, location)
    assert code == "InvalidManifest"
    assert "missing.part.0" in message
    s3.close()


def test_a_truncated_upload_leaves_nothing(cloud: Running, owner: Client) -> None:
    image.ensure_bucket(owner, BUCKET)
    body = b"x" * 2**20
    url = f"{cloud.endpoint}/{BUCKET}/cut"
    request = AWSRequest("PUT", url, {"Content-Length": str(len(body))}, body)
    S3SigV4Auth(
        Credentials(cloud.access_key, cloud.secret_key), "s3", "eucabox"
    ).add_auth(request)  # fmt: skip
    head = f"PUT /{BUCKET}/cut HTTP/1.1\r\nHost: 127.0.0.1:{cloud.port}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    with socket.create_connection(("127.0.0.1", cloud.port)) as connection:
        connection.sendall(head.encode() + b"\r\n" + body[: 2**19])
    s3 = owner.s3()
    time.sleep(0.5)
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="cut")
    assert listed["KeyCount"] == 0
    files = [each.name for each in (cloud.data / "buckets").rglob("*") if each.is_file()]
    assert not [name for name in files if "cut" in name or "tmp" in name], files
    s3.close()


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    """A small file system of its own under the data directory."""
    small, mounted = tmp_path / "small.img", Path("/var/tmp") / f"eucabox-full-{tmp_path.name}"
    with small.open("wb") as made:
        made.truncate(40 * 2**20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-F", str(small)], check=True)
    mounted.mkdir()
    subprocess.run(["mount", "-o", "loop", str(small), str(mounted)], check=True)
    try:
        with running(f"[node]\nvirt_type = qemu\n[buckets]\npath = {mounted}/buckets\n") as cloud:
            s3 = cloud.client("s3")
            s3.create_bucket(Bucket="full")
            s3.put_object(Bucket="full", Key="small", Body=b"kept")
            with pytest.raises(ClientError) as caught:
                s3.put_object(Bucket="full", Key="large", Body=b"x" * (64 * 2**20))
            answer = caught.value.response
            assert answer["ResponseMetadata"]["HTTPStatusCode"] in (400, 503, 507)
            assert "space" in answer["Error"]["Message"] or "full" in answer["Error"]["Message"]
            assert [each["Key"] for each in s3.list_objects_v2(Bucket="full")["Contents"]] == [
                "small"
            ]
            used = sum(each.stat().st_size for each in mounted.rglob("*") if each.is_file())
            assert used < 8 * 2**20, "the half object is still on the disk"
            s3.put_object(Bucket="full", Key="again", Body=b"x" * 2**20)
            assert s3.get_object(Bucket="full", Key="small")["Body"].read() == b"kept"
            s3.close()
    finally:
        subprocess.run(["umount", str(mounted)], check=True)
        mounted.rmdir()


def test_no_capacity_is_said_at_the_call(ec2: Any, cloud: Running, tiny_guest: TinyGuest) -> None:
    image_id = guests.install(cloud, tiny_guest)
    with pytest.raises(ClientError) as caught:
        ec2.run_instances(ImageId=image_id, InstanceType="m1.xlarge", MinCount=1, MaxCount=1)
    assert caught.value.response["Error"]["Code"] == "InsufficientInstanceCapacity"
    made = ec2.run_instances(ImageId=image_id, InstanceType="m1.tiny", MinCount=1, MaxCount=5)
    ids = [each["InstanceId"] for each in made["Instances"]]
    assert len(ids) == 2, "300 MiB hold two of 128"
    with pytest.raises(ClientError) as caught:
        ec2.run_instances(ImageId=image_id, InstanceType="m1.tiny", MinCount=1, MaxCount=1)
    assert caught.value.response["Error"]["Code"] == "InsufficientInstanceCapacity"
    rows = ec2.describe_availability_zones(ZoneNames=["verbose"])["AvailabilityZones"]
    tiny = next(each for each in rows if "m1.tiny" in each["ZoneName"])
    assert tiny["State"].startswith("0000 / 0002")
    ec2.terminate_instances(InstanceIds=ids)
    for each in ids:
        guests.wait_for(ec2, each, "terminated")
    assert len(ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"]) == 2


def test_a_file_that_is_no_kernel_is_refused(ec2: Any, owner: Client, tmp_path: Path) -> None:
    """QEMU would start it, and the guest stay silent for good."""
    broken = tmp_path / "broken"
    broken.write_bytes(b"this is no kernel" * 1000)
    manifest = image.bundle_file(owner, broken, tmp_path / "b", QUIET, image_type="kernel")
    message, _ = register(ec2, image.upload_bundle(owner, manifest, BUCKET, QUIET))
    assert "no kernel" in message


def test_a_kernel_that_qemu_refuses_tells_why(
    cloud: Running, ec2: Any, owner: Client, tiny_guest: TinyGuest, tmp_path: Path
) -> None:
    """An ELF file without an entry that QEMU knows ends the launch with QEMU's own words."""
    broken = tmp_path / "elf"
    broken.write_bytes(Path("/bin/true").read_bytes())
    kernel = image.install_file(owner, broken, BUCKET, QUIET, image_type="kernel")
    machine = image.install_file(owner, tiny_guest.root, BUCKET, QUIET, kernel_id=kernel)
    made = ec2.run_instances(ImageId=machine, InstanceType="m1.tiny", MinCount=1, MaxCount=1)
    instance_id = made["Instances"][0]["InstanceId"]
    row = guests.until(
        lambda: _ended(guests.describe(ec2, instance_id)), "end of a launch that can't be"
    )
    assert row["StateReason"]["Code"].startswith("Server.")
    assert "kernel" in row["StateReason"]["Message"].lower(), row["StateReason"]
    assert not list((cloud.data / "instances" / instance_id).glob("*.qcow2"))


def _ended(row: Any) -> Any:
    return row if row["State"]["Name"] == "terminated" else None


def test_a_guest_that_panics_shows_it(
    cloud: Running, ec2: Any, owner: Client, tiny_guest: TinyGuest, tmp_path: Path
) -> None:
    kernel = image.install_file(owner, tiny_guest.kernel, BUCKET, QUIET, image_type="kernel")
    empty = tmp_path / "empty.img"
    with empty.open("wb") as made:
        made.truncate(4 * 2**20)
    machine = image.install_file(owner, empty, BUCKET, QUIET, kernel_id=kernel)
    run = ec2.run_instances(ImageId=machine, InstanceType="m1.tiny", MinCount=1, MaxCount=1)
    instance_id = run["Instances"][0]["InstanceId"]

    def look() -> Any:
        row = guests.describe(ec2, instance_id)
        panicked = "Kernel panic" in guests.console(ec2, instance_id)
        return row if panicked or row["State"]["Name"] == "terminated" else None

    guests.until(look, "panic")
    assert "Kernel panic" in guests.console(ec2, instance_id)
    ec2.terminate_instances(InstanceIds=[instance_id])
    guests.wait_for(ec2, instance_id, "terminated")
