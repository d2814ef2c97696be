"""The bucket that is mirrored, read through the running cloud as its administrator; changes
nothing."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import TypedDict

import click
from botocore.exceptions import ClientError

from eucabox.cli import operator
from eucabox.cli.client import BotoClient
from eucabox.cli.mirror.pace import Pace
from eucabox.config import Config
from eucabox.iam.credentials_folder import endpoint
from eucabox.store import version_ids
from eucabox.store.types import to_nanoseconds

CHUNK = 1 << 16  # bytes read at once, for a rate that is even
HEADERS = (
    "ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage",
    "WebsiteRedirectLocation",
)  # fmt: skip
MARK, VERSION_MARK = "eucabox-mirror", "eucabox-version"  # user metadata at the destination


class VersionRow(TypedDict, total=False):
    """A version, or a delete marker, which has no ETag, as S3 lists it."""

    Key: str
    VersionId: str
    LastModified: datetime
    ETag: str


@dataclass(frozen=True)
class SourceVersion:
    """A version of a key in the listing of the source."""

    version_id: str
    is_marker: bool
    token: str  # says which version it is, also of the null version, which is replaced


@dataclass(frozen=True)
class SourceObject:
    """An object of the source without its content, as it is put at the destination."""

    key: str
    version_id: str
    size: int
    e_tag: str
    headers: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """A digest of all that is mirrored of it."""
        facts = [self.e_tag, self.size, self.headers, self.metadata, self.tags]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


class MirrorSource:
    """A bucket of the running cloud."""

    def __init__(self, config: Config, bucket: str, pace: Pace) -> None:
        self.bucket = bucket
        self._config, self._pace = config, pace
        self._s3 = _open_client(config)

    def list_keys(self) -> Iterator[str]:
        """Yield the keys of all objects."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        for page in pages:
            yield from (each["Key"] for each in page.get("Contents", ()))

    def has(self, key: str) -> bool:
        """Tell whether there is an object of this key now."""
        page = self._s3.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1)
        return any(each["Key"] == key for each in page.get("Contents", ()))

    def list_versions(self, prefix: str = "") -> Iterator[tuple[str, list[SourceVersion]]]:
        """Yield the keys with their versions and delete markers, the oldest first."""
        rows = self._list_rows(prefix)
        for key, versions in groupby(rows, key=lambda row: row["Key"]):
            newest_first = [_read_version(row) for row in versions]
            yield key, newest_first[::-1]

    def list_versions_of(self, key: str) -> list[SourceVersion]:
        """Return the versions of one key, the oldest first."""
        for name, versions in self.list_versions(key):
            if name == key:
                return versions
        return []

    def _list_rows(self, prefix: str) -> Iterator[VersionRow]:
        """Yield versions and markers by key, the newest first: a page has them in two lists."""
        pages = self._s3.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
            rows = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            yield from sorted(rows, key=_order)

    def read_properties(self, key: str, version_id: str = "") -> SourceObject:
        """Return an object without its content; a ClientError if it can't be read."""
        named = self._name(key, version_id)
        try:
            answer = self._s3.head_object(**named)
        except ClientError as refused:
            if refused.response["Error"]["Code"] in ("404", "NoSuchKey"):
                raise
            # Only the answer to a GET says why, such as of an object with a customer's key.
            answer = self._s3.get_object(**named)
            answer["Body"].close()
        tags = self._s3.get_object_tagging(**named)["TagSet"]
        headers = {name: answer[name] for name in HEADERS if answer.get(name)}
        if expires := answer.get("ExpiresString"):
            headers["Expires"] = expires
        metadata = dict(answer["Metadata"])
        for mark in (MARK, VERSION_MARK):  # of a mirror that ended here
            metadata.pop(mark, None)
        return SourceObject(
            key, version_id, answer["ContentLength"], answer["ETag"].strip('"'), headers, metadata,
            {each["Key"]: each["Value"] for each in tags},
        )  # fmt: skip

    def read(self, obj: SourceObject, start: int, length: int) -> bytes:
        """Return a part of an object's content, at the mirror's rate; a ClientError, code
        PreconditionFailed, if it is another object by now."""
        if not length:
            return b""
        answer = self._s3.get_object(
            **self._name(obj.key, obj.version_id),
            IfMatch=f'"{obj.e_tag}"',
            Range=f"bytes={start}-{start + length - 1}",
        )
        content = bytearray()
        with answer["Body"] as body:
            while data := body.read(CHUNK):
                self._pace.pass_bytes(len(data))
                content += data
        if len(content) != length:
            raise OSError(f"{len(content)} of {length} bytes came from the source")
        return bytes(content)

    def read_changes(self, position: str) -> tuple[str, bool, list[str]]:
        """Return the position after the latest changes, whether it is all, and the keys."""
        (row,) = operator.ask(
            self._config, "DescribeBucketChanges", Bucket=self.bucket, Position=position
        )
        return row["position"], row["isComplete"] == "true", json.loads(row["keys"])

    def check(self) -> str:
        """Return the position of the latest change; a ClickException if there is no bucket."""
        return self.read_changes("")[0]

    def _name(self, key: str, version_id: str) -> dict[str, str]:
        version = {"VersionId": version_id} if version_id else {}
        return {"Bucket": self.bucket, "Key": key, **version}


def _order(row: VersionRow) -> tuple[bytes, int]:
    """Sort by key and then the newest first, to the nanosecond that is in a version id."""
    version_id = row["VersionId"]
    if version_id == version_ids.NULL:
        time = to_nanoseconds(row["LastModified"])
    else:
        time = version_ids.time_of(version_id)
    return row["Key"].encode(), -time


def _read_version(row: VersionRow) -> SourceVersion:
    version_id = row["VersionId"]
    e_tag = row.get("ETag", "").strip('"')
    token = version_id if version_id != "null" else f"null-{e_tag}"
    return SourceVersion(version_id, "ETag" not in row, token)


def _open_client(config: Config) -> BotoClient:
    import boto3
    from botocore.config import Config as ClientConfig

    key = operator.read_key(config)
    client: BotoClient = boto3.client(
        "s3",
        endpoint_url=endpoint(config),
        region_name=config.cloud.region,
        aws_access_key_id=key.caller.access_key_id,
        aws_secret_access_key=key.secret,
        config=ClientConfig(
            s3={"addressing_style": "path"}, retries={"max_attempts": 3}, max_pool_connections=16
        ),
    )
    return client


def explain(problem: Exception) -> str:
    """Return a failure in one line."""
    if isinstance(problem, click.ClickException):
        return problem.format_message()
    if not isinstance(problem, ClientError):
        return " ".join(str(problem).split()) or type(problem).__name__
    error = problem.response.get("Error", {})
    message = str(error.get("Message", "")).strip().partition("\n")[0]
    return f"{error.get('Code', 'Error')}: {message}"
