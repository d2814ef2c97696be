import gzip
import json
import lzma
from pathlib import Path

import pytest

from eucabox.errors import GuestNotBuilt, ProgramFailed, ProgramMissing
from eucabox.image import tiny_guest
from eucabox.run import run


def cpio(content: bytes) -> dict[str, tuple[int, bytes]]:
    """Read a newc archive as the kernel does."""
    found: dict[str, tuple[int, bytes]] = {}
    position = 0
    while True:
        fields = [int(content[position + 6 + 8 * i : position + 14 + 8 * i], 16) for i in range(13)]
        assert content[position : position + 6] == b"070701"
        name = content[position + 110 : position + 109 + fields[11]].decode()
        start = -(-(position + 110 + fields[11]) // 4) * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (fields[1], content[start : start + fields[6]])
        position = -(-(start + fields[6]) // 4) * 4


def module(folder: Path, name: str, depends: str) -> None:
    content = b"\x7fELF\0license=GPL\0depends=" + depends.encode() + b"\0name=x\0"
    path = folder / name
    path.write_bytes(lzma.compress(content) if name.endswith(".xz") else content)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files of packages, in the layout where all is under /usr."""
    for name in ("usr/bin", "usr/lib/modules/6.12.1/kernel/drivers", "boot"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "usr/bin/busybox").write_bytes(b"busybox")
    drivers = tmp_path / "usr/lib/modules/6.12.1/kernel/drivers"
    module(drivers, "virtio.ko.xz", "")
    module(drivers, "virtio_ring.ko.xz", "virtio")
    module(drivers, "virtio_blk.ko.xz", "virtio-ring,virtio,within_the_kernel")
    module(drivers, "virtio-rng.ko", "virtio")
    module(drivers, "unwanted.ko", "")
    return tmp_path


def test_the_ramdisk_holds_what_the_modules_need_in_order(tree: Path) -> None:
    files = cpio(gzip.decompress(tiny_guest._ramdisk(tree)))
    assert [name for name in files if name.endswith(".ko")] == [
        "modules/00-virtio.ko", "modules/01-virtio_ring.ko", "modules/02-virtio_blk.ko",
        "modules/03-virtio_rng.ko",
    ]  # fmt: skip
    assert files["modules/00-virtio.ko"][1].startswith(b"\x7fELF")
    assert files["bin/busybox"] == (0o100755, b"busybox")
    assert files["init"][1].startswith(b"#!/bin/busybox sh\n")


def test_packages_without_what_we_need_are_told(tmp_path: Path) -> None:
    with pytest.raises(GuestNotBuilt, match="no bin/busybox"):
        tiny_guest._ramdisk(tmp_path)


def test_a_driver_that_the_kernel_has_within_is_no_module(tree: Path) -> None:
    (tree / "usr/lib/modules/6.12.1/kernel/drivers/virtio_blk.ko.xz").unlink()
    with pytest.raises(GuestNotBuilt, match="no virtio modules"):
        tiny_guest._ramdisk(tree)
    listed = tree / "usr/lib/modules/6.12.1/modules.builtin"
    listed.write_text("kernel/drivers/block/virtio_blk.ko\nkernel/fs/ext4/ext4.ko\n")
    assert "modules/01-virtio_rng.ko" in cpio(gzip.decompress(tiny_guest._ramdisk(tree)))


UBUNTUS = {
    "linux-image-virtual": "linux-image-6.8.0-31-generic, linux-firmware",
    "linux-image-6.8.0-31-generic": "kmod, linux-base (>= 4.5), linux-modules-6.8.0-31-generic",
    "linux-modules-6.8.0-31-generic": "wireless-regdb, libother",
    "dropbear-bin": "libc6 (>= 2.38), libtomcrypt1 | libother",
}


def test_ubuntus_kernel_comes_with_its_modules_and_nothing_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloaded: list[str] = []

    def answer(*argv: str, cwd: Path = tmp_path, **options: object) -> bytes:
        if argv[0] == "apt-get":
            downloaded.extend(argv[3:])
            for name in argv[3:]:
                (cwd / f"{name}_1_amd64.deb").touch()
        is_field = argv[:2] == ("dpkg-deb", "-f")
        return UBUNTUS.get(Path(argv[2]).name.partition("_")[0], "").encode() if is_field else b""

    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "ubuntu"})
    monkeypatch.setattr(tiny_guest, "run", answer)
    tiny_guest._packages(tmp_path, lambda text: None)
    assert set(downloaded) == {
        *UBUNTUS, "busybox-static", "zstd", "libc6", "libtomcrypt1"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (ProgramMissing(program="apt-get", package="apt"), "no apt-get"),
        (
            ProgramFailed(program="apt-get", status=100, reason="Temporary failure resolving"),
            "Temporary failure resolving.*run apt-get update",
        ),
    ],
)
def test_without_packages_the_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception, reason: str
) -> None:
    def fail(*argv: str, **options: object) -> bytes:
        raise problem

    monkeypatch.setattr(tiny_guest, "run", fail)
    with pytest.raises(GuestNotBuilt, match=reason):
        tiny_guest.build_tiny(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_guest_that_is_there_is_not_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny_guest.TinyGuest(*(tmp_path / name for name in tiny_guest.FILES))
    for path in (made.kernel, made.ramdisk, made.root):
        path.write_bytes(b"there")
    (tmp_path / ".tiny.json").write_text(json.dumps(tiny_guest._stamp(made)))
    assert tiny_guest.build_tiny(tmp_path) == made
    made.root.write_bytes(b"cut")

    def fail(*argv: str, **options: object) -> bytes:
        raise ProgramMissing(program=argv[0], package="apt")

    monkeypatch.setattr(tiny_guest, "run", fail)
    with pytest.raises(GuestNotBuilt):
        tiny_guest.build_tiny(tmp_path)


@pytest.mark.parametrize("name", ["init", *tiny_guest.SCRIPTS])
def test_the_guest_s_scripts_are_shell(name: str, tmp_path: Path) -> None:
    text = tiny_guest._script(name)
    assert text.isascii()
    if name != "inittab":
        (tmp_path / name).write_text(text)
        run("sh", "-n", str(tmp_path / name))


@pytest.mark.slow
def test_the_guest_is_built_from_packages(tmp_path: Path) -> None:
    lines: list[str] = []
    made = tiny_guest.build_tiny(tmp_path / "out", lines.append)
    assert lines[0] == "downloading distribution packages"
    assert made.kernel.read_bytes()[0x202:0x206] == b"HdrS"
    modules = [name for name in cpio(gzip.decompress(made.ramdisk.read_bytes())) if ".ko" in name]
    assert any("virtio_net" in name for name in modules)
    run("e2fsck", "-f", "-n", str(made.root))
    owner = run("debugfs", "-R", "stat /sbin/dropbear", str(made.root)).decode()
    assert "User:     0   Group:     0" in owner
    assert "shadow" in run("debugfs", "-R", "ls /etc", str(made.root)).decode()
    assert made.root.stat().st_size == tiny_guest.ROOT_MIB * 2**20
    again = tiny_guest.build_tiny(tmp_path / "out", lines.append)
    assert (again, len(lines)) == (made, 4)
