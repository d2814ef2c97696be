"""A sealed file tells what was changed, cut off or put in from elsewhere; a killed run goes on."""

import random
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from eucabox.errors import (
    BackupDamaged,
    BackupExists,
    BackupInUse,
    BackupNotResumed,
    BackupNotWritten,
    NotABackup,
    WrongPassphrase,
)
from eucabox.operator.backup import sealed_file, sealed_form
from eucabox.operator.backup.sealed_file import SealedReader, SealedWriter
from eucabox.operator.backup.sealed_form import CHUNK, HEAD, TAG
from tests.operator.backup.conftest import PASSPHRASE

CONTENT = random.Random(1).randbytes(2 * CHUNK + 1000) + bytes(3 * CHUNK) + b"end"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


def write(file: Path, content: bytes = CONTENT) -> Path:
    with SealedWriter(file, PASSPHRASE) as writer:
        writer.write(content)
        writer.finish()
    return file


def read(file: Path, size: int = len(CONTENT), passphrase: bytes = PASSPHRASE) -> bytes:
    with file.open("rb") as opened:
        reader = SealedReader(opened.fileno(), file, passphrase)
        content = reader.read(size)
        reader.finish()
        return content


def frames(raw: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Where each frame of a file begins and ends."""
    at = raw.index(b"\n", len(sealed_form.MAGIC)) + 1
    while at < len(raw):
        _, length, _ = HEAD.unpack_from(raw, at)
        yield at, at + HEAD.size + length + TAG
        at += HEAD.size + length + TAG


def test_what_was_written_is_read_and_zeros_take_no_space(file: Path) -> None:
    write(file)
    assert read(file) == CONTENT
    assert file.stat().st_size < 2 * CHUNK + CHUNK + 3000
    assert file.stat().st_mode & 0o777 == 0o600
    assert not file.with_name("file.partial").exists()


def test_nothing_of_the_content_can_be_read(file: Path) -> None:
    write(file, b"a secret name" * 1000)
    assert b"secret" not in file.read_bytes()


def test_another_passphrase_is_told_from_damage(file: Path) -> None:
    with pytest.raises(WrongPassphrase):
        read(write(file), passphrase=b"another passphrase")


@pytest.mark.parametrize(
    "head", [b"", b"PK\3\4", b"eucabox backup 2\n{}\n", sealed_form.MAGIC + b"{}\n"]
)
def test_what_is_no_backup_is_named(file: Path, head: bytes) -> None:
    file.write_bytes(head + bytes(500))
    with pytest.raises(NotABackup):
        read(file)


@pytest.mark.parametrize(
    "cost",
    ['"n": 1073741824, "r": 8', '"n": 131072, "r": 4096', '"n": 3, "r": 8', '"n": 0, "r": 1'],
)
def test_a_strangers_header_costs_no_more_than_ours_could(file: Path, cost: str) -> None:
    salt = "A" * 43 + "="
    text = f'{{"kdf": "scrypt", {cost}, "p": 1, "salt": "{salt}", "check": "x"}}\n'
    file.write_bytes(sealed_form.MAGIC + text.encode())
    with pytest.raises(NotABackup, match="values that none has"):
        read(file)


def test_every_bit_of_a_file_counts(file: Path) -> None:
    raw = write(file, b"content").read_bytes()
    chance = random.Random(3)
    for at in range(len(raw)):
        broken = bytearray(raw)
        broken[at] ^= 1 << chance.randrange(8)
        file.write_bytes(broken)
        with pytest.raises((BackupDamaged, NotABackup, WrongPassphrase)):
            read(file, 7)


def test_a_file_that_is_cut_off_anywhere_is_not_whole(file: Path) -> None:
    raw = write(file).read_bytes()
    cuts = [end for _, end in frames(raw)][:-1]
    for cut in [*cuts, *(each - 1 for each in cuts), *(each + 20 for each in cuts)]:
        file.write_bytes(raw[:cut])
        with pytest.raises(BackupDamaged, match=r"cut off|no frame"):
            read(file)


def test_damage_is_said_with_its_place(file: Path) -> None:
    raw = bytearray(write(file).read_bytes())
    begin, end = list(frames(raw))[1]
    raw[end - 30] ^= 1
    file.write_bytes(raw)
    with pytest.raises(BackupDamaged, match=f"damaged at byte {begin}, at its beginning"):
        read(file)


def test_frames_can_not_be_moved_dropped_or_taken_from_another_run(file: Path) -> None:
    raw = write(file).read_bytes()
    places = list(frames(raw))
    pieces = [raw[begin:end] for begin, end in places]
    head = raw[: places[0][0]]
    moved = [pieces[1], pieces[0], *pieces[2:]]
    for odd in (moved, pieces[1:], pieces[:1] + pieces[2:], [pieces[0], *pieces]):
        file.write_bytes(head + b"".join(odd))
        with pytest.raises(BackupDamaged):
            read(file)
    file.write_bytes(raw + pieces[0])
    with pytest.raises(BackupDamaged, match="behind its end"):
        read(file)


def test_a_frame_of_a_run_before_is_refused_although_its_key_and_number_fit(file: Path) -> None:
    partial = file.with_name("file.partial")
    with SealedWriter(file, PASSPHRASE) as writer:
        writer.write(b"first")
        writer.note({})
        mark = partial.stat().st_size
        writer.write(b"x" * CHUNK)
        writer.write(b"y" * CHUNK)
    old = partial.read_bytes()[mark:]
    with SealedWriter(file, PASSPHRASE) as writer:
        writer.write(b"z" * CHUNK)
        writer.write(b"y" * CHUNK)
        writer.finish()
    raw = file.read_bytes()
    size = len(old) // 2
    assert read(file, 5 + 2 * CHUNK) == b"first" + b"z" * CHUNK + b"y" * CHUNK
    file.write_bytes(raw[: mark + size] + old[size:] + raw[mark + 2 * size :])
    with pytest.raises(BackupDamaged):
        read(file, 5 + 2 * CHUNK)


def test_a_run_goes_on_from_its_last_checkpoint_and_drops_what_came_after(file: Path) -> None:
    with SealedWriter(file, PASSPHRASE) as writer:
        assert writer.position is None
        writer.write(b"one")
        writer.note({"at": 1})
        writer.write(b"two")
        writer.note({"at": 2})
        writer.write(b"lost" * CHUNK)
    with SealedWriter(file, PASSPHRASE) as writer:
        assert writer.position == {"at": 2}
        writer.write(b"three")
        writer.finish()
    assert read(file, 11) == b"onetwothree"


@pytest.mark.parametrize("tail", [b"", b"D", b"\0" * 100, b"D\xff\xff\xff\xff" + b"x" * 30])
def test_a_torn_end_of_a_killed_run_is_dropped(file: Path, tail: bytes) -> None:
    partial = file.with_name("file.partial")
    with SealedWriter(file, PASSPHRASE) as writer:
        writer.write(b"one")
        writer.note({"at": 1})
        writer.write(b"x" * CHUNK)
    raw = partial.read_bytes()
    partial.write_bytes(raw[:-100] + tail)
    with SealedWriter(file, PASSPHRASE) as writer:
        assert writer.position == {"at": 1}
        writer.finish()
    assert read(file, 3) == b"one"


def test_without_a_checkpoint_a_run_begins_anew(file: Path) -> None:
    with SealedWriter(file, PASSPHRASE) as writer:
        writer.write(b"lost" * CHUNK)
    with SealedWriter(file, PASSPHRASE) as writer:
        assert writer.position is None
        writer.write(b"new")
        writer.finish()
    assert read(file, 3) == b"new"


def test_another_passphrase_does_not_go_on_and_destroys_nothing(file: Path) -> None:
    with SealedWriter(file, PASSPHRASE) as writer:
        writer.write(b"one")
        writer.note({"at": 1})
    before = file.with_name("file.partial").read_bytes()
    with pytest.raises(BackupNotResumed):
        SealedWriter(file, b"another passphrase")
    assert file.with_name("file.partial").read_bytes() == before
    with SealedWriter(file, b"another passphrase", anew=True) as writer:
        assert writer.position is None


def test_no_nonce_is_used_twice_where_a_run_goes_on(file: Path) -> None:
    partial, seen = file.with_name("file.partial"), []
    for _ in range(3):
        with SealedWriter(file, PASSPHRASE) as writer:
            if writer.position is None:
                writer.note({})
            writer.write(b"x" * 2 * CHUNK)
        raw = partial.read_bytes()
        seen += [raw[begin + 5 : begin + HEAD.size] for begin, _ in frames(raw)][1:]
    assert len(set(seen)) == len(seen) == 6


def test_a_file_that_is_there_stays(file: Path) -> None:
    file.write_bytes(b"precious")
    with pytest.raises(BackupExists):
        SealedWriter(file, PASSPHRASE)
    file.unlink()
    with SealedWriter(file, PASSPHRASE) as writer:
        file.write_bytes(b"precious")
        with pytest.raises(BackupExists):
            writer.finish()
    assert file.read_bytes() == b"precious"


def test_two_runs_do_not_write_one_file(file: Path) -> None:
    with SealedWriter(file, PASSPHRASE), pytest.raises(BackupInUse):
        SealedWriter(file, PASSPHRASE)


def test_a_link_in_the_place_of_the_file_is_not_followed(file: Path, tmp_path: Path) -> None:
    file.with_name("file.partial").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        SealedWriter(file, PASSPHRASE)
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_when_there_is_room(file: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with SealedWriter(file, PASSPHRASE) as writer:
        writer.write(b"one")
        writer.note({"at": 1})
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 * CHUNK, hard))
        try:
            with pytest.raises(BackupNotWritten, match=r"File too large.*goes on where"):
                writer.write(random.Random(1).randbytes(5 * CHUNK))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with SealedWriter(file, PASSPHRASE) as writer:
        assert writer.position == {"at": 1}
        writer.write(b"two")
        writer.finish()
    assert read(file, 6) == b"onetwo"


def test_a_checkpoint_is_due_after_bytes_or_seconds(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SealedWriter(file, PASSPHRASE) as writer:
        due = [writer.is_note_due]
        writer.write(bytes(sealed_file.CHECKPOINT_BYTES))
        due.append(writer.is_note_due)
        writer.note({})
        due.append(writer.is_note_due)
        monkeypatch.setattr(sealed_file, "CHECKPOINT_SECONDS", 0.0)
        due.append(writer.is_note_due)
    assert due == [False, True, False, True]
    assert [each.name for each in file.parent.iterdir()] == ["file.partial"]
