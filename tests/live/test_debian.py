"""A real distribution boots from its own disk, and cloud-init believes that this is EC2; SDKs in it
use the role that the instance has."""

import importlib.util
import json
import shlex
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eucabox.cli import image
from eucabox.cli.client import Client
from eucabox.cli.progress import Steps
from eucabox.image.debian import DebianGuest
from tests.live import guests
from tests.live.process import Running
from tests.live.roles import (
    ALLOWED,
    OTHER,
    PUBLIC,
    ROLE,
    copy_client,
    make_buckets,
    make_role,
    refuse,
)

pytestmark = pytest.mark.long  # boots a whole Debian, emulated, for minutes

PATIENCE = 1800  # seconds; cloud-init is a lot of Python for an emulated processor
TYPE = "m1.medium"
BUSY = 255  # what ssh says of itself: a guest that is emulated on a busy host answers late
USER_DATA = """#cloud-config
users: [default, {name: ann, ssh_authorized_keys: [PUBLIC], shell: /bin/sh}]
runcmd: ["echo ran > /run/ran"]
ssh_genkeytypes: [ed25519]
"""


# What boto3 and the AWS CLI are made of: these test clients are newer than Debian 12's own.
SDK = (
    *("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six", "awscli"),
    *("docutils", "rsa", "pyasn1", "colorama", "yaml"),
)
SERVICES = ("s3", "sts", "ec2")  # whose models go along
# SDKs ask the metadata service once and wait a second, which is short for an emulated processor.
SLOW = "AWS_METADATA_SERVICE_TIMEOUT=60 AWS_METADATA_SERVICE_NUM_ATTEMPTS=10 PYTHONPATH=/tmp/sdk"
FETCH = """import io, os, tarfile, urllib.request
url = os.environ["AWS_ENDPOINT_URL"] + "/BUCKET/sdk.tar.gz"
tarfile.open(fileobj=io.BytesIO(urllib.request.urlopen(url).read())).extractall("/tmp/sdk")
"""
LIST = """import boto3, json
from botocore.exceptions import ClientError
s3, listed = boto3.client("s3"), {}
for bucket in BUCKETS:
    try:
        listed[bucket] = [row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    except ClientError as refused:
        listed[bucket] = refused.response["Error"]["Code"]
keys = boto3.Session().get_credentials().get_frozen_credentials()
who = boto3.client("sts").get_caller_identity()["Arn"]
print(json.dumps({"listed": listed, "who": who, "keys": list(keys)[:3]}))
"""

SEEDED = """#cloud-config
bootcmd: ["echo seeded $(cloud-init query local_hostname) > /dev/ttyS0"]
"""


class Guest:
    """The one Debian instance, once cloud-init is through with it."""

    def __init__(self, row: Any, key: Path) -> None:
        self.row, self.key = row, key

    def says(self, command: str, user: str = "debian") -> str:
        def ask() -> Any:
            try:
                done = guests.ssh(self.row["PrivateIpAddress"], self.key, command, user)
            except subprocess.TimeoutExpired:
                return None
            return None if done.returncode == BUSY else done

        done = guests.until(ask, "SSH", PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
        output: str = done.stdout.strip()
        return output

    def runs(self, command: str) -> str:
        """Run what may take longer than a call by SSH, and return what it wrote.

        It runs once, also where the call that began it got no answer and is repeated.
        """
        folder = f"/tmp/{uuid.uuid4()}"
        done = shlex.quote(f"({command}) >{folder}/out 2>&1; echo $? >{folder}/status")
        self.says(f"mkdir {folder} && nohup sh -c {done} >/dev/null 2>&1 </dev/null & true")
        status = guests.until(lambda: self.says(f"cat {folder}/status || true"), command, PATIENCE)
        output = self.says(f"cat {folder}/out")
        assert status == "0", output
        return output

    def is_through(self) -> bool:
        command = "test -e /run/cloud-init/result.json"
        address = self.row["PrivateIpAddress"]
        try:
            return guests.ssh(address, self.key, command, "debian").returncode == 0
        except subprocess.TimeoutExpired:
            return False


@pytest.fixture(scope="module")
def ec2(cloud: Running) -> Iterator[Any]:
    client = cloud.client("ec2")
    yield client
    client.close()


@pytest.fixture(scope="module")
def image_id(cloud: Running, debian_guest: DebianGuest) -> str:
    owner, steps = Client(cloud.settings), Steps(quiet=True)
    image.ensure_bucket(owner, guests.BUCKET)
    image._put(owner, guests.BUCKET, debian_guest.disk, steps)
    return image.register_image(owner, f"{guests.BUCKET}/{debian_guest.disk.name}", None, steps)


@pytest.fixture(scope="module")
def debian(cloud: Running, ec2: Any, image_id: str) -> Iterator[Guest]:
    make_role(cloud)
    make_buckets(cloud)
    key = guests.key_pair(ec2, cloud.folder, "debian")
    public = ec2.describe_key_pairs(KeyNames=[key.stem], IncludePublicKey=True)["KeyPairs"][0]
    row = guests.run(
        ec2,
        image_id,
        InstanceType=TYPE,
        KeyName=key.stem,
        UserData=USER_DATA.replace("PUBLIC", public["PublicKey"].strip()),
        MetadataOptions={"HttpTokens": "required"},
        IamInstanceProfile={"Name": ROLE},
    )
    found = Guest(row, key)
    try:
        guests.until(found.is_through, "end of cloud-init", PATIENCE)
    except AssertionError as late:
        pytest.fail(f"{late}; its console:\n{guests.console(ec2, row['InstanceId'])[-8000:]}")
    yield found
    ec2.terminate_instances(InstanceIds=[row["InstanceId"]])


def test_cloud_init_takes_this_for_ec2(debian: Guest) -> None:
    output = debian.says("cat /run/cloud-init/cloud-id /var/lib/cloud/data/instance-id")
    assert output.split("\n") == ["aws", debian.row["InstanceId"]]
    result = json.loads(debian.says("cat /run/cloud-init/result.json"))["v1"]
    assert result == {"datasource": "DataSourceEc2Local", "errors": []}
    problems = "sudo grep -E 'WARNING|ERROR|Traceback' /var/log/cloud-init.log || true"
    assert debian.says(problems) == ""


def test_nothing_in_the_image_names_the_source(debian: Guest) -> None:
    look = "grep -rlE '^datasource(_list)?:' /etc/cloud; ls /var/lib/cloud/seed"
    assert debian.says(f"{look} || true") == ""
    assert debian.says("sudo grep -c 'Fetching Ec2 IMDSv2 API Token' /var/log/cloud-init.log")


def test_user_data_and_hostname_are_taken(debian: Guest) -> None:
    assert debian.says("cat /run/ran") == "ran"
    assert debian.says("id -un", user="ann") == "ann"
    assert debian.says("hostname -f") == debian.row["PrivateDnsName"]


def test_the_root_grew_to_the_types_disk(debian: Guest) -> None:
    megabytes = int(debian.says("df -m --output=size / | tail -n 1"))
    assert megabytes > 4 * 1024


def pack_sdk(file: Path) -> None:
    """Write the packages of SDK, with few models, as tests have them installed."""

    def choose(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        parts = member.name.split("/")
        inside = parts[:2] == ["botocore", "data"] and len(parts) > 2 and "." not in parts[2]
        left_out = inside and parts[2] not in SERVICES
        return None if left_out or parts[-1] in ("__pycache__", "examples") else member

    with tarfile.open(file, "w:gz") as archive:
        for name in SDK:
            found = importlib.util.find_spec(name)
            assert found is not None, name
            assert found.origin is not None
            origin = Path(found.origin)
            place = origin.parent if origin.name == "__init__.py" else origin
            archive.add(place, place.name, filter=choose)


@pytest.fixture(scope="module")
def used(cloud: Running, debian: Guest) -> Any:
    """What boto3 in the guest lists and is, without any key but those of the role."""
    packed = cloud.folder / "sdk.tar.gz"
    pack_sdk(packed)
    s3 = cloud.client("s3")
    s3.upload_file(str(packed), PUBLIC, packed.name)
    s3.close()
    debian.runs(f"python3 -c {shlex.quote(FETCH.replace('BUCKET', PUBLIC))}")
    script = LIST.replace("BUCKETS", repr([ALLOWED, OTHER]))
    output = debian.runs(f"{SLOW} python3 -W ignore -c {shlex.quote(script)}")
    return json.loads(output.splitlines()[-1])


def test_boto3_uses_the_role_and_nothing_else_is_set(debian: Guest, used: Any) -> None:
    assert used["who"].endswith(f":assumed-role/{ROLE}/{debian.row['InstanceId']}")
    assert used["listed"] == {ALLOWED: ["mine"], OTHER: "AccessDenied"}
    environment = debian.says("env | grep ^AWS_ | cut -d= -f1 | sort; ls -d ~/.aws || true")
    assert environment.split() == ["AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"]


def test_the_aws_cli_uses_the_role(debian: Guest, used: Any) -> None:
    aws = f"{SLOW} python3 -W ignore -m awscli s3 ls"
    assert debian.runs(f"{aws} s3://{ALLOWED}").split()[-1] == "mine"
    assert "AccessDenied" in debian.runs(f"{aws} s3://{OTHER} || true")


def test_copied_keys_are_refused_once_the_instance_terminates(
    cloud: Running, ec2: Any, debian: Guest, used: Any
) -> None:
    names = ("AccessKeyId", "SecretAccessKey", "Token")
    s3 = copy_client("s3", dict(zip(names, used["keys"], strict=True)), cloud.endpoint)
    assert [row["Key"] for row in s3.list_objects_v2(Bucket=ALLOWED)["Contents"]] == ["mine"]
    ec2.terminate_instances(InstanceIds=[debian.row["InstanceId"]])
    assert refuse(s3.list_objects_v2, Bucket=ALLOWED) == "InvalidAccessKeyId"
    guests.wait_for(ec2, debian.row["InstanceId"], "terminated")
    s3.close()


def test_the_disk_boots_by_uefi_and_is_seeded_from_a_cdrom(
    cloud: Running, ec2: Any, image_id: str
) -> None:
    """Not waited for to its end: the console tells who the firmware was and who seeded it."""
    wanted = ("--boot-mode", "uefi", "--seed", "nocloud")
    cloud.command("image", "set", image_id, *wanted)
    assert ec2.describe_images(ImageIds=[image_id])["Images"][0]["BootMode"] == "uefi"
    row = guests.run(ec2, image_id, InstanceType=TYPE, UserData=SEEDED)
    assert row["MetadataOptions"]["HttpEndpoint"] == "disabled"

    def seeded() -> str | None:
        output = guests.console(ec2, row["InstanceId"])
        return output if "seeded ip-" in output else None

    output = guests.until(seeded, "seed", PATIENCE)
    assert "efi: EFI v" in output
    assert f"seeded {row['PrivateDnsName'].partition('.')[0]}" in output
    ec2.terminate_instances(InstanceIds=[row["InstanceId"]])
    guests.wait_for(ec2, row["InstanceId"], "terminated")
    folder = cloud.data / "instances" / row["InstanceId"]
    guests.until(lambda: {each.name for each in folder.iterdir()} == {"console.log"}, "clean end")
