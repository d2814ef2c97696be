"""What surrounds the verbs of buckets: a browser's preflight instead of one, and after one the CORS
headers, the sandbox of pages and the access log."""

import logging
from typing import Protocol

from eucabox.errors import NoSuchBucket
from eucabox.s3.access_log import SETTING as LOGGING
from eucabox.s3.cors import SETTING as CORS
from eucabox.s3.cors import rules_of
from eucabox.store.types import Bucket
from eucabox.wire.request import Answer, Exchange, Request
from eucabox.wire.s3 import access_log_records, cors, sandbox
from eucabox.wire.s3.access_log_records import LoggingCloud
from eucabox.wire.s3.routes import bucket_in

log = logging.getLogger("eucabox.api")


class BucketLookup(Protocol):
    """Where buckets are looked up."""

    def bucket(self, name: str) -> Bucket:
        """Return a bucket; raises NoSuchBucket."""


class BucketCloud(LoggingCloud, Protocol):
    """What has the buckets, their logs and their owners."""

    @property
    def store(self) -> BucketLookup:
        """The buckets."""


def preflight(cloud: BucketCloud, request: Request) -> Answer:
    """Answer OPTIONS: a browser asks what a page may do. It is no action and is not signed."""
    bucket_name = bucket_in(request.path, request.host, request.hosts)
    return cors.preflight(
        request, bucket_name, lambda name: rules_of(cloud.store.bucket(name).settings)
    )


def finish(cloud: BucketCloud, exchange: Exchange, *, confines: bool) -> None:
    """Add the CORS headers to an answer and, if it `confines` pages, their sandbox; record the
    exchange in the access logs. The verb is done, so what goes wrong here is logged and never
    costs the answer."""
    try:
        if confines and "sec-fetch-dest" in exchange.request.headers:  # a browser's
            sandbox.confine(exchange)
        bucket = _find_bucket(cloud, exchange)
        settings = bucket.settings if bucket is not None else {}
        if CORS in settings:
            cors.add_headers(exchange.request, exchange.answer, rules_of(settings))
        if LOGGING in settings or "copy_source" in exchange.params:
            access_log_records.note(cloud, exchange, bucket)
    except Exception:
        log.exception("what follows an answer failed")


def _find_bucket(cloud: BucketCloud, exchange: Exchange) -> Bucket | None:
    request = exchange.request
    name = exchange.params.get("bucket") or bucket_in(request.path, request.host, request.hosts)
    try:
        return cloud.store.bucket(name) if name else None
    except NoSuchBucket:
        return None
