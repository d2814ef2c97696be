"""boto3 and plain requests against the S3 of the real process, byte for byte."""

import base64
import hashlib
import io
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import crc32c
import crcmod
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.live.process import Running
from tests.live.s3 import DATA, LARGE, ODD_KEYS, code, create_bucket, exchange

CONTROLS = [f"c{chr(each)}c" for each in range(1, 32)]  # no XML can say them: encoding-type can
crc64 = crcmod.mkCrcFun(0x1AD93D23594C93659, initCrc=0, rev=True, xorOut=2**64 - 1)
CRCS = {
    "CRC32C": base64.b64encode(crc32c.crc32c(DATA).to_bytes(4, "big")).decode(),
    "CRC64NVME": base64.b64encode(crc64(DATA).to_bytes(8, "big")).decode(),
}


@pytest.fixture(params=["http", "https"])
def s3(request: pytest.FixtureRequest, cloud: Running) -> Iterator[Any]:
    client = cloud.client("s3", https=request.param == "https")
    yield client
    client.close()


@pytest.fixture
def bucket(cloud: Running) -> str:
    return create_bucket(cloud)


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
