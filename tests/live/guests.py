"""Running real guests as a user does: install the tiny guest, run it, log in, wait for states."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eucabox.cli import image
from eucabox.cli.client import Client
from eucabox.cli.progress import Steps
from eucabox.image.tiny_guest import TinyGuest
from tests.live.process import Running

BUCKET = "guest-images"
OPTIONS = (
    "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR",
    "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=3",
)  # fmt: skip
PATIENCE = 240  # seconds; guests are emulated, and the machine may be busy


def install(cloud: Running, guest: TinyGuest, user: str = "admin", bucket: str = BUCKET) -> str:
    """Bundle, upload and register kernel, ramdisk and root; return the machine image's id."""
    settings = cloud.settings if user == "admin" else cloud.credentials(user)
    owner, steps = Client(settings), Steps(quiet=True)
    kernel = image.install_file(owner, guest.kernel, bucket, steps, image_type="kernel")
    ramdisk = image.install_file(owner, guest.ramdisk, bucket, steps, image_type="ramdisk")
    return image.install_file(
        owner, guest.root, bucket, steps, kernel_id=kernel, ramdisk_id=ramdisk
    )


def until(look: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Look again and again until there is something to return."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"no {what} within {patience} s")


def describe(ec2: Any, instance_id: str) -> Any:
    return ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]


def wait_for(ec2: Any, instance_id: str, state: str) -> Any:
    """Wait until an instance has a state, and fail at once when it can't get there any more."""

    def look() -> Any:
        row = describe(ec2, instance_id)
        name = row["State"]["Name"]
        assert name == state or name != "terminated", row
        return row if name == state else None

    return until(look, f"{instance_id} {state}")


def run(ec2: Any, image_id: str, **members: Any) -> Any:
    """Run one instance and wait until it runs."""
    given = {"InstanceType": "m1.tiny", "MinCount": 1, "MaxCount": 1, **members}
    made = ec2.run_instances(ImageId=image_id, **given)["Instances"][0]
    return wait_for(ec2, made["InstanceId"], "running")


def key_pair(ec2: Any, folder: Path, name: str, kind: str = "ed25519") -> Path:
    """Make a key pair, keep its private key in a file, and let SSH into the default group."""
    file = folder / f"{name}.pem"
    file.touch(mode=0o600)
    file.write_text(ec2.create_key_pair(KeyName=name, KeyType=kind)["KeyMaterial"])
    allow(ec2, "tcp", 22)
    return file


def allow(ec2: Any, protocol: str, port: int, group: str = "default") -> None:
    """Let everybody in."""
    rule = {"IpProtocol": protocol, "FromPort": port, "ToPort": port}
    anybody = {**rule, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupName=group, IpPermissions=[anybody])


def ssh(
    address: str, key: Path, command: str, user: str = "root"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ssh", "-i", str(key), *OPTIONS, f"{user}@{address}", command],
        capture_output=True, text=True, timeout=40, check=False,
    )  # fmt: skip


def said_over_ssh(address: str, key: Path, command: str) -> str:
    """Run a command in the guest as soon as it lets us in."""

    def look() -> str | None:
        done = ssh(address, key, command)
        return done.stdout or "nothing" if done.returncode == 0 else None

    output: str = until(look, f"SSH on {address}")
    return output


def console(ec2: Any, instance_id: str) -> str:
    output: str = ec2.get_console_output(InstanceId=instance_id).get("Output", "")
    return output


def booted(ec2: Any, instance_id: str) -> None:
    """Wait for a tiny guest that nobody can log in to: its last word is its host key."""
    output = ""

    def look() -> bool:
        nonlocal output
        output = console(ec2, instance_id)
        return "END SSH HOST KEY" in output

    try:
        until(look, "host key on the console")
    except AssertionError as late:
        raise AssertionError(f"{late}; the console says {output[-2000:]}") from None
