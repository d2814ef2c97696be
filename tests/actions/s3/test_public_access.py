"""Public access blocks and ownership controls: what they stop."""

from typing import Any

import pytest

from tests.actions.s3.test_bucket_policy import keep, policy, statement
from tests.actions.shop import Shop

FLAGS = (
    "block_public_acls", "ignore_public_acls", "block_public_policy", "restrict_public_buckets",
)  # fmt: skip


def block(shop: Shop, *flags: str) -> None:
    members = dict.fromkeys(flags, True)
    shop.ask("PutPublicAccessBlock", bucket="shop", public_access_block_configuration=members)


def test_a_block_is_kept_and_taken_away(shop: Shop) -> None:
    missing = "NoSuchPublicAccessBlockConfiguration"
    assert shop.refused("GetPublicAccessBlock", bucket="shop") == missing
    block(shop, "ignore_public_acls")
    shown = shop.ask("GetPublicAccessBlock", bucket="shop")["public_access_block_configuration"]
    assert shown == {name: name == "ignore_public_acls" for name in FLAGS}
    shop.ask("DeletePublicAccessBlock", bucket="shop")
    shop.ask("DeletePublicAccessBlock", bucket="shop")
    assert shop.refused("GetPublicAccessBlock", bucket="shop") == missing


def test_public_lists_are_refused(shop: Shop) -> None:
    block(shop, "block_public_acls")
    for acl in ("public-read", "public-read-write", "authenticated-read"):
        named: dict[str, Any] = {"bucket": "shop", "acl": acl}
        assert shop.refused("PutBucketAcl", **named) == "AccessDenied"
        assert shop.refused("PutObject", key="k", **named) == "AccessDenied"
        assert shop.refused("CreateMultipartUpload", key="k", **named) == "AccessDenied"
    shop.put("k", acl="private")
    params = {"bucket": "shop", "key": "k", "acl": "public-read"}
    assert shop.refused("PutObjectAcl", **params) == "AccessDenied"


def test_public_lists_are_ignored(shop: Shop) -> None:
    shop.put("k", acl="public-read")
    shop.ask("PutBucketAcl", bucket="shop", acl="public-read")
    block(shop, "ignore_public_acls")
    assert shop.refused("GetObject", "bob", bucket="shop", key="k") == "AccessDenied"
    assert shop.refused("ListObjects", "bob", bucket="shop") == "AccessDenied"
    assert shop.get("k") == b"x"


def test_public_policies_are_refused_or_restricted(shop: Shop) -> None:
    shop.put("k")
    keep(shop, statement(Action="s3:GetObject"))
    assert shop.get("k", "") == b"x"
    block(shop, "block_public_policy", "restrict_public_buckets")
    for who in ("bob", ""):
        assert shop.refused("GetObject", who, bucket="shop", key="k") == "AccessDenied"
    assert shop.get("k") == b"x"
    params = {"bucket": "shop", "policy": policy(statement())}
    assert shop.refused("PutBucketPolicy", **params) == "AccessDenied"
    keep(shop, statement(Principal={"AWS": "arn:aws:iam::bob:root"}))
    assert shop.get("k", "bob") == b"x"


def own(shop: Shop, ownership: str) -> None:
    controls = {"rules": [{"object_ownership": ownership}]}
    shop.ask("PutBucketOwnershipControls", bucket="shop", ownership_controls=controls)


def owner(shop: Shop, key: str) -> str:
    shown = shop.ask("GetObjectAcl", "bob", bucket="shop", key=key)
    return str(shown["owner"]["display_name"])


def test_ownership_is_kept_and_taken_away(shop: Shop) -> None:
    missing = "OwnershipControlsNotFoundError"
    assert shop.refused("GetBucketOwnershipControls", bucket="shop") == missing
    own(shop, "BucketOwnerPreferred")
    shown = shop.ask("GetBucketOwnershipControls", bucket="shop")["ownership_controls"]
    assert shown == {"rules": [{"object_ownership": "BucketOwnerPreferred"}]}
    shop.ask("DeleteBucketOwnershipControls", bucket="shop")
    assert shop.refused("GetBucketOwnershipControls", bucket="shop") == missing
    shop.ask("CreateBucket", bucket="made", object_ownership="BucketOwnerEnforced")
    assert shop.store.bucket("made").settings == {"object_ownership": "BucketOwnerEnforced"}
    params = {"bucket": "new", "object_ownership": "BucketOwnerEnforced"}
    refused = shop.refused("CreateBucket", acl="public-read", **params)
    assert refused == "InvalidBucketAclWithObjectOwnership"
    params["object_ownership"] = "Mine"
    assert shop.refused("CreateBucket", **params) == "InvalidArgument"


@pytest.mark.parametrize("rules", [[], [{}], [{"object_ownership": "Mine"}], [{}, {}]])
def test_controls_have_one_rule(shop: Shop, rules: list[Any]) -> None:
    params: dict[str, Any] = {"bucket": "shop", "ownership_controls": {"rules": rules}}
    assert shop.refused("PutBucketOwnershipControls", **params) == "MalformedXML"


def test_all_is_the_owners_where_that_is_enforced(shop: Shop) -> None:
    shop.ask("PutBucketAcl", bucket="shop", acl="public-read-write")
    shop.put("before", who="bob", acl="public-read")
    controls = {"rules": [{"object_ownership": "BucketOwnerEnforced"}]}
    params: dict[str, Any] = {"bucket": "shop", "ownership_controls": controls}
    refused = shop.refused("PutBucketOwnershipControls", **params)
    assert refused == "InvalidBucketAclWithObjectOwnership"
    shop.ask("PutBucketAcl", bucket="shop", acl="private")
    shop.ask("PutBucketOwnershipControls", **params)
    assert shop.get("before") == b"x"
    assert shop.refused("GetObject", "", bucket="shop", key="before") == "AccessDenied"
    assert shop.refused("GetObject", "bob", bucket="shop", key="before") == "AccessDenied"
    keep(shop, statement())
    assert owner(shop, "before") == "ann"
    shop.put("k", who="bob")
    shop.put("full", who="bob", acl="bucket-owner-full-control")
    assert (owner(shop, "k"), owner(shop, "full")) == ("ann", "ann")
    unsupported = "AccessControlListNotSupported"
    params = {"bucket": "shop", "key": "k", "acl": "private"}
    assert shop.refused("PutObject", "bob", **params) == unsupported
    assert shop.refused("PutObjectAcl", **params) == unsupported
    assert shop.refused("PutBucketAcl", bucket="shop", acl="private") == unsupported
    begun = shop.ask("CreateMultipartUpload", "bob", bucket="shop", key="m")["upload_id"]
    shown = shop.ask("ListParts", "bob", bucket="shop", key="m", upload_id=begun)
    assert shown["owner"]["display_name"] == "ann"
    assert shown["initiator"]["display_name"] == "bob"


def test_full_control_hands_over_where_that_is_preferred(shop: Shop) -> None:
    own(shop, "BucketOwnerPreferred")
    keep(shop, statement())
    ann = shop.people["ann"]
    assert ann
    shop.put("k", who="bob")
    shop.put("full", who="bob", acl="bucket-owner-full-control")
    shop.put("grant", who="bob", grant_full_control=f"id={ann.canonical_id}")
    assert [owner(shop, key) for key in ("k", "full", "grant")] == ["bob", "ann", "ann"]
