"""Access lists: who may do what by them, and how they are shown."""

from typing import Any

import pytest

from tests.actions.shop import Shop

EVERYONE = "http://acs.amazonaws.com/groups/global/AllUsers"


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("acl", "may_read"),
    [
        ("private", {"ann", "admin"}),
        ("public-read", {"ann", "admin", "bob", ""}),
        ("public-read-write", {"ann", "admin", "bob", ""}),
        ("authenticated-read", {"ann", "admin", "bob"}),
        ("aws-exec-read", {"ann", "admin"}),
        ("ec2-bundle-read", {"ann", "admin"}),
        ("bucket-owner-read", {"ann", "admin"}),
        ("bucket-owner-full-control", {"ann", "admin"}),
        ("log-delivery-write", {"ann", "admin"}),
    ],
)
def test_who_reads_an_object(shop: Shop, acl: str, may_read: set[str]) -> None:
    shop.put("k", b"content", acl=acl)
    assert shop.store.head("shop", "k").properties.acl == {"canned": acl}
    for who in shop.people:
        if who in may_read:
            assert shop.get("k", who) == b"content"
        else:
            assert shop.refused("GetObject", who, bucket="shop", key="k") == "AccessDenied"


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("acl", "may_list", "may_write"),
    [
        ("private", {"ann", "admin"}, {"ann"}),
        ("public-read", {"ann", "admin", "bob", ""}, {"ann"}),
        ("public-read-write", {"ann", "admin", "bob", ""}, {"ann", "admin", "bob", ""}),
        ("authenticated-read", {"ann", "admin", "bob"}, {"ann"}),
    ],
)
def test_who_lists_and_writes_a_bucket(
    shop: Shop, acl: str, may_list: set[str], may_write: set[str]
) -> None:
    shop.ask("PutBucketAcl", bucket="shop", acl=acl)
    for who in shop.people:
        listing = {"bucket": "shop", "max_keys": 1}
        if who in may_list:
            shop.ask("ListObjects", who, **listing)
        else:
            assert shop.refused("ListObjects", who, **listing) == "AccessDenied"
        if who in may_write:
            shop.put(f"by-{who}", who=who)
        else:
            assert shop.refused("PutObject", who, bucket="shop", key="k") == "AccessDenied"


def test_what_is_missing_is_told_only_to_who_may_list(shop: Shop) -> None:
    missing = {"bucket": "shop", "key": "nothing"}
    assert shop.refused("GetObject", **missing) == "NoSuchKey"
    assert shop.refused("GetObject", "bob", **missing) == "AccessDenied"
    assert shop.refused("HeadObject", "", **missing) == "AccessDenied"
    assert shop.refused("GetObject", "bob", bucket="nowhere", key="k") == "NoSuchBucket"


@pytest.mark.not_fast
def test_what_others_put_is_theirs_to_share(shop: Shop) -> None:
    """The owner of the bucket may delete it, and read it if its owner lets him."""
    shop.ask("PutBucketAcl", bucket="shop", acl="public-read-write")
    shop.put("secret", who="bob")
    for verb in ("GetObject", "GetObjectAcl", "GetObjectAttributes"):
        members: dict[str, Any] = (
            {"object_attributes": ["ETag"]} if verb == "GetObjectAttributes" else {}
        )
        assert shop.refused(verb, bucket="shop", key="secret", **members) == "AccessDenied"
    members = {"bucket": "shop", "key": "secret", "acl": "public-read"}
    assert shop.refused("PutObjectAcl", **members) == "AccessDenied"
    shop.ask("DeleteObject", bucket="shop", key="secret")
    shop.put("k", b"theirs", who="bob", acl="bucket-owner-read")
    assert shop.get("k") == b"theirs"
    assert shop.refused("GetObjectAcl", bucket="shop", key="k") == "AccessDenied"
    shown = shop.ask("GetObjectAcl", "bob", bucket="shop", key="k")
    assert shown["owner"]["display_name"] == "bob"
    named = [(each["grantee"]["display_name"], each["permission"]) for each in shown["grants"]]
    assert named == [("ann", "READ"), ("bob", "FULL_CONTROL")]


def test_lists_are_shown_and_can_be_sent_back(shop: Shop) -> None:
    shop.ask("PutBucketAcl", bucket="shop", acl="public-read")
    shown = shop.ask("GetBucketAcl", bucket="shop")
    assert [each["permission"] for each in shown["grants"]] == ["READ", "FULL_CONTROL"]
    assert shown["grants"][0]["grantee"] == {"type": "Group", "uri": EVERYONE}
    shop.ask("PutBucketAcl", bucket="shop", access_control_policy=shown)
    assert shop.ask("GetBucketAcl", bucket="shop") == shown
    shop.ask("ListObjects", "", bucket="shop")
    shown["grants"] = shown["grants"][1:]
    shop.ask("PutBucketAcl", bucket="shop", access_control_policy=shown)
    assert shop.refused("ListObjects", "", bucket="shop") == "AccessDenied"


@pytest.mark.not_fast
def test_grants_in_headers(shop: Shop) -> None:
    bob = shop.people["bob"]
    assert bob
    shop.put("k", grant_read=f'id="{bob.canonical_id}"')
    assert shop.get("k", "bob") == b"x"
    assert shop.refused("GetObject", "", bucket="shop", key="k") == "AccessDenied"
    assert shop.refused("GetObjectAcl", "bob", bucket="shop", key="k") == "AccessDenied"
    shop.ask("PutObjectAcl", bucket="shop", key="k", grant_write_acp=f"id={bob.canonical_id}")
    shop.ask("PutObjectAcl", "bob", bucket="shop", key="k", acl="public-read")
    assert shop.get("k", "") == b"x"


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"acl": "nobody-at-all"}, "InvalidArgument"),
        ({"acl": "private", "grant_read": f"uri={EVERYONE}"}, "InvalidRequest"),
        ({"grant_read": "uri=http://example.com"}, "InvalidArgument"),
        ({"grant_read": "emailAddress=a@b"}, "UnresolvableGrantByEmailAddress"),
        ({}, "MalformedACLError"),
        ({"access_control_policy": {"grants": [{"permission": "ALL"}]}}, "MalformedACLError"),
        ({"grant_read": "ann"}, "InvalidArgument"),
        ({"grant_read": "name=ann"}, "InvalidArgument"),
        ({"access_control_policy": {"grants": [{"permission": "READ"}]}}, "MalformedACLError"),
        ({"access_control_policy": {"owner": {"id": "0"}, "grants": []}}, "MalformedACLError"),
        ({"acl": "private", "access_control_policy": {"grants": []}}, "InvalidRequest"),
    ],
)  # fmt: skip
def test_an_invalid_acl_is_refused(shop: Shop, members: dict[str, Any], code: str) -> None:
    assert shop.refused("PutBucketAcl", bucket="shop", **members) == code
    assert shop.store.bucket("shop").acl is None


def test_lists_of_what_is_missing_are_told_only_to_who_may_list(shop: Shop) -> None:
    missing = {"bucket": "shop", "key": "nothing"}
    for verb, members in (("GetObjectAcl", {}), ("PutObjectAcl", {"acl": "private"})):
        assert shop.refused(verb, **missing, **members) == "NoSuchKey"
        assert shop.refused(verb, "bob", **missing, **members) == "AccessDenied"


@pytest.mark.parametrize("verb", ["PutObjectAcl", "CopyObject", "UploadPartCopy"])
def test_who_is_asked_for_is_the_object_that_is_used(
    shop: Shop, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object of another owner that takes the key in the middle of a request is his."""
    shop.ask("PutBucketAcl", bucket="shop", acl="public-read-write")
    shop.ask("CreateBucket", "bob", bucket="bobs")
    shop.put("k", who="bob")
    seen = shop.store.head("shop", "k")
    shop.put("k", b"secret")
    monkeypatch.setattr(shop.store, "head", lambda bucket, key, version_id="": seen)
    to_bobs = {"bucket": "bobs", "key": "k", "copy_source": {"bucket": "shop", "key": "k"}}
    if verb == "PutObjectAcl":
        members: dict[str, Any] = {"bucket": "shop", "key": "k", "acl": "public-read"}
    elif verb == "CopyObject":
        members = to_bobs
    else:
        begun = shop.ask("CreateMultipartUpload", "bob", bucket="bobs", key="k")
        members = {**to_bobs, "upload_id": begun["upload_id"], "part_number": 1}
    assert shop.refused(verb, "bob", **members) == "AccessDenied"


def test_grantees_are_accounts_that_exist(shop: Shop) -> None:
    bob = shop.people["bob"]
    assert bob
    by_mail = {"grantee": {"email_address": "BOB@x.org"}, "permission": "READ"}
    by_id = {"grantee": {"id": bob.canonical_id, "display_name": "me"}, "permission": "WRITE"}
    lists = {"grants": [by_mail, by_id]}
    shop.ask("PutBucketAcl", bucket="shop", access_control_policy=lists)
    shown = shop.ask("GetBucketAcl", bucket="shop")["grants"]
    who = {"type": "CanonicalUser", "id": bob.canonical_id, "display_name": "bob"}
    assert shown == [
        {"grantee": who, "permission": "READ"},
        {"grantee": who, "permission": "WRITE"},
    ]
    shop.put("mailed", grant_read='emailAddress="bob@x.org"')
    assert shop.get("mailed", "bob") == b"x"
    nobody: dict[str, Any] = {"bucket": "shop", "grant_read": f"id={'0' * 64}"}
    assert shop.refused("PutBucketAcl", **nobody) == "InvalidArgument"
    assert shop.refused("PutObject", key="k", **nobody) == "InvalidArgument"
    assert shop.refused("CreateBucket", **{**nobody, "bucket": "new"}) == "InvalidArgument"
    assert shop.refused("HeadBucket", bucket="new") == "NoSuchBucket"


@pytest.mark.not_fast
def test_a_list_has_bounds(shop: Shop) -> None:
    ann = shop.people["ann"]
    assert ann
    grant = {"grantee": {"id": ann.canonical_id}, "permission": "READ"}
    shop.ask("PutBucketAcl", bucket="shop", access_control_policy={"grants": [grant] * 100})
    many = {"grants": [grant] * 101}
    members: dict[str, Any] = {"bucket": "shop", "access_control_policy": many}
    assert shop.refused("PutBucketAcl", **members) == "InvalidRequest"
    long = {"grants": [{"grantee": {"id": "x" * 256}, "permission": "READ"}]}
    members = {"bucket": "shop", "access_control_policy": long}
    assert shop.refused("PutBucketAcl", **members) == "MalformedACLError"
