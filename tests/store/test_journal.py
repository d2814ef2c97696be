"""What the journal names after a kill, and that it does not grow."""

import errno
import os
from pathlib import Path

import pytest

from eucabox.bucket import Object, ObjectProperties
from eucabox.store import journal as module
from eucabox.store.index import Index
from eucabox.store.journal import Journal
from eucabox.store.types import to_datetime


def test_after_a_kill_every_begun_change_is_named(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert not journal.is_trusted()
    journal.start()
    for key in ("a", "b\n\0", "\U0001f600", "a"):
        journal.end(journal.begin("box", key))
    with next(tmp_path.glob("journal.*")).open("ab") as file:
        file.write(b'["box", "torn')
    again = Journal(tmp_path)
    assert again.is_trusted()
    assert again.list_changed() == {("box", "a"), ("box", "b\n\0"), ("box", "\U0001f600")}
    again.start()
    assert again.list_changed() == set()
    again.close(clean=True)
    assert Journal(tmp_path).is_trusted()
    journal.close(clean=False)


def test_the_journal_of_another_boot_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    journal.start()
    boot = tmp_path / "boot"
    boot.write_text("another")
    monkeypatch.setattr(module, "BOOT_ID", boot)
    assert not Journal(tmp_path).is_trusted()
    monkeypatch.setattr(module, "BOOT_ID", tmp_path / "none")
    assert not Journal(tmp_path).is_trusted()
    journal.close(clean=True)
    assert Journal(tmp_path).is_trusted()


def test_without_space_for_the_next_file_the_journal_uses_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(module, "LIMIT", 10)
    journal = Journal(tmp_path)
    journal.start()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        for key in ("a", "b", "c"):
            journal.end(journal.begin("box", key))
    assert journal.list_completed() == []
    journal.end(journal.begin("box", "d"))
    assert len(journal.list_completed()) == 1
    assert journal.list_changed() == {("box", key) for key in "abcd"}
    journal.close(clean=True)


def test_a_closed_journal_records_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(OSError, match="closed"):
        journal.begin("box", "key")


def test_full_files_are_deleted_when_the_index_has_their_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT", 100)
    index = Index(tmp_path)
    index.open()
    index.journal.start()
    slow = index.journal.begin("box", "slow")
    for number in range(50):
        volume = index.journal.begin("box", f"key{number}")
        index.add(Object("box", f"key{number}", 0, "", to_datetime(0), ObjectProperties()))
        index.journal.end(volume)
    assert len(list(tmp_path.glob("journal.*"))) > 5
    index.flush()
    assert ("box", "slow") in index.journal.list_changed()
    assert len(list(tmp_path.glob("journal.*"))) == 2
    index.journal.end(slow)
    index.flush()
    assert len(list(tmp_path.glob("journal.*"))) == 1
    index.close()


def test_after_a_full_disk_the_index_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    journal.start()
    monkeypatch.setattr(os, "write", lambda *_: 1)
    journal.end(journal.begin("box", "key"))
    assert not Journal(tmp_path).is_trusted()
    journal.close(clean=True)
    assert not Journal(tmp_path).is_trusted()
