import json
from dataclasses import asdict
from pathlib import Path

import pytest

from eucabox.image import key_injection
from eucabox.run import run
from tests.image.disks import MIB, check, ext, look

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMAUdeeGGkKW1En8jF8E4U5bRdQMFKyNatUihOJoUyKQ me@here"


def on_disk(folder: Path, root: Path) -> Path:
    """Put a file system at 1 MiB of a disk."""
    disk = folder / "disk.raw"
    disk.write_bytes(bytes(MIB) + root.read_bytes())
    return disk


def give(disk: Path, slot: key_injection.Slot, key: str) -> str:
    with disk.open("r+b") as file:
        for offset, data in slot.fill(key):
            file.seek(offset)
            file.write(data)
    return look(disk, MIB, f"cat {key_injection.FILE}")


def keys(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.split("#")[0].strip()]


@pytest.mark.not_fast
@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
@pytest.mark.parametrize("block", [1024, 4096])
def test_a_key_is_put_where_the_file_lies(tmp_path: Path, kind: str, block: int) -> None:
    disk = on_disk(tmp_path, ext(tmp_path / "root", kind=kind, block=block))
    slot = key_injection.make_slot(disk, MIB)
    assert keys(give(disk, slot, KEY)) == [KEY]
    assert keys(give(disk, slot, "ssh-rsa AAAA other\n")) == ["ssh-rsa AAAA other"]
    check(disk, MIB)
    file = look(disk, MIB, f"stat {key_injection.FILE}")
    assert "Mode:  0600" in file
    assert "User:     0   Group:     0" in file
    assert "Mode:  0700" in look(disk, MIB, "stat /root/.ssh")


@pytest.mark.not_fast
def test_the_image_s_own_keys_stay_and_nobody_learns_another(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("ssh-rsa AAAA owner\n# caf\u00e9\nssh-rsa BBBB second", "utf-8")
    orders = ("mkdir /root/.ssh", f"write {tmp_path / 'own'} {key_injection.FILE}")
    disk = on_disk(tmp_path, ext(tmp_path / "root", *orders))
    slot = key_injection.make_slot(disk, MIB)
    first = "ssh-rsa AAAA owner\n# caf\u00e9\nssh-rsa BBBB second\n"
    assert look(disk, MIB, f"cat {key_injection.FILE}").startswith(first)
    assert keys(give(disk, slot, KEY)) == ["ssh-rsa AAAA owner", "ssh-rsa BBBB second", KEY]
    check(disk, MIB)


@pytest.mark.not_fast
@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
def test_a_file_of_keys_is_as_long_as_its_keys(tmp_path: Path, kind: str) -> None:
    disk = on_disk(tmp_path, ext(tmp_path / "root", kind=kind, block=4096))
    slot = key_injection.make_slot(disk, MIB)
    assert look(disk, MIB, f"cat {key_injection.FILE}") == "", "without a key it is empty"
    check(disk, MIB)
    assert give(disk, slot, KEY) == f"{KEY}\n"
    check(disk, MIB)
    again = key_injection.read_slot(json.loads(json.dumps(asdict(slot))))
    assert give(disk, again, "ssh-rsa AAAA other") == "ssh-rsa AAAA other\n"
    long = f"ssh-rsa {'A' * (key_injection.LONGEST - 20)} a"
    assert give(disk, slot, long) == f"{long}\n"
    check(disk, MIB)


def test_the_images_own_keys_are_all_that_stands_before(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("ssh-rsa AAAA owner\n")
    orders = ("mkdir /root/.ssh", f"write {tmp_path / 'own'} {key_injection.FILE}")
    disk = on_disk(tmp_path, ext(tmp_path / "root", *orders, block=4096))
    slot = key_injection.make_slot(disk, MIB)
    assert look(disk, MIB, f"cat {key_injection.FILE}") == "ssh-rsa AAAA owner\n"
    assert give(disk, slot, KEY) == f"ssh-rsa AAAA owner\n{KEY}\n"
    check(disk, MIB)


def test_small_blocks_are_filled_with_blank_lines_that_every_sshd_reads(tmp_path: Path) -> None:
    disk = on_disk(tmp_path, ext(tmp_path / "root"))
    content = give(disk, key_injection.make_slot(disk, MIB), KEY)
    assert len(content) == key_injection.ROOM - 1024 + 1, "a file can't end before its last block"
    assert content.split() == KEY.split()
    assert max(map(len, content.splitlines())) < key_injection.LINE
    assert content.endswith("\n")
    check(disk, MIB)


def test_a_slot_from_before_fills_its_whole_room(tmp_path: Path) -> None:
    slot = key_injection.read_slot({"runs": [[0, key_injection.ROOM]], "before": ""})
    ((offset, data),) = slot.fill(KEY)
    assert (offset, len(data)) == (0, key_injection.ROOM)
    assert data.split() == KEY.encode().split()


@pytest.mark.not_fast
@pytest.mark.parametrize("features", ["^metadata_csum", "metadata_csum", "metadata_csum_seed"])
@pytest.mark.parametrize("size", [128, 256, 512])
def test_inodes_of_every_kind_keep_their_checksum(tmp_path: Path, features: str, size: int) -> None:
    root = tmp_path / "root"
    kinds = ("-O", features, "-I", str(size), "-b", "4096")
    run("mke2fs", "-q", "-F", "-t", "ext4", *kinds, str(root), "16M")
    run("debugfs", "-w", "-R", "mkdir /root", str(root))
    disk = on_disk(tmp_path, root)
    slot = key_injection.make_slot(disk, MIB)
    assert give(disk, slot, KEY) == f"{KEY}\n"
    check(disk, MIB)


def test_a_key_that_is_too_long_is_told(tmp_path: Path) -> None:
    slot = key_injection.Slot(((0, key_injection.ROOM),), "")
    with pytest.raises(key_injection.NoSpaceForKeyError, match="5001 bytes"):
        slot.fill("x" * 5000)


def test_a_journal_is_replayed_first(tmp_path: Path) -> None:
    root = ext(tmp_path / "root", "feature needs_recovery")
    assert key_injection.needs_replay(root)
    with pytest.raises(key_injection.NoSpaceForKeyError, match="journal"):
        key_injection.make_slot(on_disk(tmp_path, root), MIB)
    key_injection.replay_journal(root)
    assert not key_injection.needs_replay(root)
    disk = on_disk(tmp_path, root)
    slot = key_injection.make_slot(disk, MIB)
    assert keys(give(disk, slot, KEY)) == [KEY]
    check(disk, MIB)


@pytest.mark.parametrize(
    ("orders", "reason"),
    [
        (("rmdir /root",), "no folder /root"),
        (("mkdir /root/.ssh", f"mkdir {key_injection.FILE}"), "no file of at most"),
        (("mkdir /root/.ssh", f"symlink {key_injection.FILE} /etc/keys"), "no file of at most"),
        (("mkdir /root/.ssh", f"write {{big}} {key_injection.FILE}"), "no file of at most"),
        (("write {big} filler", "write {huge} filler2"), "could not write"),
    ],
)
def test_a_root_without_room_is_told(tmp_path: Path, orders: tuple[str, ...], reason: str) -> None:
    (tmp_path / "big").write_bytes(b"x" * (key_injection.MOST + 1))
    (tmp_path / "huge").write_bytes(b"x" * 8 * MIB)
    paths = {"big": tmp_path / "big", "huge": tmp_path / "huge"}
    root = ext(tmp_path / "root", *(order.format(**paths) for order in orders))
    with pytest.raises(key_injection.NoSpaceForKeyError, match=reason):
        key_injection.make_slot(on_disk(tmp_path, root), MIB)


def test_another_file_system_is_told(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(2 * MIB))
    with pytest.raises(key_injection.NoSpaceForKeyError, match="not ext2, ext3 or ext4"):
        key_injection.make_slot(disk, MIB)


def test_debugfs_is_what_we_think_it_is() -> None:
    assert run("debugfs", "-R", "stat /", "/nonexistent") == b""  # exits with 0 all the same
