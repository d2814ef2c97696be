"""The main job on a real Xen: the deb in a dom0, and paravirtual guests through the API.

Each test goes on where the one before it left the host.
"""

import json
import re
import struct

import pytest
from botocore.exceptions import ClientError

from tests.live import guests
from tests.xen.dom0 import PATIENCE
from tests.xen.journey import Journey

USER_DATA = "#!/bin/sh\necho ran > /root/user-data\n"
MIB = 2**20


def test_the_service_finds_xen_by_itself_and_the_doctor_finds_all_well(journey: Journey) -> None:
    found = {each["what"]: each for each in json.loads(journey.host.shell("eucabox doctor --json"))}
    assert [each for each in found.values() if each["state"] == "FAIL"] == []
    assert found["hypervisor"]["detail"] == "xen: this host is Xen's dom0"
    assert found["libvirt"]["detail"].startswith("xen:///system, version ")
    assert found["memory"]["detail"].endswith("MiB free at xen:///system")
    status = json.loads(journey.host.shell("eucabox status --json"))
    assert status["node"]["virt_type"] == "xen"
    assert status["node"]["libvirt"] == "xen:///system"
    assert status["node"]["problem"] == ""


def test_instances_may_take_the_memory_that_xen_has_free(journey: Journey) -> None:
    free = int(journey.host.shell("xl info free_memory"))
    zones = journey.ec2.describe_availability_zones(ZoneNames=["verbose"])["AvailabilityZones"]
    row = next(each for each in zones if "m1.tiny" in each["ZoneName"])
    slots = int(row["State"].split()[0])
    assert slots == min(8, (free - 64) // 128), "dom0's own memory is not the guests'"


def test_a_whole_disk_is_refused_as_this_xen_has_no_hvm(journey: Journey) -> None:
    table = bytes(446) + struct.pack("<B3sB3sII", 0, b"", 0x83, b"", 2048, 2048)
    disk = table.ljust(510, b"\0") + b"\x55\xaa" + bytes(2 * MIB)
    journey.user.s3().create_bucket(Bucket="disks")
    journey.user.s3().put_object(Bucket="disks", Key="whole.img", Body=disk)
    image = journey.ec2.register_image(Name="whole", ImageLocation="disks/whole.img")["ImageId"]
    guests.until(
        lambda: journey.ec2.describe_images(ImageIds=[image])["Images"][0]["State"] == "available",
        "the image",
    )
    with pytest.raises(ClientError, match="xen can't run: this Xen runs paravirtual") as caught:
        journey.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="m1.tiny")
    assert caught.value.response["Error"]["Code"] == "UnsupportedOperation"


@pytest.mark.first
def test_an_instance_runs_and_its_console_is_kept(journey: Journey) -> None:
    journey.first = journey.run(KeyName=journey.key.stem, UserData=USER_DATA)
    assert journey.first["Hypervisor"] == "xen"
    said = journey.wait_for_boots(journey.first, 1)
    assert "Linux version" in said
    file = f"/var/lib/eucabox/instances/{journey.first['InstanceId']}/console.log"
    assert journey.host.shell(f"stat -c '%U %a' {file}").strip() == "eucabox 600"


def test_the_key_lets_in_and_metadata_and_user_data_arrived(journey: Journey) -> None:
    fetch = "wget -q -O - http://169.254.169.254/latest/meta-data"
    said = journey.log_in(
        journey.first, f"cat /root/user-data; {fetch}/instance-id; echo; {fetch}/local-ipv4; echo"
    )
    assert said.split() == [
        "ran", journey.first["InstanceId"], journey.first["PrivateIpAddress"],
    ]  # fmt: skip


def test_the_guest_has_ec2s_three_partitions_without_a_table(journey: Journey) -> None:
    said = journey.log_in(
        journey.first, "cat /proc/partitions /proc/cmdline /proc/mounts /proc/swaps"
    )
    names = re.findall(r"\d+ (xvda\d*)$", said, re.MULTILINE)
    assert names == ["xvda1", "xvda2", "xvda3"], "and no xvda that they are parts of"
    assert "root=/dev/xvda1" in said
    assert "/dev/xvda1 / ext4" in said
    assert "/dev/xvda2 /mnt" in said, "the tiny guest mounts its ephemeral disk"
    assert re.search(r"^/dev/xvda3 +partition", said, re.MULTILINE), "and swaps"


def test_a_screenshot_is_refused_by_the_drivers_word(journey: Journey) -> None:
    with pytest.raises(ClientError, match="libvirt takes none of a Xen guest") as caught:
        journey.ec2.get_console_screenshot(InstanceId=journey.first["InstanceId"])
    assert caught.value.response["Error"]["Code"] == "UnsupportedOperation"


def test_packets_pass_between_groups_as_the_rules_say(journey: Journey) -> None:
    journey.ec2.create_security_group(GroupName="web", Description="another")
    journey.second = journey.run(SecurityGroups=["web"], KeyName=journey.key.stem)
    journey.wait_for_boots(journey.second, 1)
    address = journey.second["PrivateIpAddress"]
    knock = f"nc -w 30 {address} 22 </dev/null | head -c 3; true"
    assert journey.log_in(journey.first, knock) == "", "no rule lets anybody in yet"
    guests.allow(journey.ec2, "tcp", 22, "web")
    guests.until(
        lambda: journey.log_in(journey.first, knock) == "SSH", "packets between groups", PATIENCE
    )


def test_a_reboot_is_a_new_domain_with_the_same_disk(journey: Journey) -> None:
    journey.log_in(journey.first, "echo kept > /root/kept; sync")
    before, number = journey.console(journey.first), journey.domain_number(journey.first)
    journey.ec2.reboot_instances(InstanceIds=[journey.first["InstanceId"]])
    said = journey.wait_for_boots(journey.first, 2)
    assert said.startswith(before[:2000]), "one console over both"
    assert journey.log_in(journey.first, "cat /root/kept").strip() == "kept"
    assert journey.domain_number(journey.first) != number
    assert journey.describe(journey.first["InstanceId"])["State"]["Name"] == "running"


def test_a_guest_that_reboots_itself_stays_an_instance(journey: Journey) -> None:
    number = journey.domain_number(journey.first)
    journey.log_in(journey.first, "sync; (sleep 1; reboot -f) >/dev/null 2>&1 &")
    journey.wait_for_boots(journey.first, 3)
    assert journey.domain_number(journey.first) != number
    assert journey.describe(journey.first["InstanceId"])["State"]["Name"] == "running"


def test_a_killed_eucabox_takes_its_guests_and_their_consoles_back(journey: Journey) -> None:
    number = journey.domain_number(journey.first)
    journey.log_in(
        journey.first,
        # the first has what follows begin a line of its own, after the prompt that asks for a name
        "(sleep 5; echo; for n in 1 2 3 4 5 6; do echo line $n; sleep 2; done) >/dev/hvc0 &",
    )
    journey.host.shell("systemctl kill -s KILL eucabox.service")
    guests.until(
        lambda: journey.shows("systemctl is-active eucabox", "active"), "the service", PATIENCE
    )
    guests.until(lambda: "line 6" in journey.console(journey.first), "the console", PATIENCE)
    said = journey.console(journey.first)
    assert re.findall(r"^line (\d)\r?$", said, re.MULTILINE) == list("123456"), said[-1000:]
    assert journey.domain_number(journey.first) == number
    assert journey.describe(journey.first["InstanceId"])["State"]["Name"] == "running"


def test_more_than_xens_memory_holds_is_refused(journey: Journey) -> None:
    with pytest.raises(ClientError) as caught:
        journey.ec2.run_instances(
            ImageId=journey.image_id, MinCount=7, MaxCount=7, InstanceType="m1.tiny"
        )
    assert caught.value.response["Error"]["Code"] == "InsufficientInstanceCapacity"


def test_a_stopped_instance_starts_with_its_disk(journey: Journey) -> None:
    instance_id = journey.first["InstanceId"]
    journey.ec2.stop_instances(InstanceIds=[instance_id])
    journey.wait_for(instance_id, "stopped")
    domains = journey.host.shell("timeout 300 virsh -c xen:///system list --all --name")
    assert instance_id not in domains
    journey.ec2.start_instances(InstanceIds=[instance_id])
    journey.wait_for(instance_id, "running")
    assert journey.log_in(journey.first, "cat /root/kept").strip() == "kept"


def test_terminated_instances_leave_no_domain_and_no_disk(journey: Journey) -> None:
    ids = [journey.first["InstanceId"], journey.second["InstanceId"]]
    journey.ec2.terminate_instances(InstanceIds=ids)
    for instance_id in ids:
        journey.wait_for(instance_id, "terminated")
    domains = journey.host.shell("timeout 300 virsh -c xen:///system list --all --name")
    assert set(domains.split()) == {"Domain-0"}
    assert journey.host.shell("ls /var/lib/eucabox/instances/*/disk* 2>/dev/null; true") == ""
    reason = journey.describe(ids[0])["StateTransitionReason"]
    assert "User initiated" in reason
    assert journey.console(journey.first), "the console stays with a terminated instance"
