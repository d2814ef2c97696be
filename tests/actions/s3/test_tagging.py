"""Tags of buckets and objects: given with what is written, put later, copied, seen by whom."""

import json
from typing import Any

import pytest

from eucabox import actions
from eucabox.actions import Call
from eucabox.errors import Fault
from tests.actions.shop import Shop

HERE = {"bucket": "shop", "key": "k"}


def tag_set(**given: str) -> dict[str, Any]:
    return {"tag_set": [{"key": key, "value": value} for key, value in given.items()]}


def control(shop: Shop, name: str, who: str = "ann", **params: Any) -> Any:
    caller = shop.people["ann"]
    assert caller
    call = Call(shop.cloud, shop.people[who], "r", region="eucabox")
    members = {"account_id": caller.account_id, "resource_arn": "arn:aws:s3:::shop", **params}
    return actions.perform("s3control", name, call, members)


def test_an_object_is_put_with_tags_and_keeps_them(shop: Shop) -> None:
    shop.put("k", tagging=tag_set(b="2", a="1"))
    assert shop.ask("GetObjectTagging", **HERE) == tag_set(a="1", b="2")
    for name in ("HeadObject", "GetObject"):
        assert shop.ask(name, **HERE)["tag_count"] == 2
    shop.ask("PutObjectTagging", **HERE, tagging=tag_set(c="3"))
    assert shop.ask("GetObjectTagging", **HERE) == tag_set(c="3")
    shop.ask("DeleteObjectTagging", **HERE)
    assert shop.ask("GetObjectTagging", **HERE) == {"tag_set": []}
    assert "tag_count" not in shop.ask("HeadObject", **HERE)


def test_a_bad_tag_stores_nothing(shop: Shop) -> None:
    many = tag_set(**{f"k{each}": "" for each in range(11)})
    assert shop.refused("PutObject", **HERE, tagging=many) == "InvalidTag"
    assert shop.refused("HeadObject", **HERE) == "NoSuchKey"
    assert shop.refused("PutObjectTagging", **HERE, tagging=tag_set(a="")) == "NoSuchKey"


def test_a_multipart_upload_keeps_its_tags(shop: Shop) -> None:
    began = shop.ask("CreateMultipartUpload", **HERE, tagging=tag_set(a="1"))
    assert shop.store.upload("shop", "k", began["upload_id"]).properties.tags == {"a": "1"}


def test_a_copy_has_the_tags_of_its_source_or_those_of_the_request(shop: Shop) -> None:
    shop.put("k", tagging=tag_set(a="1"))
    source = {"bucket": "shop", "key": "k"}
    there: dict[str, Any] = {"bucket": "shop", "key": "c", "copy_source": source}
    shop.ask("CopyObject", **there)
    assert shop.store.head("shop", "c").properties.tags == {"a": "1"}
    shop.ask("CopyObject", **there, metadata_directive="REPLACE", tagging=tag_set(b="2"))
    assert shop.store.head("shop", "c").properties.tags == {"a": "1"}
    shop.ask("CopyObject", **there, tagging_directive="REPLACE", tagging=tag_set(b="2"))
    assert shop.store.head("shop", "c").properties.tags == {"b": "2"}
    shop.ask("CopyObject", **there, tagging_directive="REPLACE")
    assert shop.store.head("shop", "c").properties.tags == {}


def test_who_may_read_an_object_does_not_see_its_tags(shop: Shop) -> None:
    shop.put("k", tagging=tag_set(a="1"), acl="public-read")
    assert "tag_count" not in shop.ask("HeadObject", "bob", **HERE)
    for name in ("GetObjectTagging", "DeleteObjectTagging"):
        assert shop.refused(name, "bob", **HERE) == "AccessDenied"
    shop.ask("CreateBucket", "bob", bucket="theirs")
    taken: dict[str, Any] = {"bucket": "theirs", "key": "k", "copy_source": HERE}
    assert shop.refused("CopyObject", "bob", **taken) == "AccessDenied"
    shop.ask("CopyObject", "bob", **taken, tagging_directive="REPLACE")


def policy(shop: Shop, *statements: dict[str, Any]) -> None:
    members = {"Version": "2012-10-17", "Statement": list(statements)}
    shop.ask("PutBucketPolicy", bucket="shop", policy=json.dumps(members))


def test_a_copy_takes_tags_along_only_for_who_may_give_them(shop: Shop) -> None:
    shop.ask("CreateBucket", "bob", bucket="theirs")
    source = {"bucket": "theirs", "key": "k"}
    shop.ask("PutObject", "bob", **source, tagging=tag_set(a="1"))
    taken: dict[str, Any] = {**HERE, "copy_source": source}
    everything = {"Principal": "*", "Resource": "arn:aws:s3:::shop/*"}
    policy(
        shop,
        {"Effect": "Allow", "Action": "s3:PutObject", **everything},
        {"Effect": "Deny", "Action": "s3:PutObjectTagging", **everything},
    )
    assert shop.refused("CopyObject", "bob", **taken) == "AccessDenied"
    assert shop.refused("CopyObject", **taken) == "AccessDenied"
    shop.ask("CopyObject", "bob", **taken, tagging_directive="REPLACE")
    shop.ask("DeleteBucketPolicy", bucket="shop")
    shop.ask("PutBucketAcl", bucket="shop", acl="public-read-write")
    shop.ask("CopyObject", "bob", **taken)
    assert shop.store.head("shop", "k").properties.tags == {"a": "1"}


def test_a_copy_of_a_version_asks_for_the_versions_tags(shop: Shop) -> None:
    shop.ask("PutBucketVersioning", bucket="shop", versioning_configuration={"status": "Enabled"})
    version_id = shop.put("k", tagging=tag_set(a="1"))["version_id"]
    shop.ask("CreateBucket", "bob", bucket="theirs")
    source = {**HERE, "version_id": version_id}
    taken: dict[str, Any] = {"bucket": "theirs", "key": "k", "copy_source": source}
    everything = {"Effect": "Allow", "Principal": "*", "Resource": "arn:aws:s3:::shop/*"}
    policy(shop, {**everything, "Action": ["s3:GetObjectVersion", "s3:GetObjectTagging"]})
    assert shop.refused("CopyObject", "bob", **taken) == "AccessDenied"
    policy(shop, {**everything, "Action": ["s3:GetObjectVersion", "s3:GetObjectVersionTagging"]})
    shop.ask("CopyObject", "bob", **taken)


def test_who_tags_an_object_tags_no_other_that_took_its_place(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.ask("PutBucketAcl", bucket="shop", acl="public-read-write")
    shop.put("k", who="bob")
    change = shop.store.change_object

    def later(*members: Any) -> Any:
        shop.put("k")
        return change(*members)

    monkeypatch.setattr(shop.store, "change_object", later)
    members = tag_set(a="1")
    assert shop.refused("PutObjectTagging", "bob", **HERE, tagging=members) == "AccessDenied"
    assert shop.store.head("shop", "k").properties.tags == {}


def test_a_buckets_tags(shop: Shop) -> None:
    assert shop.refused("GetBucketTagging", bucket="shop") == "NoSuchTagSet"
    shop.ask("PutBucketTagging", bucket="shop", tagging=tag_set(a="1"))
    assert shop.ask("GetBucketTagging", bucket="shop") == tag_set(a="1")
    for name in ("GetBucketTagging", "DeleteBucketTagging"):
        assert shop.refused(name, "bob", bucket="shop") == "AccessDenied"
    shop.ask("DeleteBucketTagging", bucket="shop")
    assert shop.refused("GetBucketTagging", bucket="shop") == "NoSuchTagSet"


def test_a_bucket_is_made_with_tags(shop: Shop) -> None:
    configuration = {"tags": tag_set(a="1")["tag_set"]}
    shop.ask("CreateBucket", bucket="new", create_bucket_configuration=configuration)
    assert shop.ask("GetBucketTagging", bucket="new") == tag_set(a="1")
    configuration = {"tags": tag_set(**{"aws:a": "1"})["tag_set"]}
    members: dict[str, Any] = {"bucket": "other", "create_bucket_configuration": configuration}
    assert shop.refused("CreateBucket", **members) == "InvalidTag"
    assert shop.refused("HeadBucket", bucket="other") == "NoSuchBucket"


def test_s3_control_changes_the_same_tags(shop: Shop) -> None:
    assert control(shop, "ListTagsForResource") == {"tags": []}
    control(shop, "TagResource", tags=tag_set(a="1", b="2")["tag_set"])
    control(shop, "TagResource", tags=tag_set(b="3")["tag_set"])
    assert shop.ask("GetBucketTagging", bucket="shop") == tag_set(a="1", b="3")
    control(shop, "UntagResource", tag_keys=["a", "none"])
    assert control(shop, "ListTagsForResource") == {"tags": tag_set(b="3")["tag_set"]}


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"who": "bob"}, "AccessDenied"),
        ({"who": ""}, "MissingAuthenticationToken"),
        ({"account_id": "000000000001"}, "AccessDenied"),
        ({"resource_arn": "arn:aws:s3:::none"}, "NoSuchBucket"),
        ({"resource_arn": "arn:aws:s3:::shop/key"}, "InvalidRequest"),
        ({"resource_arn": "arn:aws:s3:eucabox:1:storage-lens/x"}, "InvalidRequest"),
    ],
)
def test_what_s3_control_refuses(shop: Shop, members: dict[str, str], code: str) -> None:
    with pytest.raises(Fault) as caught:
        control(shop, "ListTagsForResource", **members)
    assert caught.value.code == code


def test_fifty_tags_are_the_most_however_they_came(shop: Shop) -> None:
    for start in (0, 30):
        tags = tag_set(**{f"k{each:02}": "" for each in range(start, start + 25)})["tag_set"]
        if start == 0:
            control(shop, "TagResource", tags=tags)
    with pytest.raises(Fault) as caught:
        control(shop, "TagResource", tags=[*tags, {"key": "more", "value": ""}])
    assert caught.value.code == "InvalidTag"
