from pathlib import Path
from typing import Any

import pytest

from eucabox.hypervisor import architecture
from eucabox.image import import_file, instance_disks, key_injection
from eucabox.image.cache import Cache, CacheEntry
from eucabox.image.instance_disks import Boot, DiskSpec, InstanceDisks
from eucabox.image.settings import ImageSettings
from tests.image.disks import MIB, check, ext, look, qcow2, raw
from tests.image.test_seed import ROW

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMAUdeeGGkKW1En8jF8E4U5bRdQMFKyNatUihOJoUyKQ me@here"


class Room:
    """A cache and the launches over it."""

    def __init__(self, folder: Path) -> None:
        self.launches = InstanceDisks(folder / "instances")
        self.cache = Cache(folder / "cache", lambda: 0, self.launches.names_in_use)
        self.told: list[str] = []

    def entry(self, path: Path, digest: str, image_type: str = "machine") -> CacheEntry:
        with self.cache.partial() as file:
            file.write(path.read_bytes())
            file.flush()
            return import_file.add_to_cache(
                self.cache, Path(file.name), digest, path.name, image_type
            )

    def prepare(self, instance_id: str, image: CacheEntry, **wishes: Any) -> Boot:
        facts: dict[str, Any] = {
            "kernel": None, "ramdisk": None, "disk_mb": 64, "swap_mb": 4, "public_key": KEY,
            "injection": True, **wishes,
        }  # fmt: skip
        wish = DiskSpec(image=image, **facts)
        return self.launches.prepare(self.cache, instance_id, wish, self.told.append)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def names(room: Room) -> set[str]:
    return {path.name for path in room.cache.folder.iterdir() if path.suffix != ".json"}


@pytest.mark.not_fast
def test_a_root_boots_by_its_kernel_from_a_disk_with_the_key(room: Room, tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(b"\x7fELF kernel")
    kernel = room.entry(tmp_path / "vmlinuz", "kernel", "kernel")
    with room.cache.pin("kernel"):
        image = room.entry(ext(tmp_path / "root"), "digest")
    boot = room.prepare("i-1", image, kernel=kernel)
    assert (boot.kernel, boot.ramdisk, boot.notes) == (kernel.path, None, ())
    assert (boot.format, boot.bus) == ("qcow2", "scsi")
    assert boot.cmdline == "console=ttyS0 root=/dev/sda1"
    assert room.told == ["composing the disk"]
    disk = raw(boot.disk, tmp_path / "out")
    assert look(disk, MIB, f"cat {key_injection.FILE}").startswith(f"{KEY}\n")
    check(disk, MIB)
    assert boot.disk.stat().st_mode & 0o777 == 0o600
    assert boot.disk.parent.stat().st_mode & 0o001


@pytest.mark.not_fast
def test_the_disk_is_composed_once_and_no_key_reaches_another(room: Room, tmp_path: Path) -> None:
    with room.cache.pin("digest"):
        image = room.entry(ext(tmp_path / "root"), "digest")
        room.prepare("i-1", image)
        boot = room.prepare("i-2", image, public_key="")
        assert room.told == ["composing the disk"]
    disk = raw(boot.disk, tmp_path / "out")
    assert "ssh-" not in look(disk, MIB, f"cat {key_injection.FILE}")


@pytest.mark.not_fast
def test_what_an_instance_rests_on_is_in_use_until_it_is_forgotten(
    room: Room, tmp_path: Path
) -> None:
    boot = room.prepare("i-1", room.entry(ext(tmp_path / "root"), "digest"))
    base = "digest-64-4-key"
    assert room.launches.names_in_use() == {base}
    room.cache.evict()
    assert names(room) == {f"{base}.raw"}
    assert room.launches.find("i-1") == boot
    room.launches.forget("i-1")
    assert not boot.disk.parent.exists()
    assert room.launches.find("i-1") is None
    room.cache.evict()
    assert names(room) == set()
    room.launches.forget("i-1")


@pytest.mark.not_fast
def test_what_others_keep_of_an_instance_stays(room: Room, tmp_path: Path) -> None:
    boot = room.prepare("i-1", room.entry(ext(tmp_path / "root"), "digest"))
    console = boot.disk.parent / "console.log"
    console.write_text("Linux version")
    room.launches.forget("i-1")
    assert [path.name for path in console.parent.iterdir()] == ["console.log"]
    assert list(room.launches.all()) == ["i-1"]


@pytest.mark.not_fast
def test_a_whole_disk_boots_itself_and_grows(room: Room, tmp_path: Path) -> None:
    image = room.entry(qcow2(tmp_path / "disk.qcow2", 3 * MIB), "digest")
    boot = room.prepare("i-1", image)
    assert (boot.kernel, boot.bus, boot.cmdline) == (None, "virtio", "")
    assert "metadata service" in boot.notes[0]
    assert raw(boot.disk, tmp_path / "out").stat().st_size == 64 * MIB
    assert room.launches.names_in_use() == {"digest"}


@pytest.mark.not_fast
def test_a_root_that_takes_no_key_is_launched_as_it_was(room: Room, tmp_path: Path) -> None:
    root = ext(tmp_path / "root", "mkdir /root/.ssh", f"symlink {key_injection.FILE} /etc/keys")
    image = room.entry(root, "digest")
    boot = room.prepare("i-1", image)
    assert "no file of at most" in boot.notes[0]
    assert "metadata service" in boot.notes[0]
    content = raw(boot.disk, tmp_path / "out").read_bytes()
    assert content[MIB : 9 * MIB] == root.read_bytes()


@pytest.mark.not_fast
def test_a_full_root_is_launched_as_it_was(room: Room, tmp_path: Path) -> None:
    (tmp_path / "own").write_text("ssh-rsa AAAA owner\n")
    (tmp_path / "huge").write_bytes(b"x" * 8 * MIB)
    orders = ("mkdir /root/.ssh", f"write {tmp_path / 'own'} {key_injection.FILE}")
    root = ext(tmp_path / "root", *orders, f"write {tmp_path / 'huge'} huge")
    boot = room.prepare("i-1", room.entry(root, "digest"))
    assert "could not write" in boot.notes[0]
    content = raw(boot.disk, tmp_path / "out").read_bytes()
    assert content[MIB : 9 * MIB] == root.read_bytes()


@pytest.mark.not_fast
def test_a_root_that_was_cut_off_gets_its_key(room: Room, tmp_path: Path) -> None:
    root = ext(tmp_path / "root", "feature needs_recovery")
    boot = room.prepare("i-1", room.entry(root, "digest"))
    assert boot.notes == ()
    disk = raw(boot.disk, tmp_path / "out")
    assert look(disk, MIB, f"cat {key_injection.FILE}").startswith(f"{KEY}\n")


def test_without_injection_the_root_is_untouched(room: Room, tmp_path: Path) -> None:
    root = ext(tmp_path / "root")
    boot = room.prepare("i-1", room.entry(root, "digest"), injection=False)
    assert boot.notes == ()
    content = raw(boot.disk, tmp_path / "out").read_bytes()
    assert content[MIB : 9 * MIB] == root.read_bytes()


@pytest.mark.not_fast
def test_a_launch_that_was_cut_off_begins_anew(room: Room, tmp_path: Path) -> None:
    folder = room.launches.folder / "i-1"
    folder.mkdir()
    (folder / "disk.qcow2").write_bytes(b"half")
    (folder / instance_disks.NOTE).write_text("{")
    assert room.launches.find("i-1") is None
    assert room.launches.names_in_use() == set()
    boot = room.prepare("i-1", room.entry(ext(tmp_path / "root"), "digest"))
    assert boot.disk.read_bytes().startswith(b"QFI\xfb")


@pytest.mark.not_fast
def test_an_images_settings_reach_the_boot_and_outlive_a_restart(
    room: Room, tmp_path: Path
) -> None:
    image = room.entry(qcow2(tmp_path / "disk.qcow2", 3 * MIB), "digest")
    wanted = ImageSettings(
        boot_mode="uefi", seed="both", seed_bus="sata", nic_model="e1000", disk_bus="ide",
        kernel_command_line="quiet",
    )  # fmt: skip
    boot = room.prepare("i-1", image, settings=wanted, seeded=ROW)
    folder = boot.disk.parent
    assert (boot.bus, boot.nic_model, boot.uefi, boot.seed_bus) == ("ide", "e1000", True, "sata")
    assert (boot.nvram, boot.seed) == (folder / "nvram.fd", folder / "seed.iso")
    assert boot.cmdline == "", "a disk that boots itself has its own"
    assert room.launches.find("i-1") == boot
    assert boot.seed is not None
    assert boot.seed.exists()
    (folder / "nvram.fd").write_bytes(b"made by libvirt")
    (folder / ".seed.iso.new").write_bytes(b"half")
    room.launches.forget("i-1")
    assert not folder.exists()


def test_a_root_of_aarch64_has_uefi_s_variables_and_the_serial_port_of_its_machine(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(architecture, "HOST", architecture.AARCH64)
    (tmp_path / "vmlinuz").write_bytes(b"\x7fELF kernel")
    kernel = room.entry(tmp_path / "vmlinuz", "kernel", "kernel")
    with room.cache.pin("kernel"):
        image = room.entry(ext(tmp_path / "root"), "digest")
    # Settings of its own: what they say of UEFI is worked out once.
    boot = room.prepare("i-1", image, kernel=kernel, settings=ImageSettings())
    assert boot.cmdline == "console=ttyAMA0 root=/dev/sda1"
    assert (boot.uefi, boot.nvram and boot.nvram.name) == (True, "nvram.fd")


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("wanted", "cmdline"),
    [
        (ImageSettings(disk_bus="virtio"), "console=ttyS0 root=/dev/vda1"),
        (ImageSettings(disk_bus="ide"), "console=ttyS0 root=/dev/sda1"),
        (ImageSettings(kernel_command_line="root=LABEL=x quiet"), "root=LABEL=x quiet"),
    ],
)
def test_a_roots_kernel_is_told_what_fits(
    room: Room, tmp_path: Path, wanted: ImageSettings, cmdline: str
) -> None:
    (tmp_path / "vmlinuz").write_bytes(b"\x7fELF kernel")
    kernel = room.entry(tmp_path / "vmlinuz", "kernel", "kernel")
    with room.cache.pin("kernel"):
        image = room.entry(ext(tmp_path / "root"), "digest")
    boot = room.prepare("i-1", image, kernel=kernel, settings=wanted, seeded=ROW)
    assert (boot.cmdline, boot.seed) == (cmdline, None)
