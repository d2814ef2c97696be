"""Hosts and guests without machines: network namespaces, joined by virtual wires."""

import ctypes
import errno
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
DHCP_CLIENT = """#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr replace "$ip/$mask" dev "$interface"
[ -z "$mtu" ] || ip link set "$interface" mtu "$mtu"
ip route replace default via "$router"
env > "$LEASE"
"""


def command(*argv: str, timeout: float = 20) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=True)
    return done.stdout


@contextmanager
def own_host() -> Iterator[None]:
    """Give this thread, and what it starts, a host's network of its own.

    What else runs on this machine then can't disturb a test, nor be disturbed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    folder = Path.cwd()
    outer = {kind: os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in ("net", "mnt")}
    _unless_failed(libc.unshare(CLONE_NEWNET | CLONE_NEWNS))
    try:
        command("mount", "--make-rprivate", "/")
        command("mount", "-t", "sysfs", "sysfs", "/sys")
        Path("/run/eucabox").mkdir(exist_ok=True)
        command("mount", "-t", "tmpfs", "tmpfs", "/run/eucabox")
        command("ip", "link", "set", "lo", "up")
        yield
    finally:
        for kind in ("net", "mnt"):
            _go_back(libc, outer[kind])
            os.close(outer[kind])
        os.chdir(folder)


def _go_back(libc: ctypes.CDLL, namespace: int) -> None:
    """Enter a namespace again; a thread that Python has joined takes a moment more to be gone, and
    until then the kernel lets nobody change the mounts of both."""
    ends = time.monotonic() + 5
    while libc.setns(namespace, 0):
        if ctypes.get_errno() != errno.EINVAL or time.monotonic() > ends:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        time.sleep(0.01)


def _unless_failed(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@dataclass
class Space:
    """A network namespace, with one interface eth0."""

    name: str
    folder: Path
    mac: str = ""
    lease: dict[str, str] = field(default_factory=dict)

    def run(self, *argv: str, timeout: float = 20) -> str:
        return command("ip", "netns", "exec", self.name, *argv, timeout=timeout)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Let this thread open sockets in the namespace; they stay there for good."""
        libc = ctypes.CDLL(None, use_errno=True)
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            _unless_failed(libc.setns(there, CLONE_NEWNET))
            yield
        finally:
            _unless_failed(libc.setns(here, CLONE_NEWNET))
            os.close(here)
            os.close(there)

    def ask_dhcp(self) -> bool:
        """Ask for a lease as a guest does at boot; True if it came."""
        script, lease = self.folder / "dhcp.sh", self.folder / f"{self.name}.lease"
        script.write_text(DHCP_CLIENT)
        script.chmod(0o755)
        done = subprocess.run(
            [
                *("ip", "netns", "exec", self.name, "busybox", "udhcpc", "-i", "eth0", "-n", "-q"),
                *("-f", "-t", "2", "-T", "1", "-A", "0", "-O", "mtu", "-s", str(script)),
            ],
            env={**os.environ, "LEASE": str(lease)},
            capture_output=True,
            timeout=20,
            check=False,
        )
        if done.returncode:
            return False
        lines = [line.partition("=") for line in lease.read_text().splitlines()]
        self.lease = {name: value for name, _, value in lines}
        return True

    def take(self, address: str, router: str) -> None:
        """Use an address that nobody gave to it."""
        self.run("ip", "addr", "add", f"{address}/24", "dev", "eth0")
        self.run("ip", "route", "replace", "default", "via", router)

    def get(self, url: str, *options: str, seconds: float = 3) -> str:
        """What curl prints: the status, a line end, the body; 000 without an answer."""
        asked = ["curl", "-s", "-m", str(seconds), "-o", "-", "-w", "\n%{http_code}", *options, url]
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, *asked], capture_output=True, text=True, check=False
        )
        body, _, status = done.stdout.rpartition("\n")
        return f"{status}\n{body}"


@contextmanager
def space(folder: Path, bridge: str | None, mac: str = "", port: str = "") -> Iterator[Space]:
    """A namespace whose eth0 is a port of a bridge, or without one a neighbour of this host.

    `port` names the other end of eth0, on the host.
    """
    tag = secrets.token_hex(4)
    made = Space(f"eut-{tag}", folder, mac)
    port = port or f"eut{tag}p"
    command("ip", "netns", "add", made.name)
    try:
        command(
            *("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0"),
            *("netns", made.name),
        )
        if mac:
            made.run("ip", "link", "set", "eth0", "address", mac)
        made.run("ip", "link", "set", "lo", "up")
        made.run("ip", "link", "set", "eth0", "up")
        if bridge:
            command("ip", "link", "set", port, "master", bridge)
        command("ip", "link", "set", port, "up")
        made.folder.joinpath(made.name).write_text(port)
        yield made
    finally:
        command("ip", "netns", "delete", made.name)
        # The namespace takes its end of the pair along, but not at once.
        subprocess.run(["ip", "link", "delete", port], capture_output=True, check=False)


def host_network() -> dict[str, str]:
    """All of this host's network that a cloud could change."""
    return {
        "links": " ".join(sorted(os.listdir("/sys/class/net"))),  # noqa: PTH208
        "addresses": command("ip", "-4", "-oneline", "address"),
        "routes": command("ip", "-4", "route", "show", "table", "all").replace(" linkdown", ""),
        "rules": command("nft", "list", "ruleset"),
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
    }
