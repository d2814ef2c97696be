"""A real distribution boots from its own disk, and cloud-init believes that this is EC2."""

import json
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

pytestmark = pytest.mark.long  # boots a whole Debian, emulated, for minutes

PATIENCE = 900  # seconds; cloud-init is a lot of Python for an emulated processor
TYPE = "m1.medium"
BUSY = 255  # what ssh says of itself: a guest that is emulated on a busy host answers late
USER_DATA = """#cloud-config
users: [default, {name: ann, ssh_authorized_keys: [PUBLIC], shell: /bin/sh}]
runcmd: ["echo ran > /run/ran"]
ssh_genkeytypes: [ed25519]
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
            done = guests.ssh(self.row["PrivateIpAddress"], self.key, command, user)
            return None if done.returncode == BUSY else done

        done = guests.until(ask, "SSH")
        assert done.returncode == 0, done.stdout + done.stderr
        output: str = done.stdout.strip()
        return output

    def is_through(self) -> bool:
        command = "test -e /run/cloud-init/result.json"
        return guests.ssh(self.row["PrivateIpAddress"], self.key, command, "debian").returncode == 0


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
    key = guests.key_pair(ec2, cloud.folder, "debian")
    public = ec2.describe_key_pairs(KeyNames=[key.stem], IncludePublicKey=True)["KeyPairs"][0]
    row = guests.run(
        ec2,
        image_id,
        InstanceType=TYPE,
        KeyName=key.stem,
        UserData=USER_DATA.replace("PUBLIC", public["PublicKey"].strip()),
        MetadataOptions={"HttpTokens": "required"},
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
