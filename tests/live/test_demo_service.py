"""`eucabox demo` on a cloud that runs already: it goes the whole way there and leaves no trace."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from eucabox.image.tiny_guest import TinyGuest
from tests.live import guests
from tests.live.process import Running, running


@pytest.fixture(scope="module")
def cloud() -> Iterator[Running]:
    with running("[node]\nvirt_type = qemu\n") as found:
        yield found


def list_all(cloud: Running) -> dict[str, set[str]]:
    """What the administrator has, and the demo's files."""
    ec2, s3 = cloud.client("ec2"), cloud.client("s3")
    reservations = ec2.describe_instances()["Reservations"]
    rows: list[Any] = [each for row in reservations for each in row["Instances"]]
    return {
        "instances": {x["InstanceId"] for x in rows if x["State"]["Name"] != "terminated"},
        "images": {each["ImageId"] for each in ec2.describe_images(Owners=["self"])["Images"]},
        "keys": {each["KeyName"] for each in ec2.describe_key_pairs()["KeyPairs"]},
        "groups": {x["GroupName"] for x in ec2.describe_security_groups()["SecurityGroups"]},
        "buckets": {each["Name"] for each in s3.list_buckets()["Buckets"]},
        "files": {each.name for each in cloud.folder.glob("*demo*")},
    }


def test_the_demo_goes_on_a_running_cloud_and_ends_what_it_made(
    cloud: Running, tiny_guest: TinyGuest
) -> None:
    ec2 = cloud.client("ec2")
    mine = guests.install(cloud, tiny_guest)
    for name in ("demo", "mine"):
        ec2.create_key_pair(KeyName=name)
    guest = guests.run(ec2, mine, KeyName="demo")["InstanceId"]
    before = list_all(cloud)
    place = cloud.folder / "data-service-demo" / "guest"
    shutil.copytree(tiny_guest.root.parent, place)

    first = cloud.command("demo").stdout
    assert f"the service's cloud, {cloud.endpoint}" in first
    assert "user data ran: hello from the user data" in first
    assert f"--config {cloud.config_file} demo --stop" in first
    made = list_all(cloud)
    assert {name: len(made[name] - before[name]) for name in made} == {
        "instances": 1, "images": 3, "keys": 1, "groups": 1, "buckets": 1, "files": 1,
    }  # fmt: skip

    shutil.rmtree(place)
    second = cloud.command("demo").stdout
    assert "building a guest" not in second
    assert "user data ran: hello from the user data" in second
    assert guest in list_all(cloud)["instances"], "only the demo's instances are ended"

    cloud.command("demo", "--stop")
    assert list_all(cloud) == before
    cloud.command("demo", "--stop")
    assert list_all(cloud) == before
