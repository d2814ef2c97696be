"""Whose the files of a running guest are: its own are its user's, what others boot from is not."""

import subprocess
from pathlib import Path

import pytest

from eucabox.image.tiny_guest import TinyGuest
from tests.live import guests
from tests.live.process import Running


def owners(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        path.name: (path.stat().st_uid, path.stat().st_mode & 0o777)
        for path in folder.iterdir()
        if path.is_file()
    }


def user_of(instance_id: str) -> int:
    """The user that the process of a guest runs as."""
    found = subprocess.run(
        ["pgrep", "-f", f"guest={instance_id}"], capture_output=True, text=True, check=True
    )
    return Path(f"/proc/{found.stdout.split()[0]}").stat().st_uid


@pytest.fixture
def image_id(cloud: Running, tiny_guest: TinyGuest) -> str:
    return guests.install(cloud, tiny_guest)


def test_a_guest_owns_its_disk_and_nothing_that_others_boot_from(
    cloud: Running, image_id: str
) -> None:
    ec2 = cloud.client("ec2")
    instance_id = guests.run(ec2, image_id)["InstanceId"]
    guests.booted(ec2, instance_id)
    user = user_of(instance_id)
    assert user != 0
    own = owners(cloud.data / "instances" / instance_id)
    assert own["disk.qcow2"] == (user, 0o600)
    cached = owners(cloud.data / "cache")
    images = {name: found for name, found in cached.items() if not name.endswith(".json")}
    assert len(images) >= 3
    assert set(images.values()) == {(0, 0o444)}
    ec2.terminate_instances(InstanceIds=[instance_id])
    guests.wait_for(ec2, instance_id, "terminated")
    assert {uid for uid, _ in owners(cloud.data / "cache").values()} == {0}
