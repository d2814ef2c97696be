"""Real guests through the public APIs: launch, log in, reboot, console, kill -9, terminate."""

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from eucabox.image.tiny_guest import TinyGuest
from tests.live import guests
from tests.live.process import Running, running

USER_DATA = "#!/bin/sh\necho ran > /run/ran\n"
BYTES = bytes(range(256)) * 64


@pytest.fixture(scope="module")
def ec2(cloud: Running) -> Iterator[Any]:
    client = cloud.client("ec2", user="alice")
    yield client
    client.close()


@pytest.fixture(scope="module")
def image_id(cloud: Running, tiny_guest: TinyGuest) -> str:
    return guests.install(cloud, tiny_guest, user="alice")


@pytest.fixture(scope="module")
def key(ec2: Any, cloud: Running) -> Path:
    return guests.key_pair(ec2, cloud.folder, "rsa", "rsa")


@pytest.fixture(scope="module")
def instance(ec2: Any, image_id: str, key: Path) -> Any:
    return guests.run(ec2, image_id, KeyName=key.stem, UserData=USER_DATA)


def test_it_is_who_it_says(instance: Any, key: Path) -> None:
    address = instance["PrivateIpAddress"]
    look = "wget -q -O - http://169.254.169.254/latest"
    output = guests.said_over_ssh(
        address, key, f"{look}/meta-data/instance-id; echo; {look}/user-data; cat /run/ran"
    )
    assert output == f"{instance['InstanceId']}\n{USER_DATA}ran\n"


def test_the_disk_has_root_ephemeral_and_memory(instance: Any, key: Path) -> None:
    output = guests.said_over_ssh(instance["PrivateIpAddress"], key, "cat /proc/partitions")
    names = {line.split()[-1] for line in output.splitlines() if line.strip()}
    assert {"sda", "sda1", "sda2"} <= names


def test_describe_says_what_runs(ec2: Any, instance: Any, image_id: str) -> None:
    row = guests.describe(ec2, instance["InstanceId"])
    assert row["ImageId"] == image_id
    assert row["State"]["Code"] == 16
    assert row["RootDeviceType"] == "instance-store"
    assert row["Placement"]["AvailabilityZone"] == "eucabox-1a"


def test_the_console_is_kept(ec2: Any, instance: Any, key: Path) -> None:
    guests.said_over_ssh(instance["PrivateIpAddress"], key, "true")
    assert "Linux version" in guests.console(ec2, instance["InstanceId"])


def test_others_neither_see_nor_end_it(cloud: Running, instance: Any, image_id: str) -> None:
    bob = cloud.client("ec2", user="bob")
    assert not bob.describe_instances()["Reservations"]
    calls: tuple[Callable[[], Any], ...] = (
        lambda: bob.terminate_instances(InstanceIds=[instance["InstanceId"]]),
        lambda: bob.get_console_output(InstanceId=instance["InstanceId"]),
        lambda: bob.run_instances(ImageId=image_id, MinCount=1, MaxCount=1),
    )
    for call in calls:
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"].endswith(".NotFound")
    bob.close()


def test_a_client_token_runs_once(ec2: Any, image_id: str) -> None:
    given = {
        "ImageId": image_id, "InstanceType": "m1.tiny", "MinCount": 1, "MaxCount": 1,
        "ClientToken": "once",
    }  # fmt: skip
    first = ec2.run_instances(**given)
    assert ec2.run_instances(**given)["ReservationId"] == first["ReservationId"]
    with pytest.raises(ClientError) as caught:
        ec2.run_instances(**{**given, "InstanceType": "m1.small"})
    assert caught.value.response["Error"]["Code"] == "IdempotentParameterMismatch"
    ids = [each["InstanceId"] for each in first["Instances"]]
    assert len(ids) == 1
    ec2.terminate_instances(InstanceIds=ids)
    guests.wait_for(ec2, ids[0], "terminated")


def test_reboot_keeps_the_disk(ec2: Any, instance: Any, key: Path) -> None:
    address = instance["PrivateIpAddress"]
    boot_id = "cat /proc/sys/kernel/random/boot_id"
    before = guests.said_over_ssh(address, key, f"echo kept > /root/kept; sync; {boot_id}")
    ec2.reboot_instances(InstanceIds=[instance["InstanceId"]])
    after = guests.until(
        lambda: (
            done.stdout
            if (done := guests.ssh(address, key, boot_id)).returncode == 0 and done.stdout != before
            else None
        ),
        "another boot",
    )
    assert after != before
    assert guests.said_over_ssh(address, key, "cat /root/kept") == "kept\n"
    assert guests.describe(ec2, instance["InstanceId"])["State"]["Name"] == "running"


def test_a_killed_eucabox_takes_its_guests_back(
    cloud: Running, ec2: Any, instance: Any, key: Path
) -> None:
    address = instance["PrivateIpAddress"]
    boot_id = "cat /proc/sys/kernel/random/boot_id"
    before = guests.said_over_ssh(address, key, boot_id)
    cloud.kill()
    assert guests.said_over_ssh(address, key, boot_id) == before, "the guest runs without us"
    cloud.start()
    row = guests.describe(ec2, instance["InstanceId"])
    assert row["State"]["Name"] == "running"
    assert row["PrivateIpAddress"] == address
    output = guests.said_over_ssh(
        address, key, "wget -q -O - http://169.254.169.254/latest/meta-data/instance-id"
    )
    assert output == instance["InstanceId"]


def test_a_launch_survives_a_kill_at_any_moment(
    cloud: Running, ec2: Any, image_id: str, key: Path
) -> None:
    """What RunInstances acknowledged runs in the end, whenever the process dies."""
    ids = []
    for delay in (0.0, 0.15, 0.4):
        made = ec2.run_instances(
            ImageId=image_id, InstanceType="m1.tiny", MinCount=1, MaxCount=1, KeyName=key.stem
        )["Instances"][0]
        ids.append(made["InstanceId"])
        time.sleep(delay)
        cloud.kill()
        cloud.start()
    for each in ids:
        row = guests.wait_for(ec2, each, "running")
        assert guests.said_over_ssh(row["PrivateIpAddress"], key, "hostname")
    ec2.terminate_instances(InstanceIds=ids)
    for each in ids:
        guests.wait_for(ec2, each, "terminated")


@pytest.fixture(scope="module")
def second(ec2: Any, image_id: str, key: Path) -> Any:
    return guests.run(ec2, image_id, KeyName=key.stem, UserData=BYTES)


def test_user_data_comes_back_byte_for_byte(second: Any, key: Path) -> None:
    assert len(BYTES) == 16384
    said = guests.said_over_ssh(
        second["PrivateIpAddress"], key,
        "wget -q -O - http://169.254.169.254/latest/user-data | base64",
    )  # fmt: skip
    assert base64.b64decode(said) == BYTES


def test_a_poweroff_in_the_guest_terminates_it(ec2: Any, second: Any, key: Path) -> None:
    guests.said_over_ssh(second["PrivateIpAddress"], key, "(sleep 1; poweroff) >/dev/null 2>&1 &")
    ended = guests.wait_for(ec2, second["InstanceId"], "terminated")
    assert ended["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_terminated_instances_stay_listed_and_leave_nothing(
    cloud: Running, ec2: Any, instance: Any
) -> None:
    ids = [instance["InstanceId"]]
    changed = ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"][0]
    assert changed["PreviousState"]["Name"] == "running"
    row = guests.wait_for(ec2, ids[0], "terminated")
    assert row["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"], "twice is no error"
    guests.until(
        lambda: not list((cloud.data / "instances" / ids[0]).glob("*.qcow2")), "removal of the disk"
    )
    assert "Linux version" in guests.console(ec2, ids[0])


def test_terminated_rows_go_after_their_time(tiny_guest: TinyGuest) -> None:
    with running("[node]\nvirt_type = qemu\nterminated_kept = 2\n") as cloud:
        ec2 = cloud.client("ec2")
        row = guests.run(ec2, guests.install(cloud, tiny_guest))
        ec2.terminate_instances(InstanceIds=[row["InstanceId"]])
        guests.until(lambda: not ec2.describe_instances()["Reservations"], "empty list")
        guests.until(lambda: not list((cloud.data / "instances").iterdir()), "empty folder")
        ec2.close()
