"""What browsers do with buckets, by curl: forms, pages of other origins, websites."""

import base64
import hashlib
import hmac
import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as ClientConfig

from tests.live.process import Running
from tests.live.test_s3_clients import a_name, exchange

LARGE = 40 << 20


@pytest.fixture(name="bucket")
def _bucket(cloud: Running) -> str:
    name = a_name()
    cloud.client("s3").create_bucket(Bucket=name)
    return name


def curl(*argv: str) -> tuple[int, str]:
    """The status and the whole answer."""
    done = subprocess.run(
        ["curl", "-sS", "-i", "-w", "\n%{http_code}", *argv],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    text, _, status = done.stdout.rpartition("\n")
    return int(status), text


def fields(members: dict[str, str]) -> list[str]:
    return [part for name, value in members.items() for part in ("-F", f"{name}={value}")]


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_form_signed_by_boto3(cloud: Running, bucket: str, version: str, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(random.randbytes(LARGE))
    s3: Any = boto3.client(
        "s3", endpoint_url=cloud.endpoint, region_name="eucabox",
        aws_access_key_id=cloud.access_key, aws_secret_access_key=cloud.secret_key,
        config=ClientConfig(signature_version=version),
    )  # fmt: skip
    sizes = ["content-length-range", 1, LARGE]
    more = {"acl": "public-read", "success_action_status": "201"}
    post = s3.generate_presigned_post(
        bucket,
        "up/${filename}",
        Fields=more,
        Conditions=[*({n: v} for n, v in more.items()), sizes],
    )
    sent = [*fields(post["fields"]), "-F", f"file=@{file}", post["url"]]
    status, answer = curl(*sent)
    assert (status, "<Key>up/large</Key>" in answer) == (201, True)
    status, answer = curl(f"{post['url']}/up/large", "-o", str(tmp_path / "back"))
    assert status == 200
    file.write_bytes(b"x" * (LARGE + 1))
    status, answer = curl(*sent)
    assert (status, "<Code>EntityTooLarge</Code>" in answer) == (400, True)
    head = s3.head_object(Bucket=bucket, Key="up/large")
    assert head["ContentLength"] == LARGE


def test_a_form_of_euca_upload_bundle(cloud: Running, bucket: str, tmp_path: Path) -> None:
    part = tmp_path / "image.part.0"
    part.write_bytes(b"part")
    members = {
        "expiration": "2099-01-01T00:00:00.000000Z",
        "conditions": [
            {"acl": "ec2-bundle-read"},
            {"bucket": bucket},
            ["starts-with", "$key", "image"],
        ],
    }
    policy = base64.b64encode(json.dumps(members).encode())
    digest = hmac.new(cloud.secret_key.encode(), policy, hashlib.sha1).digest()
    sent = {
        "Policy": policy.decode(),
        "AWSAccessKeyId": cloud.access_key,
        "key": "image.part.0",
        "Signature": base64.b64encode(digest).decode(),
        "acl": "ec2-bundle-read",
    }
    url = f"{cloud.endpoint}/services/objectstorage/{bucket}"
    status, _ = curl(*fields(sent), "-F", f"file=@{part}", url)
    assert status == 204
    found = cloud.client("s3").get_object(Bucket=bucket, Key="image.part.0")
    assert found["Body"].read() == b"part"
    sent["key"] = "other"
    status, answer = curl(*fields(sent), "-F", f"file=@{part}", url)
    assert (status, "Invalid according to Policy" in answer) == (403, True)


def test_no_broken_form_is_our_fault(cloud: Running, bucket: str) -> None:
    noise = random.Random(7)
    cloud.client("s3").put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    whole = (
        b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nup/${filename}\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nxyz\r\n--b--\r\n'
    )
    for _ in range(150):
        body = bytearray(whole)
        for _ in range(noise.randrange(1, 6)):
            at = noise.randrange(len(body))
            body[at : at + noise.randrange(3)] = noise.randbytes(noise.randrange(3))
        head = f"POST /{bucket} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        head += "Content-Type: multipart/form-data; boundary=b\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        status = exchange(cloud, head.encode() + bytes(body))[9:10]
        assert status in b"24", bytes(body)


def test_a_page_of_another_origin(cloud: Running, bucket: str) -> None:
    s3 = cloud.client("s3")
    rule = {
        "AllowedMethods": ["PUT"],
        "AllowedOrigins": ["https://*.page"],
        "AllowedHeaders": ["*"],
    }
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
    origin = ("-H", "Origin: https://a.page")
    asked = (*origin, "-H", "Access-Control-Request-Method: PUT")
    status, answer = curl(
        "-X", "OPTIONS", *asked, "-H", "Access-Control-Request-Headers: content-type", url
    )
    assert (status, "Access-Control-Allow-Headers: content-type" in answer) == (200, True)
    status, answer = curl("-X", "PUT", *origin, "-d", "x", url)
    assert (status, "Access-Control-Allow-Origin: https://a.page" in answer) == (200, True)
    status, answer = curl("-X", "PUT", *origin, "-d", "x", f"{cloud.endpoint}/{bucket}/k")
    assert (status, "Access-Control-Allow-Origin: https://a.page" in answer) == (403, True)


def test_a_website_by_its_host(cloud: Running, bucket: str) -> None:
    s3 = cloud.client("s3")
    site = {"IndexDocument": {"Suffix": "index.html"}}
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=site)
    s3.put_object(Bucket=bucket, Key="index.html", Body=b"<p>here", ACL="public-read")
    for scheme, port in (("http", cloud.port), ("https", cloud.https_port)):
        url = f"{scheme}://{bucket}.s3-website.localhost:{port}/"
        status, answer = curl("--cacert", str(cloud.ca_path), url)
        assert (status, answer.endswith("<p>here")) == (200, True)
    status, answer = curl(f"{cloud.endpoint}/_eucabox/website/{bucket}/none")
    assert (status, "<h1>403 Forbidden</h1>" in answer) == (403, True)


def test_a_name_of_the_cloud_that_is_configured_while_it_runs(cloud: Running, bucket: str) -> None:
    before = cloud.config_file.read_text()
    status, _ = curl("-H", f"Host: {bucket}.files.example.com", cloud.endpoint)
    assert status == 403  # the list of somebody's buckets
    assert cloud.process is not None
    try:
        changed = before.replace("[api]\n", "[api]\nhosts = files.example.com\n", 1)
        cloud.config_file.write_text(changed)
        cloud.process.send_signal(signal.SIGHUP)
        cloud.client("s3").put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and status != 200:
            host = f"Host: {bucket}.files.example.com:{cloud.port}"
            status, _ = curl("-H", host, f"{cloud.endpoint}/k")
            time.sleep(0.1)
        assert status == 200
    finally:
        cloud.config_file.write_text(before)
        cloud.process.send_signal(signal.SIGHUP)
