import json
import textwrap
from pathlib import Path

import pytest

from eucabox.errors import GuestNotBuilt, ProgramFailed, ProgramMissing
from eucabox.image import debian, disk, formats


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What Debian's packages leave, as far as we look at it."""
    made = tmp_path / "tree"
    for name in (debian.GRUB, "etc/ssh", "etc/default", "var/lib/dbus"):
        (made / name).mkdir(parents=True)
    (made / debian.GRUB / "boot.img").write_bytes(b"B" * 512)
    (made / debian.GRUB / "ext2.mod").write_bytes(b"module")
    (made / "etc/ssh/ssh_host_rsa_key").write_text("the same everywhere")
    (made / "etc/resolv.conf").write_text("nameserver 192.0.2.1")
    return made


def grub(tree: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    def run(program: str, *argv: str, **options: object) -> bytes:
        assert (program, argv[0]) == ("chroot", str(tree))
        made = {"i386-pc": (debian.CORE, b"C" * size), "mkfs.vfat": ("boot/grub/efi.img", b"E")}
        for word, (name, content) in made.items():
            if word in argv:
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                (tree / name).write_bytes(content)
        return b""

    monkeypatch.setattr(debian, "run", run)


def test_instances_share_no_secret(tree: Path) -> None:
    debian._settle(tree)
    assert not list(tree.glob("etc/ssh/*"))
    assert not (tree / "etc/resolv.conf").exists()
    assert (tree / "etc/machine-id").read_text() == ""
    assert (tree / "boot/grub/i386-pc/ext2.mod").read_bytes() == b"module"
    assert f"LABEL={debian.LABEL} / ext4" in (tree / "etc/fstab").read_text()


def test_the_guest_tells_where_the_api_is_as_the_manual_has_it_for_other_images(
    tree: Path,
) -> None:
    debian._settle(tree)
    (program,) = tree.glob("var/lib/cloud/scripts/per-boot/*")
    assert program.stat().st_mode & 0o777 == 0o755
    manual = Path(__file__).parents[2] / "docs/metadata.md"
    snippet = manual.read_text("utf-8").partition("#cloud-config\n")[2].partition("```")[0]
    head, _, content = snippet.partition("content: |\n")
    assert f"path: /{program.relative_to(tree)}\n" in head
    assert 'permissions: "0755"' in head
    assert textwrap.dedent(content) == program.read_text("utf-8")


def test_the_boot_loader_lies_around_the_partition_table(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root.img"
    root.write_bytes(b"R" * disk.MIB)
    grub(tree, monkeypatch, 30000)
    kept = []
    monkeypatch.setattr(disk, "convert", lambda raw, form, target: kept.append(raw.read_bytes()))
    debian._disk(tree, root, tmp_path)
    (raw,) = kept
    assert formats.kind_of(raw[:2048]) == "disk"
    assert raw[: debian.BOOT_CODE] == b"B" * debian.BOOT_CODE
    assert raw[512:30512] == b"C" * 30000
    assert raw[disk.ROOT_OFFSET] == ord("E")
    assert raw[debian.EFI_ENTRY + 4] == debian.EFI_TYPE
    assert raw[debian.ROOT_OFFSET :] == b"R" * disk.MIB


def test_a_boot_loader_that_does_not_fit_is_told(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grub(tree, monkeypatch, disk.ROOT_OFFSET)
    with pytest.raises(GuestNotBuilt, match="GRUB does not fit"):
        debian._boot_code(tree)


def test_what_is_there_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = debian.DebianGuest(*(tmp_path / name for name in debian.FILES))
    for file in vars(made).values():
        file.write_bytes(b"x")
    (tmp_path / ".debian.json").write_text(json.dumps(debian._stamp(made)))
    assert debian.build_debian(tmp_path) == made
    made.disk.write_bytes(b"damaged")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(GuestNotBuilt, match="run it as root"):
        debian.build_debian(tmp_path)


@pytest.mark.parametrize(
    ("problem", "sent", "words"),
    [
        (ProgramMissing(program="mmdebstrap", package="mmdebstrap"), ProgramMissing, "mmdebstrap"),
        (
            ProgramFailed(program="mmdebstrap", status=25, reason="E: apt-get update failed"),
            GuestNotBuilt,
            "apt-get update failed.*mirror",
        ),
    ],
)
def test_what_hinders_a_build_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception,
    sent: type[Exception], words: str,
) -> None:  # fmt: skip
    def fail(*argv: str, **options: object) -> bytes:
        raise problem

    monkeypatch.setattr(debian, "run", fail)
    with pytest.raises(sent, match=words):
        debian._bootstrap(tmp_path / "tree")
