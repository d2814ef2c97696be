"""What S3's verbs make of encryption headers and of a bucket's setting."""

import base64
import hashlib
import io
from typing import Any

import pytest

from eucabox.actions import Call, perform
from eucabox.errors import Fault
from eucabox.s3.encryption import bucket_default
from tests.actions.conftest import ACCOUNT
from tests.actions.shop import Shop

HERE: dict[str, Any] = {"bucket": "shop", "key": "key"}
ARN = f"arn:aws:kms:eucabox-1:{ACCOUNT}:key/"
RULES = "server_side_encryption_configuration"
CONTEXT = base64.b64encode(b'{"for": "ann"}').decode()


def customer_key(secret: bytes = b"c" * 32, prefix: str = "", **changed: str) -> dict[str, Any]:
    md5 = base64.b64encode(hashlib.md5(secret, usedforsecurity=False).digest()).decode()
    members = {"algorithm": "AES256", "key": base64.b64encode(secret).decode(), "key_md5": md5}
    return {f"{prefix}sse_customer_{name}": value for name, value in {**members, **changed}.items()}


CUSTOMER, OTHER = customer_key(), customer_key(b"d" * 32)
SOURCE = customer_key(prefix="copy_source_")
KMS: dict[str, Any] = {"server_side_encryption": "aws:kms", "ssekms_key_id": "first"}
S3: dict[str, Any] = {"server_side_encryption": "AES256"}
SHOWN_C: dict[str, Any] = {
    name: CUSTOMER[name] for name in ("sse_customer_algorithm", "sse_customer_key_md5")
}


def encryption(members: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in members.items() if "sse" in name or "encryption" in name}


def default(shop: Shop, method: str, key: str = "", **more: Any) -> None:
    inner = {"sse_algorithm": method, **({"kms_master_key_id": key} if key else {})}
    rule: dict[str, Any] = {"apply_server_side_encryption_by_default": inner, **more}
    members: dict[str, Any] = {RULES: {"rules": [rule]}}
    shop.ask("PutBucketEncryption", bucket="shop", **members)


@pytest.mark.parametrize(
    ("members", "reading", "shown"),
    [
        (S3, {}, S3),
        (KMS, {}, {**KMS, "ssekms_key_id": f"{ARN}first"}),
        ({"server_side_encryption": "aws:kms"}, {}, {**KMS, "ssekms_key_id": f"{ARN}aws-s3"}),
        (CUSTOMER, CUSTOMER, SHOWN_C),
    ],
)
def test_every_answer_says_how(
    shop: Shop, members: dict[str, Any], reading: dict[str, Any], shown: dict[str, Any]
) -> None:
    assert encryption(shop.put("key", b"content", **members)) == shown
    assert shop.get("key", **reading) == b"content"
    assert shop.get("key", **reading, range="bytes=2-3") == b"nt"
    assert encryption(shop.ask("HeadObject", **HERE, **reading)) == shown
    got = shop.ask("GetObject", **HERE, **reading)
    got["body"].close()
    assert encryption(got) == shown and not got["body"].direct
    made = shop.ask("CopyObject", bucket="shop", key="copy", copy_source=HERE, **members,
                    **(SOURCE if reading else {}))  # fmt: skip
    assert encryption(made) == shown
    begun = shop.ask("CreateMultipartUpload", **HERE, **members)
    where: dict[str, Any] = {**HERE, "upload_id": begun["upload_id"]}
    assert encryption(begun) == shown
    part = shop.ask("UploadPart", **where, part_number=1, body=io.BytesIO(b"part"), **reading)
    assert encryption(part) == shown
    copied = shop.ask("UploadPartCopy", **where, part_number=1, copy_source=HERE, **reading,
                      **(SOURCE if reading else {}))  # fmt: skip
    assert encryption(copied) == shown
    named = [{"part_number": 1, "e_tag": copied["copy_part_result"]["e_tag"]}]
    shop.ask("ListParts", **where, **reading)
    done = shop.ask(
        "CompleteMultipartUpload", **where, multipart_upload={"parts": named}, **reading
    )
    assert encryption(done) == shown
    assert shop.get("key", **reading) == b"content"
    wanted = ["ObjectSize"]
    answer = shop.ask("GetObjectAttributes", **HERE, **reading, object_attributes=wanted)
    assert answer["object_size"] == 7


def test_a_context_and_a_bucket_key_are_told_back(shop: Shop) -> None:
    members: dict[str, Any] = {
        **KMS,
        "ssekms_encryption_context": CONTEXT,
        "bucket_key_enabled": True,
    }
    made = shop.put("key", **members)
    assert (made["ssekms_encryption_context"], made["bucket_key_enabled"]) == (CONTEXT, True)
    found = shop.ask("HeadObject", **HERE)
    assert found["bucket_key_enabled"] is True
    assert "ssekms_encryption_context" not in found


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"server_side_encryption": "aes:kms"}, "InvalidArgument"),
        ({"server_side_encryption": "aws:kms:dsse"}, "NotImplemented"),
        ({"ssekms_key_id": "first"}, "InvalidArgument"),
        ({**S3, "ssekms_key_id": "first"}, "InvalidArgument"),
        ({**S3, "ssekms_encryption_context": CONTEXT}, "InvalidArgument"),
        ({**S3, **CUSTOMER}, "InvalidArgument"),
        ({**KMS, **CUSTOMER}, "InvalidArgument"),
        ({**KMS, "ssekms_key_id": "third"}, "KMS.NotFoundException"),
        ({**KMS, "ssekms_key_id": "master"}, "KMS.NotFoundException"),
        ({**KMS, "ssekms_encryption_context": "!"}, "InvalidArgument"),
        ({**KMS, "ssekms_encryption_context": "WzFd"}, "InvalidArgument"),  # [1]
        ({**KMS, "ssekms_encryption_context": "eyJhIjoxfQ=="}, "InvalidArgument"),  # {"a":1}
        (customer_key(algorithm="AES192"), "InvalidArgument"),
        (customer_key(algorithm=""), "InvalidArgument"),
        (customer_key(key=""), "InvalidArgument"),
        (customer_key(key_md5=""), "InvalidArgument"),
        (customer_key(key_md5=OTHER["sse_customer_key_md5"]), "InvalidArgument"),
        (customer_key(key_md5="!"), "InvalidArgument"),
        (customer_key(key="!"), "InvalidArgument"),
        (customer_key(b"c" * 16), "InvalidArgument"),
    ],
)  # fmt: skip
def test_an_invalid_encryption_of_a_write_is_refused(
    shop: Shop, members: dict[str, Any], code: str
) -> None:
    body = io.BytesIO(b"content")
    assert shop.refused("PutObject", **HERE, body=body, **members) == code
    assert body.tell() == 0
    assert shop.refused("CreateMultipartUpload", **HERE, **members) == code
    shop.put("from")
    to: dict[str, Any] = {
        "bucket": "shop",
        "key": "to",
        "copy_source": {"bucket": "shop", "key": "from"},
    }
    assert shop.refused("CopyObject", **to, **members) == code


@pytest.mark.parametrize("verb", ["GetObject", "HeadObject", "GetObjectAttributes"])
def test_an_encryption_header_on_a_read_is_refused(shop: Shop, verb: str) -> None:
    more: dict[str, Any] = {"object_attributes": ["ETag"]} if verb == "GetObjectAttributes" else {}
    ask = {**HERE, **more}
    shop.put("key")
    assert shop.refused(verb, **ask, **CUSTOMER) == "InvalidRequest"
    if not more:
        assert shop.refused(verb, **ask, **S3) == "InvalidArgument"
    shop.put("key", **CUSTOMER)
    assert shop.refused(verb, **ask) == "InvalidRequest"
    assert shop.refused(verb, **ask, **OTHER) == "InvalidRequest"
    broken = customer_key(key_md5=OTHER["sse_customer_key_md5"])
    assert shop.refused(verb, **ask, **broken) == "InvalidArgument"


def test_no_fault_has_the_key_in_it(shop: Shop) -> None:
    shop.put("key", **CUSTOMER)
    for members in (
        customer_key(algorithm="x"),
        customer_key(key_md5="x"),
        customer_key(b"short"),
        OTHER,
    ):
        with pytest.raises(Fault) as caught:
            shop.ask("GetObject", **HERE, **members)
        facts = repr(caught.value.facts) + caught.value.message
        assert members["sse_customer_key"] not in facts


def test_copies_need_the_source_s_key(shop: Shop) -> None:
    shop.put("key", b"content", **CUSTOMER)
    to: dict[str, Any] = {"bucket": "shop", "key": "to", "copy_source": HERE}
    assert shop.refused("CopyObject", **to) == "InvalidRequest"
    assert shop.refused("CopyObject", **to, **CUSTOMER) == "InvalidRequest"
    other = customer_key(b"d" * 32, prefix="copy_source_")
    assert shop.refused("CopyObject", **to, **other) == "InvalidRequest"
    shop.ask("CopyObject", **to, **SOURCE)
    assert shop.get("to") == b"content"


def test_a_self_copy_may_change_the_encryption_alone(shop: Shop) -> None:
    shop.put("key", b"content", metadata={"a": "b"})
    assert shop.refused("CopyObject", **HERE, copy_source=HERE) == "InvalidRequest"
    shop.ask("CopyObject", **HERE, copy_source=HERE, **S3)
    found = shop.ask("HeadObject", **HERE)
    assert (encryption(found), found["metadata"]) == (S3, {"a": "b"})


def test_a_self_copy_may_change_the_encryption_by_the_default_of_the_bucket(shop: Shop) -> None:
    shop.put("key", b"content")
    default = {"sse_algorithm": "AES256"}
    rules = [{"apply_server_side_encryption_by_default": default}]
    setting: dict[str, Any] = {"server_side_encryption_configuration": {"rules": rules}}
    shop.ask("PutBucketEncryption", bucket="shop", **setting)
    shop.ask("CopyObject", **HERE, copy_source=HERE)
    assert encryption(shop.ask("HeadObject", **HERE)) == S3
    assert shop.refused("CopyObject", **HERE, copy_source=HERE) == "InvalidRequest"
    shop.ask("DeleteBucketEncryption", bucket="shop")
    shop.ask("CopyObject", **HERE, copy_source=HERE)
    assert encryption(shop.ask("HeadObject", **HERE)) == {}


def test_a_self_copy_may_leave_the_caller_s_key_behind(shop: Shop) -> None:
    shop.put("key", b"content", **CUSTOMER)
    shop.ask("CopyObject", **HERE, copy_source=HERE, **SOURCE)
    assert shop.get("key") == b"content"


def test_parts_need_the_upload_s_key(shop: Shop) -> None:
    upload = shop.ask("CreateMultipartUpload", **HERE, **CUSTOMER)["upload_id"]
    where: dict[str, Any] = {**HERE, "upload_id": upload}
    part = {**where, "part_number": 1, "body": io.BytesIO(b"part")}
    assert shop.refused("UploadPart", **part) == "InvalidRequest"
    assert shop.refused("UploadPart", **part, **OTHER) == "InvalidRequest"
    made = shop.ask("UploadPart", **part, **CUSTOMER)
    assert shop.refused("ListParts", **where, **OTHER) == "InvalidRequest"
    named = {"parts": [{"part_number": 1, "e_tag": made["e_tag"]}]}
    done = {**where, "multipart_upload": named}
    assert shop.refused("CompleteMultipartUpload", **done, **OTHER) == "InvalidRequest"
    shop.ask("CompleteMultipartUpload", **done, **CUSTOMER)
    assert shop.get("key", **CUSTOMER) == b"part"
    plain = shop.ask("CreateMultipartUpload", **HERE)["upload_id"]
    part = {**HERE, "upload_id": plain, "part_number": 1, "body": io.BytesIO(b"part")}
    assert shop.refused("UploadPart", **part, **CUSTOMER) == "InvalidRequest"


def test_completing_needs_the_key_where_there_are_checksums(shop: Shop) -> None:
    members = {"checksum_algorithm": "CRC32", **CUSTOMER}
    upload = shop.ask("CreateMultipartUpload", **HERE, **members)["upload_id"]
    where: dict[str, Any] = {**HERE, "upload_id": upload}
    part = {**where, "part_number": 1, "body": io.BytesIO(b"part")}
    made = shop.ask("UploadPart", **part, **CUSTOMER, checksum_algorithm="CRC32")
    named = {"parts": [{"part_number": 1, "e_tag": made["e_tag"]}]}
    assert (
        shop.refused("CompleteMultipartUpload", **where, multipart_upload=named) == "InvalidRequest"
    )
    shop.ask("CompleteMultipartUpload", **where, multipart_upload=named, **CUSTOMER)


def test_completing_needs_no_key_where_only_the_server_sums(shop: Shop) -> None:
    upload = shop.ask("CreateMultipartUpload", **HERE, **CUSTOMER)["upload_id"]
    where: dict[str, Any] = {**HERE, "upload_id": upload}
    part = {**where, "part_number": 1, "body": io.BytesIO(b"part")}
    made = shop.ask("UploadPart", **part, **CUSTOMER)
    assert "checksum_crc64_nvme" in made
    shop.ask("UploadPart", **{**part, "part_number": 2}, **CUSTOMER, checksum_algorithm="CRC32")
    named = {"parts": [{"part_number": 1, "e_tag": made["e_tag"]}]}
    ask = {**where, "multipart_upload": named}
    assert shop.refused("CompleteMultipartUpload", **ask) == "InvalidRequest"  # a client sums too
    part["body"] = io.BytesIO(b"part")
    shop.ask("UploadPart", **{**part, "part_number": 2}, **CUSTOMER)
    done = shop.ask("CompleteMultipartUpload", **where, multipart_upload=named)
    assert done["checksum_type"] == "FULL_OBJECT"


def test_kms_is_for_those_who_sign(shop: Shop) -> None:
    shop.put("key", acl="public-read", **KMS)
    assert shop.refused("GetObject", "", **HERE) == "InvalidArgument"
    assert shop.refused("HeadObject", "", **HERE) == "InvalidArgument"
    shop.put("key", b"open", acl="public-read", **S3)
    assert shop.get("key", "") == b"open"


@pytest.mark.parametrize(
    ("source", "https", "secure", "fine"),
    [
        ("192.0.2.1", "https", "false", False),
        ("192.0.2.1", "https", "true", True),
        ("192.0.2.1", "", "false", True),
        ("127.0.0.1", "https", "false", True),
        ("::1", "https", "false", True),
        ("", "https", "false", True),
        ("odd", "https", "false", False),
    ],
)
def test_keys_do_not_cross_a_network_in_the_clear(
    shop: Shop, source: str, https: str, secure: str, fine: bool
) -> None:
    context = {"source_ip": source, "https": https, "secure": secure}
    call = Call(shop.cloud, shop.people["ann"], "r", context=context)
    params = {**HERE, "body": io.BytesIO(b"x"), **CUSTOMER}
    if fine:
        perform("s3", "PutObject", call, params)
        return
    with pytest.raises(Fault, match="secure connection"):
        perform("s3", "PutObject", call, params)


# --- a bucket's setting ------------------------------------------------------------------------


def test_the_setting_of_a_bucket(shop: Shop) -> None:
    code = "ServerSideEncryptionConfigurationNotFoundError"
    assert shop.refused("GetBucketEncryption", bucket="shop") == code
    default(shop, "aws:kms", "first", bucket_key_enabled=True)
    found = shop.ask("GetBucketEncryption", bucket="shop")[RULES]["rules"]
    inner = {"sse_algorithm": "aws:kms", "kms_master_key_id": "first"}
    assert found == [{"apply_server_side_encryption_by_default": inner, "bucket_key_enabled": True}]
    assert shop.refused("GetBucketEncryption", "bob", bucket="shop") == "AccessDenied"
    assert shop.refused("DeleteBucketEncryption", "bob", bucket="shop") == "AccessDenied"
    for _ in range(2):
        shop.ask("DeleteBucketEncryption", bucket="shop")
    assert shop.refused("GetBucketEncryption", bucket="shop") == code


def test_the_setting_is_for_who_says_nothing(shop: Shop) -> None:
    shop.put("before", b"plain")
    default(shop, "aws:kms", "alias/first", bucket_key_enabled=True)
    made = shop.put("key")
    assert (made["ssekms_key_id"], made["bucket_key_enabled"]) == (f"{ARN}first", True)
    assert encryption(shop.put("own", **S3)) == S3
    assert encryption(shop.put("own", **CUSTOMER)) == SHOWN_C
    members: dict[str, Any] = {"server_side_encryption": "aws:kms"}
    assert shop.put("own", **members)["ssekms_key_id"] == f"{ARN}aws-s3"
    to: dict[str, Any] = {
        "bucket": "shop",
        "key": "to",
        "copy_source": {"bucket": "shop", "key": "before"},
    }
    assert shop.ask("CopyObject", **to)["ssekms_key_id"] == f"{ARN}first"
    assert shop.ask("CreateMultipartUpload", **HERE)["ssekms_key_id"] == f"{ARN}first"
    assert encryption(shop.ask("HeadObject", bucket="shop", key="before")) == {}
    default(shop, "AES256")
    assert encryption(shop.put("key")) == S3


def test_a_default_key_that_is_not_there_is_told_when_it_is_needed(shop: Shop) -> None:
    default(shop, "aws:kms", "third")
    body = io.BytesIO(b"x")
    assert shop.refused("PutObject", **HERE, body=body) == "KMS.NotFoundException"


def test_a_bucket_that_blocks_keys_of_callers(shop: Shop) -> None:
    default(shop, "AES256", blocked_encryption_types={"encryption_type": ["SSE-C"]})
    body = io.BytesIO(b"x")
    assert shop.refused("PutObject", **HERE, body=body, **CUSTOMER) == "AccessDenied"
    assert encryption(shop.put("key")) == S3


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([], "MalformedXML"),
        ([{}], "MalformedXML"),
        ([{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}] * 2,
         "MalformedXML"),
        ([{"apply_server_side_encryption_by_default": {}}], "MalformedXML"),
        ([{"apply_server_side_encryption_by_default": {"sse_algorithm": "rot13"}}], "MalformedXML"),
        ([{"apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms:dsse"}}],
         "NotImplemented"),
        ([{"apply_server_side_encryption_by_default":
           {"sse_algorithm": "AES256", "kms_master_key_id": "first"}}], "InvalidArgument"),
        ([{"blocked_encryption_types": {"encryption_type": ["SSE-X"]}}], "MalformedXML"),
    ],
)  # fmt: skip
def test_settings_that_are_refused(shop: Shop, rules: list[dict[str, Any]], code: str) -> None:
    members: dict[str, Any] = {RULES: {"rules": rules}}
    assert shop.refused("PutBucketEncryption", bucket="shop", **members) == code
    missing = "ServerSideEncryptionConfigurationNotFoundError"
    assert shop.refused("GetBucketEncryption", bucket="shop") == missing


def test_what_the_cloud_itself_writes_is_encrypted_as_the_bucket_says(shop: Shop) -> None:
    assert bucket_default(shop.store.bucket("shop"), shop.store) is None
    default(shop, "AES256")
    found = bucket_default(shop.store.bucket("shop"), shop.store)
    assert found is not None and found.kind == "AES256"
    default(shop, "aws:kms", "second", bucket_key_enabled=True)
    found = bucket_default(shop.store.bucket("shop"), shop.store)
    assert found is not None and (found.name, found.bucket_key) == ("second", True)
