"""Disks that leave the cloud: written by the command, started by plain QEMU, without eucabox."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from eucabox.hypervisor import architecture
from eucabox.image import export, grub
from eucabox.image.export import ExportSource
from eucabox.image.grub import KernelFiles
from eucabox.image.tiny_guest import TinyGuest
from tests.live import guests
from tests.live.process import Running

LOGIN = "END SSH HOST KEY"  # the tiny guest's last word
PATIENCE = 300  # seconds until an emulated guest has booted
MARK = "this guest was exported"


@pytest.fixture(scope="module")
def ec2(cloud: Running) -> Iterator[Any]:
    client = cloud.client("ec2")
    yield client
    client.close()


@pytest.fixture(scope="module")
def image_id(cloud: Running, tiny_guest: TinyGuest) -> str:
    return guests.install(cloud, tiny_guest)


def read_serial(disk: Path, *more: str, until: str = LOGIN) -> str:
    """Boot a disk by QEMU alone, written to no more, and return what its serial line said until
    some words were there."""
    serial = disk.with_suffix(".serial")
    argv = [
        architecture.HOST.emulator, "-machine", architecture.HOST.machine, "-m", "256",
        "-display", "none", "-no-reboot", "-snapshot", "-nic", "none",
        "-drive", f"file={disk},format=qcow2,if=virtio", "-serial", f"file:{serial}", *more,
    ]  # fmt: skip
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            text = serial.read_text(errors="replace") if serial.exists() else ""
            if until in text:
                return text
            assert process.poll() is None, text
            time.sleep(0.2)
        raise AssertionError(f"no {until!r} within {PATIENCE} s:\n{text}")
    finally:
        process.kill()
        process.wait()


def test_an_exported_image_boots_by_itself(cloud: Running, image_id: str, tmp_path: Path) -> None:
    file = tmp_path / "image.qcow2"
    done = cloud.command("image", "export", image_id, str(file), "--json")
    facts = json.loads(done.stdout)
    assert (facts["boots"], facts["file"], facts["kernel"]) == ("bios", str(file), None)
    assert [path.name for path in tmp_path.iterdir()] == ["image.qcow2"]
    assert file.stat().st_mode & 0o777 == 0o600
    info = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", file]))
    assert "backing-filename" not in info
    read_serial(file)
    assert list((cloud.data / "exports").iterdir()) == []


def test_a_running_instance_is_exported_with_what_it_wrote(
    cloud: Running, ec2: Any, image_id: str, tmp_path: Path
) -> None:
    key = guests.key_pair(ec2, cloud.folder, "k")
    row = guests.run(ec2, image_id, KeyName="k")
    address = row["PrivateIpAddress"]
    write = f"echo 'echo {MARK} > /dev/console' >> /etc/init.d/rcS; echo kept > /root/kept; sync"
    guests.said_over_ssh(address, key, write)
    file = tmp_path / "instance.qcow2"
    done = cloud.command("instance", "export", row["InstanceId"], str(file), check=False)
    assert "boots by itself, by BIOS" in done.stdout, done.stderr
    assert guests.said_over_ssh(address, key, "cat /root/kept") == "kept\n", "it runs on"
    assert LOGIN in read_serial(file, until=MARK)
    # A second one is refused, and one that is wanted replaces the first.
    again = cloud.command("instance", "export", row["InstanceId"], str(file), check=False)
    assert (again.returncode, "--force" in again.stderr) == (1, True)
    before = file.stat().st_ino
    cloud.command("instance", "export", row["InstanceId"], str(file), "--force")
    assert file.stat().st_ino != before
    ec2.terminate_instances(InstanceIds=[row["InstanceId"]])
    guests.wait_for(ec2, row["InstanceId"], "terminated")
    other = str(tmp_path / "other.qcow2")
    gone = cloud.command("instance", "export", row["InstanceId"], other, check=False)
    assert (gone.returncode, "it is terminated" in gone.stderr) == (1, True)


def test_without_grub_the_kernel_lies_beside_the_disk(
    tiny_guest: TinyGuest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grub, "MODULES", tmp_path / "none")
    files = KernelFiles(tiny_guest.kernel, tiny_guest.ramdisk, "console=ttyS0 root=/dev/sda1")
    made = export.write(ExportSource(tiny_guest.root, "raw", True, boots_with=files), tmp_path)
    assert made.boots == "kernel"
    assert re.fullmatch(r"console=ttyS0 root=UUID=[0-9a-f-]{36}", made.cmdline)
    more = ("-kernel", str(tmp_path / export.KERNEL), "-initrd", str(tmp_path / export.RAMDISK))
    text = read_serial(tmp_path / export.DISK, *more, "-append", made.cmdline)
    assert made.cmdline in text


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_leaves_no_file(cloud: Running, image_id: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 1 << 20) as folder:
        file = folder / "image.qcow2"
        done = cloud.command("image", "export", image_id, str(file), check=False)
        assert (done.returncode, "No space left on device" in done.stderr) == (1, True)
        assert list(folder.iterdir()) == []


def test_a_killed_export_leaves_no_half_file_and_the_next_one_is_whole(
    cloud: Running, image_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "image.qcow2"
    argv = [sys.executable, "-m", "eucabox", "-c", str(cloud.config_file)]
    argv += ["image", "export", image_id, str(file)]
    for delay in (0.6, 0.9, 1.2, 1.6, 2.0):
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, env=os.environ) as process:
            time.sleep(delay)
            process.kill()
        if file.exists():  # it was through: the file is whole
            subprocess.run(["qemu-img", "check", "-q", file], check=True)
            file.unlink()
    cloud.command("image", "export", image_id, str(file))
    subprocess.run(["qemu-img", "check", "-q", file], check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["image.qcow2"]


def test_a_guest_paused_by_a_killed_cloud_goes_on(cloud: Running, ec2: Any, image_id: str) -> None:
    row = guests.run(ec2, image_id)
    cloud.kill()
    mark = cloud.data / "exports" / f"{row['InstanceId']}.paused"
    mark.touch()
    connection = subprocess.run(
        ["virsh", "-c", "qemu:///system", "suspend", row["InstanceId"]], check=False
    )
    assert connection.returncode == 0
    cloud.start()
    state = ["virsh", "-c", "qemu:///system", "domstate", row["InstanceId"]]
    guests.until(
        lambda: subprocess.check_output(state, text=True).strip() == "running", "guest that runs"
    )
    guests.until(lambda: not mark.exists(), "end of the mark")
    ec2.terminate_instances(InstanceIds=[row["InstanceId"]])
    guests.wait_for(ec2, row["InstanceId"], "terminated")
