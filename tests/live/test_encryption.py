"""Encrypted objects of a real eucabox: by real clients, through kills, damage and lost keys."""

import hashlib
import os
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError, HTTPClientError, ResponseStreamingError

from tests.live.process import Running, running
from tests.live.s3 import environment

SECRET = b"customer's key of thirty-two bts"
CUSTOMER: dict[str, Any] = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": SECRET}
LARGE = secrets.token_bytes(1 << 20) * 11 + b"tail"
KINDS: dict[str, dict[str, Any]] = {
    "AES256": {"ServerSideEncryption": "AES256"},
    "aws:kms": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "first"},
    "SSE-C": CUSTOMER,
}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Running]:
    with running("[node]\nvirt_type = qemu\n[buckets]\nkms_keys = first, second\n") as found:
        yield found


@pytest.fixture
def s3(cloud: Running) -> Iterator[Any]:
    client = cloud.client("s3")
    yield client
    client.close()


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"b-{secrets.token_hex(6)}"
    s3.create_bucket(Bucket=name)
    return name


def code(caught: pytest.ExceptionInfo[ClientError]) -> str:
    answer: Any = caught.value.response
    return str(answer["Error"]["Code"])


def file_of(cloud: Running, bucket: str, key: str) -> Path:
    return cloud.data / "buckets" / bucket / key


@pytest.mark.parametrize("https", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_boto3_moves_large_objects(
    cloud: Running, bucket: str, kind: str, https: bool, tmp_path: Path
) -> None:
    client, encryption = cloud.client("s3", https=https), KINDS[kind]
    reading = encryption if kind == "SSE-C" else {}
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(LARGE)
    small = TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=5 << 20)
    client.upload_file(str(source), bucket, "large", ExtraArgs=encryption, Config=small)
    client.download_file(bucket, "large", str(back), ExtraArgs=reading, Config=small)
    assert back.read_bytes() == LARGE
    found = client.head_object(Bucket=bucket, Key="large", **reading)
    assert found["ContentLength"] == len(LARGE)
    (listed,) = client.list_objects_v2(Bucket=bucket)["Contents"]
    assert (listed["Size"], listed["ETag"]) == (len(LARGE), found["ETag"])
    piece = client.get_object(Bucket=bucket, Key="large", Range="bytes=5242870-5242890", **reading)
    assert piece["Body"].read() == LARGE[5242870:5242891]
    assert LARGE[:64] not in file_of(cloud, bucket, "large").read_bytes()
    client.close()


def test_clients_do_not_mind_the_etags(
    cloud: Running, s3: Any, bucket: str, tmp_path: Path
) -> None:
    rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "second"}
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": rule, "BucketKeyEnabled": True}]
        },
    )
    source = tmp_path / "source"
    source.write_bytes(LARGE)
    where = f"127.0.0.1:{cloud.port}"
    settings = tmp_path / "s3cfg"
    settings.write_text(
        f"[default]\naccess_key = {cloud.access_key}\nsecret_key = {cloud.secret_key}\n"
        f"host_base = {where}\nhost_bucket = {where}\nuse_https = False\n"
        "multipart_chunk_size_mb = 5\n"
    )
    rclone = cloud.rclone(tmp_path, SERVER_SIDE_ENCRYPTION="aws:kms")
    aws = ["aws", "--endpoint-url", cloud.endpoint, "s3", "cp"]
    for name, there, back in (
        ("s3cmd", ["s3cmd", "-c", str(settings), "put"], ["s3cmd", "-c", str(settings), "get"]),
        ("aws", [*aws, "--sse", "aws:kms"], aws),
    ):
        put = _run(cloud, [*there, str(source), f"s3://{bucket}/{name}"], {})
        assert "WARNING" not in put
        target = tmp_path / f"back-{name}"
        _run(cloud, [*back, f"s3://{bucket}/{name}", str(target)], {})
        assert target.read_bytes() == LARGE
    _run(cloud, ["rclone", "copyto", str(source), f"box:{bucket}/rclone"], rclone)
    _run(cloud, ["rclone", "copyto", f"box:{bucket}/rclone", str(tmp_path / "back-r")], rclone)
    assert (tmp_path / "back-r").read_bytes() == LARGE


def _run(cloud: Running, argv: list[str], more: dict[str, str]) -> str:
    done = subprocess.run(
        argv,
        check=False,
        timeout=60,
        env=environment(cloud, **more),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_the_log_never_has_the_callers_key(cloud: Running, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", **CUSTOMER)
    with pytest.raises(ClientError):
        s3.get_object(Bucket=bucket, Key="key", **{**CUSTOMER, "SSECustomerKey": SECRET[::-1]})
    content = cloud.log.read_bytes()
    for text in (SECRET, SECRET[::-1], SECRET.hex().encode()):
        assert text not in content


def test_damage_cuts_the_connection_and_is_logged(cloud: Running, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=LARGE, **KINDS["AES256"])
    file = file_of(cloud, bucket, "key")
    status = file.stat()
    with file.open("r+b") as opened:
        opened.seek(-1000, os.SEEK_END)
        opened.write(b"!")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    got = b""
    with pytest.raises((HTTPClientError, ResponseStreamingError, Exception)) as caught:
        for piece in s3.get_object(Bucket=bucket, Key="key")["Body"].iter_chunks(1 << 16):
            got += piece
    assert "IncompleteRead" in repr(caught.value) or "onnection" in repr(caught.value)
    assert LARGE.startswith(got) and len(got) < len(LARGE)
    lines = [line for line in cloud.log.read_text().splitlines() if f"{bucket}/key" in line]
    assert any("is damaged: its content was changed" in line for line in lines)
    assert "Traceback" not in cloud.log.read_text()
    first = s3.get_object(Bucket=bucket, Key="key", Range="bytes=0-9")["Body"].read()
    assert first == LARGE[:10]


def test_killed_while_it_takes_an_encrypted_object(cloud: Running, bucket: str) -> None:
    client = cloud.client("s3")
    encryption = KINDS["aws:kms"]
    client.put_object(Bucket=bucket, Key="key", Body=b"before", **encryption)

    class Slow:
        """A body that never comes to its end."""

        sent = 0

        def read(self, size: int = -1) -> bytes:
            self.sent += 1
            time.sleep(0.01)
            return b"y" * 65536 if self.sent < 1000 else b""

        def __len__(self) -> int:
            return 1000 * 65536

    def put() -> None:
        with pytest.raises(Exception, match=r".*"):
            client.put_object(Bucket=bucket, Key="key", Body=Slow(), **encryption)

    thread = threading.Thread(target=put)
    thread.start()
    time.sleep(0.5)
    cloud.kill()
    thread.join()
    cloud.start()
    found = client.get_object(Bucket=bucket, Key="key")
    assert found["Body"].read() == b"before"
    assert found["SSEKMSKeyId"].endswith(":key/first")
    assert list((cloud.data / "buckets" / bucket / ".eucabox/temporary").iterdir()) == []
    client.close()


def test_lost_and_disabled_keys_are_said(cloud: Running, bucket: str) -> None:
    client = cloud.client("s3")
    for kind in ("AES256", "aws:kms"):
        client.put_object(Bucket=bucket, Key=kind, Body=b"secret", **KINDS[kind])
    client.put_object(Bucket=bucket, Key="plain", Body=b"plain")
    shown = cloud.command("bucket", "keys").stdout
    assert f"{'first':<24} enabled" in shown and "aws-s3" in shown
    before = cloud.config_file.read_text()
    cloud.config_file.write_text(before.replace("first, ", ""))
    cloud.stop()
    keys = cloud.data / "bucket-keys"
    shutil.move(keys, cloud.folder / "away")
    cloud.start()
    client = cloud.client("s3")
    for key in ("AES256", "aws:kms"):
        with pytest.raises(ClientError, match="bucket-keys") as caught:
            client.get_object(Bucket=bucket, Key=key)
        assert code(caught) == "KMS.KeyUnavailableException"
    with pytest.raises(ClientError, match="it is missing"):
        client.put_object(Bucket=bucket, Key="new", Body=b"x", **KINDS["AES256"])
    assert client.get_object(Bucket=bucket, Key="plain")["Body"].read() == b"plain"
    assert client.head_object(Bucket=bucket, Key="AES256")["ContentLength"] == 6
    shutil.move(cloud.folder / "away", keys)
    body = client.get_object(Bucket=bucket, Key="AES256")["Body"].read()
    assert hashlib.md5(body).hexdigest() == hashlib.md5(b"secret").hexdigest()
    with pytest.raises(ClientError) as caught:
        client.get_object(Bucket=bucket, Key="aws:kms")
    assert code(caught) == "KMS.DisabledException"
    assert f"{'first':<24} disabled" in cloud.command("bucket", "keys").stdout
    cloud.config_file.write_text(before)
    assert cloud.process is not None
    os.kill(cloud.process.pid, 1)  # SIGHUP
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            assert client.get_object(Bucket=bucket, Key="aws:kms")["Body"].read() == b"secret"
            return
        except ClientError:
            time.sleep(0.1)
    raise AssertionError("the key is still disabled")
