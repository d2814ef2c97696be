"""One machine on its way from a clean system over the packages back to a clean system."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eucabox.cli import client
from eucabox.cli.client import Client
from eucabox.image.tiny_guest import TinyGuest
from tests.packages.machine import Machine

PACKAGES = "/srv/packages"
DEMO_GUEST = "/var/lib/eucabox-service-demo/guest"
DATA = "/var/lib/eucabox"


@dataclass
class Journey:
    """What the tests of a round know of each other; `before` is the machine without eucabox."""

    machine: Machine
    guest: TinyGuest
    before: dict[str, str]
    instance_id: str = ""
    address: str = ""
    images: dict[str, str] = field(default_factory=dict)

    @classmethod
    def begin(cls, machine: Machine, guest: TinyGuest, packages: Mapping[str, Path]) -> "Journey":
        """Put the packages and a guest beside the system, and note what there is."""
        folder = machine.file(PACKAGES)
        folder.mkdir(parents=True)
        for name, file in packages.items():
            shutil.copy(file, folder / name)
        (folder / "guest").mkdir()
        for file in (guest.kernel, guest.ramdisk, guest.root, guest.root.parent / ".tiny.json"):
            shutil.copy(file, folder / "guest" / file.name)
        # On Ubuntu libvirt brings up a network of its own with its first client.
        machine.shell("virsh -q -c qemu:///system list")
        return cls(machine, guest, look_around(machine))

    @property
    def key(self) -> Path:
        """The private key that the guest's key pair has."""
        return self.machine.file("/root/k.pem")

    def apt(self, *argv: str, check: bool = True) -> str:
        """Run apt-get as an administrator without a terminal, who keeps edited files."""
        words = " ".join(argv)
        keep = "-o Dpkg::Options::=--force-confold"
        return self.machine.shell(
            f"DEBIAN_FRONTEND=noninteractive apt-get -qy {keep} {words} 2>&1", check=check
        )

    def install(self, name: str = "eucabox.deb") -> str:
        """Install a package from its file; no network is there to fetch anything."""
        return self.apt("install", f"{PACKAGES}/{name}")

    def user(self) -> Client:
        """The administrator's client, by the folder that `eucabox credentials` wrote."""
        return client.read(self.machine.file("/root/admin"))

    def ec2(self) -> Any:
        """A client of EC2; to be used within `machine.network()`."""
        return self.user().ec2()

    @property
    def dnsmasq(self) -> str:
        """The process id of the service's dnsmasq; libvirt may have others for its own network."""
        return self.machine.shell("pgrep -f '[-]-dhcp-hostsfile=/run/eucabox/'").strip()

    @property
    def qemu(self) -> str:
        """The process id of the guest's QEMU."""
        return self.machine.shell(f"pgrep -f '[q]emu.*guest={self.instance_id},'").strip()

    def list_pids(self) -> dict[str, int]:
        """Return what outlives the service: the processes of its dnsmasq and of the guest."""
        return {"dnsmasq": int(self.dnsmasq), "qemu": int(self.qemu)}

    def show(self, name: str) -> str:
        """Return a property of the unit."""
        return self.machine.shell(f"systemctl show -P {name} eucabox.service").strip()

    def count_starts(self) -> int:
        """Return how often systemd started the service since the boot."""
        lines = self.machine.shell(
            "journalctl -b -o cat _PID=1 UNIT=eucabox.service | grep -c '^Started' || true"
        )
        return int(lines.strip())


def look_around(machine: Machine) -> dict[str, str]:
    """Return what a package must not leave behind: devices, rules, domains, files, processes."""
    named = "find / -xdev -path /srv -prune -o -path /proc -prune -o -iname '*eucabox*' -print"
    questions = {
        "devices": "ls /sys/class/net | sort",
        "addresses": "ip -brief address | tr -s ' '",
        "tables": "nft list tables",
        "domains": "virsh -q -c qemu:///system list --all --name",
        "forwarding": "cat /proc/sys/net/ipv4/ip_forward",
        "dnsmasq": "pgrep -a dnsmasq || true",
        "files": f"{named} | sort",
        "run": "ls -d /run/eucabox* 2>/dev/null || true",
        "owned": "u=$(id -u eucabox 2>/dev/null) && find / -xdev -path /proc -prune -o"
        " -user $u -print || true",
        "units": "systemctl list-unit-files --no-legend '*eucabox*' || true",
        "failed units": "systemctl --failed --no-legend",
    }
    return {name: machine.shell(script).strip() for name, script in questions.items()}
