"""`eucabox doctor` misses UEFI where nothing boots without it."""

from pathlib import Path

import pytest

from eucabox import config
from eucabox.cli import doctor
from eucabox.hypervisor import architecture, qemu
from eucabox.hypervisor.architecture import AARCH64, X86_64

FIRMWARE = '{"targets": [{"architecture": "aarch64", "machines": ["virt-*"]}]}'


@pytest.fixture(autouse=True)
def no_firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "FIRMWARE", tmp_path)
    monkeypatch.setattr(architecture, "HOST", AARCH64)


def test_an_aarch64_without_uefi_is_told_the_package() -> None:
    (finding,) = doctor._firmware(config.Config())
    assert (finding.state, finding.fix) == ("FAIL", "apt-get install qemu-efi-aarch64")


def test_an_aarch64_with_uefi_has_no_finding(tmp_path: Path) -> None:
    (tmp_path / "60-edk2-aarch64.json").write_text(FIRMWARE)
    assert list(doctor._firmware(config.Config())) == []


def test_a_pc_needs_no_uefi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architecture, "HOST", X86_64)
    assert list(doctor._firmware(config.Config())) == []
