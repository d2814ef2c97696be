"""GRUB of this host, put onto a disk whose root has neither kernel nor boot loader of its own;
installs nothing on this host and runs no file system code on a stranger's disk."""

import os
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from eucabox.errors import ProgramFailed, ProgramMissing
from eucabox.hypervisor import architecture
from eucabox.image import disk, sparse
from eucabox.image.caged_programs import run_caged
from eucabox.run import find

MODULES = Path("/usr/lib/grub/i386-pc")
PROGRAMS = ("grub-mkimage", "grub2-mkimage")
WITHIN = ("biosdisk", "part_msdos", "ext2", "search", "search_label", "configfile", "normal",
          "linux", "echo", "test")  # fmt: skip
LABEL = "eucabox-boot"
FINDS = f"search --no-floppy --label {LABEL} --set root\nconfigfile ($root)/grub.cfg\n"
MENU = "set timeout=0\nmenuentry eucabox {{\n  linux /vmlinuz {cmdline}\n{initrd}}}\n"
FIRST_ENTRY, ENTRY = 446, 16
BOOT_CODE = 440  # bytes of a master boot record; disk id and partitions follow
SPARE = 4 * disk.MIB  # of the boot partition: its file system's own blocks
LONGEST_CORE = disk.ROOT_OFFSET - disk.SECTOR


@dataclass(frozen=True)
class KernelFiles:
    """What a root file system boots with; the command line names the root."""

    kernel: Path
    ramdisk: Path | None
    cmdline: str


def is_available() -> bool:
    """Tell whether this host has a GRUB for BIOS, and its guests a BIOS."""
    return architecture.HOST.has_bios and (MODULES / "boot.img").is_file() and bool(_program())


def install(raw: Path, files: KernelFiles, work: Path) -> None:
    """Make a raw disk boot by BIOS: GRUB before its first partition, and kernel, ramdisk and menu
    on a new last one. `work` is a folder for what is made on the way.

    Raises ProgramFailed.
    """
    core, small = _make_core(work), _make_boot(files, work)
    with raw.open("r+b") as file:
        table = bytearray(os.pread(file.fileno(), disk.SECTOR, 0))
        end = _round_up(os.fstat(file.fileno()).st_size)
        with small.open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            file.truncate(end + size)
            sparse.copy(source, file, end)
        place = FIRST_ENTRY + 3 * ENTRY  # the first three are sda1, sda2 and sda3
        table[place : place + ENTRY] = disk.entry((end, size), disk.LINUX)
        table[:BOOT_CODE] = (MODULES / "boot.img").read_bytes()[:BOOT_CODE]
        _write(file, ((0, bytes(table)), (disk.SECTOR, core)))
    small.unlink()


def has_space(raw: Path) -> bool:
    """Tell whether a disk's table has no fourth partition, and space for GRUB before the first."""
    with raw.open("rb") as file:
        table = file.read(disk.SECTOR)
    (first,) = struct.unpack_from("<I", table, FIRST_ENTRY + 8)
    place = FIRST_ENTRY + 3 * ENTRY
    free = table[place : place + ENTRY] == bytes(ENTRY)
    return free and first * disk.SECTOR >= disk.ROOT_OFFSET


def _program() -> str:
    for name in PROGRAMS:
        try:
            return find(name)
        except ProgramMissing:
            continue
    return ""


def _make_core(work: Path) -> bytes:
    config, image = work / "grub-early.cfg", work / "core.img"
    config.write_text(FINDS)
    order = ("-O", "i386-pc", "-d", str(MODULES), "-p", "/", "-c", str(config), "-o", str(image))
    run_caged(_program(), *order, *WITHIN)
    core = image.read_bytes()
    config.unlink()
    image.unlink()
    if len(core) > LONGEST_CORE:
        raise ProgramFailed(program="grub-mkimage", status=0, reason="its image is too large")
    return core


def _make_boot(files: KernelFiles, work: Path) -> Path:
    """Return a file system with kernel, ramdisk and menu, labelled so that GRUB finds it."""
    tree, image = work / "boot", work / "boot.img"
    tree.mkdir()
    shutil.copyfile(files.kernel, tree / "vmlinuz")
    if files.ramdisk:
        shutil.copyfile(files.ramdisk, tree / "initrd.img")
    initrd = "  initrd /initrd.img\n" if files.ramdisk else ""
    (tree / "grub.cfg").write_text(MENU.format(cmdline=files.cmdline, initrd=initrd))
    used = sum(path.stat().st_size for path in tree.iterdir())
    size = _round_up(used + used // 8 + SPARE)
    options = ("-t", "ext2", "-b", "1024", "-L", LABEL, "-m", "0", "-d", str(tree))
    run_caged("mke2fs", "-q", "-F", *options, str(image), f"{size // 1024}k")
    shutil.rmtree(tree)
    return image


def _write(file: BinaryIO, pieces: tuple[tuple[int, bytes], ...]) -> None:
    for offset, piece in pieces:
        os.pwrite(file.fileno(), piece, offset)
    os.fsync(file.fileno())


def _round_up(size: int) -> int:
    return -(-size // disk.MIB) * disk.MIB
