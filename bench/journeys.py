"""How many files of eucabox a request enters, and how many of its functions it calls."""

import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import boto3
from botocore.config import Config as ClientConfig

import eucabox
from eucabox import config as configuration
from eucabox import ids
from eucabox.cloud import Cloud
from eucabox.server import Server
from tests.live.process import free_port

ROOT = str(Path(eucabox.__file__).parent)
# Requests before the one that is traced, by each thread: caches and imports are no journey.
WARM = 24
BODY = b"x" * 4096
SETTINGS = """[cloud]
data_dir = {folder}
[api]
port = {port}
https_port = 0
[console]
enabled = no
[network]
own_bridge = eujourney0
[node]
virt_type = qemu
cores = 64
memory_mb = 16384
disk_gb = 200
"""


class Trace:
    """Counts calls of eucabox's functions, by file, in the server's threads."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.recording = False

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        """Python's hook for each call of a thread."""
        name = frame.f_code.co_filename
        if self.recording and event == "call" and name.startswith(ROOT):
            self.calls[name[len(ROOT) + 1 :]] += 1

    def of(self, request: Callable[[], Any]) -> Counter[str]:
        """Return the calls of one request, by file: of six that came after some which warm it
        up the shortest, as a thread's first has more to do."""
        for _ in range(WARM):
            request()
        return min((self._record(request) for _ in range(6)), key=len)

    def _record(self, request: Callable[[], Any]) -> Counter[str]:
        self.calls = Counter()
        self.recording = True
        request()
        self.recording = False
        return self.calls


def add_image(cloud: Cloud) -> str:
    """Write the row of an image that can be launched; its bytes are never asked for here."""
    row = {
        "account_id": cloud.accounts.user("admin").account_id, "name": "i",
        "image_location": "b/k", "architecture": "x86_64", "virtualization_type": "hvm",
        "state": "available", "image_type": "machine", "size": 2**20, "digest": "d",
        "created": ids.now(), "image_id": "emi-12345678", "root_device_name": "/dev/sda1",
    }  # fmt: skip
    cloud.state.insert("images", row)
    return str(row["image_id"])


def client(service: str, port: int, cloud: Cloud) -> Any:
    accounts = cloud.accounts
    secret = accounts.user_credentials(accounts.user("admin"))
    return boto3.client(
        service, endpoint_url=f"http://127.0.0.1:{port}", region_name="eucabox",
        aws_access_key_id=secret.caller.access_key_id, aws_secret_access_key=secret.secret,
        config=ClientConfig(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )  # fmt: skip


def read(s3: Any) -> bytes:
    body: bytes = s3.get_object(Bucket="box", Key="k")["Body"].read()
    return body


def journeys(folder: Path) -> dict[str, Counter[str]]:
    """Serve a cloud in this process and return what each request called."""
    port, trace = free_port(), Trace()
    file = folder / "eucabox.conf"
    file.write_text(SETTINGS.format(folder=folder / "data", port=port))
    cloud = Cloud(configuration.load(file))
    threading.setprofile(trace)
    server = Server(cloud)
    server.open()
    try:
        s3, ec2 = client("s3", port, cloud), client("ec2", port, cloud)
        image = add_image(cloud)
        s3.create_bucket(Bucket="box")
        launch = {"ImageId": image, "MinCount": 1, "MaxCount": 1, "InstanceType": "m1.tiny"}
        return {
            "PutObject 4 KiB": trace.of(lambda: s3.put_object(Bucket="box", Key="k", Body=BODY)),
            "GetObject 4 KiB": trace.of(lambda: read(s3)),
            "RunInstances": trace.of(lambda: ec2.run_instances(**launch)),
            "DescribeInstances": trace.of(ec2.describe_instances),
        }
    finally:
        threading.setprofile(None)
        server.close()
        cloud.close()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="journeys.") as folder:
        found = journeys(Path(folder))
    print("                     files   (without server/)   calls")
    for name, calls in found.items():
        inner = sum(not file.startswith("server/") for file in calls)
        print(f"{name:20} {len(calls):5} {inner:18} {sum(calls.values()):9}")
        if "-v" in sys.argv:
            print("   " + " ".join(f"{file}:{count}" for file, count in sorted(calls.items())))


if __name__ == "__main__":
    main()
