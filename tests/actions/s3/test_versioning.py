"""Versioning at the verbs: what is kept, shown, copied, deleted, and under which conditions."""

from datetime import timedelta
from typing import Any

import pytest

from eucabox.errors import Fault
from eucabox.store import version_ids
from tests.actions.shop import Shop

HERE: dict[str, Any] = {"bucket": "shop", "key": "k"}
ABSENT = version_ids.make(1, null=False)


def enable(shop: Shop, status: str = "Enabled") -> None:
    shop.ask("PutBucketVersioning", bucket="shop", versioning_configuration={"status": status})


def fault(shop: Shop, name: str, **params: Any) -> Fault:
    with pytest.raises(Fault) as caught:
        shop.ask(name, **params)
    return caught.value


def test_versioning_is_enabled_and_suspended(shop: Shop) -> None:
    assert shop.ask("GetBucketVersioning", bucket="shop") == {}
    for status in ("Suspended", "Enabled", "Enabled", "Suspended"):
        enable(shop, status)
        assert shop.ask("GetBucketVersioning", bucket="shop") == {"status": status}
    assert shop.refused("GetBucketVersioning", "bob", bucket="shop") == "AccessDenied"
    assert shop.refused("PutBucketVersioning", "bob", **_said(status="Enabled")) == "AccessDenied"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, "IllegalVersioningConfigurationException"),
        ({"status": "On"}, "MalformedXML"),
        ({"status": "Enabled", "mfa_delete": "Enabled"}, "NotImplemented"),
    ],
)
def test_an_invalid_versioning_status_is_refused(
    shop: Shop, members: dict[str, str], code: str
) -> None:
    assert shop.refused("PutBucketVersioning", **_said(**members)) == code
    assert shop.ask("GetBucketVersioning", bucket="shop") == {}


def _said(**configuration: str) -> dict[str, Any]:
    return {"bucket": "shop", "versioning_configuration": configuration}


def test_a_version_is_told_where_it_is_one(shop: Shop) -> None:
    assert "version_id" not in shop.put("k")
    assert "version_id" not in shop.ask("HeadObject", **HERE)
    enable(shop)
    assert shop.ask("HeadObject", **HERE)["version_id"] == "null"
    made = shop.put("k", b"new")["version_id"]
    assert shop.ask("HeadObject", **HERE)["version_id"] == made
    enable(shop, "Suspended")
    assert "version_id" not in shop.put("k", b"newer")
    assert shop.ask("HeadObject", **HERE)["version_id"] == "null"
    assert shop.get("k", version_id=made) == b"new"
    begun = shop.ask("CreateMultipartUpload", **HERE)["upload_id"]
    part = shop.ask("UploadPart", **HERE, upload_id=begun, part_number=1, body=b"part")
    enable(shop)
    listed = {"parts": [{"part_number": 1, "e_tag": part["e_tag"]}]}
    done = shop.ask("CompleteMultipartUpload", **HERE, upload_id=begun, multipart_upload=listed)
    assert shop.get("k", version_id=done["version_id"]) == b"part"


def test_a_marker_is_told_to_who_looks(shop: Shop) -> None:
    enable(shop)
    shop.put("k")
    hidden = shop.ask("DeleteObject", **HERE)
    marker = hidden["version_id"]
    assert hidden == {"version_id": marker, "delete_marker": True}
    for verb in ("GetObject", "HeadObject"):
        found = fault(shop, verb, **HERE)
        assert (found.code, found.facts["delete_marker"]) == ("NoSuchKey", marker)
        found = fault(shop, verb, **HERE, version_id=marker)
        assert found.code == "MethodNotAllowed"
        assert {"delete_marker", "last_modified"} <= found.facts.keys()
        assert shop.refused(verb, "bob", **HERE, version_id=marker) == "AccessDenied"
        assert shop.refused(verb, "bob", **HERE, version_id=ABSENT) == "AccessDenied"
    assert shop.refused("PutObjectAcl", **HERE, version_id=marker, acl="private") == (
        "MethodNotAllowed"
    )
    gone = shop.ask("DeleteObject", **HERE, version_id=marker)
    assert gone == {"version_id": marker, "delete_marker": True}
    assert shop.get("k") == b"x"


def test_the_listing(shop: Shop) -> None:
    shop.put("k")
    enable(shop)
    made = shop.put("k", b"new")["version_id"]
    marker = shop.ask("DeleteObject", **HERE)["version_id"]
    page = shop.ask("ListObjectVersions", bucket="shop")
    assert [each["version_id"] for each in page["versions"]] == [made, "null"]
    (shown,) = page["delete_markers"]
    assert (shown["version_id"], shown["is_latest"]) == (marker, True)
    members = {"key", "version_id", "is_latest", "last_modified", "owner"}
    assert shown.keys() == {*members, "position"}
    assert [each["position"] for each in (shown, *page["versions"])] == [0, 1, 2]
    page = shop.ask("ListObjectVersions", bucket="shop", max_keys=2)
    assert (page["next_key_marker"], page["next_version_id_marker"]) == ("k", made)
    rest = shop.ask(
        "ListObjectVersions", bucket="shop", key_marker="k", version_id_marker=made, max_keys=1
    )
    assert [each["version_id"] for each in rest["versions"]] == ["null"]
    assert not rest["is_truncated"]
    wrong = {"bucket": "shop", "key_marker": "k", "version_id_marker": "x"}
    assert shop.refused("ListObjectVersions", **wrong) == "InvalidArgument"
    assert shop.ask("ListObjectVersions", bucket="shop", max_keys=0)["versions"] == []


def test_only_the_owner_removes_versions(shop: Shop) -> None:
    enable(shop)
    made = shop.put("k")["version_id"]
    shop.ask("PutObjectAcl", **HERE, acl="public-read", version_id=made)
    assert shop.get("k", "", version_id=made) == b"x"
    assert shop.refused("DeleteObject", "bob", **HERE, version_id=made) == "AccessDenied"
    named = {"objects": [{"key": "k", "version_id": made}]}
    denied = shop.ask("DeleteObjects", "bob", bucket="shop", delete=named)
    assert denied["errors"][0]["code"] == "AccessDenied"


def test_many_are_deleted(shop: Shop) -> None:
    enable(shop)
    first, second = shop.put("a")["version_id"], shop.put("a")["version_id"]
    wanted = [{"key": "a", "version_id": first}, {"key": "a"}, {"key": "b", "version_id": "?"}]
    result = shop.ask("DeleteObjects", bucket="shop", delete={"objects": wanted})
    marker = result["deleted"][1]["delete_marker_version_id"]
    assert result["deleted"] == [
        {"key": "a", "version_id": first},
        {"key": "a", "delete_marker": True, "delete_marker_version_id": marker},
    ]
    assert [each["code"] for each in result["errors"]] == ["InvalidArgument"]
    wanted = [{"key": "a", "version_id": marker}, {"key": "a", "version_id": second}]
    for _ in range(2):
        result = shop.ask("DeleteObjects", bucket="shop", delete={"objects": wanted})
        assert len(result["deleted"]) == 2 and not result["errors"]
    shop.ask("DeleteBucket", bucket="shop")


def test_copies_of_versions(shop: Shop) -> None:
    enable(shop)
    old = shop.put("k", b"old")["version_id"]
    new = shop.put("k", b"new")["version_id"]
    source = {"bucket": "shop", "key": "k", "version_id": old}
    copied = shop.ask("CopyObject", **HERE, copy_source=source)
    assert copied["copy_source_version_id"] == old
    assert copied["version_id"] not in (old, new)
    assert shop.get("k") == b"old"
    plain = shop.ask("CopyObject", bucket="shop", key="l", copy_source={**source, "version_id": ""})
    assert plain["copy_source_version_id"] == copied["version_id"]
    begun = shop.ask("CreateMultipartUpload", bucket="shop", key="m")["upload_id"]
    upload = {"bucket": "shop", "key": "m", "upload_id": begun, "part_number": 1}
    part = shop.ask("UploadPartCopy", **upload, copy_source=source)
    assert part["copy_source_version_id"] == old
    marker = shop.ask("DeleteObject", **HERE)["version_id"]
    assert shop.refused("CopyObject", **HERE, copy_source=HERE) == "NoSuchKey"
    named = {**HERE, "version_id": marker}
    assert shop.refused("CopyObject", **HERE, copy_source=named) == "InvalidRequest"
    assert shop.refused("UploadPartCopy", **upload, copy_source=named) == "InvalidRequest"


def test_attributes_and_lists_of_a_version(shop: Shop) -> None:
    enable(shop)
    old = shop.put("k", b"old")["version_id"]
    shop.put("k", b"newer")
    request: dict[str, Any] = {**HERE, "object_attributes": ["ObjectSize"]}
    found = shop.ask("GetObjectAttributes", **request, version_id=old)
    assert (found["object_size"], found["version_id"]) == (3, old)
    shop.ask("PutObjectAcl", **HERE, version_id=old, acl="public-read")
    assert len(shop.ask("GetObjectAcl", **HERE, version_id=old)["grants"]) == 2
    assert len(shop.ask("GetObjectAcl", **HERE)["grants"]) == 1
    tags = {"tag_set": [{"key": "age", "value": "old"}]}
    assert shop.ask("PutObjectTagging", **HERE, tagging=tags, version_id=old) == {"version_id": old}
    assert shop.ask("GetObjectTagging", **HERE)["tag_set"] == []
    assert shop.ask("GetObjectTagging", **HERE, version_id=old) == {**tags, "version_id": old}
    shop.ask("DeleteObjectTagging", **HERE, version_id=old)
    assert shop.ask("GetObjectTagging", **HERE, version_id=old)["tag_set"] == []
    assert shop.refused("GetObjectAcl", **HERE, version_id=ABSENT) == "NoSuchVersion"


# --- conditions -------------------------------------------------------------------------------


def test_writes_under_conditions(shop: Shop) -> None:
    enable(shop)
    tag = shop.put("k", b"1", if_none_match="*")["e_tag"]
    body: dict[str, Any] = {**HERE, "body": b"2"}
    refused: list[dict[str, Any]] = [{"if_none_match": "*"}, {"if_none_match": tag}]
    for members in (*refused, {"if_match": '"0"'}):
        assert shop.refused("PutObject", **body, **members) == "PreconditionFailed"
    shop.put("k", b"2", if_match=tag)
    shop.put("k", b"3", if_none_match=tag)
    shop.ask("DeleteObject", **HERE)
    for wanted in ("*", tag):
        assert shop.refused("PutObject", **body, if_match=wanted) == "NoSuchKey"
    shop.put("k", b"4", if_none_match="*")
    source: dict[str, Any] = {"bucket": "shop", "key": "k"}
    copy: dict[str, Any] = {"bucket": "shop", "key": "k", "copy_source": source}
    copy["metadata_directive"] = "REPLACE"
    assert shop.refused("CopyObject", **copy, if_none_match="*") == "PreconditionFailed"
    shop.ask("CopyObject", **copy, if_match="*")


def test_deletions_under_conditions(shop: Shop) -> None:
    tag = shop.put("k", b"1")["e_tag"]
    when = shop.ask("HeadObject", **HERE)["last_modified"].replace(microsecond=0)
    early = when - timedelta(days=1)
    for members in (
        {"if_match": '"0"'},
        {"if_match_size": 2},
        {"if_match_last_modified_time": early},
    ):
        assert shop.refused("DeleteObject", **HERE, **members) == "PreconditionFailed"
    shop.ask(
        "DeleteObject", **HERE, if_match=tag, if_match_size=1, if_match_last_modified_time=when
    )
    for wanted in ("*", tag):
        assert shop.refused("DeleteObject", **HERE, if_match=wanted) == "NoSuchKey"
    shop.ask("DeleteObject", **HERE, if_match_size=7)
    shop.put("k", b"1")
    refused: list[dict[str, Any]] = [{"e_tag": "0"}, {"size": 2}, {"last_modified_time": early}]
    named = {"objects": [{"key": "k", **each} for each in refused]}
    result = shop.ask("DeleteObjects", bucket="shop", delete=named)
    assert [each["code"] for each in result["errors"]] == ["PreconditionFailed"] * 3
    held = {"objects": [{"key": "k", "e_tag": tag, "size": 1}]}
    assert shop.ask("DeleteObjects", bucket="shop", delete=held)["deleted"] == [{"key": "k"}]


@pytest.mark.not_fast
def test_deletions_under_conditions_with_versions(shop: Shop) -> None:
    enable(shop)
    made = shop.put("k", b"1")
    version = {**HERE, "version_id": made["version_id"]}
    assert shop.refused("DeleteObject", **version, if_match='"0"') == "PreconditionFailed"
    assert shop.ask("DeleteObject", **HERE, if_match=made["e_tag"])["delete_marker"]
    assert shop.refused("DeleteObject", **HERE, if_match="*") == "NoSuchKey"
    assert shop.refused("DeleteObject", **HERE, if_match_size=1) == "PreconditionFailed"
    shop.ask("DeleteObject", **version, if_match=made["e_tag"])
    shop.ask("DeleteObject", **version, if_match=made["e_tag"])
    assert shop.ask("ListObjectVersions", bucket="shop")["versions"] == []
