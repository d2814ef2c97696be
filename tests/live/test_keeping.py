"""How long objects are kept, by lifecycle rules and locks, and their tags, in the real process."""

import io
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from tests.live.process import Running, running

DAY = 2  # seconds


@pytest.fixture(scope="module")
def cloud() -> Iterator[Running]:
    with running(f"[buckets]\nlifecycle_day_seconds = {DAY}\n") as found:
        yield found


def wait(done: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.2)


def keys(s3: Any, bucket: str) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def rule(prefix: str, **does: Any) -> dict[str, Any]:
    return {"ID": prefix or "all", "Filter": {"Prefix": prefix}, "Status": "Enabled", **does}


def set_rules(s3: Any, bucket: str, *rules: dict[str, Any]) -> None:
    configuration = {"Rules": list(rules)}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=configuration)


def refused(call: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**params)
    return str(caught.value.response["Error"]["Code"])


def test_a_rule_is_carried_out_by_whoever_runs_when_it_is_due(cloud: Running) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="rules")
    for key in ("old/1", "old/2", "kept"):
        s3.put_object(Bucket="rules", Key=key, Body=b"x")
    s3.create_multipart_upload(Bucket="rules", Key="old/upload")
    set_rules(
        s3,
        "rules",
        rule(
            "old/",
            Expiration={"Days": 1},
            AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1},
        ),
    )
    assert 'rule-id="old%2F"' in s3.head_object(Bucket="rules", Key="old/1")["Expiration"]
    cloud.kill()
    time.sleep(2 * DAY)
    cloud.start()
    wait(lambda: keys(s3, "rules") == ["kept"])
    wait(lambda: "Uploads" not in s3.list_multipart_uploads(Bucket="rules"))
    assert "action=Lifecycle bucket=rules" in cloud.log.read_text()


def test_a_lock_outlives_rules_kills_and_the_administrator(cloud: Running) -> None:
    s3, admin = cloud.client("s3", "ann"), cloud.client("s3")
    s3.create_bucket(Bucket="vault", ObjectLockEnabledForBucket=True)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    locked = s3.put_object(
        Bucket="vault",
        Key="k",
        Body=b"x",
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=until,
    )["VersionId"]
    set_rules(
        s3,
        "vault",
        rule(
            "",
            Expiration={"Days": 1},
            NoncurrentVersionExpiration={"NoncurrentDays": 1},
        ),
    )
    wait(lambda: keys(s3, "vault") == [])
    cloud.kill()
    cloud.start()
    time.sleep(3 * DAY)
    for client in (s3, admin):
        named = {"Bucket": "vault", "Key": "k", "VersionId": locked}
        code = refused(client.delete_object, **named, BypassGovernanceRetention=True)
        assert code == "AccessDenied"
    shown = s3.get_object(Bucket="vault", Key="k", VersionId=locked)
    assert shown["ObjectLockRetainUntilDate"] == until
    assert shown["Body"].read() == b"x"


def test_tags_come_with_an_upload_in_parts(cloud: Running) -> None:
    s3 = cloud.client("s3", https=True)
    s3.create_bucket(Bucket="tagged")
    large = io.BytesIO(bytes(9 << 20))
    s3.upload_fileobj(large, "tagged", "k", ExtraArgs={"Tagging": "b=2&a=x%20y"})
    tags = s3.get_object_tagging(Bucket="tagged", Key="k")["TagSet"]
    assert tags == [{"Key": "a", "Value": "x y"}, {"Key": "b", "Value": "2"}]
    assert s3.head_object(Bucket="tagged", Key="k")["TagCount"] == 2


def test_s3_control_by_a_host_with_the_accounts_number(
    cloud: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def resolve(host: Any, *more: Any, **named: Any) -> Any:
        local = isinstance(host, str) and host.endswith(".localhost")
        return real("127.0.0.1" if local else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    control = boto3.client(
        "s3control",
        endpoint_url=f"http://localhost:{cloud.port}",
        region_name="eucabox",
        aws_access_key_id=cloud.access_key,
        aws_secret_access_key=cloud.secret_key,
        config=ClientConfig(retries={"max_attempts": 1}),
    )
    s3 = cloud.client("s3")
    s3.create_bucket(
        Bucket="control",
        CreateBucketConfiguration={"Tags": [{"Key": "made", "Value": "so"}]},
    )
    account = cloud.client("sts").get_caller_identity()["Account"]
    named = {"AccountId": account, "ResourceArn": "arn:aws:s3:::control"}
    control.tag_resource(**named, Tags=[{"Key": "a", "Value": "1"}])
    control.untag_resource(**named, TagKeys=["made"])
    assert control.list_tags_for_resource(**named)["Tags"] == [{"Key": "a", "Value": "1"}]
    assert s3.get_bucket_tagging(Bucket="control")["TagSet"] == [{"Key": "a", "Value": "1"}]
    named["ResourceArn"] = "arn:aws:s3:::nowhere-at-all"
    assert refused(control.list_tags_for_resource, **named) == "NoSuchBucket"
