"""EC2 and STS through the clients that people use, against the real process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from libcloud.compute.providers import get_driver
from libcloud.compute.types import Provider

from tests.live.boto2 import boto
from tests.live.process import Running

AWS = str(Path(sys.executable).with_name("aws"))
VOLUME = "vol-0123456789abcdef0"


@pytest.fixture
def ec2(cloud: Running) -> Iterator[Any]:
    client = cloud.client("ec2")
    yield client
    client.close()


def aws(cloud: Running, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [AWS, "--endpoint-url", cloud.endpoint, "--output", "json", *argv],
        capture_output=True,
        text=True,
        check=check,
        timeout=60,
        env={**os.environ, **cloud.settings, "PYTHONWARNINGS": "ignore"},
    )


def refusal(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, str, int]:
    answer = caught.value.response
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return answer["Error"]["Code"], answer["Error"]["Message"], status


def round_of(ec2: Any, name: str) -> None:
    """Make, list and delete what needs no guest."""
    made = ec2.create_key_pair(KeyName=name)
    assert "PRIVATE KEY" in made["KeyMaterial"]
    shown = ec2.describe_key_pairs(KeyNames=[name])["KeyPairs"][0]
    assert shown["KeyFingerprint"] == made["KeyFingerprint"]
    group = ec2.create_security_group(GroupName=name, Description="a group")["GroupId"]
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "10.0.0.0/8"}],
    }
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    row = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert row["IpPermissions"][0]["IpRanges"][0]["CidrIp"] == "10.0.0.0/8"
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])
    ec2.delete_security_group(GroupId=group)
    ec2.delete_key_pair(KeyName=name)
    assert not ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": [name]}])["KeyPairs"]


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("path", ["", "/services/compute", "/services/Eucalyptus"])
def test_boto3(cloud: Running, path: str, https: bool) -> None:
    base = cloud.https_endpoint if https else cloud.endpoint
    ec2 = boto3.client(
        "ec2",
        endpoint_url=base + path,
        verify=str(cloud.ca_path) if https else None,
        region_name="eucabox",
        aws_access_key_id=cloud.access_key,
        aws_secret_access_key=cloud.secret_key,
    )
    regions = ec2.describe_regions()["Regions"]
    assert [each["RegionName"] for each in regions] == ["eucabox-1"]
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    assert [each["ZoneName"] for each in zones] == ["eucabox-1a"]
    round_of(ec2, f"boto3{path.rpartition('/')[2]}{https}")
    ec2.close()


def test_boto3_sts(cloud: Running) -> None:
    for path in ("", "/services/Tokens"):
        sts = boto3.client(
            "sts",
            endpoint_url=cloud.endpoint + path,
            region_name="eucabox",
            aws_access_key_id=cloud.access_key,
            aws_secret_access_key=cloud.secret_key,
        )
        who = sts.get_caller_identity()
        assert who["Account"] == cloud.settings["EC2_USER_ID"]
        assert who["Arn"].endswith(":root")
        sts.close()


def test_the_administrator_sees_capacity(ec2: Any) -> None:
    shown = ec2.describe_availability_zones(ZoneNames=["verbose"])["AvailabilityZones"]
    names = [each["ZoneName"] for each in shown]
    assert names[1] == "|- vm types"
    assert any(name.startswith("|- m1.small") for name in names)


def test_ebs_is_refused_in_words(ec2: Any) -> None:
    calls = (
        ec2.describe_volumes,
        lambda: ec2.create_volume(AvailabilityZone="eucabox-1a", Size=1),
        lambda: ec2.attach_volume(VolumeId=VOLUME, InstanceId="i-0", Device="/dev/sdf"),
        ec2.describe_snapshots,
        lambda: ec2.create_snapshot(VolumeId=VOLUME),
    )
    for call in calls:
        with pytest.raises(ClientError) as caught:
            call()
        code, message, status = refusal(caught)
        assert code == "UnsupportedOperation"
        assert "EBS" in message
        assert status == 400


def test_wrong_credentials_are_refused(cloud: Running) -> None:
    for change, code in (
        ({"aws_secret_access_key": "wrong"}, "SignatureDoesNotMatch"),
        ({"aws_access_key_id": "AKIAWRONGWRONGWRONG1"}, "AuthFailure"),
    ):
        keys = {
            "aws_access_key_id": cloud.access_key,
            "aws_secret_access_key": cloud.secret_key,
            **change,
        }
        ec2 = boto3.client("ec2", endpoint_url=cloud.endpoint, region_name="x", **keys)
        with pytest.raises(ClientError) as caught:
            ec2.describe_regions()
        text, message, status = refusal(caught)
        assert (text, 400 <= status < 500) == (code, True)
        assert message.isascii()
        ec2.close()


def test_a_request_id_reaches_the_client_and_the_log(cloud: Running, ec2: Any) -> None:
    answer = ec2.describe_regions()["ResponseMetadata"]
    assert answer["RequestId"] == answer["HTTPHeaders"]["x-amz-request-id"]
    deadline = time.monotonic() + 5
    while answer["RequestId"] not in cloud.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert cloud.secret_key not in cloud.log.read_text()


def test_unknown_things_name_themselves(cloud: Running) -> None:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    from botocore.httpsession import URLLib3Session

    session = URLLib3Session()
    for form, word in (
        ("Action=DescribeEverything&Version=2016-11-15", "DescribeEverything"),
        ("Action=DescribeRegions&Version=2016-11-15&Colour=blue", "Colour"),
        ("Action=RunInstances&Version=2016-11-15&ImageId=emi-00000000&MinCount=two&MaxCount=2",
         "MinCount"),
        ("Action=DescribeInstances&Version=2016-11-15&InstanceId.1=i-nothex", "i-nothex"),
    ):  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        request = AWSRequest("POST", cloud.endpoint + "/", headers, form)
        SigV4Auth(Credentials(cloud.access_key, cloud.secret_key), "ec2", "r").add_auth(request)
        answer = session.send(request.prepare())
        assert 400 <= answer.status_code < 500, answer.text
        assert word in answer.text
        assert "<RequestID>" in answer.text
    session.close()


def test_boto2(cloud: Running) -> None:
    connection = boto.connect_ec2(
        cloud.access_key,
        cloud.secret_key,
        is_secure=False,
        region=boto.ec2.regioninfo.RegionInfo(name="eucalyptus", endpoint="127.0.0.1"),
        port=cloud.port,
        path="/services/Eucalyptus",
    )
    euca = boto.connect_euca(
        "127.0.0.1",
        cloud.access_key,
        cloud.secret_key,
        port=cloud.port,
        path="/services/Eucalyptus",
        is_secure=False,
    )
    for each in (connection, euca):
        assert [zone.name for zone in each.get_all_zones()] == ["eucabox-1a"]
        key = each.create_key_pair("boto2")
        assert "PRIVATE KEY" in key.material
        assert each.get_all_key_pairs(["boto2"])[0].fingerprint == key.fingerprint
        group = each.create_security_group("boto2", "a group")
        group.authorize("tcp", 22, 22, "0.0.0.0/0")
        found = each.get_all_security_groups(["boto2"])[0]
        assert found.rules[0].from_port == "22"
        group.delete()
        each.delete_key_pair("boto2")
        assert each.get_all_instances() == []
        assert each.get_all_images() == []
        each.close()


def test_aws_cli(cloud: Running) -> None:
    who = json.loads(aws(cloud, "sts", "get-caller-identity").stdout)
    assert who["Account"] == cloud.settings["EC2_USER_ID"]
    made = json.loads(aws(cloud, "ec2", "create-key-pair", "--key-name", "cli").stdout)
    shown = json.loads(aws(cloud, "ec2", "describe-key-pairs", "--key-names", "cli").stdout)
    assert shown["KeyPairs"][0]["KeyPairId"] == made["KeyPairId"]
    aws(cloud, "ec2", "delete-key-pair", "--key-name", "cli")
    refused = aws(cloud, "ec2", "describe-volumes", check=False)
    assert refused.returncode != 0
    assert "EBS" in refused.stderr


def test_libcloud(cloud: Running) -> None:
    driver = get_driver(Provider.EUCALYPTUS)(
        cloud.access_key,
        secret=cloud.secret_key,
        host="127.0.0.1",
        port=cloud.port,
        secure=False,
        path="/services/Eucalyptus",
    )
    assert driver.list_nodes() == []
    assert driver.list_images() == []
    driver.create_key_pair("libcloud")
    assert [each.name for each in driver.list_key_pairs()] == ["libcloud"]
    driver.delete_key_pair(driver.get_key_pair("libcloud"))


def test_the_profile_works_as_it_is(cloud: Running) -> None:
    """`eucabox credentials` writes an AWS profile that needs nothing else."""
    folder = cloud.folder / "credentials-admin" / "aws"
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "AWS_PROFILE": "eucabox",
    }
    done = subprocess.run(
        [AWS, "ec2", "describe-regions"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environment,
    )
    assert json.loads(done.stdout)["Regions"][0]["RegionName"] == "eucabox-1"


def test_eucarc_can_be_sourced(cloud: Running) -> None:
    folder = cloud.folder / "credentials-admin"
    script = f'. "{folder}/eucarc" && echo "$EC2_URL $EC2_CERT" && test -f "$EC2_PRIVATE_KEY"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == f"{cloud.endpoint}/services/compute"
    assert Path(done.stdout.split()[1]).is_file()
