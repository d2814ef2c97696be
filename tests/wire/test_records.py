"""Requests as records of access logs, field by field."""

import shlex
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from eucabox.iam.caller import Caller
from eucabox.store.types import Bucket
from eucabox.wire import model
from eucabox.wire.request import Answer, Exchange, Request
from eucabox.wire.s3 import access_log_records, requests, routes

ANN = Caller("111111111111", "ann", "c" * 64, "u", "ann", False, is_root=True)
BUCKET = Bucket("box", "111111111111", datetime.now(UTC), settings={"logging": {}})
FIELDS = (
    "owner", "bucket", "time", "ip", "requester", "id", "operation", "key", "uri", "status",
    "error", "sent", "size", "total", "turn", "referer", "agent", "version", "host", "signature",
    "cipher", "auth", "host_header", "tls", "arn", "acl",
)  # fmt: skip


class Logs:
    """Keeps what it is told; the bucket `box` is logged."""

    def __init__(self) -> None:
        self.kept: list[dict[str, str]] = []

    def bucket(self, name: str | None) -> Bucket | None:
        return BUCKET if name == "box" else None

    def record(self, bucket: Bucket, line: str) -> None:
        found = shlex.split(line.replace("[", '"').replace("]", '"'))
        assert len(found) == len(FIELDS) == 26
        self.kept.append(dict(zip(FIELDS, found, strict=True)))


def read_log(
    name: str, method: str = "GET", target: str = "/box/k", result: Any = None,
    answer: Answer | None = None, code: str = "", caller: Caller | None = ANN, referer: str = "",
    **members: Any,
) -> list[dict[str, str]]:  # fmt: skip
    logs = Logs()
    request = Request(
        method, target, target.partition("?")[0], target.partition("?")[2],
        {"user-agent": 'a "b"', "authorization": "AWS4-HMAC-SHA256 x", "host": "box.test"}
        | ({"referer": referer} if referer else {}),
        host="box.test", source="1.2.3.4", request_id="R1", tls=("TLSv1.3", "AES"),
    )  # fmt: skip
    operation = model.service("s3").operation(name)
    assert operation is not None
    understood = requests.S3Request(
        service="s3", name=name, params={"bucket": "box", **members}, caller=caller,
        api_version="", region="", signature="", request_id="R1", operation=operation,
        address=routes.BucketAddress("box", "k"),
    )  # fmt: skip
    accounts = SimpleNamespace(get_by_account_id={"111111111111": vars(ANN)}.get)
    cloud: Any = SimpleNamespace(access_log=logs, accounts=accounts)
    exchange = Exchange(request, understood, result, answer or Answer(), code, 12.3)
    access_log_records.note(cloud, exchange, logs.bucket(understood.params["bucket"]))
    return logs.kept


def test_every_field_of_a_read() -> None:
    answer = Answer(status=206, length=3, headers=[("x-amz-version-id", "v1")])
    result = {"content_length": 3, "content_range": "bytes 0-2/10"}
    target = "/box/a%20b?response-expires=x y"
    (found,) = read_log("GetObject", target=target, result=result, answer=answer, key="a b\u00e4")
    datetime.strptime(found.pop("time"), "%d/%b/%Y:%H:%M:%S %z")
    assert found == {
        "owner": "c" * 64, "bucket": "box", "ip": "1.2.3.4", "requester": "c" * 64, "id": "R1",
        "operation": "REST.GET.OBJECT", "key": "a%20b%C3%A4",
        "uri": "GET /box/a%20b?response-expires=x%20y HTTP/1.1", "status": "206", "error": "-",
        "sent": "3", "size": "10", "total": "12", "turn": "12", "referer": "-",
        "agent": "a _b_", "version": "v1", "host": "eucabox", "signature": "SigV4",
        "cipher": "AES", "auth": "AuthHeader", "host_header": "box.test", "tls": "TLSv1.3",
        "arn": "-", "acl": "-",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "method", "kind"),
    [
        ("ListObjectsV2", "GET", "REST.GET.BUCKET"),
        ("HeadBucket", "HEAD", "REST.HEAD.BUCKET"),
        ("CreateBucket", "PUT", "REST.PUT.BUCKET"),
        ("GetBucketAcl", "GET", "REST.GET.ACL"),
        ("PutBucketPolicy", "PUT", "REST.PUT.BUCKETPOLICY"),
        ("GetBucketLogging", "GET", "REST.GET.LOGGING_STATUS"),
        ("GetBucketOwnershipControls", "GET", "REST.GET.BUCKET_OWNERSHIP_CONTROLS"),
        ("GetPublicAccessBlock", "GET", "REST.GET.PUBLIC_ACCESS_BLOCK"),
        ("DeleteObject", "DELETE", "REST.DELETE.OBJECT"),
        ("UploadPart", "PUT", "REST.PUT.PART"),
        ("CompleteMultipartUpload", "POST", "REST.POST.UPLOAD"),
        ("PutObjectTagging", "PUT", "REST.PUT.OBJECT_TAGGING"),
    ],
)
def test_operations_by_the_names_that_logs_have(name: str, method: str, kind: str) -> None:
    assert read_log(name, method)[0]["operation"] == kind


def test_an_anonymous_request_that_fails() -> None:
    answer = Answer(status=403, body=b"<Error/>")
    (found,) = read_log("GetObject", answer=answer, code="AccessDenied", caller=None, key="k")
    values = [found[name] for name in ("requester", "status", "error", "sent", "signature", "acl")]
    assert values == ["-", "403", "AccessDenied", "8", "-", "-"]
    assert read_log("GetObject", caller=None, key="k")[0]["acl"] == "Yes"


def test_a_key_of_the_callers_is_not_written() -> None:
    header = "X-Amz-Server-Side-Encryption-Customer-Key"
    target = f"/box/k?{header}=c2VjcmV0&{header}-MD5=bWQ1"
    (found,) = read_log("GetObject", target=target, key="k")
    assert found["uri"] == f"GET /box/k?{header}=-&{header}-MD5=bWQ1 HTTP/1.1"


@pytest.mark.parametrize(
    "name",
    [
        *("X-Amz-Signature", "x-amz-signature", "X-Amz-%53ignature", "Signature"),
        *("X-Amz-Security-Token", "x-amz-copy-source-server-side-encryption-customer-key"),
    ],
)
def test_a_signature_that_is_still_good_is_not_written(name: str) -> None:
    (found,) = read_log("GetObject", target=f"/box/k?a=b&{name}=c2VjcmV0&X-Amz-Expires=60", key="k")
    assert found["uri"] == f"GET /box/k?a=b&{name}=-&X-Amz-Expires=60 HTTP/1.1"
    page = f"http://box.test/page?{name}=c2VjcmV0"
    assert "c2VjcmV0" not in read_log("GetObject", referer=page, key="k")[0]["referer"]


def test_a_copy_is_logged_at_both_buckets_and_a_batch_deletion_by_key() -> None:
    copied = read_log("CopyObject", "PUT", copy_source={"bucket": "box", "key": "from"}, key="to")
    assert [(each["operation"], each["key"]) for each in copied] == [
        ("REST.COPY.OBJECT", "to"),
        ("REST.COPY.OBJECT_GET", "from"),
    ]
    objects = [{"key": "a"}, {"key": "b"}]
    result = {"errors": [{"key": "b"}]}
    gone = read_log("DeleteObjects", "POST", result=result, delete={"objects": objects})
    assert [(each["operation"], each["key"]) for each in gone] == [
        ("REST.POST.MULTI_OBJECT_DELETE", "-"),
        ("BATCH.DELETE.OBJECT", "a"),
    ]


def test_no_request_breaks_a_line_or_fails_for_its_bytes() -> None:
    (found,) = read_log("GetObject", key="up/\udcff", version_id='a "b\nc\udcff')
    assert (found["key"], found["version"]) == ("up/%FF", "a%20%22b%0Ac%FF")
    copied = read_log("CopyObject", "PUT", copy_source={"bucket": "box", "key": "a\n b"}, key="to")
    assert copied[1]["key"] == "a%0A%20b"
