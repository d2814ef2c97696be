"""A stopped instance of a restored cloud boots from its disk; one that ran is terminated."""

import secrets
import tempfile
from pathlib import Path
from typing import Any

from eucabox.image.tiny_guest import TinyGuest
from tests.live import guests
from tests.live.process import running
from tests.live.test_backup import restored

KEEPS = "stop_keeps_disk = yes\nstop_timeout = 20\n"
# not `auto`: another cloud of this host may take the network between the two
SUBNET = f"subnet = 10.211.{secrets.randbelow(256)}.0/24\n"


def wait_until_it_runs(ec2: Any, instance_id: str, log: Path) -> Any:
    """Wait for a start; one that failed has its disk still, and is stopped again."""

    def look() -> Any:
        row = guests.describe(ec2, instance_id)
        assert row["State"]["Name"] in ("pending", "running"), (row, log.read_text())
        return row if row["State"]["Name"] == "running" else None

    return guests.until(look, f"{instance_id} running")


def test_a_kept_disk_boots_on_the_restored_cloud(tiny_guest: TinyGuest, tmp_path: Path) -> None:
    file, secret = tmp_path / "x.backup", tmp_path / "secret"
    secret.write_text("a cat on the keyboard\n")
    with running(f"{SUBNET}[node]\nvirt_type = qemu\n{KEEPS}") as cloud:
        ec2: Any = cloud.client("ec2")
        key = guests.key_pair(ec2, tmp_path, "k")
        image_id = guests.install(cloud, tiny_guest)
        row = guests.run(ec2, image_id, KeyName="k")
        stopped, address = row["InstanceId"], row["PrivateIpAddress"]
        mac = guests.said_over_ssh(
            address, key, "echo kept > /root/kept; sync; cat /sys/class/net/eth0/address"
        )
        ec2.stop_instances(InstanceIds=[stopped])
        guests.wait_for(ec2, stopped, "stopped")
        ran = ec2.run_instances(ImageId=image_id, MinCount=1, MaxCount=1, KeyName="k")
        ran_id = ran["Instances"][0]["InstanceId"]
        argv = ("backup", "create", str(file), "--passphrase-file", str(secret))
        assert "1 stopped instances with their disks" in cloud.command(*argv).stdout
        ec2.close()
        settings = cloud.settings
    with tempfile.TemporaryDirectory(prefix="eucabox-test-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        with restored(Path(name), file, secret, settings, KEEPS, SUBNET) as other:
            ec2 = other.client("ec2")
            ended = guests.describe(ec2, ran_id)
            assert ended["State"]["Name"] == "terminated"
            assert "restored from a backup" in ended["StateReason"]["Message"]
            assert guests.describe(ec2, stopped)["State"]["Name"] == "stopped"
            ec2.start_instances(InstanceIds=[stopped])
            again = wait_until_it_runs(ec2, stopped, other.log)
            assert again["PrivateIpAddress"] == address
            look = "cat /root/kept /sys/class/net/eth0/address"
            assert guests.said_over_ssh(address, key, look) == f"kept\n{mac}"
            (image,) = ec2.describe_images(ImageIds=[image_id])["Images"]
            assert image["State"] == "available"
            ec2.terminate_instances(InstanceIds=[stopped])
            guests.wait_for(ec2, stopped, "terminated")
            ec2.close()
