"""A Debian guest with cloud-init, made from Debian packages; installs nothing on this host."""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from eucabox.atomic_files import write_atomic
from eucabox.errors import GuestNotBuilt, ProgramFailed
from eucabox.hypervisor import architecture
from eucabox.image import disk
from eucabox.image.tiny_guest import Progress
from eucabox.run import run

VERSION = 3  # raise it when this file makes another guest from the same lists
SUITE = "bookworm"
ROOT_MIB = 1024
LABEL = "debian"
FILES = ("vmlinuz-debian", "initrd-debian", "root-debian.img", "disk-debian.qcow2")
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "udev", "kmod",
    "initramfs-tools", "grub2-common", "e2fsprogs",
    "dosfstools", "mtools", "fdisk", "cloud-init",
    "cloud-guest-utils", "openssh-server", "sudo", "locales", "ifupdown", "isc-dhcp-client",
    "iproute2", "netbase", "ca-certificates", "less",
)  # fmt: skip
LEFT_OUT = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)
KERNEL_LINE = "console=tty0 console={console},115200"
# Nothing here names a data source: cloud-init has to find EC2 by itself, as in any image.
TEXTS = {
    "etc/fstab": f"LABEL={LABEL} / ext4 errors=remount-ro 0 1\n",
    "etc/hostname": "localhost\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    "etc/default/locale": "LANG=C.UTF-8\n",  # or cloud-init builds one, for half a minute
    "etc/default/grub": (
        'GRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX="KERNEL_LINE"\n'
    ),
    "boot/grub/grub.cfg": (
        f"set timeout=0\nsearch --no-floppy --label {LABEL} --set root\n"
        f"menuentry Debian {{\n  linux /vmlinuz root=LABEL={LABEL} ro KERNEL_LINE\n"
        "  initrd /initrd.img\n}\n"
    ),
}
# Sessions by SSH and sudo read /etc/environment. docs/metadata.md has the same for other images.
TELL_ENDPOINT = """#!/bin/sh
# Tells SDKs where this cloud's API is: cloud-init has read it from the metadata.
endpoint=$(cloud-init query ds.meta_data.services.endpoint) || exit 0
region=$(cloud-init query ds.meta_data.placement.region)
sed -i '/^AWS_ENDPOINT_URL=/d; /^AWS_DEFAULT_REGION=/d' /etc/environment
printf 'AWS_ENDPOINT_URL=%s\\nAWS_DEFAULT_REGION=%s\\n' "$endpoint" "$region" \\
  >> /etc/environment
"""
PROGRAMS = {"var/lib/cloud/scripts/per-boot/eucabox-endpoint": TELL_ENDPOINT}
# What every instance must have of its own.
SECRETS = ("etc/ssh/ssh_host_*", "etc/resolv.conf", "var/lib/dbus/machine-id")
GRUB = "usr/lib/grub/i386-pc"
GRUB_WITHIN = ("part_msdos", "ext2", "normal", "search", "search_label", "linux")
GRUB_FINDS = f"search --no-floppy --label {LABEL} --set root\nset prefix=($root)/boot/grub\n"
# UEFI's partition lies before the root, which can grow then, and is the second all the same.
EFI_TYPE, EFI_ENTRY = 0xEF, 446 + 16
EFI_MIB = 16
ROOT_OFFSET = disk.ROOT_OFFSET + EFI_MIB * disk.MIB
BOOT_CODE = 440  # bytes of a master boot record; disk id and partitions follow
CORE = "boot/grub/i386-pc/core.img"
CORE_OFFSET = disk.SECTOR


@dataclass(frozen=True)
class DebianGuest:
    """The same system twice: a root partition with kernel and ramdisk, and a disk that boots."""

    kernel: Path
    ramdisk: Path
    root: Path
    disk: Path


def build_debian(destination: Path, progress: Progress | None = None) -> DebianGuest:
    """Build the Debian guest into a folder, or return the one that is there already.

    Needs root, mmdebstrap, mke2fs, qemu-img and a reachable mirror; about two minutes and 1.5 GB.
    `progress` is called with the name of each step. Raises GuestNotBuilt and ProgramMissing.
    """
    tell = progress or (lambda text: None)
    made = DebianGuest(*(destination / name for name in FILES))
    stamp = destination / ".debian.json"
    if _is_current(stamp, made):
        return made
    if os.geteuid():
        raise GuestNotBuilt(reason="run it as root: Debian's packages are set up in a chroot.")
    destination.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".debian-", dir=destination) as folder:
        work = Path(folder)
        work.chmod(0o755)
        tell("installing Debian packages into a folder")
        tree = _bootstrap(work / "tree")
        _settle(tree)
        tell("making the disks")
        for name, target in (("vmlinuz", made.kernel), ("initrd.img", made.ramdisk)):
            write_atomic(target, _only(tree, f"boot/{name}-*").read_bytes())
        root = _root(tree, work / "root.img")
        whole = _disk(tree, root, work)
        root.replace(made.root)
        whole.replace(made.disk)
    write_atomic(stamp, json.dumps(_stamp(made)).encode())
    return made


def _is_current(stamp: Path, made: DebianGuest) -> bool:
    try:
        return bool(json.loads(stamp.read_text("utf-8")) == _stamp(made))
    except (OSError, ValueError):
        return False


def _stamp(made: DebianGuest) -> list[object]:
    files = (made.kernel, made.ramdisk, made.root, made.disk)
    return [
        VERSION,
        SUITE,
        ROOT_MIB,
        *_packages(),
        *_texts().values(),
        *PROGRAMS.values(),
        *(f.stat().st_size for f in files),
    ]


def _packages() -> tuple[str, ...]:
    """Return the packages for this host's processor: its kernel, and GRUB for its firmware."""
    host = architecture.HOST
    bios = ("grub-pc-bin",) if host.has_bios else ()
    return (*PACKAGES, host.kernel_package, *bios, f"grub-efi-{host.debian}-bin")


def _texts() -> dict[str, str]:
    line = KERNEL_LINE.format(console=architecture.HOST.console)
    return {place: text.replace("KERNEL_LINE", line) for place, text in TEXTS.items()}


def _bootstrap(tree: Path) -> Path:
    left_out = (f"--dpkgopt={option}" for option in LEFT_OUT)
    options = (
        "--variant=minbase",
        "--format=directory",
        f"--include={','.join(_packages())}",
        f"--arch={architecture.HOST.debian}",
    )
    try:
        run("mmdebstrap", *options, *left_out, SUITE, str(tree), timeout=3600)
    except ProgramFailed as problem:
        reason = f"mmdebstrap: {problem.facts['reason']}. Does Debian's mirror answer from here?"
        raise GuestNotBuilt(reason=reason) from None
    return tree


def _settle(tree: Path) -> None:
    """Make one installation fit to be many instances, and to be found by its boot loader."""
    for pattern in SECRETS:
        for path in tree.glob(pattern):
            path.unlink()
    (tree / "etc/machine-id").write_text("")
    modules = tree / "boot/grub/i386-pc" if architecture.HOST.has_bios else tree / "boot/grub"
    modules.mkdir(parents=True)
    for path in [*(tree / GRUB).glob("*.mod"), *(tree / GRUB).glob("*.lst")]:
        shutil.copyfile(path, modules / path.name)
    for place, text in _texts().items():
        (tree / place).write_text(text, "utf-8")
        (tree / place).chmod(0o644)
    for place, text in PROGRAMS.items():
        (tree / place).parent.mkdir(parents=True, exist_ok=True)
        (tree / place).write_text(text, "utf-8")
        (tree / place).chmod(0o755)


def _root(tree: Path, image: Path) -> Path:
    options = ("-t", "ext4", "-L", LABEL, "-m", "1", "-d", str(tree))
    run("mke2fs", "-q", "-F", *options, str(image), f"{ROOT_MIB}M", timeout=600)
    return image


def _disk(tree: Path, root: Path, work: Path) -> Path:
    """Return a whole disk that UEFI boots, and BIOS where there is one: GRUBs before a root
    that can grow."""
    raw, target = work / "disk.raw", work / "disk.qcow2"
    size = root.stat().st_size
    end = ROOT_OFFSET + size
    plan = disk.Layout((ROOT_OFFSET, size), (end, 0), (end, 0), end)
    efi = disk.entry((disk.ROOT_OFFSET, EFI_MIB * disk.MIB), EFI_TYPE)
    with raw.open("w+b") as file:
        disk.compose(root, file, plan)
        bios = _boot_code(tree) if architecture.HOST.has_bios else ()
        pieces = (*bios, (EFI_ENTRY, efi), (disk.ROOT_OFFSET, _efi(tree)))
        for offset, piece in pieces:
            os.pwrite(file.fileno(), piece, offset)
    disk.convert(raw, "raw", target)
    return target


def _boot_code(tree: Path) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    """Return GRUB's boot sector and its core, which lies from the second sector on."""
    argv = ("grub-mkimage", "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub", "-o", f"/{CORE}")
    run("chroot", str(tree), *argv, "biosdisk", *GRUB_WITHIN)
    core = (tree / CORE).read_bytes()
    if len(core) > disk.ROOT_OFFSET - CORE_OFFSET:
        raise GuestNotBuilt(reason="GRUB does not fit before the first partition.")
    return (0, (tree / GRUB / "boot.img").read_bytes()[:BOOT_CODE]), (CORE_OFFSET, core)


def _efi(tree: Path) -> bytes:
    """Return UEFI's partition with GRUB, made by the guest's own programs."""
    host = architecture.HOST
    config, grub, image = (f"boot/grub/{name}" for name in ("efi.cfg", "grub.efi", "efi.img"))
    (tree / config).write_text(GRUB_FINDS)
    make = ("grub-mkimage", "-O", host.grub, "-p", "/boot/grub", "-c", f"/{config}")
    inside = ("chroot", str(tree))
    run(*inside, *make, "-o", f"/{grub}", *GRUB_WITHIN)
    run(*inside, "mkfs.vfat", "-C", f"/{image}", str(EFI_MIB * 1024))
    run(*inside, "mmd", "-i", f"/{image}", "::EFI", "::EFI/BOOT")
    run(*inside, "mcopy", "-i", f"/{image}", f"/{grub}", f"::EFI/BOOT/{host.efi_program}")
    return (tree / image).read_bytes()


def _only(tree: Path, pattern: str) -> Path:
    files = sorted(tree.glob(pattern))
    if not files:
        raise GuestNotBuilt(reason=f"the packages hold no {pattern}.")
    return files[-1]
