"""Bursts of RunInstances neither over-commit, nor share an address, nor run a token twice."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from eucabox.image.tiny_guest import TinyGuest
from tests.live import guests
from tests.live.process import Running, running

CALLS = 50
ROOM = 3


@pytest.fixture(scope="module")
def cloud() -> Iterator[Running]:
    with running(f"[node]\nvirt_type = qemu\nmemory_mb = {ROOM * 128 + 100}\n") as found:
        yield found


def test_fifty_calls_at_once_get_what_there_is(cloud: Running, tiny_guest: TinyGuest) -> None:
    ec2 = cloud.client("ec2", max_pool_connections=CALLS)
    image_id = guests.install(cloud, tiny_guest)

    def ask(number: int) -> Any:
        try:
            return ec2.run_instances(
                ImageId=image_id, InstanceType="m1.tiny", MinCount=1, MaxCount=1
            )["Instances"][0]
        except ClientError as refused:
            return refused.response["Error"]["Code"]

    with ThreadPoolExecutor(CALLS) as crowd:
        answers = list(crowd.map(ask, range(CALLS)))
    made = [each for each in answers if not isinstance(each, str)]
    codes = Counter(each for each in answers if isinstance(each, str))
    assert codes == {"InsufficientInstanceCapacity": CALLS - ROOM}
    for key in ("InstanceId", "PrivateIpAddress"):
        assert len({each[key] for each in made}) == ROOM, key
    ids = [each["InstanceId"] for each in made]
    rows = [
        row
        for each in ec2.describe_instances()["Reservations"]
        for row in each["Instances"]
        if row["State"]["Name"] != "terminated"
    ]
    assert {row["InstanceId"] for row in rows} == set(ids)
    ec2.terminate_instances(InstanceIds=ids)
    for each in ids:
        guests.wait_for(ec2, each, "terminated")
    ec2.close()


def test_a_token_in_a_burst_runs_once(cloud: Running) -> None:
    ec2 = cloud.client("ec2", max_pool_connections=CALLS)
    image_id = ec2.describe_images(Filters=[{"Name": "image-type", "Values": ["machine"]}])[
        "Images"
    ][0]["ImageId"]

    def ask(number: int) -> str:
        made = ec2.run_instances(
            ImageId=image_id, InstanceType="m1.tiny", MinCount=1, MaxCount=1, ClientToken="burst"
        )
        found: str = made["Instances"][0]["InstanceId"]
        return found

    with ThreadPoolExecutor(CALLS) as crowd:
        ids = set(crowd.map(ask, range(CALLS)))
    assert len(ids) == 1
    instance_id = ids.pop()
    guests.wait_for(ec2, instance_id, "running")

    def look() -> bool:
        status = ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
        return bool(status) and status[0]["InstanceStatus"]["Status"] == "ok"

    guests.until(look, "word from the guest")
    ec2.terminate_instances(InstanceIds=[instance_id])
    guests.wait_for(ec2, instance_id, "terminated")
    ec2.close()
