"""Uploads in parts: from the first to the object, and what goes wrong between."""

import io
from typing import Any

import pytest

from eucabox.errors import AccessDenied
from tests.actions.shop import Shop

HERE = {"bucket": "shop", "key": "k"}
LARGE = b"5" * (5 << 20)
SENT = ((2, LARGE), (5, b"end"))


def begin(shop: Shop, **members: Any) -> dict[str, Any]:
    made = shop.ask("CreateMultipartUpload", **HERE, **members)
    return {**HERE, "upload_id": made["upload_id"]}


def part(
    shop: Shop, upload: dict[str, Any], number: int, content: bytes, algorithm: str = ""
) -> dict[str, Any]:
    members = {"checksum_algorithm": algorithm} if algorithm else {}
    done = shop.ask("UploadPart", **upload, part_number=number, body=io.BytesIO(content), **members)
    sums = {name: value for name, value in done.items() if name.startswith("checksum_")}
    return {"part_number": number, "e_tag": done["e_tag"], **sums}


def complete(shop: Shop, upload: dict[str, Any], *parts: dict[str, Any], **members: Any) -> Any:
    listed = {"parts": list(parts)}
    return shop.ask("CompleteMultipartUpload", **upload, multipart_upload=listed, **members)


def test_an_upload_is_created_filled_and_completed(shop: Shop) -> None:
    upload = begin(
        shop, content_type="x/y", metadata={"a": "1"}, acl="public-read", checksum_algorithm="crc32"
    )
    parts = [part(shop, upload, number, content, "CRC32") for number, content in SENT]
    first = shop.ask("ListParts", **upload, max_parts=1)
    assert ([each["part_number"] for each in first["parts"]], first["is_truncated"]) == ([2], True)
    rest = shop.ask("ListParts", **upload, part_number_marker=first["next_part_number_marker"])
    assert [(each["part_number"], each["size"]) for each in rest["parts"]] == [(5, 3)]
    assert (rest["checksum_algorithm"], rest["checksum_type"]) == ("CRC32", "COMPOSITE")
    done = complete(shop, upload, *parts)
    assert done["location"] == "http://box:8773/shop/k"
    assert done["e_tag"].endswith('-2"')
    assert done["checksum_crc32"].endswith("-2")
    assert shop.get("k", "") == LARGE + b"end"
    assert shop.get("k", part_number=2) == b"end"
    head = shop.ask("HeadObject", **HERE, part_number=1)
    assert (head["parts_count"], head["content_range"]) == (2, f"bytes 0-5242879/{len(LARGE) + 3}")
    assert (head["content_type"], head["metadata"]) == ("x/y", {"a": "1"})
    found = shop.ask("GetObjectAttributes", **HERE, object_attributes=["ObjectParts"], max_parts=1)
    assert found["object_parts"]["total_parts_count"] == 2
    assert [each["size"] for each in found["object_parts"]["parts"]] == [len(LARGE)]
    assert complete(shop, upload, *parts, checksum_type="COMPOSITE")["e_tag"] == done["e_tag"]


def test_a_part_has_the_checksum_that_the_upload_named(shop: Shop) -> None:
    upload = begin(shop, checksum_algorithm="CRC32C")
    body = io.BytesIO(b"x")
    for members in ({"checksum_algorithm": "CRC32"}, {"checksum_sha1": "AAAA"}):
        part_of = {**upload, "part_number": 1, "body": body, **members}
        assert shop.refused("UploadPart", **part_of) == "InvalidRequest"
    assert shop.refused("UploadPart", **upload, part_number=1, body=body) == "InvalidRequest"
    done = complete(shop, upload, part(shop, upload, 1, b"x", "CRC32C"))
    assert done["checksum_type"] == "COMPOSITE"


def test_a_part_is_read_with_its_own_checksum(shop: Shop) -> None:
    upload = begin(shop, checksum_algorithm="CRC32", checksum_type="FULL_OBJECT")
    parts = [part(shop, upload, 1, LARGE), part(shop, upload, 2, b"end")]
    whole = complete(shop, upload, *parts)["checksum_crc32"]
    request: dict[str, Any] = {**HERE, "checksum_mode": "ENABLED"}
    assert shop.ask("HeadObject", **request)["checksum_crc32"] == whole
    found = shop.ask("HeadObject", **request, part_number=2)
    assert found["checksum_crc32"] == parts[1]["checksum_crc32"] != whole
    assert found["checksum_type"] == "FULL_OBJECT"
    assert "checksum_crc32" not in shop.ask("HeadObject", **request, range="bytes=0-1")


def test_parts_that_all_have_a_crc_give_the_whole_one(shop: Shop) -> None:
    upload = begin(shop)
    sent = [
        shop.ask("UploadPart", **upload, part_number=number, body=io.BytesIO(content),
                 checksum_algorithm="CRC32")
        for number, content in ((1, LARGE), (2, b"end"))
    ]  # fmt: skip
    parts = [{"part_number": at, "e_tag": each["e_tag"]} for at, each in enumerate(sent, 1)]
    shop.put("whole", LARGE + b"end", checksum_algorithm="CRC32")
    whole = shop.ask("HeadObject", bucket="shop", key="whole", checksum_mode="ENABLED")
    done = complete(shop, upload, *parts)
    assert (done["checksum_crc32"], done["checksum_type"]) == (
        whole["checksum_crc32"],
        "FULL_OBJECT",
    )


def test_a_part_that_is_named_twice_counts_as_last_named(shop: Shop) -> None:
    upload = begin(shop)
    first, second = part(shop, upload, 1, b"first"), part(shop, upload, 1, b"second")
    done = complete(shop, upload, first, second)
    assert shop.get("k") == b"second"
    assert complete(shop, upload, first, second)["e_tag"] == done["e_tag"]


def test_parts_are_copied_from_objects(shop: Shop) -> None:
    shop.put("source", b"0123456789")
    upload = begin(shop)
    copied = shop.ask(
        "UploadPartCopy", **upload, part_number=1, copy_source={"bucket": "shop", "key": "source"},
        copy_source_range="bytes=2-4",
    )["copy_part_result"]  # fmt: skip
    complete(shop, upload, {"part_number": 1, "e_tag": copied["e_tag"]})
    assert shop.get("k") == b"234"


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ("bytes=2-", "InvalidArgument"),
        ("bytes=-2", "InvalidArgument"),
        ("bytes=4-2", "InvalidArgument"),
        ("2-4", "InvalidArgument"),
        ("bytes=2-10", "InvalidRange"),
        (f"bytes=2-{'9' * 5000}", "InvalidRange"),
    ],
)
def test_bad_ranges_of_a_source(shop: Shop, wanted: str, code: str) -> None:
    shop.put("source", b"0123456789")
    source: dict[str, Any] = {
        "copy_source": {"bucket": "shop", "key": "source"},
        "copy_source_range": wanted,
    }
    assert shop.refused("UploadPartCopy", **begin(shop), part_number=1, **source) == code


def test_an_upload_with_wrong_parts_cannot_be_completed(shop: Shop) -> None:
    upload = begin(shop)
    one, two = part(shop, upload, 1, b"small"), part(shop, upload, 2, b"end")

    def refused(*parts: dict[str, Any], **members: Any) -> str:
        listed = {"parts": list(parts)}
        return shop.refused("CompleteMultipartUpload", **upload, multipart_upload=listed, **members)

    assert refused(two, one) == "InvalidPartOrder"
    assert refused(one, two) == "EntityTooSmall"
    assert refused({**one, "e_tag": '"0"'}) == "InvalidPart"
    assert refused({"part_number": 1}) == "MalformedXML"
    assert refused() == "MalformedXML"
    assert refused(one, mpu_object_size=1) == "InvalidRequest"
    assert refused(one, checksum_type="COMPOSITE") == "InvalidRequest"
    assert refused(one, checksum_crc32="AAAAAA==") == "InvalidRequest"
    assert refused(one, if_none_match="x", if_match="x") == "NotImplemented"
    shop.put("k")
    assert refused(one, if_none_match="*") == "PreconditionFailed"
    complete(shop, upload, one, mpu_object_size=5)
    assert shop.get("k") == b"small"


def test_uploads_are_listed_and_aborted(shop: Shop) -> None:
    for key in ("a/1", "a/2", "b"):
        shop.ask("CreateMultipartUpload", bucket="shop", key=key)
    page = shop.ask("ListMultipartUploads", bucket="shop", delimiter="/", max_uploads=1)
    assert (page["uploads"], page["common_prefixes"]) == ([], [{"prefix": "a/"}])
    rest = shop.ask("ListMultipartUploads", bucket="shop", delimiter="/",
                    key_marker=page["next_key_marker"])  # fmt: skip
    assert [each["key"] for each in rest["uploads"]] == ["b"]
    assert rest["uploads"][0]["initiator"]["display_name"] == "ann"
    gone = {"bucket": "shop", "key": "b", "upload_id": rest["uploads"][0]["upload_id"]}
    assert shop.refused("AbortMultipartUpload", "bob", **gone) == "AccessDenied"
    shop.ask("AbortMultipartUpload", **gone)
    assert shop.refused("AbortMultipartUpload", **gone) == "NoSuchUpload"
    assert shop.refused("UploadPart", **gone, part_number=1) == "NoSuchUpload"
    assert shop.refused("ListParts", **gone) == "NoSuchUpload"


def test_parts_have_numbers_from_1_to_10000(shop: Shop) -> None:
    upload = begin(shop)
    for number in (0, 10_001):
        assert shop.refused("UploadPart", **upload, part_number=number) == "InvalidArgument"


def test_an_upload_is_for_who_began_it_and_the_owner_of_the_bucket(shop: Shop) -> None:
    shop.ask("PutBucketAcl", bucket="shop", acl="public-read-write")
    shop.put("other")
    for who, others in (("bob", ("", "admin")), ("ann", ("", "bob"))):
        begun = shop.ask("CreateMultipartUpload", who, bucket="shop", key="k")
        it = {"bucket": "shop", "key": "k", "upload_id": begun["upload_id"]}
        source = {"bucket": "shop", "key": "other"}
        for other in others:
            part = {**it, "part_number": 1}
            body = io.BytesIO(b"x")
            assert shop.refused("UploadPart", other, **part, body=body) == "AccessDenied"
            members = {**part, "copy_source": source}
            assert shop.refused("UploadPartCopy", other, **members) == "AccessDenied"
            for verb in ("ListParts", "CompleteMultipartUpload", "AbortMultipartUpload"):
                assert shop.refused(verb, other, **it) == "AccessDenied"
        for mine in {who, "ann"}:
            shop.ask("UploadPart", mine, **it, part_number=1, body=io.BytesIO(b"x"))
            assert len(shop.ask("ListParts", mine, **it)["parts"]) == 1
        shop.ask("AbortMultipartUpload", who, **it)


def test_an_anonymous_caller_cannot_create_an_upload(shop: Shop) -> None:
    shop.ask("PutBucketAcl", bucket="shop", acl="public-read-write")
    shop.put("other", who="")
    with pytest.raises(AccessDenied, match="Anonymous users cannot initiate multipart uploads"):
        shop.ask("CreateMultipartUpload", "", bucket="shop", key="k")
