"""SYSTEM with a real guest and the real process: on the site's bridge, and on eucabox's own."""

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eucabox.image.tiny_guest import TinyGuest
from tests.live import guests
from tests.live.process import Running, running
from tests.live.wires import Space, command, space

ROUTER, GUEST = "198.18.77.1", "198.18.77.50"
MODE = "mode = SYSTEM\n"
QEMU = "[node]\nvirt_type = qemu\nshutdown_grace = 0\n"
WHO = "wget -qO- http://169.254.169.254/latest/meta-data/instance-id"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Space]]:
    """The site's bridge, on which this host has no address, and its router with DHCP."""
    name = f"eut{secrets.token_hex(3)}"
    command("ip", "link", "add", name, "type", "bridge", "forward_delay", "0")
    try:
        command("ip", "link", "set", name, "up")
        with space(tmp_path, name) as router:
            router.run("ip", "addr", "add", f"{ROUTER}/24", "dev", "eth0")
            with subprocess.Popen(
                [
                    *("ip", "netns", "exec", router.name, "dnsmasq", "--keep-in-foreground"),
                    *("--conf-file=/dev/null", "--pid-file=", "--port=0", "--user=root"),
                    *("--interface=eth0", f"--dhcp-range={GUEST},{GUEST},1h", "--no-ping"),
                    *(f"--dhcp-leasefile={tmp_path / 'leases'}", "--dhcp-authoritative"),
                ]
            ) as server:
                yield name, router
                server.terminate()
    finally:
        command("ip", "link", "delete", name)


def addressed(ec2: Any, instance_id: str) -> str:
    def look() -> str:
        return str(guests.describe(ec2, instance_id).get("PrivateIpAddress", ""))

    found: str = guests.until(look, f"address of {instance_id}")
    return found


def launched(cloud: Running, tiny_guest: TinyGuest, folder: Path) -> tuple[Any, str, Path]:
    ec2 = cloud.client("ec2")
    key = guests.key_pair(ec2, folder, "k")
    image = guests.install(cloud, tiny_guest)
    made = ec2.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, InstanceType="m1.tiny", KeyName="k"
    )["Instances"][0]
    assert "PrivateIpAddress" not in made
    return ec2, made["InstanceId"], key


def test_a_guest_on_the_sites_bridge(
    site: tuple[str, Space], tiny_guest: TinyGuest, tmp_path: Path
) -> None:
    bridge, router = site
    with running(f"{MODE}bridge = {bridge}\n{QEMU}") as cloud:
        ec2, instance_id, key = launched(cloud, tiny_guest, tmp_path)
        assert addressed(ec2, instance_id) == GUEST
        row = guests.describe(ec2, instance_id)
        assert row["PrivateDnsName"] == "ip-198-18-77-50.eucabox-1.internal"
        asked = [
            *("ip", "netns", "exec", router.name, "ssh", "-i", str(key), "-oBatchMode=yes"),
            *("-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"),
            *("-oConnectTimeout=3", f"root@{GUEST}"),
        ]

        def said() -> str:
            done = subprocess.run([*asked, WHO], capture_output=True, text=True, check=False)
            return done.stdout

        assert guests.until(said, "answer over SSH") == instance_id
        cloud.kill()
        cloud.start()
        assert guests.describe(ec2, instance_id)["PrivateIpAddress"] == GUEST
        assert guests.until(said, "answer after a restart") == instance_id
        ec2.terminate_instances(InstanceIds=[instance_id])
        guests.wait_for(ec2, instance_id, "terminated")
    assert bridge in command("ip", "-br", "link"), "the site's bridge stays"
    assert bridge not in command("nft", "list", "tables")


def test_a_guest_on_eucaboxs_own_bridge(tiny_guest: TinyGuest, tmp_path: Path) -> None:
    with running(f"{MODE}{QEMU}") as cloud:
        ec2, instance_id, key = launched(cloud, tiny_guest, tmp_path)
        address = addressed(ec2, instance_id)
        assert guests.said_over_ssh(address, key, WHO) == instance_id
    assert cloud.bridge not in command("nft", "list", "tables")
