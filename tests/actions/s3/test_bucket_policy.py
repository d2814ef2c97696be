"""Bucket policies: what is kept, who may do what by them, and what they cannot be."""

import json
from typing import Any

import pytest

from tests.actions.shop import Shop

BUCKET, INSIDE = "arn:aws:s3:::shop", "arn:aws:s3:::shop/*"


def statement(**members: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": INSIDE, **members}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def keep(shop: Shop, *statements: dict[str, Any]) -> None:
    shop.ask("PutBucketPolicy", bucket="shop", policy=policy(*statements))


def test_a_policy_is_kept_letter_by_letter(shop: Shop) -> None:
    assert shop.refused("GetBucketPolicy", bucket="shop") == "NoSuchBucketPolicy"
    text = policy(statement(Action="s3:GetObject")) + "\n "
    shop.ask("PutBucketPolicy", bucket="shop", policy=text)
    assert shop.ask("GetBucketPolicy", bucket="shop") == {"policy": text}
    shop.ask("DeleteBucketPolicy", bucket="shop")
    shop.ask("DeleteBucketPolicy", bucket="shop")
    assert shop.refused("GetBucketPolicy", bucket="shop") == "NoSuchBucketPolicy"


@pytest.mark.not_fast
def test_only_the_owners_account_has_to_do_with_a_policy_whatever_one_allows(shop: Shop) -> None:
    text = policy(statement())
    for who in ("bob", "admin", ""):
        params = {"bucket": "shop", "policy": text}
        assert shop.refused("PutBucketPolicy", who, **params) == "AccessDenied"
    bob = shop.people["bob"]
    assert bob
    keep(shop, statement(Principal={"AWS": bob.account_id}, Resource=BUCKET))
    assert shop.refused("PutBucketPolicy", "bob", bucket="shop", policy=text) == "MethodNotAllowed"
    for name in ("GetBucketPolicy", "DeleteBucketPolicy"):
        assert shop.refused(name, "bob", bucket="shop") == "MethodNotAllowed"
        assert shop.refused(name, "", bucket="shop") == "AccessDenied"
    assert shop.ask("GetBucketPolicyStatus", "bob", bucket="shop")
    assert shop.ask("GetBucketPolicy", bucket="shop")


def test_everybody_may_what_a_policy_allows_and_no_more(shop: Shop) -> None:
    shop.put("open/k", b"content")
    shop.put("k")
    keep(shop, statement(Action="s3:GetObject", Resource="arn:aws:s3:::shop/open/*"))
    for who in ("bob", ""):
        assert shop.get("open/k", who) == b"content"
        assert shop.refused("GetObject", who, bucket="shop", key="k") == "AccessDenied"
        assert shop.refused("GetObjectAcl", who, bucket="shop", key="open/k") == "AccessDenied"
        assert shop.refused("ListObjectsV2", who, bucket="shop") == "AccessDenied"
        assert shop.refused("PutObject", who, bucket="shop", key="open/k") == "AccessDenied"


def test_a_denial_wins_also_over_the_owner(shop: Shop) -> None:
    shop.put("k", acl="public-read")
    keep(shop, statement(), statement(Effect="Deny", Action="s3:GetObject"))
    for who in ("ann", "bob", ""):
        assert shop.refused("GetObject", who, bucket="shop", key="k") == "AccessDenied"
    assert shop.get("k", "admin") == b"x"
    keep(shop, statement(Effect="Deny", Resource=[BUCKET, INSIDE]))
    assert shop.refused("ListObjects", bucket="shop") == "AccessDenied"
    assert shop.refused("DeleteBucket", bucket="shop") == "AccessDenied"
    assert shop.ask("GetBucketPolicy", bucket="shop")
    assert shop.refused("DeleteBucketPolicy", "admin", bucket="shop") == "AccessDenied"
    shop.ask("DeleteBucketPolicy", bucket="shop")
    assert shop.get("k") == b"x"


def test_principals(shop: Shop) -> None:
    bob, ann = shop.people["bob"], shop.people["ann"]
    assert bob and ann
    shop.put("k")
    named: list[Any] = [
        {"AWS": bob.account_id},
        {"AWS": ["arn:aws:iam::bob:root"]},
        {"AWS": f"arn:aws:iam::{bob.account_id}:root"},
        {"AWS": [f"arn:aws:iam::{ann.account_id}:root", bob.arn]},
        {"CanonicalUser": bob.canonical_id},
    ]
    for each in named:
        keep(shop, statement(Principal=each))
        assert shop.get("k", "bob") == b"x"
        assert shop.refused("GetObject", "", bucket="shop", key="k") == "AccessDenied"
    deny = statement(Effect="Deny", Principal=None, NotPrincipal={"AWS": ann.account_id})
    del deny["Principal"]
    keep(shop, statement(), deny)
    assert shop.get("k") == b"x"
    assert shop.refused("GetObject", "bob", bucket="shop", key="k") == "AccessDenied"


def test_a_missing_key_is_access_denied_without_permission_to_list(shop: Shop) -> None:
    condition = {"StringLike": {"s3:prefix": "open/*"}}
    keep(shop, statement(Action="s3:ListBucket", Resource=BUCKET, Condition=condition))
    assert shop.refused("HeadObject", "bob", bucket="shop", key="open/k") == "NoSuchKey"
    assert shop.refused("HeadObject", "bob", bucket="shop", key="shut/k") == "AccessDenied"
    shop.ask("ListObjects", "bob", bucket="shop", prefix="open/")
    assert shop.refused("ListObjects", "bob", bucket="shop") == "AccessDenied"


@pytest.mark.not_fast
def test_an_upload_by_policy_is_its_beginners(shop: Shop) -> None:
    keep(shop, statement(Action="s3:PutObject"))
    begun = shop.ask("CreateMultipartUpload", "bob", bucket="shop", key="k")["upload_id"]
    named = {"bucket": "shop", "key": "k", "upload_id": begun}
    part = shop.ask("UploadPart", "bob", **named, part_number=1, body=b"bytes")
    shop.ask("ListParts", "bob", **named)
    shop.ask("ListParts", **named)
    assert shop.refused("ListParts", "", **named) == "AccessDenied"
    parts = {"parts": [{"part_number": 1, "e_tag": part["e_tag"]}]}
    shop.ask("CompleteMultipartUpload", "bob", **named, multipart_upload=parts)
    assert shop.get("k", "bob") == b"bytes"
    again = shop.ask("CreateMultipartUpload", "bob", bucket="shop", key="k")["upload_id"]
    shop.ask("AbortMultipartUpload", "bob", bucket="shop", key="k", upload_id=again)


def test_headers_ask_for_actions_of_their_own(shop: Shop) -> None:
    keep(shop, statement(Action="s3:PutObject"))
    shop.put("k", who="bob", acl="bucket-owner-full-control")
    params = {"bucket": "shop", "key": "k", "body": b""}
    assert shop.refused("PutObject", "bob", **params, acl="public-read") == "AccessDenied"
    keep(shop, statement(Action=["s3:PutObject", "s3:PutObjectAcl"]))
    shop.put("k", who="bob", acl="public-read")
    keep(shop, statement(Action="s3:GetObjectAttributes"))
    shop.put("mine")
    params = {"bucket": "shop", "key": "mine", "object_attributes": ["ETag"]}
    assert shop.refused("GetObjectAttributes", "bob", **params) == "AccessDenied"


def test_conditions_on_what_a_request_says(shop: Shop) -> None:
    condition = {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}
    keep(shop, statement(Action="s3:PutObject", Condition=condition))
    assert shop.refused("PutObject", "bob", bucket="shop", key="k") == "AccessDenied"
    shop.put("k", who="bob", acl="bucket-owner-full-control")
    condition = {"StringLike": {"s3:x-amz-copy-source": "shop/open/*"}}
    keep(shop, statement(Condition=condition, Action="s3:PutObject"), statement(Action="s3:Get*"))
    shop.put("open/k")
    for key, refused in (("open/k", False), ("k", True)):
        source = {"bucket": "shop", "key": key}
        params: dict[str, Any] = {"bucket": "shop", "key": "copy", "copy_source": source}
        if refused:
            assert shop.refused("CopyObject", "bob", **params) == "AccessDenied"
        else:
            shop.ask("CopyObject", "bob", **params)


def test_a_policy_speaks_of_the_objects_of_the_owner(shop: Shop) -> None:
    shop.ask("PutBucketAcl", bucket="shop", acl="public-read-write")
    shop.put("bobs", who="bob")
    shop.put("anns")
    keep(shop, statement(Action="s3:GetObject"))
    assert shop.get("anns", "") == b"x"
    assert shop.refused("GetObject", "", bucket="shop", key="bobs") == "AccessDenied"


def test_the_policy_status_tells_whether_a_bucket_is_public(shop: Shop) -> None:
    def public() -> bool:
        status = shop.ask("GetBucketPolicyStatus", bucket="shop")["policy_status"]
        return bool(status["is_public"])

    assert not public()
    shop.ask("PutBucketAcl", bucket="shop", acl="authenticated-read")
    assert public()
    shop.ask("PutBucketAcl", bucket="shop", acl="private")
    keep(shop, statement())
    assert public()
    for source, expected in (("10.0.0.0/8", False), ("0.0.0.0/1", True)):
        keep(shop, statement(Condition={"IpAddress": {"aws:SourceIp": source}}))
        assert public() == expected
    keep(shop, statement(Principal={"AWS": "arn:aws:iam::bob:root"}))
    assert not public()
    keep(shop, statement(Condition={"StringLike": {"aws:userid": "*"}}))
    assert public()


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "first byte"),
        ("[]", "first byte"),
        ("{", "invalid Json"),
        ('{"Id": "\\ud83d\\ude00\\udc00"}', "no characters alone"),
        ("{" + '"a":{' * 3000, "too deep"),
        ('{"a":' + "[" * 9000 + "]" * 9000 + "}", "too deep"),
        ('{"Id": "' + '[{\\"' * 2000 + '"}', "Statement"),  # none of these brackets is JSON's
        ('{"Id": "' + '\\"' * 9000, "invalid Json"),
        ('{"Statement": [], "Statement": []}', "twice"),
        ("{}", "Statement"),
        ('{"Statement": []}', "empty"),
        ('{"Statement": [7]}', "no JSON object"),
        ('{"Version": "2024-01-01", "Statement": []}', "version"),
        ('{"Statements": []}', "Statements"),
        (policy(statement(Effect="Maybe")), "Invalid effect"),
        (policy(statement(Sid=1)), "Sid"),
        (policy(statement(Action="s3:Fly")), "invalid action: s3:Fly"),
        (policy(statement(Action="ec2:RunInstances")), "invalid action"),
        (policy(statement(Action=[])), "Action"),
        (policy(statement(Resource="arn:aws:s3:::other/*")), "invalid resource"),
        (policy(statement(Resource="shop/*")), "invalid resource"),
        (policy(statement(Principal={"AWS": "999999999999"})), "Invalid principal in policy"),
        (policy(statement(Principal={"AWS": "arn:aws:iam::bob:user/eve"})), "no such account"),
        (policy(statement(Principal={"AWS": "arn:aws:iam::bob:user/*"})), "Invalid principal"),
        (policy(statement(Principal={"Federated": "x"})), "Invalid principal"),
        (policy(statement(Principal="bob")), "Invalid principal"),
        (policy(statement(Principal={})), "Invalid principal"),
        (policy(statement(Condition={"StringIs": {"aws:Referer": "x"}})), "condition operator"),
        (policy(statement(Condition={"StringLike": {"s3:colour": "x"}})), "condition key"),
        (policy(statement(Condition={"IpAddress": {"aws:SourceIp": "x"}})), "wrong kind"),
        (policy(statement(Condition={"Bool": {"aws:SecureTransport": "yes"}})), "true or false"),
        (policy(statement(Condition=[])), "Condition"),
        (policy(statement(Sid="x" * 21000)), "maximum allowed document size"),
    ],
)
def test_an_invalid_policy_is_refused_with_the_reason(shop: Shop, text: str, reason: str) -> None:
    with pytest.raises(Exception, match=reason) as caught:
        shop.ask("PutBucketPolicy", bucket="shop", policy=text)
    assert getattr(caught.value, "code", "") == "MalformedPolicy"
    assert "policy" not in shop.store.bucket("shop").settings


def test_an_allowance_for_all_but_some_is_refused(shop: Shop) -> None:
    members = statement()
    members["NotPrincipal"] = members.pop("Principal")
    params = {"bucket": "shop", "policy": policy(members)}
    assert shop.refused("PutBucketPolicy", **params) == "MalformedPolicy"


def test_each_entry_of_a_batch_is_judged_as_its_own_request_would_be(shop: Shop) -> None:
    shop.ask("PutBucketVersioning", bucket="shop", versioning_configuration={"status": "Enabled"})
    kept, free = (shop.put(key)["version_id"] for key in ("kept", "free"))
    denied = {"StringEquals": {"s3:VersionId": kept}}
    keep(shop, statement(Effect="Deny", Action="s3:DeleteObjectVersion", Condition=denied))
    one = {"bucket": "shop", "key": "kept", "version_id": kept}
    assert shop.refused("DeleteObject", **one) == "AccessDenied"
    named = [{"key": "kept", "version_id": kept}, {"key": "free", "version_id": free}]
    members = shop.ask("DeleteObjects", bucket="shop", delete={"objects": named})
    assert [(each["key"], each["code"]) for each in members["errors"]] == [("kept", "AccessDenied")]
    assert [each["key"] for each in members["deleted"]] == ["free"]
    assert shop.get("kept", version_id=kept) == b"x"


def test_the_etag_of_an_entry_is_what_a_policy_sees_of_it(shop: Shop) -> None:
    e_tag = shop.put("k")["e_tag"]
    unconditional = {"Null": {"s3:if-match": "true"}}
    keep(shop, statement(Effect="Deny", Action="s3:DeleteObject", Condition=unconditional))
    members = shop.ask("DeleteObjects", bucket="shop", delete={"objects": [{"key": "k"}]})
    assert members["errors"][0]["code"] == "AccessDenied"
    named = [{"key": "k", "e_tag": e_tag}]
    assert shop.ask("DeleteObjects", bucket="shop", delete={"objects": named})["deleted"]


def test_the_version_of_a_copys_source_is_what_its_policy_sees(shop: Shop) -> None:
    shop.ask("PutBucketVersioning", bucket="shop", versioning_configuration={"status": "Enabled"})
    version = shop.put("k")["version_id"]
    denied = {"StringEquals": {"s3:VersionId": version}}
    keep(shop, statement(Effect="Deny", Action="s3:GetObjectVersion", Condition=denied))
    source = {"bucket": "shop", "key": "k", "version_id": version}
    params: dict[str, Any] = {"bucket": "shop", "key": "copy", "copy_source": source}
    assert shop.refused("CopyObject", **params) == "AccessDenied"
