"""Objects: what is kept of them, and which of their bytes are answered."""

import base64
import hashlib
import io
from datetime import timedelta
from typing import Any

import pytest

from eucabox.store import version_ids
from tests.actions.shop import Shop

OTHER = version_ids.make(1, null=False)
HERE = {"bucket": "shop", "key": "k"}
DATA = b"0123456789"
MANY_DIGITS = "9" * 5000  # more than int() takes


def md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()


def test_all_that_is_said_of_an_object_is_kept(shop: Shop) -> None:
    members: dict[str, Any] = {
        "content_type": "x/y",
        "metadata": {"a": "1"},
        "cache_control": "c",
        "content_disposition": "d",
        "content_encoding": "e",
        "content_language": "l",
        "expires": "whenever",
        "website_redirect_location": "/w",
        "storage_class": "STANDARD_IA",
    }
    shop.put("k", DATA, **members)
    found = shop.ask("HeadObject", **HERE)
    assert {name: found[name] for name in members} == members
    assert (found["content_length"], found["e_tag"]) == (10, f'"{hashlib.md5(DATA).hexdigest()}"')
    plain = shop.put("plain") and shop.ask("HeadObject", bucket="shop", key="plain")
    assert plain["content_type"] == "binary/octet-stream"
    assert "storage_class" not in plain
    changed = shop.ask("HeadObject", **HERE, response_content_type="z", response_expires="never")
    assert (changed["content_type"], changed["expires"]) == ("z", "never")
    anonymous = {**HERE, "response_content_type": "z"}
    assert shop.refused("GetObject", "", **anonymous) == "InvalidRequest"


@pytest.mark.parametrize(
    "member",
    ["write_offset_bytes", "checksum_md4"],
)
def test_members_that_would_change_the_outcome_are_refused(shop: Shop, member: str) -> None:
    body = io.BytesIO(DATA)
    code = shop.refused("PutObject", **HERE, body=body, **{member: "x"})
    assert code == "UnsupportedOperation"
    assert body.tell() == 0
    assert shop.refused("HeadObject", **HERE) == "NoSuchKey"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"content_md5": md5(b"other")}, "BadDigest"),
        ({"content_md5": "short"}, "InvalidDigest"),
        ({"checksum_crc32": "AAAAAA=="}, "BadDigest"),
        ({"checksum_crc32": "short"}, "BadDigest"),
        ({"checksum_crc32": "AAAAAA==", "checksum_sha1": "x"}, "InvalidRequest"),
        ({"checksum_crc32": "AAAAAA==", "checksum_algorithm": "SHA1"}, "InvalidRequest"),
        ({"storage_class": "FLOPPY"}, "InvalidStorageClass"),
        ({"metadata": {"a": "x" * 2048}}, "MetadataTooLarge"),
        ({"if_match": "*", "if_none_match": "*"}, "NotImplemented"),
        ({"if_match": '"0"'}, "NoSuchKey"),
    ],
)
def test_refused_bodies_leave_nothing(shop: Shop, members: dict[str, Any], code: str) -> None:
    assert shop.refused("PutObject", **HERE, body=io.BytesIO(DATA), **members) == code
    assert shop.ask("ListObjects", bucket="shop")["contents"] == []


def test_rights_are_checked_before_the_body_is_read(shop: Shop) -> None:
    body = io.BytesIO(DATA)
    assert shop.refused("PutObject", "bob", **HERE, body=body) == "AccessDenied"
    assert shop.refused("PutObject", bucket="nowhere", key="k", body=body) == "NoSuchBucket"
    assert body.tell() == 0


@pytest.mark.parametrize(
    ("wanted", "content", "shown"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-99", DATA, "bytes 0-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
        (f"bytes={'0' * 5000}8-{MANY_DIGITS}", b"89", "bytes 8-9/10"),
        (f"bytes=-{MANY_DIGITS}", DATA, "bytes 0-9/10"),
        ("bytes=1-2,4-5", DATA, None),
        ("bytes=3-1", DATA, None),
        ("bytes=-", DATA, None),
        ("pages=1-2", DATA, None),
        ("", DATA, None),
    ],
)
def test_ranges(shop: Shop, wanted: str, content: bytes, shown: str | None) -> None:
    shop.put("k", DATA)
    assert shop.get("k", range=wanted) == content
    head = shop.ask("HeadObject", **HERE, range=wanted)
    assert (head.get("content_range"), head["content_length"]) == (shown, len(content))


@pytest.mark.parametrize(
    "wanted", ["bytes=10-", "bytes=10-12", "bytes=-0", f"bytes={MANY_DIGITS}-"]
)
def test_ranges_beyond_the_end(shop: Shop, wanted: str) -> None:
    shop.put("k", DATA)
    assert shop.refused("GetObject", **HERE, range=wanted) == "InvalidRange"
    shop.put("k", b"")
    assert shop.refused("GetObject", **HERE, range="bytes=0-") == "InvalidRange"
    assert shop.get("k") == b""


def test_parts_of_an_object_that_has_none(shop: Shop) -> None:
    shop.put("k", DATA)
    assert shop.get("k", part_number=1) == DATA
    assert shop.refused("GetObject", **HERE, part_number=2) == "InvalidPart"
    both: dict[str, Any] = {**HERE, "part_number": 1, "range": "bytes=0-1"}
    assert shop.refused("GetObject", **both) == "InvalidRequest"


def test_checksums_are_told_where_asked(shop: Shop) -> None:
    digest = base64.b64encode(hashlib.sha256(DATA).digest()).decode()
    put = shop.put("k", DATA, checksum_sha256=digest)
    assert (put["checksum_sha256"], put["checksum_type"]) == (digest, "FULL_OBJECT")
    assert "checksum_sha256" not in shop.ask("HeadObject", **HERE)
    request = {**HERE, "checksum_mode": "ENABLED"}
    assert shop.ask("HeadObject", **request)["checksum_sha256"] == digest
    assert "checksum_sha256" not in shop.ask("HeadObject", **request, range="bytes=0-1")
    assert shop.put("n", DATA, checksum_algorithm="sha256")["checksum_sha256"] == digest


def test_conditions_on_reading(shop: Shop) -> None:
    tag = shop.put("k", DATA)["e_tag"]
    modified = shop.ask("HeadObject", **HERE)["last_modified"].replace(microsecond=0)
    before, after = modified - timedelta(seconds=1), modified + timedelta(seconds=1)
    for holds in (
        {"if_match": tag},
        {"if_match": f'"0", {tag}'},
        {"if_match": "*", "if_unmodified_since": before},
        {"if_none_match": '"0"', "if_modified_since": after},
        {"if_modified_since": before},
        {"if_unmodified_since": modified},
    ):
        assert shop.get("k", **holds) == DATA
    for fails in ({"if_match": '"0"'}, {"if_unmodified_since": before}):
        assert shop.refused("GetObject", **HERE, **fails) == "PreconditionFailed"
    for same in ({"if_none_match": tag}, {"if_none_match": "*"}, {"if_modified_since": modified}):
        assert shop.refused("HeadObject", **HERE, **same) == "NotModified"


def test_conditions_on_writing(shop: Shop) -> None:
    tag = shop.put("k", b"1", if_none_match="*")["e_tag"]
    assert shop.refused("PutObject", **HERE, if_none_match="*") == "PreconditionFailed"
    assert shop.refused("PutObject", **HERE, if_match='"0"') == "PreconditionFailed"
    shop.put("k", b"2", if_match=tag)
    assert shop.refused("DeleteObject", **HERE, if_match=tag) == "PreconditionFailed"
    assert shop.get("k") == b"2"


def test_only_the_version_null_exists(shop: Shop) -> None:
    shop.put("k", DATA)
    assert shop.get("k", version_id="null") == DATA
    assert shop.refused("GetObject", **HERE, version_id="1") == "InvalidArgument"
    assert shop.refused("DeleteObject", **HERE, version_id="1") == "InvalidArgument"
    assert shop.refused("GetObject", **HERE, version_id=OTHER) == "NoSuchVersion"
    assert shop.ask("DeleteObject", **HERE, version_id=OTHER) == {"version_id": OTHER}
    assert shop.get("k") == DATA
    shop.ask("DeleteObject", **HERE, version_id="null")
    shop.ask("DeleteObject", **HERE)


def test_many_are_deleted_each_with_its_own_outcome(shop: Shop) -> None:
    tag = shop.put("a")["e_tag"]
    shop.put("b")
    wanted = [{"key": "a", "e_tag": tag}, {"key": "missing"}, {"key": "b", "version_id": "1"}]
    result = shop.ask("DeleteObjects", bucket="shop", delete={"objects": wanted})
    assert result["deleted"] == [{"key": "a"}, {"key": "missing"}]
    assert [(each["key"], each["code"]) for each in result["errors"]] == [("b", "InvalidArgument")]
    quiet = {"objects": [{"key": "b"}, {"key": "c"}], "quiet": True}
    assert shop.ask("DeleteObjects", bucket="shop", delete=quiet) == {"errors": []}
    denied = shop.ask("DeleteObjects", "bob", bucket="shop", delete={"objects": [{"key": "b"}]})
    assert denied["errors"][0]["code"] == "AccessDenied"
    for objects in ([], [{"key": "k"}] * 1001):
        code = shop.refused("DeleteObjects", bucket="shop", delete={"objects": objects})
        assert code == "MalformedXML"


def test_attributes(shop: Shop) -> None:
    shop.put("k", DATA, checksum_algorithm="CRC32")
    request = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    found = shop.ask("GetObjectAttributes", **HERE, object_attributes=request)
    assert found["e_tag"] == hashlib.md5(DATA).hexdigest()
    assert set(found["checksum"]) == {"checksum_crc32", "checksum_type"}
    assert (found["object_size"], found["storage_class"]) == (10, "STANDARD")
    assert "object_parts" not in found
    unknown: dict[str, Any] = {**HERE, "object_attributes": ["Colour"]}
    assert shop.refused("GetObjectAttributes", **unknown) == "InvalidRequest"
    for nothing in ([], [""]):
        asked_for: dict[str, Any] = {**HERE, "object_attributes": nothing}
        assert shop.refused("GetObjectAttributes", **asked_for) == "InvalidRequest"


def test_a_copy_keeps_or_replaces_what_was_said(shop: Shop) -> None:
    shop.put("k", DATA, metadata={"a": "1"}, content_type="x/y", acl="public-read",
             website_redirect_location="/w")  # fmt: skip
    source = {"bucket": "shop", "key": "k"}
    shop.ask("CopyObject", bucket="shop", key="kept", copy_source=source)
    properties = shop.store.head("shop", "kept").properties
    assert (properties.metadata, properties.content_type, properties.acl, properties.headers) == (
        {"a": "1"},
        "x/y",
        None,
        {},
    )
    shop.ask("CopyObject", **HERE, copy_source=source, metadata_directive="REPLACE",
             metadata={"b": "2"}, cache_control="c")  # fmt: skip
    new = shop.store.head("shop", "k").properties
    assert (new.metadata, new.content_type) == ({"b": "2"}, "binary/octet-stream")
    assert new.headers == {"cache_control": "c"}
    assert shop.get("k") == DATA


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, "InvalidRequest"),
        ({"metadata_directive": "MAYBE"}, "InvalidArgument"),
        ({"tagging_directive": "MAYBE"}, "InvalidArgument"),
        ({"copy_source": {"bucket": "shop", "key": "none"}}, "NoSuchKey"),
        ({"copy_source": {"bucket": "none", "key": "k"}}, "NoSuchBucket"),
        ({"copy_source": {"bucket": "shop", "key": "k", "version_id": "1"}}, "InvalidArgument"),
        ({"copy_source": {"bucket": "shop", "key": "k", "version_id": OTHER}}, "NoSuchVersion"),
        ({"copy_source_if_match": "0", "storage_class": "STANDARD"}, "PreconditionFailed"),
        ({"copy_source_if_none_match": "*", "storage_class": "STANDARD"}, "PreconditionFailed"),
    ],
)
def test_refused_copies(shop: Shop, members: dict[str, Any], code: str) -> None:
    shop.put("k", DATA)
    source = {"bucket": "shop", "key": "k"}
    assert shop.refused("CopyObject", **{**HERE, "copy_source": source, **members}) == code


def test_a_copy_needs_rights_on_both_sides(shop: Shop) -> None:
    shop.put("k", DATA)
    shop.ask("CreateBucket", "bob", bucket="theirs")
    source = {"bucket": "shop", "key": "k"}
    taken: dict[str, Any] = {"bucket": "theirs", "key": "k", "copy_source": source}
    assert shop.refused("CopyObject", "bob", **taken) == "AccessDenied"
    shop.ask("PutObjectAcl", **HERE, acl="authenticated-read")
    shop.ask("CopyObject", "bob", **taken)
    assert shop.refused("CopyObject", **taken) == "AccessDenied"
    bob = shop.people["bob"]
    assert bob
    assert shop.store.head("theirs", "k").properties.owner == bob.account_id
