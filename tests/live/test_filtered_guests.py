"""Security groups through the public APIs, between two real guests and this host."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eucabox.image.tiny_guest import TinyGuest
from tests.live import guests
from tests.live.process import Running

SOON = 10  # seconds; a change takes far less, but the machine may be busy
RULE = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
THIEF = """(sleep 1; ifconfig eth0 down; ifconfig eth0 hw ether {mac}; ifconfig eth0 {ip} up;
  while sleep 0.2; do ping -c 1 {gateway}; done) >/dev/null 2>&1 &"""


@pytest.fixture(scope="module")
def ec2(cloud: Running) -> Iterator[Any]:
    client = cloud.client("ec2", user="carol")
    yield client
    client.close()


@pytest.fixture(scope="module")
def key(ec2: Any, cloud: Running) -> Path:
    return guests.key_pair(ec2, cloud.folder, "carol")


@pytest.fixture(scope="module")
def shut(ec2: Any) -> str:
    made = ec2.create_security_group(GroupName="shut", Description="nobody comes in")
    return str(made["GroupId"])


@pytest.fixture(scope="module")
def pair(cloud: Running, ec2: Any, key: Path, shut: str, tiny_guest: TinyGuest) -> tuple[Any, Any]:
    """One guest in the default group, which lets SSH in, and one in a group that does not."""
    image_id = guests.install(cloud, tiny_guest, user="carol", bucket="carols")
    one = guests.run(ec2, image_id, KeyName=key.stem)
    other = guests.run(ec2, image_id, KeyName=key.stem, SecurityGroupIds=[shut])
    guests.said_over_ssh(one["PrivateIpAddress"], key, "true")
    guests.booted(ec2, other["InstanceId"])
    return one, other


def reaches(address: str, key: Path, other: str) -> bool:
    """Whether one guest can connect to another's SSH."""
    output = guests.ssh(address, key, f"echo | timeout 2 nc {other} 22 | head -c 5")
    return output.stdout == "SSH-2"


def lets_in(address: str) -> bool:
    """Whether this host can connect to a guest's SSH."""
    try:
        with socket.create_connection((address, 22), timeout=3):
            return True
    except TimeoutError:
        return False


def test_a_group_lets_in_whom_its_rules_name_and_from_when_they_do(
    ec2: Any, pair: tuple[Any, Any], key: Path, shut: str
) -> None:
    one, other = (each["PrivateIpAddress"] for each in pair)
    assert not lets_in(other)
    assert not reaches(one, key, other)
    default = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
    members = [{**RULE, "UserIdGroupPairs": [{"GroupId": default}]}]
    ec2.authorize_security_group_ingress(GroupId=shut, IpPermissions=members)
    guests.until(lambda: reaches(one, key, other), "way between the guests", SOON)
    assert not lets_in(other), "this host is no member"
    ec2.revoke_security_group_ingress(GroupId=shut, IpPermissions=members)
    guests.until(lambda: not reaches(one, key, other), "end of the way", SOON)


def test_a_revoked_rule_ends_a_session_and_a_killed_eucabox_opens_nothing(
    cloud: Running, ec2: Any, pair: tuple[Any, Any], key: Path, shut: str
) -> None:
    other = pair[1]["PrivateIpAddress"]
    anybody = [{**RULE, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=shut, IpPermissions=anybody)
    guests.until(lambda: lets_in(other), "way in", SOON)
    talk = "while sleep 0.1; do date; done"
    session = subprocess.Popen(
        ["ssh", *guests.OPTIONS, "-i", str(key), f"root@{other}", talk], stdout=subprocess.PIPE
    )
    try:
        assert session.stdout
        assert session.stdout.readline()
        ec2.revoke_security_group_ingress(GroupId=shut, IpPermissions=anybody)
        guests.until(lambda: not lets_in(other), "end of the way in", SOON)
        read = ["timeout", "1", "cat"]
        for _ in range(2):  # the first reads what had come in before
            output = subprocess.run(read, stdin=session.stdout, capture_output=True, check=False)
        assert output.stdout == b""
    finally:
        session.kill()
        session.communicate()
    cloud.kill()
    assert not lets_in(other)
    cloud.start()
    assert not lets_in(other)
    assert lets_in(pair[0]["PrivateIpAddress"])


def test_a_thief_of_anothers_address_is_not_heard(
    ec2: Any, pair: tuple[Any, Any], key: Path, shut: str
) -> None:
    thief, owner = pair
    address = owner["PrivateIpAddress"]
    anybody = [{**RULE, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=shut, IpPermissions=anybody)
    mac = guests.said_over_ssh(address, key, "cat /sys/class/net/eth0/address").strip()
    gateway = address.rpartition(".")[0] + ".1"
    script = THIEF.format(mac=mac, ip=address, gateway=gateway)
    guests.said_over_ssh(thief["PrivateIpAddress"], key, script)
    guests.until(lambda: not lets_in(thief["PrivateIpAddress"]), "theft", SOON)
    command = "wget -q -O - http://169.254.169.254/latest/meta-data/instance-id"
    for _ in range(3):
        assert guests.ssh(address, key, command).stdout == owner["InstanceId"]
