"""Console files: their ends, their rotation, and what is said when they can't be read."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eucabox.domains import serial
from eucabox.errors import ConsoleUnreadable


def test_the_file_is_made_ours_and_kept(tmp_path: Path) -> None:
    console = tmp_path / "i-1" / "console.log"
    serial.create(console)
    console.write_bytes(b"hello")
    serial.create(console)
    assert console.read_bytes() == b"hello"
    assert console.stat().st_mode & 0o777 == 0o600


def test_the_tail_ends_at_the_last_byte_and_bears_its_time(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    console.write_bytes(b"x" * 100_000 + b"end\n")
    os.utime(console, (1e9, 1e9))
    content, moment = serial.tail(console, 65536)
    assert len(content) == 65536
    assert content.endswith(b"xend\n")
    assert moment == datetime.fromtimestamp(1e9, UTC)


def test_a_rotated_file_comes_before_a_short_new_one(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    console.write_bytes(b"new")
    (tmp_path / "console.log.0").write_bytes(b"older")
    assert serial.tail(console, 6)[0] == b"dernew"[-6:]
    assert serial.tail(console, 3)[0] == b"new"


def test_no_file_is_no_output(tmp_path: Path) -> None:
    assert serial.tail(tmp_path / "console.log", 10) == (b"", None)


def test_an_unreadable_file_is_told_with_the_instance(tmp_path: Path) -> None:
    (tmp_path / "i-1" / "console.log").mkdir(parents=True)
    with pytest.raises(ConsoleUnreadable, match="i-1"):
        serial.tail(tmp_path / "i-1" / "console.log", 10)


def test_what_is_appended_is_bounded_as_virtlogd_bounds_it(tmp_path: Path) -> None:
    console = tmp_path / "i-1" / "console.log"
    serial.create(console)
    piece = 2**16
    for number in range(200):  # 12.5 MiB
        serial.append(console, bytes([number]) * piece)
    files = sorted(each.name for each in console.parent.iterdir())
    assert files == ["console.log", "console.log.0", "console.log.1", "console.log.2"]
    sizes = [each.stat().st_size for each in console.parent.iterdir()]
    assert max(sizes) <= 2 * 2**20
    assert sum(sizes) > 6 * 2**20
    content, _ = serial.tail(console, 3 * 2**20)
    assert content == b"".join(bytes([n]) * piece for n in range(200))[-len(content) :]
    assert len(content) > 2 * 2**20, "the file before it is read too"


def test_a_console_whose_folder_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        serial.append(tmp_path / "i-1" / "console.log", b"late")
    assert list(tmp_path.iterdir()) == []


def test_what_came_after_a_place_is_found_also_when_the_file_was_moved_away(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    console.write_bytes(b"before")
    content, mark = serial.read_marked(console, 4)
    assert (content, mark.size) == (b"fore", 6)
    with console.open("ab") as file:
        file.write(b", and after")
    assert serial.read_since(console, mark, 100) == b", and after"
    assert serial.read_since(console, mark, 5) == b"after"
    assert serial.read_since(console, mark.go_back(4), 100) == b"fore, and after"
    console.rename(tmp_path / "console.log.0")
    console.write_bytes(b"; anew")
    assert serial.read_since(console, mark, 100) == b", and after; anew"


def test_without_a_file_nothing_came(tmp_path: Path) -> None:
    content, mark = serial.read_marked(tmp_path / "console.log", 4)
    assert content == b""
    assert serial.read_since(tmp_path / "console.log", mark, 100) == b""
