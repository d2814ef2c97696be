"""The lists of packages that a host needs have what its processor wants, and nothing for others."""

import subprocess
from pathlib import Path

import pytest

from eucabox.hypervisor.architecture import ARCHITECTURES, Architecture

SETUP = Path(__file__).parent.parent / "setup"


def list_wanted(name: str, debian: str) -> list[str]:
    done = subprocess.run(
        [SETUP / "host.sh", "wanted", name, debian], check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("host", ARCHITECTURES.values(), ids=lambda host: host.name)
def test_a_host_installs_the_emulator_of_its_own_processor_alone(host: Architecture) -> None:
    names = list_wanted("run", host.debian)
    emulators = {each.emulator_package for each in ARCHITECTURES.values()}
    assert emulators & set(names) == {host.emulator_package}
    assert all(" " not in name and "[" not in name for name in names)


def test_uefi_comes_with_the_host_that_has_no_bios() -> None:
    assert "qemu-efi-aarch64" in list_wanted("run", "arm64")
    assert "qemu-efi-aarch64" not in list_wanted("run", "amd64")


def test_a_host_of_a_third_kind_emulates_a_pc() -> None:
    assert "qemu-system-x86" in list_wanted("run", "riscv64")
