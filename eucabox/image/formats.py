"""What a file's bytes are: a partition, a whole disk, a qcow2; never changes the file."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eucabox.errors import DiskImageRefused, ProgramFailed
from eucabox.image.caged_programs import Watch, run_caged
from eucabox.instance_types import LIMITS

SECTOR = 512
QCOW2 = b"QFI\xfb"
EXT = struct.Struct("<H")  # s_magic, at 56 in the superblock, which begins at 1024
OTHERS = {
    b"KDMV": "VMDK",
    b"# Disk DescriptorFile": "VMDK",
    b"conectix": "VHD",
    b"vhdxfile": "VHDX",
    b"<<< ": "VDI",
    b"QED\0": "QED",
}
LARGEST = LIMITS["disk_gb"][1] * 2**30  # bytes; more fits no instance
INSPECTION, COUNTING = 30.0, 120.0  # seconds: of a header, and of all clusters
# No real disk packs better, whatever compresses it; clusters that many places share would.
BEST_PACKING, PLAIN = 1100, 2**28  # times its bytes, and bytes on top for a table or two


@dataclass(frozen=True)
class Disk:
    """A disk image: format raw or qcow2, and the size in bytes that a guest sees."""

    format: str
    size: int


def kind(path: Path) -> str:
    """Return 'qcow2', 'disk' (a raw disk with a partition table), 'ext', or 'data'."""
    with path.open("rb") as file:
        return kind_of(file.read(2048))


def kind_of(head: bytes) -> str:
    """Return the same of a file's first 2048 bytes."""
    if head.startswith(QCOW2):
        return "qcow2"
    if has_ext(head):
        return "ext"
    return "disk" if _has_partitions(head) else "data"


def has_ext(head: bytes) -> bool:
    """Tell whether the first 2048 bytes of a partition are those of ext2, ext3 or ext4."""
    return len(head) >= 1082 and EXT.unpack_from(head, 1024 + 56)[0] == 0xEF53


def disk(path: Path, name: str) -> Disk:
    """Return a stranger's disk image's facts; refuses what could read another file of this host.

    `name` is what messages call the image. Raises DiskImageRefused.
    """
    with path.open("rb") as file:
        head = file.read(64)
    refuse_others(head, name)
    if head.startswith(QCOW2):
        facts = _ask_qemu("info", path, name)
        if reason := _danger(facts):
            raise DiskImageRefused(name=name, reason=reason)
        read = Disk("qcow2", int(facts["virtual-size"]))
    else:
        read = Disk("raw", path.stat().st_size)
    refuse_size(read.size, name)
    return read


def kernel(path: Path, name: str) -> None:
    """Refuse as a kernel what is none: QEMU would start it and the guest stay silent for good.

    Taken are x86 boot images (Linux' boot protocol 2.00 and later), arm64's (plain, gzipped, or an
    EFI program that unpacks itself), ELF files and gzipped ones, as Xen's are. Raises
    DiskImageRefused.
    """
    with path.open("rb") as file:
        head = file.read(0x206)
    marks = (head[0x202:0x206] == b"HdrS", head[0x38:0x3C] == b"ARM\x64", head[4:8] == b"zimg")
    if not any(marks) and not head.startswith((b"\x7fELF", b"\x1f\x8b")):
        reason = (
            "it is no kernel: neither a boot image of x86 (bzImage) or of arm64 (Image), nor an"
            " ELF file."
        )
        raise DiskImageRefused(name=name, reason=reason)


def refuse_others(head: bytes, name: str) -> None:
    """Refuse the formats that we know and do not take, by a file's first bytes."""
    for magic, form in OTHERS.items():
        if head.startswith(magic):
            raise DiskImageRefused(
                name=name,
                reason=f"it is a {form} file. Convert it: qemu-img convert -O qcow2 FILE NEW.qcow2",
            )


def refuse_size(size: int, name: str) -> None:
    """Refuse an image of that many bytes where no instance type has a disk so large."""
    if size > LARGEST:
        raise DiskImageRefused(
            name=name,
            reason=f"it has {size} bytes, and the largest instance type can have {LARGEST}.",
        )


def qcow2_size(head: bytes) -> int:
    """Return the bytes that a guest sees of a qcow2, from the file's first bytes."""
    return int.from_bytes(head[24:32], "big")


def measure_converted(path: Path, name: str, watch: Watch) -> int:
    """Return the bytes that a stranger's qcow2 takes when it is written anew.

    Raises DiskImageRefused for one whose clusters stand in for many times what the file holds.
    """
    form = ("-O", "qcow2")
    facts = _ask_qemu("measure", path, name, *form, seconds=COUNTING, watch=watch)
    required = int(facts["required"])
    size = path.stat().st_size
    if required > size * BEST_PACKING + PLAIN:
        reason = f"its {size} bytes would unfold to {required}: many places share its clusters."
        raise DiskImageRefused(name=name, reason=reason)
    return required


def _ask_qemu(
    order: str,
    path: Path,
    name: str,
    *options: str,
    seconds: float = INSPECTION,
    watch: Watch = lambda: None,
) -> dict[str, Any]:
    arguments = (order, "--output=json", "-f", "qcow2", *options, str(path))
    try:
        output = run_caged("qemu-img", *arguments, seconds=seconds, watch=watch)
        facts: dict[str, Any] = json.loads(output)
    except (ProgramFailed, ValueError) as problem:
        reason = f"its qcow2 header is damaged ({problem})."
        raise DiskImageRefused(name=name, reason=reason) from None
    return facts


def _danger(facts: dict[str, Any]) -> str:
    extra = facts.get("format-specific", {}).get("data", {})
    if "backing-filename" in facts or "full-backing-filename" in facts:
        return (
            "it is an overlay over a backing file. Make it whole first:"
            " qemu-img convert -O qcow2 FILE NEW.qcow2"
        )
    if "data-file" in extra:
        return (
            "it keeps its data in another file. Make it whole first:"
            " qemu-img convert -O qcow2 FILE NEW.qcow2"
        )
    if facts.get("encrypted") or "encrypt" in extra:
        return "it is encrypted. Decrypt it first with qemu-img convert."
    if extra.get("corrupt"):
        return "it is marked corrupt. Repair it first: qemu-img check -r all FILE"
    return ""


def check_restored(path: Path, name: str, *, is_overlay: bool) -> None:
    """Refuse a qcow2 of a backup that names another file, but for what an overlay lies over."""
    facts = _ask_qemu("info", path, name)
    if is_overlay:
        facts = {key: value for key, value in facts.items() if "backing-filename" not in key}
    reason = _danger(facts)
    if reason:
        raise DiskImageRefused(name=name, reason=reason)


def _has_partitions(head: bytes) -> bool:
    """A boot signature alone is not enough: boot sectors of single partitions have it too."""
    if len(head) < SECTOR or head[510:512] != b"\x55\xaa":
        return False
    entries = [head[446 + 16 * index : 462 + 16 * index] for index in range(4)]
    used = [entry for entry in entries if entry[4]]
    return bool(used) and all(_plausible(entry) for entry in used)


def _plausible(entry: bytes) -> bool:
    start, count = struct.unpack_from("<II", entry, 8)
    return entry[0] in (0, 0x80) and start > 0 and count > 0
