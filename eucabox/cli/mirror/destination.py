"""Where a bucket is mirrored to: a bucket of any S3, by boto3; what is put there is compared with
what was sent, and nothing is deleted that no mirror put there."""

import base64
import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict
from urllib.parse import urlencode

import click
from botocore.exceptions import ClientError

from eucabox.cli.client import BotoClient
from eucabox.cli.mirror.source import MARK, VERSION_MARK, MirrorSource, SourceObject

PLACE = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", re.S)
NOT_THERE = ("404", "NoSuchKey", "NoSuchVersion", "NotFound")
PROBE = ".eucabox-mirror-probe-"
CHECKSUM = "SHA256"
CONNECT, READ = 10, 120  # seconds


class VerificationError(Exception):
    """The destination has other bytes than were sent, or does not say which it has."""


@dataclass(frozen=True)
class MirrorPlace:
    """A bucket, a prefix that is "" or ends the way it was given, and an endpoint or ""."""

    bucket: str
    prefix: str
    endpoint: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


class PartMembers(TypedDict, total=False):
    """What completes an upload with a part, by the API's names."""

    PartNumber: int
    ETag: str
    ChecksumSHA256: str


@dataclass(frozen=True)
class DestinationVersion:
    """A version in the listing of the destination."""

    version_id: str
    is_marker: bool


def parse_place(text: str, endpoint: str) -> MirrorPlace:
    """Return the place of s3://BUCKET[/PREFIX]; raises BadParameter."""
    match = PLACE.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is none: give s3://BUCKET or s3://BUCKET/PREFIX.")
    prefix = match[2] or ""
    return MirrorPlace(match[1], prefix + "/" if prefix and not prefix.endswith("/") else prefix,
                 endpoint)  # fmt: skip


class Destination:
    """A bucket of some S3."""

    def __init__(self, place: MirrorPlace, profile: str) -> None:
        self.place = place
        self._s3 = _open_client(place.endpoint, profile)

    def check(self, source: MirrorSource, with_versions: bool) -> None:
        """Raise ClickException unless the bucket is there, is another one than the source, and
        keeps versions if they are to be mirrored."""
        bucket = self.place.bucket
        try:
            self._s3.head_bucket(Bucket=bucket)
        except ClientError as refused:
            code = refused.response["Error"]["Code"]
            where = self.place.endpoint or "the endpoint of your AWS configuration"
            reason = (
                "is not there: make it first" if code in NOT_THERE else f"can't be used: {code}"
            )
            raise click.ClickException(f"The bucket {bucket} at {where} {reason}.") from None
        if bucket == source.bucket and self._is_same(source):
            raise click.ClickException(
                f"The destination is the bucket {bucket} itself. Give another bucket, or the"
                " --endpoint of another S3."
            )
        if with_versions and not self._keeps_versions():
            raise click.ClickException(
                f"--versions needs a destination with versioning: aws s3api put-bucket-versioning"
                f" --bucket {bucket} --versioning-configuration Status=Enabled"
            )

    def _is_same(self, source: MirrorSource) -> bool:
        """Tell whether an object put here appears in the source: names of hosts say nothing."""
        key = self.place.prefix + PROBE + secrets.token_hex(8)
        put = self._s3.put_object(Bucket=self.place.bucket, Key=key, Body=b"")
        try:
            return source.has(key)
        finally:
            self.delete_version(key, put.get("VersionId", ""))

    def _keeps_versions(self) -> bool:
        answer = self._s3.get_bucket_versioning(Bucket=self.place.bucket)
        return bool(answer.get("Status") == "Enabled")

    def place_key(self, key: str) -> str:
        """Return where a key of the source goes."""
        return self.place.prefix + key

    def list_keys(self) -> Iterator[str]:
        """Yield the keys of the source that objects here would be of."""
        pages = self._s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.place.bucket, Prefix=self.place.prefix):
            for each in page.get("Contents", ()):
                yield each["Key"][len(self.place.prefix) :]

    def list_versions(self, key: str) -> list[DestinationVersion]:
        """Return the versions of a key, the newest first."""
        rows: list[tuple[tuple[bool, datetime], bool, str]] = []
        pages = self._s3.get_paginator("list_object_versions")
        name = self.place_key(key)
        for page in pages.paginate(Bucket=self.place.bucket, Prefix=name):
            for kind, is_marker in (("Versions", False), ("DeleteMarkers", True)):
                for row in page.get(kind, ()):
                    if row["Key"] == name:
                        order = (row["IsLatest"], row["LastModified"])
                        rows.append((order, is_marker, row["VersionId"]))
            if any(row["Key"] > name for row in page.get("Versions", ())):
                break
        rows.sort(key=lambda row: row[0], reverse=True)
        return [DestinationVersion(version_id, is_marker) for _, is_marker, version_id in rows]

    def read_marks(self, key: str, version_id: str = "") -> dict[str, str] | None:
        """Return the metadata of an object here by lower-case names, None if there is none."""
        version = {"VersionId": version_id} if version_id else {}
        try:
            answer = self._s3.head_object(**self._name(key), **version)
        except ClientError as refused:
            if refused.response["Error"]["Code"] in NOT_THERE:
                return None
            raise
        return {name.lower(): value for name, value in answer["Metadata"].items()}

    def put(self, obj: SourceObject, content: bytes, marks: dict[str, str]) -> None:
        """Put an object with its content; raises VerificationError."""
        digest = _Digest(content)
        answer = self._s3.put_object(
            **self._name(obj.key), **self._describe(obj, marks), Body=content, **digest.members()
        )
        digest.compare(answer)

    def begin_upload(self, obj: SourceObject, marks: dict[str, str]) -> str:
        """Begin an upload in parts and return its id."""
        answer = self._s3.create_multipart_upload(
            **self._name(obj.key), **self._describe(obj, marks), ChecksumAlgorithm=CHECKSUM
        )
        return str(answer["UploadId"])

    def list_parts(self, key: str, upload_id: str) -> dict[int, tuple[int, PartMembers]] | None:
        """Return the parts of an upload by number, each its size and what completes it; None if
        the upload is over."""
        pages = self._s3.get_paginator("list_parts")
        try:
            return {
                part["PartNumber"]: (part["Size"], _describe_part(part["PartNumber"], part))
                for page in pages.paginate(**self._name(key), UploadId=upload_id)
                for part in page.get("Parts", ())
            }
        except ClientError as refused:
            if refused.response["Error"]["Code"] in ("NoSuchUpload", *NOT_THERE):
                return None
            raise

    def put_part(self, key: str, upload_id: str, number: int, content: bytes) -> PartMembers:
        """Put a part and return what completes it; raises VerificationError."""
        digest = _Digest(content)
        answer = self._s3.upload_part(
            **self._name(key), UploadId=upload_id, PartNumber=number, Body=content,
            **digest.members(),
        )  # fmt: skip
        digest.compare(answer)
        return _describe_part(number, answer)

    def complete_upload(self, key: str, upload_id: str, parts: list[PartMembers]) -> None:
        """Make the object of its parts; raises VerificationError."""
        answer = self._s3.complete_multipart_upload(
            **self._name(key), UploadId=upload_id, MultipartUpload={"Parts": parts}
        )
        expected, stated = _join(parts), answer.get("ChecksumSHA256", "")
        if stated and "ChecksumSHA256" in parts[0]:
            expected = _join_checksums(parts)
        elif answer.get("ServerSideEncryption", "").startswith("aws:kms"):
            return  # its ETag is none of the content; every part was compared
        else:
            stated = answer["ETag"].strip('"')
        if stated != expected:
            raise VerificationError(f"the whole has {stated} and not {expected}")

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Give up an upload; one that is over is none."""
        try:
            self._s3.abort_multipart_upload(**self._name(key), UploadId=upload_id)
        except ClientError as refused:
            if refused.response["Error"]["Code"] not in ("NoSuchUpload", *NOT_THERE):
                raise

    def delete(self, key: str) -> None:
        """Delete an object; where versions are kept, a marker hides it."""
        self._s3.delete_object(**self._name(key))

    def delete_version(self, name: str, version_id: str) -> None:
        """Delete a version of a key of this bucket for good."""
        version = {"VersionId": version_id} if version_id else {}
        self._s3.delete_object(Bucket=self.place.bucket, Key=name, **version)

    def change_tags(self, key: str, version_id: str, tags: dict[str, str]) -> bool:
        """Give a version these tags, unless it has them; return whether it had others."""
        named = {**self._name(key), "VersionId": version_id}
        has = self._s3.get_object_tagging(**named)["TagSet"]
        if {each["Key"]: each["Value"] for each in has} == tags:
            return False
        tag_set = [{"Key": name, "Value": value} for name, value in tags.items()]
        self._s3.put_object_tagging(**named, Tagging={"TagSet": tag_set})
        return True

    def _name(self, key: str) -> dict[str, str]:
        return {"Bucket": self.place.bucket, "Key": self.place_key(key)}

    def _describe(self, obj: SourceObject, marks: dict[str, str]) -> dict[str, object]:
        tags = {"Tagging": urlencode(obj.tags)} if obj.tags else {}
        return {**obj.headers, "Metadata": {**obj.metadata, **marks}, **tags}


class _Digest:
    """What was sent, to compare with what the destination says it has."""

    def __init__(self, content: bytes) -> None:
        self.md5 = hashlib.md5(content, usedforsecurity=False).digest()
        self.sha256 = base64.b64encode(hashlib.sha256(content).digest()).decode()

    def members(self) -> dict[str, str]:
        """Return the digests as members of a request, which the destination checks by itself."""
        md5 = base64.b64encode(self.md5).decode()
        return {"ContentMD5": md5, "ChecksumSHA256": self.sha256}

    def compare(self, answer: Mapping[str, str]) -> None:
        """Raise VerificationError unless a checksum that the destination computed is ours."""
        if checksum := answer.get("ChecksumSHA256"):
            if checksum != self.sha256:
                raise VerificationError(f"its SHA-256 is {checksum} and not {self.sha256}")
            return
        e_tag = str(answer.get("ETag", "")).strip('"')
        if e_tag != self.md5.hex():
            raise VerificationError(f"its ETag is {e_tag!r} and not the MD5 {self.md5.hex()}")


def make_marks(obj: SourceObject, token: str = "") -> dict[str, str]:
    """Return the metadata that says at the destination what an object is a mirror of."""
    return {MARK: obj.fingerprint, **({VERSION_MARK: token} if token else {})}


def _describe_part(number: int, facts: Mapping[str, str]) -> PartMembers:
    part: PartMembers = {"PartNumber": number, "ETag": facts["ETag"]}
    if checksum := facts.get("ChecksumSHA256"):
        part["ChecksumSHA256"] = checksum
    return part


def _join(parts: Sequence[PartMembers]) -> str:
    """Return the ETag of an object of these parts."""
    digests = b"".join(bytes.fromhex(part["ETag"].strip('"')) for part in parts)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"


def _join_checksums(parts: Sequence[PartMembers]) -> str:
    digests = b"".join(base64.b64decode(part["ChecksumSHA256"]) for part in parts)
    return f"{base64.b64encode(hashlib.sha256(digests).digest()).decode()}-{len(parts)}"


def _open_client(endpoint: str, profile: str) -> BotoClient:
    import boto3
    from botocore.config import Config as ClientConfig
    from botocore.exceptions import BotoCoreError

    style = {"addressing_style": "path"} if endpoint else {}
    config = ClientConfig(
        s3=style, retries={"max_attempts": 4, "mode": "standard"}, max_pool_connections=16,
        connect_timeout=CONNECT, read_timeout=READ,
    )  # fmt: skip
    try:
        session = boto3.session.Session(profile_name=profile or None)
        client: BotoClient = session.client(
            "s3", endpoint_url=endpoint or None, config=config,
            region_name=session.region_name or "us-east-1",
        )  # fmt: skip
    except (BotoCoreError, ValueError) as problem:
        raise click.ClickException(f"The destination can't be reached: {problem}") from None
    return client
