"""DescribeInstances with 1,000 rows, beside moto's server in the same run."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from eucabox import ids
from eucabox.state import State
from tests.live.process import Running, free_port, running

ROWS = 1000
RUNS = 9
FORM = "Action=DescribeInstances&Version=2016-11-15"
FILTER = FORM + "&Filter.1.Name=instance-type&Filter.1.Value.1=m1.t*"


def fill(found: Running) -> None:
    """Write rows as RunInstances would; the node's loop leaves stopped instances alone."""
    state = State(found.data / "eucabox.db")
    account = found.settings["EC2_USER_ID"]
    now = ids.now()
    reservation = {"reservation_id": ids.new("r"), "account_id": account, "created": now}
    group = {
        "group_id": ids.new("sg"), "account_id": account, "group_name": "bench",
        "description": "", "created": now,
    }  # fmt: skip
    rows = [
        {
            "instance_id": ids.new("i"), "reservation_id": reservation["reservation_id"],
            "account_id": account, "ami_launch_index": number, "image_id": "emi-00000000",
            "kernel_id": "eki-00000000", "ramdisk_id": "eri-00000000",
            "instance_type": "m1.tiny", "key_name": "bench", "state": "terminated",
            "state_code": 48, "launch_time": now, "state_time": now, "terminated_time": now,
            "availability_zone": "eucabox-1a", "architecture": "x86_64",
            "virtualization_type": "paravirtual", "vcpus": 1, "memory_mb": 128, "disk_gb": 1,
            "private_ip_address": f"172.30.{number // 250}.{number % 250 + 2}",
            "domain_uuid": ids.domain_uuid(),
        }
        for number in range(ROWS)
    ]  # fmt: skip
    tags = [
        {
            "resource_id": row["instance_id"], "account_id": account,
            "resource_type": "instance", "key": "Name", "value": f"row {row['ami_launch_index']}",
        }
        for row in rows
    ]  # fmt: skip
    with state.transaction() as database:
        database.table("reservations").insert(reservation)
        database.table("security_groups").insert(group)
        database.table("instances").insert_all(rows)
        database.table("instance_groups").insert_all(
            {"instance_id": row["instance_id"], "group_id": group["group_id"]} for row in rows
        )
        database.table("tags").insert_all(tags)
    state.close()


@contextmanager
def moto() -> Iterator[str]:
    """Start moto's server with as many instances."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                requests.get(url, timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        ec2 = client(url, "a", "b")
        image = ec2.describe_images()["Images"][0]["ImageId"]
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "row"}]}]
        ec2.run_instances(
            ImageId=image, MinCount=ROWS, MaxCount=ROWS, InstanceType="t2.micro",
            TagSpecifications=tags,
        )  # fmt: skip
        yield url
    finally:
        process.kill()
        process.wait()


def client(url: str, key: str, secret: str) -> Any:
    return boto3.client(
        "ec2", endpoint_url=url, region_name="us-east-1",
        aws_access_key_id=key, aws_secret_access_key=secret,
    )  # fmt: skip


def median(url: str, key: str, secret: str, form: str) -> tuple[float, int]:
    """Return the median in milliseconds, and the answer's bytes."""
    session, times, size = requests.Session(), [], 0
    for _ in range(RUNS):
        request = AWSRequest(
            "POST", url + "/", {"Content-Type": "application/x-www-form-urlencoded"}, form
        )
        SigV4Auth(Credentials(key, secret), "ec2", "us-east-1").add_auth(request)
        started = time.perf_counter()
        answer = session.post(url + "/", data=form, headers=dict(request.headers), timeout=60)
        times.append((time.perf_counter() - started) * 1000)
        answer.raise_for_status()
        size = len(answer.content)
        assert answer.text.count("<instanceId>") >= ROWS, answer.text[:500]
    return statistics.median(times), size


def main() -> None:
    with running("[node]\nvirt_type = qemu\n") as found, moto() as peer:
        fill(found)
        ours, our_size = median(found.endpoint, found.access_key, found.secret_key, FORM)
        filtered, _ = median(found.endpoint, found.access_key, found.secret_key, FILTER)
        theirs, their_size = median(peer, "a", "b", FORM)
    print(f"{ROWS} rows            ms      KiB   beside moto")
    print(f"eucabox            {ours:6.1f}  {our_size / 1024:7.0f}   {ours / theirs:.3f}")
    print(f"eucabox, a filter  {filtered:6.1f}           {filtered / theirs:.3f}")
    print(f"moto               {theirs:6.1f}  {their_size / 1024:7.0f}   1")
