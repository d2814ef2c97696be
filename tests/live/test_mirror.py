"""`eucabox bucket mirror` between two real clouds: all of an object, versions, kills, changes."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.live.process import Running, running
from tests.live.s3 import ODD_KEYS

QEMU = "[node]\nvirt_type = qemu\n"
MIB = 1 << 20
LARGE = 64 * MIB
PATIENCE = 60


@pytest.fixture(scope="module")
def source() -> Iterator[Running]:
    with running(QEMU) as found:
        yield found


@pytest.fixture(scope="module")
def target() -> Iterator[Running]:
    with running(QEMU) as found:
        yield found


@pytest.fixture(scope="module")
def here(source: Running) -> Iterator[Any]:
    client = source.client("s3")
    yield client
    client.close()


@pytest.fixture(scope="module")
def there(target: Running) -> Iterator[Any]:
    client = target.client("s3")
    yield client
    client.close()


@pytest.fixture
def bucket(here: Any, there: Any) -> str:
    """A bucket of one name in both clouds."""
    name = f"box-{secrets.token_hex(4)}"
    here.create_bucket(Bucket=name)
    there.create_bucket(Bucket=name)
    return name


def environment(folder: Path, target: Running) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": target.access_key,
        "AWS_SECRET_ACCESS_KEY": target.secret_key,
        "XDG_STATE_HOME": str(folder),
    }


def begin(
    source: Running, target: Running, folder: Path, *argv: str, endpoint: str = ""
) -> subprocess.Popen[str]:
    program = [sys.executable, "-m", "eucabox", "-c", str(source.config_file), "bucket", "mirror"]
    return subprocess.Popen(
        [*program, *argv, "--endpoint", endpoint or target.endpoint],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(folder, target),
    )  # fmt: skip


def mirror(
    source: Running, target: Running, folder: Path, *argv: str, status: int = 0
) -> Mapping[str, Any]:
    process = begin(source, target, folder, *argv, "--json")
    output, errors = process.communicate(timeout=300)
    assert process.returncode == status, output + errors
    facts: Mapping[str, Any] = json.loads(output)
    return facts


def until(look: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def read(s3: Any, bucket: str, key: str, **version: str) -> dict[str, Any]:
    """All of an object that a mirror takes along."""
    answer = s3.get_object(Bucket=bucket, Key=key, **version)
    tags = s3.get_object_tagging(Bucket=bucket, Key=key, **version)["TagSet"]
    marks = ("eucabox-mirror", "eucabox-version")
    return {
        "content": answer["Body"].read(),
        "metadata": {name: text for name, text in answer["Metadata"].items() if name not in marks},
        "tags": sorted((tag["Key"], tag["Value"]) for tag in tags),
        "headers": [
            answer.get(name)
            for name in (
                "ContentType", "CacheControl", "ContentDisposition", "ContentEncoding",
                "ContentLanguage", "ExpiresString", "WebsiteRedirectLocation",
            )
        ],
    }  # fmt: skip


def test_objects_come_whole_and_once(
    source: Running, target: Running, here: Any, there: Any, bucket: str, tmp_path: Path
) -> None:
    for number, key in enumerate(ODD_KEYS):
        here.put_object(Bucket=bucket, Key=key, Body=key.encode(), Metadata={"n": str(number)})
    rich: dict[str, Any] = {
        "ContentType": "text/plain; charset=utf-8", "CacheControl": "max-age=3",
        "ContentDisposition": "attachment", "ContentEncoding": "identity",
        "ContentLanguage": "de", "Expires": "Wed, 21 Oct 2026 07:28:00 GMT",
        "WebsiteRedirectLocation": "/other", "Metadata": {"a": "b", "Mixed-Case": "c d"},
        "Tagging": "k=v%20w&%C3%BC=%C3%A9",
    }  # fmt: skip
    here.put_object(Bucket=bucket, Key="rich", Body=b"rich", **rich)
    here.put_object(Bucket=bucket, Key="empty", Body=b"")
    facts = mirror(source, target, tmp_path, bucket, f"s3://{bucket}")
    count = len(ODD_KEYS) + 2
    assert (facts["seen"], facts["copied"], facts["failures"]) == (count, count, [])
    for key in (*ODD_KEYS, "rich", "empty"):
        assert read(there, bucket, key) == read(here, bucket, key), key
    assert mirror(source, target, tmp_path, bucket, f"s3://{bucket}")["copied"] == 0
    tags = {"TagSet": [{"Key": "new", "Value": "1"}]}
    here.put_object_tagging(Bucket=bucket, Key="rich", Tagging=tags)
    here.put_object(Bucket=bucket, Key="empty", Body=b"no more")
    assert mirror(source, target, tmp_path, bucket, f"s3://{bucket}")["copied"] == 2
    assert read(there, bucket, "rich") == read(here, bucket, "rich")


def test_what_is_gone_is_deleted_on_request_and_nothing_else(
    source: Running, target: Running, here: Any, there: Any, bucket: str, tmp_path: Path
) -> None:
    for key in ("kept", "gone"):
        here.put_object(Bucket=bucket, Key=key, Body=key.encode())
    there.put_object(Bucket=bucket, Key="copy/of others", Body=b"y")
    mirror(source, target, tmp_path, bucket, f"s3://{bucket}/copy")
    here.delete_object(Bucket=bucket, Key="gone")
    assert mirror(source, target, tmp_path, bucket, f"s3://{bucket}/copy")["deleted"] == 0
    assert (
        mirror(source, target, tmp_path, bucket, f"s3://{bucket}/copy", "--delete")["deleted"] == 1
    )
    keys = [each["Key"] for each in there.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == ["copy/kept", "copy/of others"]
    assert read(there, bucket, "copy/kept")["content"] == b"kept"


def test_a_key_too_long_for_its_prefix_is_named(
    source: Running, target: Running, here: Any, bucket: str, tmp_path: Path
) -> None:
    for key in ("k" * 1024, "short"):
        here.put_object(Bucket=bucket, Key=key, Body=b"x")
    facts = mirror(source, target, tmp_path, bucket, f"s3://{bucket}/p", status=1)
    (failure,) = facts["failures"]
    assert (failure["key"], facts["copied"]) == ("k" * 1024, 1)
    assert failure["reason"] == "with the prefix its key has 1026 bytes, and S3 takes 1024"


def test_a_killed_mirror_goes_on_with_a_large_object(
    source: Running, target: Running, here: Any, there: Any, bucket: str, tmp_path: Path
) -> None:
    content = os.urandom(LARGE)
    here.put_object(Bucket=bucket, Key="large", Body=content, Metadata={"a": "b"})
    process = begin(source, target, tmp_path, bucket, f"s3://{bucket}", "--rate", "16M")

    def list_parts() -> list[Any]:
        """When each part of the only upload was put, and its ETag."""
        for each in there.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
            named = {"Bucket": bucket, "Key": each["Key"], "UploadId": each["UploadId"]}
            parts = there.list_parts(**named).get("Parts", [])
            return [(part["LastModified"], part["ETag"]) for part in parts]
        return []

    until(lambda: len(list_parts()) >= 2, "parts")
    process.kill()
    process.communicate()
    before = list_parts()
    began = time.monotonic()
    process = begin(source, target, tmp_path, bucket, f"s3://{bucket}", "--rate", "8M")
    until(lambda: len(list_parts()) > len(before), "one more part")
    assert list_parts()[: len(before)] == before, "they were not sent again"
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert time.monotonic() - began > (4 - len(before)) * 2, "at 8 MiB a second, or less"
    assert read(there, bucket, "large")["content"] == content
    assert there.head_object(Bucket=bucket, Key="large")["ETag"].endswith('-4"')
    assert there.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_a_mirror_is_killed_again_and_again(
    source: Running, target: Running, here: Any, there: Any, bucket: str, tmp_path: Path
) -> None:
    keys = [f"k/{number:03}" for number in range(300)]
    for key in keys:
        here.put_object(Bucket=bucket, Key=key, Body=key.encode() * 50)
    for delay in (0.8, 1.0, 1.2, 1.5):
        process = begin(source, target, tmp_path, bucket, f"s3://{bucket}")
        time.sleep(delay)
        process.kill()
        process.communicate()
    facts = mirror(source, target, tmp_path, bucket, f"s3://{bucket}")
    assert (facts["seen"], facts["failures"]) == (300, [])
    for key in keys:
        assert read(there, bucket, key) == read(here, bucket, key)


def list_versions(s3: Any, bucket: str, key: str) -> list[bytes | None]:
    """The contents of a key's versions, the oldest first, None for a delete marker."""
    page = s3.list_object_versions(Bucket=bucket, Prefix=key)
    rows = [(row["LastModified"], row["VersionId"], False) for row in page.get("Versions", [])]
    rows += [(row["LastModified"], "", True) for row in page.get("DeleteMarkers", [])]
    rows.sort(key=lambda row: row[0])
    return [
        None if gone else s3.get_object(Bucket=bucket, Key=key, VersionId=name)["Body"].read()
        for _, name, gone in rows
    ]


def test_versions_come_in_their_order(
    source: Running, target: Running, here: Any, there: Any, bucket: str, tmp_path: Path
) -> None:
    here.put_object(Bucket=bucket, Key="ä", Body=b"null")
    for s3 in (here, there):
        enabled = {"Status": "Enabled"}
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)
    for body in (b"1", b"2", None, b"3", None, None):
        if body is None:
            here.delete_object(Bucket=bucket, Key="ä")
        else:
            here.put_object(Bucket=bucket, Key="ä", Body=body, Tagging=f"n={body.decode()}")
        time.sleep(0.002)
    wanted = [b"null", b"1", b"2", None, b"3", None, None]
    assert list_versions(here, bucket, "ä") == wanted
    options = (bucket, f"s3://{bucket}", "--versions")
    assert mirror(source, target, tmp_path, *options)["copied"] == 4
    assert list_versions(there, bucket, "ä") == wanted
    again = mirror(source, target, tmp_path, *options)
    assert (again["copied"], again["deleted"]) == (0, 0)
    here.put_object(Bucket=bucket, Key="ä", Body=b"4")
    assert mirror(source, target, tmp_path, *options)["copied"] == 1
    assert list_versions(there, bucket, "ä") == [*wanted, b"4"]
    tags = {"TagSet": [{"Key": "late", "Value": "1"}]}
    here.put_object_tagging(Bucket=bucket, Key="ä", Tagging=tags)
    mirror(source, target, tmp_path, *options)
    assert there.get_object_tagging(Bucket=bucket, Key="ä")["TagSet"] == tags["TagSet"]


def test_without_versioning_there_versions_are_refused(
    source: Running, target: Running, bucket: str, tmp_path: Path
) -> None:
    process = begin(source, target, tmp_path, bucket, f"s3://{bucket}", "--versions")
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, "put-bucket-versioning" in errors) == (1, True), errors


def test_a_bucket_is_not_mirrored_into_itself(
    source: Running, here: Any, bucket: str, tmp_path: Path
) -> None:
    here.put_object(Bucket=bucket, Key="a", Body=b"x")
    other_name = source.endpoint.replace("127.0.0.1", "localhost")
    process = begin(source, source, tmp_path, bucket, f"s3://{bucket}/p", endpoint=other_name)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, "itself" in errors) == (1, True), errors
    assert [each["Key"] for each in here.list_objects_v2(Bucket=bucket)["Contents"]] == ["a"]


def test_an_object_with_a_customers_key_is_named(
    source: Running, target: Running, there: Any, bucket: str, tmp_path: Path
) -> None:
    secure = source.client("s3", https=True)
    secure.put_object(
        Bucket=bucket, Key="sealed", Body=b"x", SSECustomerAlgorithm="AES256",
        SSECustomerKey=os.urandom(32),
    )  # fmt: skip
    secure.put_object(Bucket=bucket, Key="plain", Body=b"x", ServerSideEncryption="AES256")
    secure.close()
    facts = mirror(source, target, tmp_path, bucket, f"s3://{bucket}", status=1)
    (failure,) = facts["failures"]
    assert failure["key"] == "sealed"
    assert "Server Side Encryption" in failure["reason"], failure
    assert read(there, bucket, "plain")["content"] == b"x"


def test_changes_are_followed_until_it_is_told_to_end(
    source: Running, target: Running, here: Any, there: Any, bucket: str, tmp_path: Path
) -> None:
    here.put_object(Bucket=bucket, Key="first", Body=b"1")
    options = (bucket, f"s3://{bucket}", "--watch", "--delete")
    process = begin(source, target, tmp_path, *options)
    try:

        def listed() -> set[str]:
            page = there.list_objects_v2(Bucket=bucket)
            return {each["Key"] for each in page.get("Contents", [])}

        until(lambda: listed() == {"first"}, "the first")
        second = begin(source, target, tmp_path, *options)
        _, errors = second.communicate(timeout=60)
        assert (second.returncode, "mirrors the same" in errors) == (1, True), errors
        here.put_object(Bucket=bucket, Key="ü/second", Body=b"2")
        here.delete_object(Bucket=bucket, Key="first")
        until(lambda: listed() == {"ü/second"}, "the second")
        tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
        here.put_object_tagging(Bucket=bucket, Key="ü/second", Tagging=tags)
        until(
            lambda: there.get_object_tagging(Bucket=bucket, Key="ü/second")["TagSet"] != [], "tag"
        )
        source.kill()
        time.sleep(2)
        source.start()
        here.put_object(Bucket=bucket, Key="third", Body=b"3")
        until(lambda: listed() == {"ü/second", "third"}, "the third, after a kill of the cloud")
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "0 failed" in output


def test_a_destination_that_is_not_there_is_told(
    source: Running, target: Running, bucket: str, tmp_path: Path
) -> None:
    process = begin(source, target, tmp_path, bucket, "s3://none-such-box")
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, "is not there: make it first" in errors) == (1, True), errors
    wrong = begin(source, target, tmp_path, bucket, f"https://{bucket}")
    _, errors = wrong.communicate(timeout=60)
    assert (wrong.returncode, "s3://BUCKET" in errors) == (2, True), errors
