"""Whole rounds of the S3 clients that people use, byte for byte, against the real process."""

import base64
import hashlib
import io
import os
import secrets
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import crc32c
import crcmod
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from libcloud.storage.drivers.s3 import S3EUWestStorageDriver, S3StorageDriver

from tests.live.boto2 import boto
from tests.live.process import Running

TOOLS = Path(sys.executable).parent
PREFIXES = ("", "/services/objectstorage", "/services/Walrus")
DATA = bytes(range(256)) * 4096  # 1 MiB
LARGE = secrets.token_bytes(1 << 20) * 11 + b"tail"
ODD_KEYS = [
    "a",
    "a/b",
    "dir/",
    "dir/x",
    "sl//y",
    "/lead",
    "../up",
    "./dot",
    "é ü+&%20?#~()",
    "plus+and space",
    "s" * 255,
    "s" * 256,
    "k" * 1024,
    "p" * 200 + "/" + "q" * 200,
    "nl\ny",
    "%2F/%2f",
    "quote'\"<>&;",
    *(".", "..", "a/.", "a/..", "a//b", "a///", "//", "/a/", "../../etc/passwd", "a/../../b"),
    *(".eucabox", ".eucabox/x", ".eucabox/index.db", ".eucabox/objects/00/x", "x/.eucabox/y"),
    *(" ", " lead", "trail ", "a\\b", "~", "-", "?", "*", "#", "%", "%%", "+", ";", "=", "a&b=c"),
    *("\t", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufeff", "\ufffd"),
    *("\U00010000", "\U0001f600", "\U0002fa1d", "\U000e0001", "\U000f0000", "\U0010fffd"),
    *("\u00e9", "e\u0301", "\u202ertl", "a" * 1022 + "\u00e9", "/".join(["d"] * 512)),
]
CONTROLS = [f"c{chr(each)}c" for each in range(1, 32)]  # no XML can say them: encoding-type can


crc64 = crcmod.mkCrcFun(0x1AD93D23594C93659, initCrc=0, rev=True, xorOut=2**64 - 1)
CRCS = {
    "CRC32C": base64.b64encode(crc32c.crc32c(DATA).to_bytes(4, "big")).decode(),
    "CRC64NVME": base64.b64encode(crc64(DATA).to_bytes(8, "big")).decode(),
}


def a_name() -> str:
    return f"b-{secrets.token_hex(6)}"


def code(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer: Any = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture(params=["http", "https"])
def s3(request: pytest.FixtureRequest, cloud: Running) -> Iterator[Any]:
    client = cloud.client("s3", https=request.param == "https")
    yield client
    client.close()


@pytest.fixture
def bucket(cloud: Running) -> str:
    name = a_name()
    client = cloud.client("s3")
    client.create_bucket(Bucket=name)
    client.close()
    return name


def environment(cloud: Running, **more: str) -> dict[str, str]:
    return {
        "PATH": f"{TOOLS}:{os.environ['PATH']}",
        "HOME": str(cloud.folder),
        "AWS_ACCESS_KEY_ID": cloud.access_key,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONWARNINGS": "ignore",
        **more,
    }


def run(cloud: Running, *argv: str, **more: str) -> str:
    done = subprocess.run(
        argv,
        check=False,
        timeout=30,
        env=environment(cloud, **more),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done.stdout


# --- boto3 -------------------------------------------------------------------------------------


def test_an_object_comes_back_with_all_that_was_said_of_it(s3: Any, bucket: str) -> None:
    members = {
        "ContentType": "text/x-test",
        "Metadata": {"colour": "blue", "Size": "1"},
        "CacheControl": "max-age=5",
        "ContentDisposition": 'attachment; filename="x"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
    }
    put = s3.put_object(Bucket=bucket, Key="k", Body=DATA, **members)
    assert put["ETag"] == f'"{hashlib.md5(DATA).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == DATA
    members["Metadata"] = {"colour": "blue", "size": "1"}
    assert {name: got[name] for name in members} == members
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["ContentLength"] == len(DATA)
    assert head["ETag"] == put["ETag"]
    assert head["AcceptRanges"] == "bytes"
    assert {name: head[name] for name in members} == members


@pytest.mark.parametrize(
    ("wanted", "piece", "shown"),
    [
        ("bytes=0-0", DATA[:1], f"bytes 0-0/{len(DATA)}"),
        ("bytes=100-", DATA[100:], f"bytes 100-{len(DATA) - 1}/{len(DATA)}"),
        ("bytes=-7", DATA[-7:], f"bytes {len(DATA) - 7}-{len(DATA) - 1}/{len(DATA)}"),
        ("bytes=5-99999999", DATA[5:], f"bytes 5-{len(DATA) - 1}/{len(DATA)}"),
        ("bytes=1-2,5-6", DATA, None),
        ("bytes=9-3", DATA, None),
        ("lines=1-2", DATA, None),
    ],
)
def test_ranges(cloud: Running, bucket: str, wanted: str, piece: bytes, shown: str | None) -> None:
    s3 = cloud.client("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=DATA)
    got = s3.get_object(Bucket=bucket, Key="k", Range=wanted)
    assert got["Body"].read() == piece
    assert got.get("ContentRange") == shown
    assert got["ResponseMetadata"]["HTTPStatusCode"] == (206 if shown else 200)
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={len(DATA)}-")
    assert code(caught) == ("InvalidRange", 416)
    s3.close()


def test_odd_keys_come_back_and_are_listed_in_order(s3: Any, bucket: str) -> None:
    for key in ODD_KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for key in ODD_KEYS:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
        assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(key.encode())
    listed = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == sorted(ODD_KEYS, key=str.encode)
    assert [each["Key"] for each in s3.list_objects(Bucket=bucket)["Contents"]] == listed
    wanted = {"Objects": [{"Key": key} for key in ODD_KEYS]}
    deleted = s3.delete_objects(Bucket=bucket, Delete=wanted)["Deleted"]
    assert {each["Key"] for each in deleted} == set(ODD_KEYS)
    s3.delete_bucket(Bucket=bucket)


def test_control_characters_are_listed_in_percent_encoding(s3: Any, bucket: str) -> None:
    for key in CONTROLS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    listed = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == CONTROLS
    for key in CONTROLS:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
        s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_bucket(Bucket=bucket)


def test_listings_in_pages(s3: Any, bucket: str) -> None:
    keys = sorted(f"{folder}/{number}" for folder in "abc" for number in range(4))
    for key in [*keys, "z"]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 5}
    )
    assert [each["Key"] for page in pages for each in page["Contents"]] == [*keys, "z"]
    pages = s3.get_paginator("list_objects").paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 2}
    )
    seen = [
        each.get("Prefix") or each["Key"]
        for page in pages
        for each in [*page.get("CommonPrefixes", []), *page.get("Contents", [])]
    ]
    assert seen == ["a/", "b/", "c/", "z"]
    some = s3.list_objects_v2(Bucket=bucket, Prefix="b/", StartAfter="b/1", FetchOwner=True)
    assert [each["Key"] for each in some["Contents"]] == ["b/2", "b/3"]
    assert len(some["Contents"][0]["Owner"]["ID"]) == 64
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 5}
    )
    versions = [each for page in pages for each in page["Versions"]]
    assert [each["Key"] for each in versions] == [*keys, "z"]
    assert {(each["VersionId"], each["IsLatest"]) for each in versions} == {("null", True)}


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums_are_kept_and_a_wrong_one_leaves_nothing(
    s3: Any, bucket: str, algorithm: str
) -> None:
    name = f"Checksum{algorithm}"
    # boto3 itself computes two of them only with a library of C that not everybody has
    known = {name: CRCS[algorithm]} if algorithm in CRCS else {"ChecksumAlgorithm": algorithm}
    put = s3.put_object(Bucket=bucket, Key="k", Body=DATA, **known)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == DATA
    assert got[name] == put[name]
    answer = s3.get_object_attributes(
        Bucket=bucket, Key="k", ObjectAttributes=["Checksum", "ETag", "ObjectSize"]
    )
    assert answer["Checksum"] == {name: put[name], "ChecksumType": "FULL_OBJECT"}
    assert answer["ObjectSize"] == len(DATA)
    wrong = base64.b64encode(bytes(len(base64.b64decode(put[name])))).decode()
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="bad", Body=DATA, **{name: wrong})
    assert code(caught) == ("BadDigest", 400)
    assert s3.list_objects_v2(Bucket=bucket, Prefix="bad")["KeyCount"] == 0


def test_a_wrong_md5_is_refused(s3: Any, bucket: str) -> None:
    stated = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="bad", Body=DATA, ContentMD5=stated)
    assert code(caught) == ("BadDigest", 400)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_conditions(s3: Any, bucket: str) -> None:
    e_tag = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    assert code(caught) == ("PreconditionFailed", 412)
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch='"0123"')
    assert code(caught) == ("PreconditionFailed", 412)
    modified = s3.head_object(Bucket=bucket, Key="k", IfMatch=e_tag)["LastModified"]
    for condition in ({"IfNoneMatch": e_tag}, {"IfModifiedSince": modified}):
        with pytest.raises(ClientError) as caught:
            s3.get_object(Bucket=bucket, Key="k", **condition)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 304
        assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["etag"] == e_tag
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k", IfMatch='"0123"')
    assert code(caught) == ("PreconditionFailed", 412)
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=e_tag)
    with pytest.raises(ClientError) as caught:
        s3.delete_object(Bucket=bucket, Key="k", IfMatch=e_tag)
    assert code(caught) == ("PreconditionFailed", 412)


def test_copies(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="ä/+ %", Body=DATA, Metadata={"a": "1"}, ContentType="x/y")
    source = {"Bucket": bucket, "Key": "ä/+ %"}
    s3.copy_object(Bucket=bucket, Key="kept", CopySource=source)
    s3.copy_object(
        Bucket=bucket,
        Key="new",
        CopySource=f"/{bucket}/ä/+ %",
        MetadataDirective="REPLACE",
        Metadata={"b": "2"},
    )
    answer = s3.get_object(Bucket=bucket, Key="kept")
    assert (answer["Body"].read(), answer["Metadata"], answer["ContentType"]) == (
        DATA,
        {"a": "1"},
        "x/y",
    )
    new = s3.head_object(Bucket=bucket, Key="new")
    assert (new["Metadata"], new["ContentType"]) == ({"b": "2"}, "binary/octet-stream")
    with pytest.raises(ClientError) as caught:
        s3.copy_object(Bucket=bucket, Key="kept", CopySource={"Bucket": bucket, "Key": "kept"})
    assert code(caught) == ("InvalidRequest", 400)
    with pytest.raises(ClientError) as caught:
        s3.copy_object(Bucket=bucket, Key="x", CopySource=source, CopySourceIfMatch='"0"')
    assert code(caught) == ("PreconditionFailed", 412)


def test_an_upload_in_parts(s3: Any, bucket: str) -> None:
    s3.upload_fileobj(
        io.BytesIO(LARGE),
        bucket,
        "big",
        ExtraArgs={"ContentType": "x/y"},
        Config=TransferConfig(multipart_threshold=1, multipart_chunksize=5 << 20),
    )
    head = s3.head_object(Bucket=bucket, Key="big")
    assert (head["ContentLength"], head["ContentType"]) == (len(LARGE), "x/y")
    assert head["ETag"].endswith('-3"')
    found = io.BytesIO()
    s3.download_fileobj(bucket, "big", found)
    assert found.getvalue() == LARGE
    part = s3.get_object(Bucket=bucket, Key="big", PartNumber=3)
    assert (part["Body"].read(), part["PartsCount"]) == (LARGE[10 << 20 :], 3)
    assert part["ContentRange"] == f"bytes {10 << 20}-{len(LARGE) - 1}/{len(LARGE)}"


def test_parts_are_listed_copied_completed_and_aborted(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=LARGE)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="SHA256")
    named = {"Bucket": bucket, "Key": "k", "UploadId": upload["UploadId"]}
    first = s3.upload_part_copy(
        **named,
        PartNumber=1,
        CopySource={"Bucket": bucket, "Key": "source"},
        CopySourceRange=f"bytes=0-{(5 << 20) - 1}",
    )["CopyPartResult"]
    second = s3.upload_part(**named, PartNumber=7, Body=b"end", ChecksumAlgorithm="SHA256")
    listed = s3.list_parts(**named, MaxParts=1)
    assert [each["PartNumber"] for each in listed["Parts"]] == [1]
    assert listed["IsTruncated"]
    uploads = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [(each["Key"], each["UploadId"]) for each in uploads] == [("k", upload["UploadId"])]
    parts = [
        {"PartNumber": 1, "ETag": first["ETag"], "ChecksumSHA256": first["ChecksumSHA256"]},
        {"PartNumber": 7, "ETag": second["ETag"], "ChecksumSHA256": second["ChecksumSHA256"]},
    ]
    with pytest.raises(ClientError) as caught:
        s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts[::-1]})
    assert code(caught) == ("InvalidPartOrder", 400)
    done = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    assert done["ChecksumSHA256"].endswith("-2")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == LARGE[: 5 << 20] + b"end"
    answer = s3.get_object_attributes(
        Bucket=bucket, Key="k", ObjectAttributes=["ObjectParts", "Checksum"]
    )
    assert [each["Size"] for each in answer["ObjectParts"]["Parts"]] == [5 << 20, 3]
    other = s3.create_multipart_upload(Bucket=bucket, Key="other")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="other", UploadId=other, PartNumber=1, Body=b"x")
    s3.abort_multipart_upload(Bucket=bucket, Key="other", UploadId=other)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    with pytest.raises(ClientError) as caught:
        s3.list_parts(Bucket=bucket, Key="other", UploadId=other)
    assert code(caught) == ("NoSuchUpload", 404)


def test_what_is_missing_or_not_served_is_said_by_name(s3: Any, bucket: str) -> None:
    members = {}
    probes: dict[str, Callable[[], Any]] = {
        "no bucket": lambda: s3.list_objects_v2(Bucket="nowhere-at-all"),
        "no key": lambda: s3.get_object(Bucket=bucket, Key="nothing"),
        "policy": lambda: s3.get_bucket_policy(Bucket=bucket),
        "cors": lambda: s3.get_bucket_cors(Bucket=bucket),
        "tags": lambda: s3.get_bucket_tagging(Bucket=bucket),
        "torrent": lambda: s3.get_object_torrent(Bucket=bucket, Key="k"),
        "notified": lambda: s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
        ),
        "replicated": lambda: s3.put_bucket_replication(
            Bucket=bucket, ReplicationConfiguration={"Role": "r", "Rules": []}
        ),
    }
    for name, probe in probes.items():
        with pytest.raises(ClientError) as caught:
            probe()
        members[name] = code(caught)
    assert members == {
        "no bucket": ("NoSuchBucket", 404),
        "no key": ("NoSuchKey", 404),
        "policy": ("NoSuchBucketPolicy", 404),
        "cors": ("NoSuchCORSConfiguration", 404),
        "tags": ("NoSuchTagSet", 404),
        "torrent": ("NoSuchKey", 404),
        "notified": ("NotImplemented", 501),
        "replicated": ("NotImplemented", 501),
    }
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    with pytest.raises(ClientError) as caught:
        s3.head_object(Bucket=bucket, Key="nothing")
    assert code(caught) == ("404", 404)


def test_access_lists_decide_for_others_and_for_everyone(cloud: Running, bucket: str) -> None:
    owner, other = cloud.client("s3"), cloud.client("s3", user="friend")
    for acl in ("private", "public-read", "authenticated-read"):
        owner.put_object(Bucket=bucket, Key=acl, Body=b"x", ACL=acl)
    assert other.get_object(Bucket=bucket, Key="authenticated-read")["Body"].read() == b"x"
    with pytest.raises(ClientError) as caught:
        other.get_object(Bucket=bucket, Key="private")
    assert code(caught) == ("AccessDenied", 403)
    with pytest.raises(ClientError) as caught:
        other.get_object(Bucket=bucket, Key="missing")
    assert code(caught) == ("AccessDenied", 403)
    base = f"{cloud.endpoint}/{bucket}"
    assert urllib.request.urlopen(f"{base}/public-read").read() == b"x"
    for refused in (f"{base}/authenticated-read", base):
        with pytest.raises(urllib.error.HTTPError) as anonymous:
            urllib.request.urlopen(refused)
        assert anonymous.value.code == 403
        anonymous.value.close()
    owner.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    other.put_object(Bucket=bucket, Key="theirs", Body=b"y")
    assert b"<Key>theirs</Key>" in urllib.request.urlopen(base).read()
    grants = owner.get_bucket_acl(Bucket=bucket)["Grants"]
    assert {each["Permission"] for each in grants} == {"FULL_CONTROL", "READ", "WRITE"}
    owner.put_object_acl(Bucket=bucket, Key="private", ACL="aws-exec-read")
    grants = owner.get_object_acl(Bucket=bucket, Key="private")["Grants"]
    assert {each["Permission"] for each in grants} == {"FULL_CONTROL", "READ"}
    owner.close(), other.close()


def test_presigned_addresses(s3: Any, cloud: Running, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a b+c", Body=DATA)
    where = s3.generate_presigned_url(
        "get_object",
        Params={"Bucket": bucket, "Key": "a b+c", "ResponseContentType": "x/y"},
    ).replace(cloud.https_endpoint, cloud.endpoint)
    if s3.meta.endpoint_url.startswith("http:"):
        with urllib.request.urlopen(where) as got:
            assert (got.read(), got.headers["Content-Type"]) == (DATA, "x/y")


def test_presigned_headers_in_the_address_count(cloud: Running, bucket: str) -> None:
    owner = cloud.client("s3", signature_version="s3")
    headers = {"Bucket": bucket, "Key": "k", "ACL": "public-read", "Metadata": {"a": "b"}}
    where = owner.generate_presigned_url("put_object", Params={**headers, "ContentType": "x/y"})
    request = urllib.request.Request(where, DATA, {"Content-Type": "x/y"}, method="PUT")
    assert urllib.request.urlopen(request).status == 200
    found = owner.head_object(Bucket=bucket, Key="k")
    assert (found["Metadata"], found["ContentType"]) == ({"a": "b"}, "x/y")
    assert len(owner.get_object_acl(Bucket=bucket, Key="k")["Grants"]) == 2
    owner.close()


def test_a_bucket_in_the_host_name(cloud: Running, bucket: str) -> None:
    owner = cloud.client("s3")
    owner.put_object(Bucket=bucket, Key="a/b", Body=b"x", ACL="public-read")
    for host in (f"{bucket}.localhost", f"{bucket}.s3.localhost", f"{bucket}.walrus.example.com"):
        request = urllib.request.Request(f"{cloud.endpoint}/a/b", headers={"Host": host})
        assert urllib.request.urlopen(request).read() == b"x"
    owner.close()


# --- without a client: what only a broken one sends ---------------------------------------------


def exchange(cloud: Running, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", cloud.port), timeout=20) as line:
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(1 << 16), b""))


def test_a_body_that_breaks_off_leaves_nothing(cloud: Running, bucket: str) -> None:
    owner = cloud.client("s3")
    owner.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    head = f"PUT /{bucket}/cut HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".encode()
    exchange(cloud, head + b"x" * 500_000)
    missing = exchange(cloud, f"PUT /{bucket}/k HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert b"411 " in missing.splitlines()[0]
    assert owner.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    owner.close()


def test_an_empty_body_is_invited_like_any_other(cloud: Running, bucket: str) -> None:
    head = f"PUT /{bucket}/k HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n"
    answer = exchange(cloud, f"{head}Connection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 ")


def test_another_body_than_the_signed_one_is_refused(cloud: Running, bucket: str) -> None:
    owner = cloud.client("s3")

    def swap(request: Any, **_: object) -> None:
        request.body = b"evil!"

    owner.meta.events.register("before-send.s3.PutObject", swap)
    with pytest.raises(ClientError) as caught:
        owner.put_object(Bucket=bucket, Key="k", Body=b"plain")
    assert code(caught) == ("XAmzContentSHA256Mismatch", 400)
    assert owner.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    owner.close()


# --- other clients -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", PREFIXES)
def test_boto2(cloud: Running, path: str) -> None:
    connection = boto.connect_s3(
        cloud.access_key,
        cloud.secret_key,
        is_secure=False,
        host="127.0.0.1",
        port=cloud.port,
        path=path or "/",
        calling_format=boto.s3.connection.OrdinaryCallingFormat(),
    )
    _boto2_round(connection)


def test_boto2_walrus(cloud: Running) -> None:
    _boto2_round(
        boto.connect_walrus(
            "127.0.0.1",
            cloud.access_key,
            cloud.secret_key,
            is_secure=False,
            port=cloud.port,
            path="/services/Walrus",
        )
    )


def _boto2_round(connection: Any) -> None:
    made = connection.create_bucket(a_name())
    key = made.new_key("dir/ä b+c&d")
    key.set_metadata("colour", "blue")
    key.set_contents_from_string(DATA, headers={"Content-Type": "x/y"}, policy="public-read")
    found = made.get_key("dir/ä b+c&d")
    assert found.get_contents_as_string() == DATA
    assert (found.get_metadata("colour"), found.content_type) == ("blue", "x/y")
    assert [each.name for each in made.list("dir/")] == ["dir/ä b+c&d"]
    assert [each.name for each in made.list("", "/")] == ["dir/"]
    assert len(found.get_acl().acl.grants) == 2
    made.set_acl("public-read")
    found.copy(made.name, "copy", validate_dst_bucket=False)
    upload = made.initiate_multipart_upload("big")
    for number, piece in enumerate((LARGE[: 5 << 20], LARGE[5 << 20 :]), 1):
        upload.upload_part_from_file(io.BytesIO(piece), number)
    upload.complete_upload()
    assert made.get_key("big").get_contents_as_string() == LARGE
    result = made.delete_keys(["dir/ä b+c&d", "copy", "big"])
    assert len(result.deleted) == 3
    assert made.name in [each.name for each in connection.get_all_buckets()]
    made.delete()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "small é+.txt").write_bytes(b"small")
    (root / "empty").write_bytes(b"")
    (root / "sub" / "large").write_bytes(LARGE)
    return root


def same(one: Path, other: Path) -> bool:
    def contents(root: Path) -> dict[str, bytes]:
        files = [each for each in root.rglob("*") if each.is_file()]
        return {str(each.relative_to(root)): each.read_bytes() for each in files}

    return contents(one) == contents(other)


@pytest.mark.parametrize("path", PREFIXES)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_aws_cli(cloud: Running, tree: Path, path: str, scheme: str, tmp_path: Path) -> None:
    endpoint = cloud.endpoint if scheme == "http" else cloud.https_endpoint

    def aws(*argv: str) -> str:
        where = ("--endpoint-url", endpoint + path, "--ca-bundle", str(cloud.ca_path))
        return run(cloud, "aws", *where, *argv)

    name = a_name()
    aws("s3", "mb", f"s3://{name}")
    aws("s3", "sync", str(tree), f"s3://{name}/t", "--quiet")
    aws("s3", "sync", f"s3://{name}/t", str(tmp_path / "back"), "--quiet")
    assert same(tree, tmp_path / "back")
    aws("s3", "cp", f"s3://{name}/t/sub/large", f"s3://{name}/copy", "--quiet")
    assert "t/sub/large" in aws("s3", "ls", "--recursive", f"s3://{name}")
    where = aws("s3", "presign", f"s3://{name}/t/empty").strip()
    if scheme == "http":
        assert urllib.request.urlopen(where).read() == b""
    assert '"ContentLength": 5' in aws(
        "s3api", "head-object", "--bucket", name, "--key", "t/small é+.txt"
    )
    aws("s3", "rb", "--force", f"s3://{name}")


@pytest.mark.parametrize("version", ["4", "2"])
@pytest.mark.parametrize("path", PREFIXES)
def test_s3cmd(cloud: Running, tree: Path, path: str, version: str, tmp_path: Path) -> None:
    where = f"127.0.0.1:{cloud.port}{path}"
    settings = tmp_path / "s3cfg"
    settings.write_text(
        f"[default]\naccess_key = {cloud.access_key}\nsecret_key = {cloud.secret_key}\n"
        f"host_base = {where}\nhost_bucket = {where}\nuse_https = False\n"
        f"signature_v2 = {version == '2'}\nmultipart_chunk_size_mb = 5\n"
    )

    def s3cmd(*argv: str) -> str:
        return run(cloud, "s3cmd", "-c", str(settings), "--no-progress", *argv)

    name = a_name()
    s3cmd("mb", f"s3://{name}")
    s3cmd("sync", f"{tree}/", f"s3://{name}/t/")
    (tmp_path / "back").mkdir()
    s3cmd("sync", f"s3://{name}/t/", f"{tmp_path}/back/")
    assert same(tree, tmp_path / "back")
    assert "public" not in s3cmd("info", f"s3://{name}/t/empty")
    s3cmd("setacl", "--acl-public", f"s3://{name}/t/empty")
    assert "anon" in s3cmd("info", f"s3://{name}/t/empty")
    s3cmd("cp", f"s3://{name}/t/empty", f"s3://{name}/copy")
    assert "copy" in s3cmd("ls", f"s3://{name}")
    s3cmd("rb", "--recursive", "--force", f"s3://{name}")


@pytest.mark.parametrize("v2", ["false", "true"])
@pytest.mark.parametrize("path", PREFIXES)
def test_rclone(cloud: Running, tree: Path, path: str, v2: str, tmp_path: Path) -> None:
    settings = cloud.rclone(tmp_path, path, V2_AUTH=v2, UPLOAD_CUTOFF="6M", CHUNK_SIZE="5M")

    def rclone(*argv: str) -> str:
        return run(cloud, "rclone", *argv, **settings)

    name = a_name()
    rclone("mkdir", f"box:{name}")
    rclone("sync", str(tree), f"box:{name}/t")
    rclone("sync", f"box:{name}/t", str(tmp_path / "back"))
    assert same(tree, tmp_path / "back")
    rclone("check", str(tree), f"box:{name}/t")
    rclone("copyto", f"box:{name}/t/empty", f"box:{name}/copy")
    assert "sub/large" in rclone("lsf", "-R", f"box:{name}/t")
    rclone("purge", f"box:{name}")


@pytest.mark.parametrize("path", ["", "/services/objectstorage"])
def test_s5cmd(cloud: Running, tree: Path, path: str, tmp_path: Path) -> None:
    def s5cmd(*argv: str) -> str:
        return run(cloud, "s5cmd", "--endpoint-url", cloud.endpoint + path, *argv)

    name = a_name()
    s5cmd("mb", f"s3://{name}")
    s5cmd("cp", "--part-size", "5", f"{tree}/", f"s3://{name}/t/")
    s5cmd("cp", "--part-size", "5", f"s3://{name}/t/*", f"{tmp_path}/back/")
    assert same(tree, tmp_path / "back")
    assert "large" in s5cmd("ls", f"s3://{name}/t/sub/")
    s5cmd("mv", f"s3://{name}/t/empty", f"s3://{name}/moved")
    s5cmd("rm", f"s3://{name}/*")
    s5cmd("rb", f"s3://{name}")


@pytest.mark.parametrize("driver", [S3StorageDriver, S3EUWestStorageDriver])
def test_libcloud(cloud: Running, tree: Path, tmp_path: Path, driver: Any) -> None:
    box = driver(
        cloud.access_key, cloud.secret_key, secure=False, host="127.0.0.1", port=cloud.port
    )
    container = box.create_container(a_name())
    made = container.upload_object(str(tree / "small é+.txt"), "plain name", extra={
        "meta_data": {"colour": "blue"}, "content_type": "x/y",
    })  # fmt: skip
    assert container.get_object("plain name").meta_data["colour"] == "blue"
    made.download(str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == b"small"
    large = container.upload_object_via_stream(
        iter([LARGE]), "large", extra={"content_type": "x/y"}
    )
    assert b"".join(large.as_stream()) == LARGE
    assert sorted(each.name for each in container.list_objects()) == ["large", "plain name"]
    for each in container.list_objects():
        each.delete()
    assert container.delete()


@pytest.mark.parametrize("options", [[], ["-o", "sigv2"]])
@pytest.mark.parametrize("path", ["", "/services/objectstorage"])
def test_s3fs(cloud: Running, bucket: str, tmp_path: Path, options: list[str], path: str) -> None:
    mount, secret = tmp_path / "mount", tmp_path / "secret"
    mount.mkdir()
    secret.write_text(f"{cloud.access_key}:{cloud.secret_key}")
    secret.chmod(0o600)
    run(
        cloud, "s3fs", bucket, str(mount), *options, "-o", f"url={cloud.endpoint}{path}",
        "-o", "use_path_request_style", "-o", f"passwd_file={secret}",
    )  # fmt: skip
    try:
        (mount / "sub").mkdir()
        (mount / "sub" / "file").write_bytes(DATA)
        assert sorted(each.name for each in (mount / "sub").iterdir()) == ["file"]
        shutil.copy(mount / "sub" / "file", mount / "copy")
        (mount / "sub" / "file").rename(mount / "moved")
        assert (mount / "moved").read_bytes() == DATA
        assert (mount / "copy").read_bytes() == DATA
        _as_a_file_system(mount)
    finally:
        run(cloud, "fusermount", "-u", str(mount))
    owner = cloud.client("s3")
    assert owner.get_object(Bucket=bucket, Key="moved")["Body"].read() == DATA
    owner.close()


def _as_a_file_system(mount: Path) -> None:
    """Modes, times, links, appending, cutting, renaming folders, as on any disk."""
    file = mount / "grows"
    file.write_bytes(b"one")
    with file.open("ab") as grows:
        grows.write(b" two")
    assert file.read_bytes() == b"one two"
    with file.open("r+b") as cut:  # by its path s3fs 1.90 puts zeros, without asking for the rest
        cut.truncate(3)
    assert file.read_bytes() == b"one"
    file.chmod(0o640)
    os.utime(file, (1_000_000_000, 1_000_000_000))
    assert (file.stat().st_mode & 0o777, file.stat().st_mtime) == (0o640, 1_000_000_000)
    (mount / "link").symlink_to("grows")
    assert (mount / "link").readlink() == Path("grows")
    assert (mount / "link").read_bytes() == b"one"
    (mount / "folder" / "deep").mkdir(parents=True)
    (mount / "folder" / "deep" / "file").write_bytes(b"x")
    (mount / "folder").rename(mount / "renamed")
    assert (mount / "renamed" / "deep" / "file").read_bytes() == b"x"
    shutil.rmtree(mount / "renamed")
    assert sorted(each.name for each in mount.iterdir()) == sorted(
        ["copy", "grows", "link", "moved", "sub"]
    )
