"""What a file system must have is asked of real ones; what is missing is refused at the start."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from eucabox.errors import FileSystemUnfit
from eucabox.store import dirfd, file_system


def test_a_local_one_has_all_and_nothing_is_left(tmp_path: Path) -> None:
    file_system.check(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_names_newer_than_a_descriptor_are_listed(tmp_path: Path) -> None:
    """Btrfs needs a rewind for that; here a descriptor at the folder's end stands for it."""
    (tmp_path / "old").touch()
    with dirfd.closing(os.open(tmp_path, dirfd.FOLDER)) as folder:
        os.lseek(folder, 1 << 20, os.SEEK_SET)  # a file system in memory knows no SEEK_END
        (tmp_path / "new").touch()
        assert sorted(dirfd.list_names(folder)) == ["new", "old"]


def test_a_folder_that_takes_no_file_is_not_judged(tmp_path: Path) -> None:
    file_system.check(tmp_path / "none")


def fold_names(names: Any) -> Any:
    return lambda folder: [name.lower() for name in names(folder)]


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


def do_nothing(*_: object, **__: object) -> None:
    return None


BROKEN = [
    ("os.listdir", fold_names(os.listdir), "keep names"),
    ("os.utime", do_nothing, "keep the times"),
    ("os.link", refuse, "a hard link"),
    ("fcntl.flock", do_nothing, "lock files: two have the same lock"),
    ("fcntl.flock", refuse, "lock files: Operation not supported"),
    ("os.fsync", refuse, "flush files"),
]


@pytest.mark.parametrize(("name", "broken", "words"), BROKEN)
def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, broken: Any, words: str
) -> None:
    """No file system here lacks these, so the system's calls are replaced."""
    module, _, function = name.partition(".")
    monkeypatch.setattr(getattr(file_system, module), function, broken)
    with pytest.raises(FileSystemUnfit, match=words) as refused:
        file_system.check(tmp_path)
    assert refused.value.exit_status == os.EX_CONFIG
    assert list(tmp_path.iterdir()) == []


def test_a_gluster_that_opens_late_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells its parts in a folder of each mount; here a plain folder stands for the mount."""
    buckets = tmp_path / "buckets"
    buckets.mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path)
    (tmp_path / ".meta" / "graphs" / "active" / "box-dht").mkdir(parents=True)
    file_system.check(buckets)
    (tmp_path / ".meta" / "graphs" / "active" / "box-open-behind").mkdir()
    with pytest.raises(FileSystemUnfit, match=r"set box performance\.open-behind off"):
        file_system.check(buckets)


@pytest.mark.parametrize("number", sorted(file_system.PASSING))
def test_a_full_or_failing_disk_is_no_unfit_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, "it fails")

    monkeypatch.setattr(os, "write", fail)
    file_system.check(tmp_path)
