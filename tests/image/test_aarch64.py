"""An aarch64 host makes and boots images for its own processor, and for no other."""

from pathlib import Path
from types import ModuleType

import pytest

from eucabox.errors import InvalidParameterValue
from eucabox.hypervisor import architecture
from eucabox.hypervisor.architecture import AARCH64
from eucabox.image import debian, disk, settings, tiny_guest
from eucabox.image.settings import ImageSettings


@pytest.fixture(autouse=True)
def aarch64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architecture, "HOST", AARCH64)


def note_programs(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> list[tuple[str, ...]]:
    """Have a module start no program, and return the list of those that it would start."""
    called: list[tuple[str, ...]] = []

    def run(*argv: str, **options: object) -> bytes:
        called.append(argv)
        return b""

    monkeypatch.setattr(module, "run", run)
    return called


def test_uefi_boots_every_image_where_there_is_no_bios() -> None:
    assert ImageSettings().uefi
    assert ImageSettings(boot_mode="uefi-preferred").uefi


@pytest.mark.parametrize(
    ("attribute", "word", "others"),
    [
        ("bootMode", "legacy-bios", "uefi, uefi-preferred"),
        ("diskBus", "ide", "scsi, virtio"),
        ("seedBus", "ide", "scsi, sata"),
    ],
)
def test_a_setting_that_the_machine_lacks_is_refused_with_those_it_has(
    attribute: str, word: str, others: str
) -> None:
    with pytest.raises(InvalidParameterValue, match=f"Choose one of {others}"):
        settings.change("{}", attribute, word)


def test_the_tiny_guest_downloads_arm64_s_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = note_programs(monkeypatch, tiny_guest)
    tiny_guest._packages(tmp_path, lambda text: None)
    assert "linux-image-cloud-arm64" in called[0]


def test_debian_is_installed_with_arm64_s_kernel_and_no_grub_of_a_bios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = note_programs(monkeypatch, debian)
    debian._bootstrap(tmp_path)
    words = ",".join(called[0])
    assert "--arch=arm64" in called[0]
    for package in ("linux-image-cloud-arm64", "grub-efi-arm64-bin"):
        assert package in words
    assert "grub-pc-bin" not in words
    assert "console=ttyAMA0,115200" in debian._texts()["boot/grub/grub.cfg"]


def test_uefi_alone_boots_debian_s_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[str, ...]] = []

    def run(*argv: str, **options: object) -> bytes:
        called.append(argv)
        (tmp_path / "boot/grub").mkdir(parents=True, exist_ok=True)
        (tmp_path / "boot/grub/efi.img").write_bytes(b"E")
        return b""

    written: list[bytes] = []
    monkeypatch.setattr(debian, "run", run)
    monkeypatch.setattr(disk, "convert", lambda raw, form, made: written.append(raw.read_bytes()))
    root = tmp_path / "root.img"
    root.write_bytes(b"R" * disk.MIB)
    (tmp_path / "boot/grub").mkdir(parents=True)
    debian._disk(tmp_path, root, tmp_path)
    assert written[0][: debian.BOOT_CODE] == bytes(debian.BOOT_CODE)
    assert written[0][disk.ROOT_OFFSET] == ord("E")
    assert any("arm64-efi" in argv for argv in called)
    assert any("::EFI/BOOT/BOOTAA64.EFI" in argv for argv in called)
    assert not any("i386-pc" in argv for argv in called)
