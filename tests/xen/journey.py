"""What the steps on the Xen host know of each other, and how they reach its API and its guests."""

import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from eucabox.cli import client
from eucabox.cli.client import Client
from tests.live import guests
from tests.xen.dom0 import OPTIONS, PATIENCE, Dom0

# The processor is emulated for the dom0 and for its guests: everything takes ten times as long.
CONF = """[api]
listen = 0.0.0.0
[node]
cores = 8
disk_gb = 40
stop_keeps_disk = yes
start_timeout = 900
pending_timeout = 1800
stop_timeout = 300
reboot_timeout = 900
[images]
swap_mb = 16
"""
LAST_WORDS = "END SSH HOST KEY KEYS"  # of the tiny guest's start


@dataclass
class Journey:
    """The host, the administrator's client of its API, and the instances that steps made."""

    host: Dom0
    folder: Path
    first: dict[str, Any] = field(default_factory=dict)
    second: dict[str, Any] = field(default_factory=dict)

    def install(self, deb: Path) -> None:
        """Install this deb, or install it again over the snapshot's, which restarts the service."""
        self.host.copy(deb)
        apt = "DEBIAN_FRONTEND=noninteractive apt-get -qy -o Dpkg::Options::=--force-confold"
        self.host.shell(f"{apt} install --reinstall --allow-downgrades /root/{deb.name} 2>&1")
        self.host.shell("rm -rf /root/admin; eucabox credentials --out /root/admin")

    def sign_in(self) -> None:
        """Take the administrator's credentials, and a key pair that lets SSH in."""
        self.host.fetch("/root/admin", self.folder)
        file = self.folder / "eucarc"
        file.write_text(file.read_text().replace(":8773", f":{self.host.api_port}"))

    @cached_property
    def user(self) -> Client:
        return client.read(self.folder)

    @cached_property
    def ec2(self) -> Any:
        return self.user.ec2()

    @cached_property
    def image_id(self) -> str:
        """The tiny guest's; another step registers a whole disk beside it."""
        kind = [{"Name": "virtualization-type", "Values": ["paravirtual"]}]
        images = self.ec2.describe_images(Owners=["self"], Filters=kind)["Images"]
        return str(next(each["ImageId"] for each in images if each["ImageType"] == "machine"))

    @cached_property
    def key(self) -> Path:
        return guests.key_pair(self.ec2, self.folder, "xen")

    def run(self, **members: Any) -> dict[str, Any]:
        """Run an instance of the tiny guest and wait until it runs."""
        given = {"InstanceType": "m1.tiny", "MinCount": 1, "MaxCount": 1, **members}
        made = self.ec2.run_instances(ImageId=self.image_id, **given)["Instances"][0]
        return self.wait_for(made["InstanceId"], "running")

    def describe(self, instance_id: str) -> dict[str, Any]:
        row: dict[str, Any] = guests.describe(self.ec2, instance_id)
        return row

    def wait_for(self, instance_id: str, state: str) -> dict[str, Any]:
        def look() -> Any:
            row = self.describe(instance_id)
            name = row["State"]["Name"]
            assert name == state or name != "terminated", row
            return row if name == state else None

        row: dict[str, Any] = guests.until(look, f"{instance_id} {state}", PATIENCE)
        return row

    def console(self, instance: dict[str, Any]) -> str:
        return guests.console(self.ec2, instance["InstanceId"])

    def wait_for_boots(self, instance: dict[str, Any], count: int) -> str:
        """Wait until a guest has started so many times, and return its console."""

        def look() -> str:
            said = self.console(instance)
            return said if said.count(LAST_WORDS) >= count else ""

        said: str = guests.until(look, f"start {count} of {instance['InstanceId']}", PATIENCE)
        return said

    def log_in(self, instance: dict[str, Any], command: str) -> str:
        """Run a command in a guest by the key pair, from the host's network."""
        proxy = " ".join(self.host.ssh("-W", "%h:%p"))
        words = ["ssh", "-i", str(self.key), *OPTIONS, "-o", f"ProxyCommand={proxy}"]
        address = instance["PrivateIpAddress"]
        said: list[str] = []

        def look() -> bool:
            done = subprocess.run(
                [*words, f"root@{address}", command],
                capture_output=True, text=True, timeout=180, check=False,
            )  # fmt: skip
            said[:] = [done.stdout, done.stderr]
            return done.returncode == 0

        try:
            guests.until(look, f"SSH on {address}", PATIENCE)
        except AssertionError as late:
            raise AssertionError(f"{late}: {said}") from None
        return said[0]

    def shows(self, command: str, answer: str) -> bool:
        """Tell whether a command on the host answers with this one word."""
        return self.host.shell(command, check=False).strip() == answer

    def domain_number(self, instance: dict[str, Any]) -> str:
        """Return Xen's number of an instance's domain, a new one with each domain."""
        name = instance["InstanceId"]
        return self.host.shell(f"timeout 60 virsh -c xen:///system domid {name}").strip()
