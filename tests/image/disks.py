"""Small file systems and disks, made by e2fsprogs and qemu-img."""

from pathlib import Path

from eucabox.run import run

MIB = 2**20


def ext(path: Path, *orders: str, kind: str = "ext4", size: int = 8, block: int = 1024) -> Path:
    """Make a file system of `size` MiB with /root in it and carry out debugfs orders."""
    path.unlink(missing_ok=True)
    run("mke2fs", "-q", "-F", "-t", kind, "-b", str(block), str(path), f"{size}M")
    for order in ("mkdir /root", *orders):
        run("debugfs", "-w", "-R", order, str(path))
    return path


def look(disk: Path, offset: int, order: str) -> str:
    return run("debugfs", "-R", order, f"{disk}?offset={offset}").decode()


def check(disk: Path, offset: int) -> None:
    """Raise ProgramFailed unless the file system at offset is clean."""
    run("e2fsck", "-f", "-n", f"{disk}?offset={offset}")


def qcow2(path: Path, size: int = MIB, *options: str) -> Path:
    run("qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), str(size))
    return path


def raw(disk: Path, target: Path) -> Path:
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(disk), str(target))
    return target
