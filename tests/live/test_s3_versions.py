"""Versioning over HTTP, as boto3 sees it: ids, delete markers, their headers, and conditions."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.live.process import Running

BUCKET = "versions"
HERE = {"Bucket": BUCKET, "Key": "a b/+k"}


@pytest.fixture(scope="module")
def s3(cloud: Running) -> Iterator[Any]:
    client = cloud.client("s3")
    client.create_bucket(Bucket=BUCKET)
    enabled = {"Status": "Enabled", "MFADelete": "Disabled"}
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=enabled)
    assert client.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    yield client
    client.close()


def refused(ask: Any, **members: Any) -> tuple[int, str, dict[str, str]]:
    with pytest.raises(ClientError) as caught:
        ask(**members)
    about = caught.value.response
    return (
        about["ResponseMetadata"]["HTTPStatusCode"],
        about["Error"]["Code"],
        about["ResponseMetadata"]["HTTPHeaders"],
    )


def test_from_the_first_version_to_the_last(s3: Any) -> None:
    made = [s3.put_object(**HERE, Body=str(each).encode())["VersionId"] for each in range(3)]
    marker = s3.delete_object(**HERE)
    assert marker["DeleteMarker"]
    status, code, headers = refused(s3.get_object, **HERE)
    assert (status, code) == (404, "NoSuchKey")
    assert headers["x-amz-delete-marker"] == "true"
    assert headers["x-amz-version-id"] == marker["VersionId"]
    for ask in (s3.get_object, s3.head_object):
        status, _, headers = refused(ask, **HERE, VersionId=marker["VersionId"])
        assert (status, headers["allow"], headers["x-amz-delete-marker"]) == (405, "DELETE", "true")
        assert headers["last-modified"]
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=BUCKET, PaginationConfig={"PageSize": 1}
    )
    every = [each for page in pages for each in page.get("Versions", [])]
    assert [each["VersionId"] for each in every] == made[::-1]
    assert not any(each["IsLatest"] for each in every)
    for number, each in enumerate(made):
        got = s3.get_object(**HERE, VersionId=each)
        assert (got["VersionId"], got["Body"].read()) == (each, str(number).encode())
    copied = s3.copy_object(**HERE, CopySource={**HERE, "VersionId": made[0]})
    assert copied["CopySourceVersionId"] == made[0]
    assert s3.get_object(**HERE)["Body"].read() == b"0"
    assert refused(s3.delete_bucket, Bucket=BUCKET)[1] == "BucketNotEmpty"
    named = [*made, marker["VersionId"], copied["VersionId"]]
    objects = [{"Key": HERE["Key"], "VersionId": each} for each in named]
    deleted = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": objects})["Deleted"]
    assert [each.get("DeleteMarker", False) for each in deleted] == [False] * 3 + [True, False]
    left = s3.list_object_versions(Bucket=BUCKET)
    assert "Versions" not in left and "DeleteMarkers" not in left


def test_conditions(s3: Any) -> None:
    tag = s3.put_object(**HERE, Body=b"1", IfNoneMatch="*")["ETag"]
    when = s3.head_object(**HERE)["LastModified"]
    early: dict[str, Any] = {"Key": HERE["Key"], "LastModifiedTime": when - timedelta(days=1)}
    assert refused(s3.put_object, **HERE, IfNoneMatch="*")[:2] == (412, "PreconditionFailed")
    assert refused(s3.delete_object, **HERE, IfMatch='"0"')[:2] == (412, "PreconditionFailed")
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [early]})
    assert answer["Errors"][0]["Code"] == "PreconditionFailed"
    s3.delete_object(**HERE, IfMatch=tag, IfMatchSize=1, IfMatchLastModifiedTime=when)
    assert refused(s3.delete_object, **HERE, IfMatch="*")[:2] == (404, "NoSuchKey")
