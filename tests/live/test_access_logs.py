"""Access logs of a real eucabox: they come by themselves, after a kill -9 too."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.process import Running, running

pytestmark = pytest.mark.live
SECONDS = 30


@pytest.fixture(name="cloud", scope="module")
def _cloud() -> Iterator[Running]:
    with running("[buckets]\naccess_log_seconds = 2\n") as cloud:
        yield cloud


def logged(s3: Any) -> str:
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket="logs").get("Contents", [])]
    return "".join(s3.get_object(Bucket="logs", Key=key)["Body"].read().decode() for key in keys)


def wait_for(s3: Any, words: list[str]) -> str:
    deadline = time.monotonic() + SECONDS
    while not all(word in (found := logged(s3)) for word in words):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def test_requests_come_as_records_whatever_ends(cloud: Running) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="box")
    s3.create_bucket(Bucket="logs", ACL="log-delivery-write")
    target = {"TargetBucket": "logs", "TargetPrefix": "box/"}
    s3.put_bucket_logging(Bucket="box", BucketLoggingStatus={"LoggingEnabled": target})
    s3.put_object(Bucket="box", Key="one", Body=b"1")
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="box", Key="none")
    found = wait_for(s3, ["REST.PUT.OBJECT one", "NoSuchKey"])
    assert found.count("REST.PUT.OBJECT one") == 1
    s3.put_object(Bucket="box", Key="two", Body=b"2")
    cloud.kill()
    cloud.start()
    again = wait_for(cloud.client("s3"), ["REST.PUT.OBJECT two"])
    assert again.count("REST.PUT.OBJECT two") == 1
    secure = cloud.client("s3", https=True)
    secure.list_objects_v2(Bucket="box")
    assert " TLSv1." in wait_for(secure, ["REST.GET.BUCKET"])
