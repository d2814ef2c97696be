"""The node with real guests under a real libvirtd, which is killed in the middle of things."""

import dataclasses
import gzip
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import libvirt
import pytest

from eucabox.config import CloudSection, Config, NodeSection
from eucabox.image.tiny_guest import TinyGuest
from eucabox.node import Node
from eucabox.schema import InstanceRow
from eucabox.state import State
from tests.domains.house import Boot, House, Images, Network
from tests.domains.rows import add_instance, row_of
from tests.live.libvirtd import Libvirtd, libvirtd

BRIDGE = f"ebnode{os.getpid() % 10**6}"
READY, PRESSED = b"GUEST READY", b"BUTTON PRESSED"
# What the guest does is the word after guest= on its command line, here its image's id.
INIT = b"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod $module 2>/dev/null; done
mode=$(sed 's/.*guest=//' /proc/cmdline)
for found in /sys/class/input/event*; do
    [ "$(cat $found/device/name)" = "Power Button" ] && button=/dev/input/$(basename $found)
done
exec 3< $button  # who is ready hears the button: what is pressed before is lost
echo "GUEST READY as $(cat /sys/class/dmi/id/product_uuid) with $(ls /sys/block | tr '\\n' ' ')"
case $mode in
    panic) echo c > /proc/sysrq-trigger ;;
    poweroff) poweroff -f ;;
    deaf) while :; do sleep 1000; done ;;
    fill) dd if=/dev/zero bs=64k count=512 of=/dev/sda && sync && echo "WROTE ALL"
        while :; do sleep 1000; done ;;
    sleep) echo "SLEEPS IN $(cat /sys/power/state /sys/power/mem_sleep 2>/dev/null | tr '\n' ' ')"
        echo mem > /sys/power/state; while :; do sleep 1000; done ;;
esac
head -c 24 <&3 > /dev/null
echo "BUTTON PRESSED"
poweroff -f
"""
LAUNCHER = """
import os, sys, time
from tests.live.test_node import make_house
house = make_house(*sys.argv[1:])
with house.node() as node:
    while not house.state.query("select 1 from instances where launch_state = 'booting'"):
        time.sleep(0.001)
    os._exit(9)
"""


class RealDisks(Images):
    """Boots each instance from the test's kernel with an empty disk."""

    def __init__(self, guest: Path, instances: Path) -> None:
        super().__init__()
        self._guest, self._instances = guest, instances

    def prepare(
        self, instance: Mapping[str, Any], progress: object, partitions: bool = False
    ) -> Boot:
        folder = self._instances / instance["instance_id"]
        folder.mkdir(mode=0o755, exist_ok=True)
        disk = folder / "disk.raw"
        with disk.open("ab") as made:
            made.truncate(2**20)
        kernel = self._guest / ("initrd" if instance["image_id"] == "broken" else "kernel")
        cmdline = f"console=ttyS0 guest={instance['image_id']}"
        return Boot(kernel, self._guest / "initrd", disk, cmdline, format="raw")


def make_house(data: str, uri: str, guest: str, bridge: str) -> House:
    settings = NodeSection(virt_type="qemu", libvirt_uri=uri)
    config = Config(cloud=CloudSection(data_dir=Path(data)), node=settings)
    images = RealDisks(Path(guest), Path(data) / "instances")
    state = State(Path(data) / "eucabox.db")
    return House(config, state, images, Network(bridge), virt=None)


def newc(name: bytes, content: bytes, mode: int) -> bytes:
    """Return one file of a cpio archive as the kernel reads it."""
    fields = (1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + name + b"\0"
    padded = header + b"\0" * (-len(header) % 4) + content
    return padded + b"\0" * (-len(padded) % 4)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Return a folder in which QEMU's user can reach its files, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="eucabox-node-", dir="/var/tmp") as name:
        made = Path(name)
        made.chmod(0o755)
        for each in ("guest", "libvirtd"):
            (made / each).mkdir()
        yield made


@pytest.fixture(scope="module")
def guest(tiny_guest: TinyGuest, folder: Path) -> Path:
    """Return a folder with the tiny guest's kernel, and its ramdisk with our own init over it."""
    folder = folder / "guest"
    archive = newc(b"init", INIT, 0o100755) + newc(b"TRAILER!!!", b"", 0)
    (folder / "kernel").write_bytes(tiny_guest.kernel.read_bytes())
    (folder / "initrd").write_bytes(tiny_guest.ramdisk.read_bytes() + gzip.compress(archive))
    return folder


@pytest.fixture(scope="module")
def daemon(folder: Path) -> Iterator[Libvirtd]:
    with libvirtd(folder / "libvirtd") as made:
        yield made


@pytest.fixture(scope="module")
def bridge() -> Iterator[str]:
    subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
    subprocess.run(["ip", "link", "set", BRIDGE, "up"], check=True)
    yield BRIDGE
    subprocess.run(["ip", "link", "delete", BRIDGE], check=True)


@pytest.fixture
def house(guest: Path, daemon: Libvirtd, bridge: str, folder: Path) -> Iterator[House]:
    data = Path(tempfile.mkdtemp(dir=folder))
    data.chmod(0o755)
    for name in ("instances", "run"):
        (data / name).mkdir()
    made = make_house(str(data), daemon.uri, str(guest), bridge)
    yield made
    Node(made.config, made.state, made.images, made.network).purge()
    made.state.close()


def launch(house: House, node: Node, mode: str = "plain") -> str:
    instance_id = add_instance(house.state, image_id=mode)
    node.wake()
    becomes(house, instance_id, "running")
    return instance_id


def becomes(house: House, instance_id: str, state: str) -> InstanceRow:
    until(lambda: row_of(house.state, instance_id)["state"] in (state, "terminated"))
    row = row_of(house.state, instance_id)
    assert row["state"] == state, row["state_reason_message"]
    return row


def says(node: Node, instance_id: str, words: bytes, times: int = 1) -> bytes:
    until(lambda: node.console_output(instance_id)[0].count(words) >= times)
    return node.console_output(instance_id)[0]


def until(condition: Any) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def kill_guest(instance_id: str) -> None:
    found = subprocess.run(
        ["pgrep", "-f", f"qemu.*guest={instance_id}"], capture_output=True, check=True
    )
    for pid in found.stdout.split():
        os.kill(int(pid), signal.SIGKILL)


def test_a_guest_boots_reboots_and_is_shut_down(house: House) -> None:
    with house.node() as node:
        instance_id = launch(house, node)
        output = says(node, instance_id, READY).decode()
        assert f"GUEST READY as {row_of(house.state, instance_id)['domain_uuid']} with" in output
        assert "sda" in output.split("GUEST READY")[1]
        house.want(instance_id, "reboot")
        node.wake()
        says(node, instance_id, READY, times=2)
        row = row_of(house.state, instance_id)
        assert (row["state"], row["wanted"]) == ("running", "")
        house.want(instance_id, "terminate")
        node.wake()
        row = becomes(house, instance_id, "terminated")
        assert node.console_output(instance_id)[0].count(PRESSED) == 2
    assert row["state_reason_code"] == "Client.UserInitiatedShutdown"


def test_a_guest_without_a_power_button_is_reset_and_ended(house: House) -> None:
    short = dataclasses.replace(house.config.node, reboot_timeout=1, shutdown_grace=1)
    house.config = dataclasses.replace(house.config, node=short)
    with house.node() as node:
        instance_id = launch(house, node, "deaf")
        says(node, instance_id, READY)
        house.want(instance_id, "reboot")
        node.wake()
        says(node, instance_id, READY, times=2)
        house.want(instance_id, "terminate")
        node.wake()
        becomes(house, instance_id, "terminated")
        assert PRESSED not in node.console_output(instance_id)[0]


@pytest.mark.parametrize(
    ("mode", "code", "words"),
    [
        ("poweroff", "Client.InstanceInitiatedShutdown", "Instance initiated shutdown"),
        ("panic", "Server.InternalError", "kernel panicked"),
    ],
)
def test_a_guests_own_end_is_told_apart(house: House, mode: str, code: str, words: str) -> None:
    with house.node() as node:
        row = becomes(house, launch(house, node, mode), "terminated")
    assert row["state_reason_code"] == code
    assert words in row["state_reason_message"]


def test_a_file_that_is_no_kernel_is_told_in_qemus_words(house: House) -> None:
    instance_id = add_instance(house.state, image_id="broken")
    with house.node():
        row = becomes(house, instance_id, "terminated")
    assert row["state_reason_code"] == "Server.InternalError"
    assert "kernel" in row["state_reason_message"]


def test_guests_survive_a_killed_libvirtd(house: House, daemon: Libvirtd) -> None:
    with house.node() as node:
        before = launch(house, node)
        says(node, before, READY)
        daemon.kill()
        until(lambda: node.problem)
        meanwhile = add_instance(house.state)
        node.wake()
        daemon.start()
        becomes(house, meanwhile, "running")
        assert row_of(house.state, before)["state"] == "running"
        kill_guest(before)  # events come again
        row = becomes(house, before, "terminated")
    assert "process ended unexpectedly" in row["state_reason_message"]


def test_a_guest_that_ended_unwatched_is_told_as_such(house: House, daemon: Libvirtd) -> None:
    with house.node() as node:
        instance_id = launch(house, node)
        daemon.kill()
        until(lambda: node.problem)
        kill_guest(instance_id)
        daemon.start()
        row = becomes(house, instance_id, "terminated")
    assert "not running" in row["state_reason_message"]


def test_a_node_killed_in_the_middle_of_launches_takes_them_up(
    house: House, daemon: Libvirtd, guest: Path, bridge: str
) -> None:
    with house.node() as node:
        before = launch(house, node)
    launching = [add_instance(house.state) for _ in range(3)]
    arguments = (str(house.config.cloud.data_dir), daemon.uri, str(guest), bridge)
    died = subprocess.run([sys.executable, "-c", LAUNCHER, *arguments], check=False, timeout=60)
    assert died.returncode == 9
    with house.node() as node:
        for instance_id in (before, *launching):
            becomes(house, instance_id, "running")
            assert says(node, instance_id, READY).count(READY) == 1


def test_the_strangers_domains_of_a_host_are_left_alone(house: House, daemon: Libvirtd) -> None:
    with house.node() as node:
        theirs = launch(house, node)
    house.state.update("settings", {"key": "cloud_id"}, value="another")
    with house.node() as node:
        launch(house, node)
        virt = libvirt.open(daemon.uri)
        names = {domain.name() for domain in virt.listAllDomains(0)}
        assert theirs in names
        virt.lookupByName(theirs).destroy()
        virt.close()
