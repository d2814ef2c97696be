"""`eucabox stop --network`: bridge, rules and dnsmasq end where no instance needs them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from eucabox.image.tiny_guest import TinyGuest
from tests.live import guests
from tests.live.process import Running, running


@pytest.fixture
def cloud() -> Iterator[Running]:
    with running("[node]\nvirt_type = qemu\n") as found:
        yield found


def list_network(cloud: Running) -> set[str]:
    """What of the cloud's network is there."""
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
    places = (Path("/sys/class/net") / cloud.bridge, Path("/run/eucabox") / cloud.bridge)
    mark = f"--dhcp-hostsfile={places[1]}/hosts".encode()
    commands = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline")]
    found = {f"dnsmasq of {cloud.bridge}" for each in commands if mark in each.split(b"\0")}
    found |= {line for line in tables.stdout.splitlines() if cloud.bridge in line}
    return found | {str(place) for place in places if place.exists()}


def test_the_network_is_kept_for_a_guest_and_ends_without_one(
    cloud: Running, tiny_guest: TinyGuest
) -> None:
    ec2 = cloud.client("ec2")
    instance_id = guests.run(ec2, guests.install(cloud, tiny_guest))["InstanceId"]
    cloud.stop()
    before = list_network(cloud)
    assert len(before) == 5  # device, folder, dnsmasq, two tables
    kept = cloud.command("stop", "--network", check=False)
    assert kept.returncode == 1
    assert f"These instances run on, and their network stays: {instance_id}." in kept.stderr
    assert f"`sudo virsh shutdown {instance_id}`" in kept.stderr
    assert list_network(cloud) == before
    cloud.start()
    ec2.terminate_instances(InstanceIds=[instance_id])
    guests.wait_for(ec2, instance_id, "terminated")
    ended = cloud.command("stop", "--network")
    assert ended.stdout.splitlines() == ["eucabox is stopped.", "Its network is removed."]
    assert list_network(cloud) == set()
    again = cloud.command("stop", "--network")
    assert again.stdout.splitlines() == ["eucabox was not running.", "Its network is removed."]
