"""Buckets: who makes, finds, lists and removes them."""

from typing import Any

import pytest

from eucabox.errors import InvalidBucketName
from tests.actions.shop import Shop


def test_an_account_lists_its_own_buckets_in_pages(shop: Shop) -> None:
    shop.ask("CreateBucket", "bob", bucket="theirs")
    for name in ("a-1", "a-2"):
        shop.ask("CreateBucket", bucket=name)
    first = shop.ask("ListBuckets", max_buckets=2)
    assert [each["name"] for each in first["buckets"]] == ["a-1", "a-2"]
    rest = shop.ask("ListBuckets", continuation_token=first["continuation_token"])
    assert [each["name"] for each in rest["buckets"]] == ["shop"]
    assert first["owner"]["display_name"] == "ann"
    assert [each["name"] for each in shop.ask("ListBuckets", prefix="s")["buckets"]] == ["shop"]
    assert shop.refused("ListBuckets", max_buckets=0) == "InvalidArgument"


def test_making_a_bucket_again(shop: Shop) -> None:
    assert shop.ask("CreateBucket", bucket="shop") == {"location": "/shop"}
    other = {"location_constraint": "eu-west-1"}
    again: dict[str, Any] = {"bucket": "shop", "create_bucket_configuration": other}
    assert shop.refused("CreateBucket", **again) == "BucketAlreadyOwnedByYou"
    assert shop.refused("CreateBucket", "bob", bucket="shop") == "BucketAlreadyExists"
    assert shop.refused("CreateBucket", bucket="X") == "InvalidBucketName"
    assert shop.refused("CreateBucket", "", bucket="any") == "MissingAuthenticationToken"


@pytest.mark.not_fast
@pytest.mark.parametrize(
    "name",
    [
        *("ab", "a" * 64, "My_Images", "foo_bar", "Upper", "-ab", "ab-", "ab.", "a..b", "10.0.0.1"),
        *(
            "services",
            "xn--ab",
            "sthree-x",
            "ab-s3alias",
            "ab--ol-s3",
            "ab.mrap",
            "ab--x-s3",
            "ab--table-s3",
        ),
    ],
)
def test_a_new_bucket_has_a_name_as_aws_wants_it(shop: Shop, name: str) -> None:
    assert shop.refused("CreateBucket", bucket=name) == "InvalidBucketName"


@pytest.mark.parametrize("name", ["abc", "a" * 63, "10.0.0.1.2", "a-b.c-d", "0a0"])
def test_names_of_new_buckets(shop: Shop, name: str) -> None:
    assert shop.ask("CreateBucket", bucket=name) == {"location": f"/{name}"}


def test_an_older_name_is_for_what_exists_and_for_clients_of_eucalyptus(shop: Shop) -> None:
    ann = shop.people["ann"]
    assert ann
    shop.store.create_bucket("My_Images", ann.account_id)
    assert shop.ask("CreateBucket", bucket="My_Images") == {"location": "/My_Images"}
    assert shop.ask("HeadBucket", bucket="My_Images")
    shop.path = "/services/objectstorage"
    assert shop.ask("CreateBucket", bucket="Other_Images") == {"location": "/Other_Images"}
    for name in ("services", "SERVICES", "Services"):  # whose case a service's path leaves open
        assert shop.refused("CreateBucket", bucket=name) == "InvalidBucketName"
    assert shop.refused("CreateBucket", bucket="no/name") == "InvalidBucketName"


def test_making_a_bucket_again_keeps_its_access_list(shop: Shop) -> None:
    shop.ask("PutBucketAcl", bucket="shop", acl="public-read")
    shop.ask("CreateBucket", bucket="shop")
    assert shop.store.bucket("shop").acl == {"canned": "public-read"}
    shop.ask("CreateBucket", bucket="shop", acl="private")
    assert shop.store.bucket("shop").acl == {"canned": "private"}


@pytest.mark.parametrize(
    "feature",
    [
        {"create_bucket_configuration": {"bucket": {"type": "Directory"}}},
    ],
)
def test_features_that_buckets_do_not_have_are_refused(shop: Shop, feature: dict[str, Any]) -> None:
    assert shop.refused("CreateBucket", bucket="new", **feature) == "NotImplemented"


def test_the_location_is_what_was_said(shop: Shop) -> None:
    shop.ask(
        "CreateBucket", bucket="far", create_bucket_configuration={"location_constraint": "EU"}
    )
    assert shop.ask("GetBucketLocation", bucket="far") == {"location_constraint": "EU"}
    assert shop.ask("HeadBucket", bucket="far") == {"bucket_region": "EU"}
    assert shop.ask("GetBucketLocation", bucket="shop") == {"location_constraint": ""}
    assert shop.ask("HeadBucket", bucket="shop") == {"bucket_region": "eucabox"}


def test_only_an_empty_bucket_is_removed_and_only_by_its_owner(shop: Shop) -> None:
    everybody = 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'
    shop.ask("PutBucketAcl", bucket="shop", grant_full_control=everybody)
    shop.put("k")
    assert shop.refused("DeleteBucket", bucket="shop") == "BucketNotEmpty"
    shop.ask("DeleteObject", "", bucket="shop", key="k")
    for who in ("bob", "admin", ""):
        assert shop.refused("DeleteBucket", who, bucket="shop") == "AccessDenied"
    shop.ask("DeleteBucket", bucket="shop")
    assert shop.refused("HeadBucket", bucket="shop") == "NoSuchBucket"


def test_a_bucket_of_another_than_the_expected_owner_is_refused(shop: Shop) -> None:
    ann = shop.people["ann"]
    assert ann
    shop.ask("HeadBucket", bucket="shop", expected_bucket_owner=ann.account_id)
    wrong = {"bucket": "shop", "expected_bucket_owner": "123456789012"}
    assert shop.refused("HeadBucket", **wrong) == "AccessDenied"
    assert shop.refused("PutObject", key="k", **wrong) == "AccessDenied"


def test_a_name_in_capitals_is_told_in_small_letters(shop: Shop) -> None:
    with pytest.raises(InvalidBucketName, match=r"no capital letters\. Use my-bucket;") as caught:
        shop.ask("CreateBucket", bucket="My-Bucket")
    assert caught.value.code == "InvalidBucketName"
    shop.path = "/services/objectstorage"
    shop.ask("CreateBucket", bucket="My-Bucket")
