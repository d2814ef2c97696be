"""Instances whose sda1, sda2 and sda3 are devices of their own, without a partition table."""

import json
from pathlib import Path
from typing import Any

import pytest

from eucabox.errors import UnsupportedOperation
from eucabox.image import devices, key_injection, snapshot
from eucabox.image.instance_disks import NOTE
from tests.image.disks import MIB, check, ext, look, raw
from tests.image.test_instance_disks import KEY, Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def prepare(room: Room, tmp_path: Path, instance_id: str = "i-1", **wishes: Any) -> Any:
    image = room.cache.find("digest") or room.entry(ext(tmp_path / "root"), "digest")
    with room.cache.pin("digest"):
        return room.prepare(instance_id, image, partitions=True, **wishes)


@pytest.mark.not_fast
def test_each_partition_is_a_file_that_begins_with_its_file_system(
    room: Room, tmp_path: Path
) -> None:
    boot = prepare(room, tmp_path)
    assert list(boot.partitions) == ["sda1", "sda2", "sda3"]
    assert boot.partitions["sda1"] == boot.disk
    one, two, three = (raw(boot.partitions[f"sda{n}"], tmp_path / f"{n}.raw") for n in (1, 2, 3))
    assert look(one, 0, f"cat {key_injection.FILE}").startswith(f"{KEY}\n")
    check(one, 0)
    check(two, 0)
    assert three.read_bytes()[4086:4096] == b"SWAPSPACE2"
    sizes = [each.stat().st_size // MIB for each in (one, two, three)]
    assert sizes == [8, 64 - 8 - 4, 4], "as large together as the type's disk"


@pytest.mark.not_fast
def test_a_type_with_room_for_the_root_alone_has_the_root_alone(room: Room, tmp_path: Path) -> None:
    boot = prepare(room, tmp_path, disk_mb=8, swap_mb=0)
    assert list(boot.partitions) == ["sda1"]


@pytest.mark.not_fast
def test_pieces_are_composed_once_and_shared(room: Room, tmp_path: Path) -> None:
    first = prepare(room, tmp_path)
    second = prepare(room, tmp_path, "i-2", disk_mb=128)
    assert room.told == ["composing the disk"] * 4, "of the second its larger sda2 alone"
    assert set(first.partitions.values()).isdisjoint(second.partitions.values())
    used = room.launches.names_in_use()
    assert used == {"digest-root-key", f"sda2-{52 * MIB}", f"sda2-{116 * MIB}", f"sda3-{4 * MIB}"}
    room.cache.evict()
    assert {path.stem for path in room.cache.folder.glob("*.raw")} >= used


@pytest.mark.not_fast
def test_they_are_found_again_and_forgotten_whole(room: Room, tmp_path: Path) -> None:
    boot = prepare(room, tmp_path)
    assert room.launches.find("i-1") == boot
    room.launches.forget("i-1")
    assert not boot.disk.parent.exists()


@pytest.mark.not_fast
def test_an_instance_of_an_earlier_eucabox_is_found_as_it_was(room: Room, tmp_path: Path) -> None:
    image = room.entry(ext(tmp_path / "root"), "digest")
    boot = room.prepare("i-1", image)
    note = boot.disk.parent / NOTE
    facts = json.loads(note.read_text())
    del facts["boot"]["partitions"]
    note.write_text(json.dumps(facts))
    assert room.launches.find("i-1") == boot
    assert boot.partitions == {}


@pytest.mark.not_fast
def test_a_copy_of_the_root_is_sda1_whole(room: Room, tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(b"\x7fELF kernel")
    kernel = room.entry(tmp_path / "vmlinuz", "kernel", "kernel")
    boot = prepare(room, tmp_path, kernel=kernel)
    copy = tmp_path / "copy"
    snapshot.take(boot, copy)
    assert copy.stat().st_size == 8 * MIB
    assert look(copy, 0, f"cat {key_injection.FILE}").startswith(f"{KEY}\n")


@pytest.mark.not_fast
def test_a_root_that_takes_no_key_is_as_it_was(room: Room, tmp_path: Path) -> None:
    root = ext(tmp_path / "root", "mkdir /root/.ssh", f"symlink {key_injection.FILE} /etc/keys")
    image = room.entry(root, "digest")
    boot = room.prepare("i-1", image, partitions=True)
    assert "metadata service" in boot.notes[0]
    assert raw(boot.disk, tmp_path / "out").read_bytes() == root.read_bytes()


@pytest.mark.parametrize("prefix", ["sda", "/dev/sda", "xvda", "/dev/xvda"])
def test_a_mapping_may_call_a_device_by_the_name_that_a_guest_has_for_it(prefix: str) -> None:
    devices.check(f"{prefix}2", "ephemeral0", left_out=False, whole_disk=False)
    settings = json.dumps({"block_device_mapping": {"swap": f"{prefix}3", "odd": f"{prefix}4"}})
    row: Any = {"settings": settings, "virtualization_type": "paravirtual"}
    assert devices.to_api(row) == [{"virtual_name": "swap", "device_name": f"{prefix}3"}]
    with pytest.raises(UnsupportedOperation):
        devices.check(f"{prefix}4", "ephemeral0", left_out=False, whole_disk=False)
