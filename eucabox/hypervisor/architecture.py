"""The processor of this host and its guests: everything that differs between architectures."""

import platform
from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """One kind of processor, by the names that each program has for it.

    `name` is the kernel's and libvirt's, `ec2` has EC2's, the usual one last, `debian` Debian's.
    `loader` is where programs expect the dynamic loader. Without `has_bios`, a disk boots by
    UEFI alone, and only UEFI gives a guest SMBIOS and a power button. `lacks` has the image
    settings that the machine does not support.
    """

    name: str
    ec2: tuple[str, ...]
    debian: str
    emulator: str
    emulator_package: str
    firmware_package: str
    machine: str
    console: str
    loader: str
    has_bios: bool
    grub: str
    efi_program: str
    lacks: frozenset[tuple[str, str]] = frozenset()

    @property
    def kernel_package(self) -> str:
        """Debian's kernel for guests."""
        return f"linux-image-cloud-{self.debian}"

    @property
    def libraries(self) -> str:
        """Debian's folder for this architecture's shared libraries."""
        return f"lib/{self.name}-linux-gnu"


X86_64 = Architecture(
    name="x86_64",
    ec2=("i386", "x86_64"),
    debian="amd64",
    emulator="qemu-system-x86_64",
    emulator_package="qemu-system-x86",
    firmware_package="ovmf",
    machine="pc",
    console="ttyS0",
    loader="lib64/ld-linux-x86-64.so.2",
    has_bios=True,
    grub="x86_64-efi",
    efi_program="BOOTX64.EFI",
)
AARCH64 = Architecture(
    name="aarch64",
    ec2=("arm64",),
    debian="arm64",
    emulator="qemu-system-aarch64",
    emulator_package="qemu-system-arm",
    firmware_package="qemu-efi-aarch64",
    machine="virt",
    console="ttyAMA0",
    loader="lib/ld-linux-aarch64.so.1",
    has_bios=False,
    grub="arm64-efi",
    efi_program="BOOTAA64.EFI",
    lacks=frozenset({("bootMode", "legacy-bios"), ("diskBus", "ide"), ("seedBus", "ide")}),
)
ARCHITECTURES = {each.name: each for each in (X86_64, AARCH64)}
# A host of a third kind can still emulate a PC.
HOST = ARCHITECTURES.get(platform.machine(), X86_64)
