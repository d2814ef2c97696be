"""Images made of a real guest, by boto3, over a kill -9: what was on its disk boots again."""

from typing import Any

from eucabox.image.tiny_guest import TinyGuest
from tests.live import guests
from tests.live.process import Running


def image_is(ec2: Any, image_id: str, state: str) -> bool:
    (row,) = ec2.describe_images(ImageIds=[image_id])["Images"]
    assert row["State"] in ("pending", state), row
    return bool(row["State"] == state)


def test_an_image_of_an_instance_boots(cloud: Running, tiny_guest: TinyGuest) -> None:
    ec2 = cloud.client("ec2")
    key = guests.key_pair(ec2, cloud.folder, "k")
    first = guests.run(ec2, guests.install(cloud, tiny_guest), KeyName="k")
    address = first["PrivateIpAddress"]
    guests.said_over_ssh(address, key, "echo one > /root/kept; sync")
    paused = ec2.create_image(InstanceId=first["InstanceId"], Name="paused", NoReboot=True)
    guests.until(lambda: image_is(ec2, paused["ImageId"], "available"), "image")
    assert guests.said_over_ssh(address, key, "cat /root/kept") == "one\n", "it runs on"

    guests.said_over_ssh(address, key, "echo two > /root/kept")  # and no sync
    made = ec2.create_image(InstanceId=first["InstanceId"], Name="made")
    cloud.kill()
    cloud.start()
    guests.until(lambda: image_is(ec2, made["ImageId"], "available"), "image")
    guests.wait_for(ec2, first["InstanceId"], "running")
    assert guests.said_over_ssh(address, key, "cat /root/kept") == "two\n"
    ec2.terminate_instances(InstanceIds=[first["InstanceId"]])
    guests.wait_for(ec2, first["InstanceId"], "terminated")

    row = guests.run(ec2, made["ImageId"], KeyName="k")
    assert guests.said_over_ssh(row["PrivateIpAddress"], key, "cat /root/kept") == "two\n"
    ec2.close()
