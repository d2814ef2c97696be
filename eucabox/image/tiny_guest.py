"""The tiny guest: a kernel, a ramdisk and a root made from packages of Debian or Ubuntu, whichever
this host is; installs nothing."""

import gzip
import hashlib
import json
import lzma
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from eucabox.atomic_files import write_atomic
from eucabox.errors import GuestNotBuilt, ProgramFailed, ProgramMissing
from eucabox.hypervisor import architecture
from eucabox.run import run

VERSION = 3  # raise it when this file makes another guest from the same scripts
ROOT_MIB = 16
FILES = ("vmlinuz-tiny", "initrd-tiny", "root-tiny.img")
# Modules by their own names; what they depend on comes before them.
MODULES = (
    "virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "ata_piix", "ext4", "virtio_net",
    "virtio_rng", "xen_blkfront", "xen_netfront", "button", "evdev", "virtio_balloon",
    "pvpanic_mmio",
)  # fmt: skip
FOLDERS = (
    "bin", "sbin", "dev", "proc", "sys", "run", "tmp", "mnt", "root", "etc/init.d",
    "etc/dropbear", "var/lib", "var/log",
)  # fmt: skip
SCRIPTS = {
    "inittab": "etc/inittab",
    "rcS": "etc/init.d/rcS",
    "rcK": "etc/init.d/rcK",
    "metadata": "etc/init.d/metadata",
    "user-data": "etc/init.d/user-data",
    "udhcpc.script": "etc/udhcpc.script",
}
TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\n",
    "etc/shells": "/bin/sh\n",
    "etc/hostname": "tiny\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/fstab": "",
    "etc/profile": "[ ! -r /etc/profile.d/eucabox.sh ] || . /etc/profile.d/eucabox.sh\n",
    "etc/issue": "eucabox tiny guest\n",
}
UBUNTU_KERNEL = "linux-image-virtual"
DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class TinyGuest:
    """The three files of a guest that boots in seconds."""

    kernel: Path
    ramdisk: Path
    root: Path


def build_tiny(destination: Path, progress: Progress | None = None) -> TinyGuest:
    """Build the tiny guest into a folder, or return the one that is there already.

    Needs apt-get's package lists and a reachable mirror, mke2fs and debugfs, no privileges.
    `progress` is called with the name of each step. Raises GuestNotBuilt.
    """
    tell = progress or (lambda text: None)
    made = TinyGuest(*(destination / name for name in FILES))
    stamp = destination / ".tiny.json"
    if _is_current(stamp, made):
        return made
    destination.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tiny-", dir=destination) as folder:
        work = Path(folder)
        work.chmod(0o755)
        packages = _packages(work, tell)
        tell("making the ramdisk")
        kernel = _only(packages, "boot/vmlinuz-*")
        write_atomic(made.kernel, kernel.read_bytes())
        write_atomic(made.ramdisk, _ramdisk(packages))
        tell("making the root file system")
        _root(packages, work).replace(made.root)
    write_atomic(stamp, json.dumps(_stamp(made)).encode())
    return made


def _is_current(stamp: Path, made: TinyGuest) -> bool:
    try:
        return bool(json.loads(stamp.read_text("utf-8")) == _stamp(made))
    except (OSError, ValueError):
        return False


def _stamp(made: TinyGuest) -> list[object]:
    scripts = "".join(_script(name) for name in ("init", *SCRIPTS))
    digest = hashlib.sha256(scripts.encode()).hexdigest()
    sizes = [path.stat().st_size for path in (made.kernel, made.ramdisk, made.root)]
    return [VERSION, architecture.HOST.name, digest, *sizes]


def _script(name: str) -> str:
    return resources.files("eucabox.image").joinpath("tiny", name).read_text("utf-8")


def _packages(work: Path, tell: Progress) -> Path:
    """Download and unpack the packages and return the folder with their files."""
    downloads, tree = work / "packages", work / "tree"
    downloads.mkdir()
    tell("downloading distribution packages")
    wanted, known = [_kernel_package(), "busybox-static", "dropbear-bin", "zstd"], set[str]()
    while wanted:
        _download(downloads, wanted)
        known.update(wanted)
        dependencies = {
            name
            for path in downloads.glob("*.deb")
            for name in _depends(path)
            if name.startswith(("lib", "zlib1g", "linux-image-", "linux-modules-"))
        }
        wanted = sorted(dependencies - known)
    tell("unpacking")
    for path in sorted(downloads.glob("*.deb")):
        run("dpkg-deb", "-x", str(path), str(tree), timeout=300)
    return tree


def _kernel_package() -> str:
    """Return the package that depends on the distribution's kernel for guests."""
    try:
        is_ubuntu = platform.freedesktop_os_release().get("ID") == "ubuntu"
    except OSError:
        is_ubuntu = False
    return UBUNTU_KERNEL if is_ubuntu else architecture.HOST.kernel_package


def _download(folder: Path, names: list[str]) -> None:
    try:
        run("apt-get", "-q", "download", *names, cwd=folder, timeout=600)
    except ProgramMissing:
        raise GuestNotBuilt(
            reason="this host has no apt-get. Build it on Debian and copy the three files here."
        ) from None
    except ProgramFailed as problem:
        host = architecture.HOST
        raise GuestNotBuilt(
            reason=f"apt-get download {' '.join(names)}: {problem.facts['reason']}. It needs the"
            f" packages of Debian or Ubuntu for {host.debian}: run apt-get update, and see whether"
            " the mirror answers."
        ) from None


def _depends(package: Path) -> Iterator[str]:
    """Yield the first choice of each package that a package file depends on."""
    named = package.name.startswith(f"{_kernel_package()}_")
    kernel = package.name.startswith("linux-") and not named
    field = run("dpkg-deb", "-f", str(package), "Depends").decode()
    for choice in field.split(","):
        name = re.match(r"\s*([a-z0-9.+-]+)", choice)
        # What else a kernel's installation needs is no use in the guest.
        if name and (not kernel or name[1].startswith("linux-modules-")):
            yield name[1]


def _only(tree: Path, pattern: str) -> Path:
    """Return the file that a pattern finds, in either of Debian's layouts (/ and /usr)."""
    files = sorted([*tree.glob(pattern), *tree.glob(f"usr/{pattern}")])
    if not files:
        raise GuestNotBuilt(reason=f"the packages hold no {pattern}; this is no Debian we know.")
    return files[-1]


def _ramdisk(tree: Path) -> bytes:
    files: dict[str, tuple[int, bytes]] = {
        "bin": (0o040755, b""),
        "modules": (0o040755, b""),
        "bin/busybox": (0o100755, _only(tree, "bin/busybox").read_bytes()),
        "init": (0o100755, _script("init").encode()),
    }
    for number, (name, content) in enumerate(_modules(tree)):
        files[f"modules/{number:02}-{name}.ko"] = (0o100644, content)
    return gzip.compress(_cpio(files), 9, mtime=0)


def _modules(tree: Path) -> Iterable[tuple[str, bytes]]:
    """Return the modules in loading order; what the kernel has within is no file."""
    folder = _only(tree, "lib/modules/*")
    files = {path.name.split(".ko")[0].replace("-", "_"): path for path in folder.rglob("*.ko*")}
    ordered: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in ordered or name not in files:
            return
        content = _decompress(tree, files[name])
        depends = DEPENDS.search(content)
        for other in depends[1].decode().split(",") if depends else ():
            add(other.replace("-", "_"))
        ordered[name] = content

    for name in MODULES:
        add(name)
    if "virtio_blk" not in ordered and "virtio_blk.ko" not in _list_builtin(folder):
        raise GuestNotBuilt(reason="the kernel package holds no virtio modules.")
    return ordered.items()


def _decompress(tree: Path, module: Path) -> bytes:
    if module.suffix == ".xz":
        return lzma.decompress(module.read_bytes())
    if module.suffix == ".zst":  # by the package's program, as this host may have none
        loader, path = _find_loader(tree)
        program = str(_only(tree, "bin/zstd"))
        return run(str(loader), "--library-path", path, program, "-dcq", str(module))
    return module.read_bytes()


def _list_builtin(folder: Path) -> set[str]:
    """Return the files that the modules would be which the kernel has within."""
    try:
        lines = (folder / "modules.builtin").read_text().splitlines()
    except FileNotFoundError:
        return set()
    return {Path(line).name for line in lines}


def _cpio(files: dict[str, tuple[int, bytes]]) -> bytes:
    """Write an archive as the kernel reads it (newc); names are relative to its root."""
    out = bytearray()
    entries = [*files.items(), ("TRAILER!!!", (0, b""))]
    for number, (name, (mode, content)) in enumerate(entries, 1):
        links = 2 if mode & 0o040000 else 1
        fields = (number, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        out += bytes(-len(out) % 4)
        out += content
        out += bytes(-len(out) % 4)
    return bytes(out)


def _root(tree: Path, work: Path) -> Path:
    root, image = work / "root", work / "root.ext4"
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    _place(_only(tree, "bin/busybox"), root / "bin/busybox", 0o755)
    _applets(root)
    for name in ("dropbear", "dropbearkey"):
        program = _only(tree, f"*bin/{name}")
        _place(program, root / "sbin" / name, 0o755)
        _libraries(tree, program, root)
    for name, place in SCRIPTS.items():
        (root / place).write_text(_script(name), "utf-8")
        (root / place).chmod(0o644 if name == "inittab" else 0o755)
    for place, text in TEXTS.items():
        (root / place).write_text(text, "utf-8")
    _modes(root)
    # A journal, or a guest that was cut off leaves a root that doubles inodes when used again.
    # Blocks of 1 KiB: of larger ones, which Ubuntu's mke2fs takes, a journal needs 4 MiB.
    options = ("-t", "ext4", "-b", "1024", "-L", "root", "-m", "0", "-J", "size=1", "-d", str(root))
    run("mke2fs", "-q", "-F", *options, str(image), f"{ROOT_MIB}M")
    if os.geteuid():
        _own(root, image)
    return image


def _place(source: Path, target: Path, mode: int) -> None:
    shutil.copyfile(source, target)
    target.chmod(mode)


def _applets(root: Path) -> None:
    listed = run(str(root / "bin/busybox"), "--list-full").decode().split()
    for applet in listed:
        folder = "sbin" if "sbin/" in applet else "bin"
        link = root / folder / Path(applet).name
        if not link.exists() and not link.is_symlink():
            link.symlink_to("/bin/busybox")


def _libraries(tree: Path, program: Path, root: Path) -> None:
    """Copy what a program is linked with; its own loader says what that is."""
    host = architecture.HOST
    loader, path = _find_loader(tree)
    output = run(str(loader), "--library-path", path, "--list", str(program)).decode()
    for folder in (Path(host.loader).parent, host.libraries):
        (root / folder).mkdir(parents=True, exist_ok=True)
    _place(loader, root / host.loader, 0o755)
    for name, file in re.findall(r"([^\s/]+) => (\S+)", output):
        if not Path(file).is_relative_to(tree):
            raise GuestNotBuilt(reason=f"the packages hold no {name}, which dropbear needs.")
        _place(Path(file).resolve(), root / host.libraries / name, 0o644)


def _find_loader(tree: Path) -> tuple[Path, str]:
    """Return the packages' own loader and, in its words, where their libraries are."""
    host = architecture.HOST
    folders = {path.parent for path in tree.rglob("*.so.*")}
    loader = _only(tree, f"{host.libraries}/{Path(host.loader).name}")
    return loader, ":".join(map(str, sorted(folders)))


def _modes(root: Path) -> None:
    for path in [root, *root.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    (root / "root").chmod(0o700)
    (root / "tmp").chmod(0o1777)
    (root / "etc/shadow").chmod(0o600)
    (root / "etc/dropbear").chmod(0o700)


def _own(root: Path, image: Path) -> None:
    """mke2fs copies the builder's user id into the image; make all of it root's."""
    names = ["/", *(f"/{path.relative_to(root)}" for path in root.rglob("*"))]
    orders = "".join(f"sif {name} uid 0\nsif {name} gid 0\n" for name in names)
    with tempfile.NamedTemporaryFile("w", dir=root.parent) as file:
        file.write(orders)
        file.flush()
        run("debugfs", "-w", "-f", file.name, str(image), timeout=120)
