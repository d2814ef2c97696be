"""Exports: with real images and disks, and a node of words."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from eucabox import errors
from eucabox.config import Config
from eucabox.ec2 import exports as room
from eucabox.ec2.exports import Export, Exports
from eucabox.iam.accounts import Accounts
from eucabox.image import disk, export
from eucabox.run import run
from eucabox.schema import ImageRow
from eucabox.state import State
from tests.image.disks import MIB, ext, look, qcow2, raw
from tests.image_cloud import Cloud
from tests.rows import add_instance

pytestmark = pytest.mark.slow  # makes file systems, bundles and disks


@dataclass
class Node:
    """Notes what a node would do to guests."""

    notes: list[str] = field(default_factory=list)
    copying: threading.Lock = field(default_factory=threading.Lock)

    def suspend(self, instance_id: str) -> None:
        self.notes.append(f"suspend {instance_id}")

    def resume(self, instance_id: str) -> None:
        self.notes.append(f"resume {instance_id}")


class House:
    """The rooms that an export goes through."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.node = cloud, Node()
        self.exports = self.opened()

    def opened(self) -> Exports:
        node: Any = self.node
        made = Exports(self.cloud.config, self.cloud.state, self.cloud.images, node)
        made.start()
        return made

    def instance(self, image: ImageRow, state: str = "running") -> str:
        instance_id = add_instance(
            self.cloud.state, state=state, image_id=image["image_id"], disk_gb=1,
            account_id=self.cloud.user.account_id, instance_type="m1.tiny",
        )  # fmt: skip
        self.cloud.images.prepare(self.cloud.instance(instance_id, image))
        return instance_id

    def ends(self, begun: Export) -> Export:
        deadline = time.monotonic() + 30
        while begun.state not in ("complete", "failed"):
            assert time.monotonic() < deadline, begun
            time.sleep(0.02)
        return begun


@pytest.fixture
def house(config: Config, state: State, accounts: Accounts, tmp_path: Path) -> Iterator[House]:
    cloud = Cloud(config, state, accounts, tmp_path)
    made = House(cloud)
    yield made
    made.exports.close()
    cloud.close()


@pytest.fixture
def root(house: House, tmp_path: Path) -> ImageRow:
    """An image of a root file system with a kernel."""
    kernel = tmp_path / "vmlinuz"
    kernel.write_bytes(b"\x7fELF kernel")
    made = house.cloud.register(house.cloud.upload(kernel, image_type="kernel"))
    file = ext(tmp_path / "root.img", f"write {kernel} kept", size=4)
    return house.cloud.register(house.cloud.upload(file, kernel_id=made["image_id"]))


def facts(file: Path) -> Any:
    return json.loads(run("qemu-img", "info", "--output=json", str(file)))


def test_a_whole_disk_leaves_whole(house: House, tmp_path: Path) -> None:
    image = house.cloud.register(house.cloud.put(qcow2(tmp_path / "disk.qcow2", 8 * MIB)))
    done = house.ends(house.exports.begin(house.instance(image, "stopped")))
    assert (done.state, done.message, house.node.notes) == ("complete", "", [])
    assert done.exported == export.ExportedDisk("bios")
    found = facts(done.folder / export.DISK)
    assert (found["virtual-size"], "backing-filename" in found) == (1024 * MIB, False)
    assert done.done == done.total > 0


def test_a_running_guest_stands_still_for_the_copy(house: House, root: ImageRow) -> None:
    instance_id = house.instance(root)
    done = house.ends(house.exports.begin(instance_id))
    assert (done.state, done.message) == ("complete", "")
    assert house.node.notes == [f"suspend {instance_id}", f"resume {instance_id}"]
    assert not list(house.exports.folder.glob("*.paused"))
    whole = raw(done.folder / export.DISK, done.folder / "raw")
    assert "kept" in look(whole, disk.ROOT_OFFSET, "ls /")


def test_a_root_without_a_kernel_is_a_disk_that_does_not_boot(house: House, tmp_path: Path) -> None:
    image = house.cloud.register(house.cloud.upload(ext(tmp_path / "root.img", size=4)))
    done = house.ends(house.exports.begin(image["image_id"]))
    assert done.exported == export.ExportedDisk("nothing")
    assert facts(done.folder / export.DISK)["virtual-size"] == 5 * MIB


def test_what_has_no_disk_of_its_own_is_refused(house: House, root: ImageRow) -> None:
    for state in ("pending", "stopping", "terminated"):
        instance_id = house.instance(root, state)
        with pytest.raises(errors.NotExportable, match=f"it is {state}"):
            house.exports.begin(instance_id)
    with pytest.raises(errors.NotExportable, match="Export the machine image"):
        house.exports.begin(str(root["kernel_id"]))
    for unknown, fault in (("i-1", errors.InstanceNotFound), ("../x", errors.ImageNotFound)):
        with pytest.raises(fault):
            house.exports.begin(unknown)
    with pytest.raises(errors.ExportNotFound):
        house.exports.find("export-1")


def test_one_that_nobody_asks_for_is_removed(
    house: House, root: ImageRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LEASE", 3.0)
    done = house.ends(house.exports.begin(root["image_id"]))
    assert done.folder.is_dir()
    deadline = time.monotonic() + 20
    while done.folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    second = house.ends(house.exports.begin(root["image_id"]))
    house.exports.end(second.export_id)
    with pytest.raises(errors.ExportNotFound):
        house.exports.find(second.export_id)


def test_waiting_exports_are_bounded(
    house: House, root: ImageRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_WAITING", 2)
    house.exports.begin(root["image_id"])
    house.exports.begin(root["image_id"])
    with pytest.raises(errors.TooManyExports):
        house.exports.begin(root["image_id"])


def test_too_little_space_is_told_before_a_byte_is_written(
    house: House, root: ImageRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "LEFT", 2**60)
    done = house.ends(house.exports.begin(root["image_id"]))
    assert (done.state, "are free" in done.message) == ("failed", True)
    assert not done.folder.exists() or not list(done.folder.iterdir())


def test_a_disk_that_is_gone_is_told_and_the_guest_goes_on(house: House, root: ImageRow) -> None:
    instance_id = house.instance(root)
    house.cloud.images.forget(instance_id)
    done = house.ends(house.exports.begin(instance_id))
    assert (done.state, "its disk is gone" in done.message) == ("failed", True)
    assert house.node.notes[-1] == f"resume {instance_id}"


def test_a_start_lets_guests_go_on_and_clears_what_was_left(house: House, root: ImageRow) -> None:
    instance_id = house.instance(root)
    house.exports.close()
    (house.exports.folder / f"{instance_id}.paused").touch()
    (house.exports.folder / "export-1").mkdir()
    house.exports = house.opened()
    deadline = time.monotonic() + 10
    while list(house.exports.folder.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert house.node.notes == [f"resume {instance_id}"]
