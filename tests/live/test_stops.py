"""A real guest is stopped and started: same disk, address and MAC, over a kill -9 too."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from eucabox.image.tiny_guest import TinyGuest
from tests.live import guests
from tests.live.process import Running, running

SETTINGS = "[node]\nvirt_type = qemu\nstop_keeps_disk = yes\nstop_timeout = 20\n"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Running]:
    with running(SETTINGS) as found:
        yield found


def test_stop_and_start_keep_disk_and_address(cloud: Running, tiny_guest: TinyGuest) -> None:
    ec2: Any = cloud.client("ec2")
    key = guests.key_pair(ec2, cloud.folder, "k")
    row = guests.run(
        ec2,
        guests.install(cloud, tiny_guest),
        KeyName="k",
        InstanceInitiatedShutdownBehavior="stop",
    )
    instance_id, address = row["InstanceId"], row["PrivateIpAddress"]
    mac = guests.said_over_ssh(
        address, key, "echo kept > /root/kept; sync; cat /sys/class/net/eth0/address"
    )

    shot = base64.b64decode(ec2.get_console_screenshot(InstanceId=instance_id)["ImageData"])
    assert shot.startswith(b"\x89PNG")
    assert len(shot) > 500, "there is something on the screen"

    ec2.stop_instances(InstanceIds=[instance_id])
    cloud.kill()
    cloud.start()
    guests.wait_for(ec2, instance_id, "stopped")
    ec2.start_instances(InstanceIds=[instance_id])
    cloud.kill()
    cloud.start()
    again = guests.wait_for(ec2, instance_id, "running")
    assert again["PrivateIpAddress"] == address
    look = "cat /root/kept /sys/class/net/eth0/address; (sleep 1; poweroff) >/dev/null 2>&1 &"
    assert guests.said_over_ssh(address, key, look) == f"kept\n{mac}"

    ended = guests.wait_for(ec2, instance_id, "stopped")
    assert ended["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    ec2.terminate_instances(InstanceIds=[instance_id])
    guests.wait_for(ec2, instance_id, "terminated")
    ec2.close()
