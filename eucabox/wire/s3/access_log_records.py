"""Requests and answers as records of S3's access logs; keeps none of them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import quote, unquote

from eucabox.s3.access_log import SETTING, AccessLog
from eucabox.s3.values import OwnerDirectory, Owners
from eucabox.store.types import Bucket
from eucabox.wire.request import Answer, Exchange, Request
from eucabox.wire.request_context import policy_context

# Parameters of an address that are as good as a key, or are one, for as long as a log is kept.
SECRETS = ("signature", "x-amz-signature", "x-amz-security-token", "customer-key")
# What each operation is called in a log, where it is not the method and the last word here.
KINDS = {
    "AbortMultipartUpload": "REST.DELETE.UPLOAD",
    "CompleteMultipartUpload": "REST.POST.UPLOAD",
    "CopyObject": "REST.COPY.OBJECT",
    "CreateMultipartUpload": "REST.POST.UPLOADS",
    "DeleteObjects": "REST.POST.MULTI_OBJECT_DELETE",
    "ListMultipartUploads": "REST.GET.UPLOADS",
    "ListObjectVersions": "REST.GET.BUCKETVERSIONS",
    "ListObjects": "REST.GET.BUCKET",
    "ListObjectsV2": "REST.GET.BUCKET",
    "ListParts": "REST.GET.UPLOAD",
    "RestoreObject": "REST.POST.RESTORE",
    "UploadPart": "REST.PUT.PART",
    "UploadPartCopy": "REST.COPY.PART",
}
RESOURCES = {
    "Bucket": "BUCKET",
    "BucketAccelerateConfiguration": "ACCELERATE",
    "BucketAcl": "ACL",
    "BucketCors": "CORS",
    "BucketEncryption": "ENCRYPTION",
    "BucketLifecycle": "LIFECYCLE",
    "BucketLifecycleConfiguration": "LIFECYCLE",
    "BucketLocation": "LOCATION",
    "BucketLogging": "LOGGING_STATUS",
    "BucketNotificationConfiguration": "NOTIFICATION",
    "BucketPolicy": "BUCKETPOLICY",
    "BucketPolicyStatus": "BUCKETPOLICY_STATUS",
    "BucketReplication": "REPLICATION",
    "BucketRequestPayment": "REQUEST_PAYMENT",
    "BucketTagging": "TAGGING",
    "BucketVersioning": "VERSIONING",
    "BucketWebsite": "WEBSITE",
    "Object": "OBJECT",
    "ObjectAcl": "ACL",
    "ObjectAttributes": "OBJECT_ATTRIBUTES",
    "ObjectLegalHold": "LEGAL_HOLD",
    "ObjectLockConfiguration": "OBJECT_LOCK_CONFIGURATION",
    "ObjectRetention": "RETENTION",
    "ObjectTagging": "OBJECT_TAGGING",
}
VERBS = ("Get", "Put", "Delete", "Head", "Create", "List")
SIZED = ("GetObject", "HeadObject", "PutObject")
BATCH = "BATCH.DELETE.OBJECT"
SIGNATURES = {"AWS4-HMAC-SHA256": "SigV4", "AWS": "SigV2"}
AUTH_TYPES = {"REST-HEADER": "AuthHeader", "REST-QUERY-STRING": "QueryString", "POST": "POST"}


class LoggingCloud(Protocol):
    """What has the logs, and the accounts in which the owners of buckets are looked up."""

    @property
    def access_log(self) -> AccessLog:
        """The logs of all buckets."""

    @property
    def accounts(self) -> OwnerDirectory:
        """The accounts of this cloud."""


def note(cloud: LoggingCloud, exchange: Exchange, bucket: Bucket | None) -> None:
    """Record a request in the access logs of its bucket and of its copy source, if there are."""
    copy_source = exchange.params.get("copy_source")
    source = cloud.access_log.bucket(copy_source["bucket"]) if copy_source else None
    logged = bucket if bucket is not None and SETTING in bucket.settings else None
    if logged is None and source is None:
        return
    owners = Owners(cloud.accounts)
    if logged:
        for line in write_lines(exchange, logged, owners(logged.owner)["id"]):
            cloud.access_log.record(logged, line)
    if source and copy_source:
        owner = owners(source.owner)["id"]
        line = write_source_line(exchange, source, owner, copy_source.get("key", ""))
        cloud.access_log.record(source, line)


def write_lines(exchange: Exchange, bucket: Bucket, owner: str) -> Iterator[str]:
    """Yield the records of a request to a bucket, whose owner has that canonical id."""
    key = str(exchange.params.get("key") or exchange.params.get("path") or "")
    yield _write_line(exchange, bucket, owner, _operation_name(exchange), key)
    if exchange.name == "DeleteObjects" and exchange.result is not None:
        failed = {each.get("key") for each in exchange.result.get("errors", ())}
        for each in (exchange.params.get("delete") or {}).get("objects") or ():
            if each.get("key") not in failed:
                yield _write_line(exchange, bucket, owner, BATCH, each.get("key", ""))


def write_source_line(exchange: Exchange, bucket: Bucket, owner: str, key: str) -> str:
    """Return the record of a copy for the bucket of its source."""
    what = "PART" if exchange.name == "UploadPartCopy" else "OBJECT"
    return _write_line(exchange, bucket, owner, f"REST.COPY.{what}_GET", key)


def _operation_name(exchange: Exchange) -> str:
    name = exchange.name
    if exchange.request.method == "OPTIONS":
        return "REST.OPTIONS.PREFLIGHT"
    if name == "GetPage":
        return f"WEBSITE.{exchange.request.method}.OBJECT"
    if name in KINDS:
        return KINDS[name]
    resource = next((name[len(each) :] for each in VERBS if name.startswith(each)), "")
    resource_name = RESOURCES.get(resource) or _to_upper(resource) or "OBJECT"
    return f"REST.{exchange.request.method}.{resource_name}"


def _to_upper(name: str) -> str:
    return "".join(f"_{each}" if each.isupper() else each for each in name).strip("_").upper()


def _write_line(exchange: Exchange, bucket: Bucket, owner: str, kind: str, key: str) -> str:
    request, answer = exchange.request, exchange.answer
    batch = kind == BATCH
    signed = exchange.understood is not None and exchange.understood.caller is not None
    form = exchange.understood.form if exchange.understood else None
    context = policy_context(request, form) if signed else {}
    headers = {name.lower(): value for name, value in answer.headers}
    fields = [
        owner,
        bucket.name,
        f"[{datetime.now(UTC):%d/%b/%Y:%H:%M:%S %z}]",
        request.source or "-",
        exchange.understood.caller.canonical_id
        if exchange.understood and exchange.understood.caller
        else "-",
        request.request_id,
        kind,
        _percent_encode(key, "/-_.~!*'()") or "-",
        "-" if batch else f'"{request.method} {_target(request)} HTTP/1.1"',
        "204" if batch else str(answer.status),
        exchange.code or "-",
        "-" if batch else str(_bytes_sent(request, answer) or "-"),
        "-" if batch else _object_size(exchange),
        str(round(exchange.milliseconds)),
        "-" if batch else str(round(exchange.milliseconds)),
        _quote(_mask_secrets(request.headers.get("referer", ""))),
        _quote(request.headers.get("user-agent", "")),
        headers.get("x-amz-version-id") or _escape(exchange.params.get("version_id") or "-"),
        "eucabox",
        SIGNATURES.get(context.get("signature_version", ""), "-"),
        request.tls[1] or "-",
        AUTH_TYPES.get(context.get("auth_type", ""), "-"),
        _escape(request.host) or "-",
        request.tls[0] or "-",
        "-",
        "Yes" if _allowed_by_acl(exchange, bucket) else "-",
    ]
    return " ".join(fields)


def _target(request: Request) -> str:
    """What was asked for, without what would let a reader of the log ask for it too."""
    return _escape(_mask_secrets(request.target))


def _mask_secrets(address: str) -> str:
    """An address without the values of its secrets, which S3's logs do not show either."""
    path, mark, query = address.partition("?")
    return path + mark + "&".join(map(_mask_secret, query.split("&")))


def _mask_secret(part: str) -> str:
    name, mark, _ = part.partition("=")
    is_secret = unquote(name).lower().endswith(SECRETS)
    return f"{name}=-" if mark and is_secret else part


def _escape(text: str) -> str:
    """Text that ends neither its field nor its line."""
    return _percent_encode(text, "!#$%&'()*+,-./:;=?@[]_~|")


def _percent_encode(text: str, safe: str) -> str:
    """Text as a URL has it; what a client sent and is no UTF-8 is the bytes that came."""
    return quote(text.encode("utf-8", "surrogateescape"), safe)


def _quote(text: str) -> str:
    printable = "".join(each if " " <= each <= "~" and each not in '"\\' else "_" for each in text)
    return f'"{printable or "-"}"'


def _bytes_sent(request: Request, answer: Answer) -> int:
    if request.method == "HEAD" or answer.status in (204, 304):
        return 0
    if answer.file is not None:
        return answer.file.count
    if isinstance(answer.body, bytes) and answer.length is None:
        return len(answer.body)
    return answer.length or 0


def _object_size(exchange: Exchange) -> str:
    if exchange.name not in SIZED or exchange.code:
        return "-"
    if exchange.name == "PutObject":
        length = getattr(exchange.params.get("body"), "length", None)
    else:
        result = exchange.result or {}
        whole = str(result.get("content_range", "")).rpartition("/")[2]
        length = int(whole) if whole.isdigit() else result.get("content_length")
    return "-" if length is None else str(length)


def _allowed_by_acl(exchange: Exchange, bucket: Bucket) -> bool:
    """Whether an access list let the requester in, where no policy can have."""
    caller = exchange.understood.caller if exchange.understood else None
    home = caller is not None and (caller.account_id == bucket.owner or caller.admin)
    return not (exchange.code or home or "policy" in bucket.settings)
