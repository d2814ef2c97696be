"""A backup has every object, version, upload and key; killed runs go on; sidecars are the same."""

import io
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from eucabox.cloud import Cloud
from eucabox.errors import BackupDamaged, BackupNotResumed, NotSetUp
from eucabox.operator.backup import bucket_writer, sealed_file
from eucabox.operator.backup.create import check_place, write_backup
from eucabox.operator.backup.sealed_file import SealedWriter
from eucabox.state import State
from eucabox.store import held_key
from tests.operator.backup.conftest import ODD, PASSPHRASE, PROPERTIES, House, quiet, read_all
from tests.store.conftest import refuse

KEYS = ("key", "bucket-keys", "ca/ca.crt", "ca/ca.key", "ca/cloud.crt", "ca/cloud.key")


def seen(house: House, *, other: bool) -> Any:
    store = house.open(house.other if other else house.config)
    try:
        uploads = store.uploads("plain").uploads
        parts = [store.parts("plain", each.key, each.upload_id) for each in uploads]
        return read_all(store), store.buckets(), uploads, parts
    finally:
        store.close()


def test_a_restored_cloud_is_the_same(full: House) -> None:
    before = seen(full, other=False)
    full.create()
    restored = full.restore()
    assert seen(full, other=True) == before
    assert len(before[0]) == len(ODD) * 4 + 1 + 2
    contents = restored.manifest.contents
    assert (contents.buckets, contents.objects) == (3, len(ODD) * 2 - 1 + 2)
    assert (contents.versions, contents.uploads) == (len(ODD) * 2 + 2, 1)
    data, other = full.config.cloud.data_dir, full.other.cloud.data_dir
    for name in KEYS:
        assert (other / name).read_bytes() == (data / name).read_bytes()
        assert (other / name).stat().st_mode == (data / name).stat().st_mode
    assert (other / "eucabox.db").stat().st_mode & 0o777 == 0o600
    assert not (other / "restore-unfinished").exists()


@pytest.mark.not_fast
def test_attributes_find_their_place_where_the_file_system_has_none(
    full: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seen(full, other=False)
    full.create()
    for name in ("setxattr", "getxattr", "removexattr"):
        monkeypatch.setattr(os, name, refuse)
    full.restore()
    assert seen(full, other=True) == before
    (sidecar, *_) = (full.other.bucket_root / "plain" / ".eucabox" / "attributes").rglob("*.*")
    assert sidecar.is_file()
    third = full.folder / "third"
    full.file.unlink()
    full.config.cloud.data_dir.rename(third)  # and a backup of that restore has them all
    full.other.cloud.data_dir.rename(full.config.cloud.data_dir)
    full.create()
    monkeypatch.undo()
    full.restore()
    assert seen(full, other=True) == before


def test_a_restored_cloud_opens_and_its_administrator_is_the_same(full: House) -> None:
    full.create()
    full.restore()
    names = []
    for config in (full.config, full.other):
        cloud = Cloud(config)
        administrator = cloud.accounts.ensure_administrator()
        names.append(cloud.accounts.user_credentials(administrator))
        cloud.close()
    assert names[0] == names[1]


def test_holes_stay_holes(full: House) -> None:
    full.create()
    assert full.file.stat().st_size < 2 << 20
    full.restore()
    status = (full.other.bucket_root / "plain" / "zeros").stat()
    assert status.st_size == (3 << 20) + 3
    assert status.st_blocks * 512 < 1 << 20


def test_without_buckets_those_that_are_there_stay(full: House) -> None:
    before = seen(full, other=False)
    full.create(with_buckets=False)
    full.other.cloud.data_dir.mkdir()
    full.config.bucket_root.rename(full.other.bucket_root)
    restored = full.restore()
    assert restored.manifest.contents.buckets == 0
    assert seen(full, other=True) == before


@pytest.mark.not_fast
def test_what_others_delete_while_the_backup_runs_is_left_out(
    full: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, hold = full.open(), held_key.hold_key

    def hold_late(folder: Any, key: bytes) -> Any:
        if key == b"b" and folder.name == "plain":
            store.delete("plain", "b")
            store.put("plain", "dir/", io.BytesIO(b"new"), PROPERTIES)
        held = hold(folder, key)
        if key == b"a" and folder.name == "plain":
            store.delete("plain", "a")  # it is held
        return held

    monkeypatch.setattr(bucket_writer, "hold_key", hold_late)
    full.create()
    store.close()
    full.restore()
    other = full.open(full.other)
    keys = {each.key for each in other.list("plain").objects}
    assert keys == {*ODD, "zeros", "sealed"} - {"b"}
    with other.open("plain", "dir/") as opened:
        assert b"".join(opened.chunks()) == b"new"
    other.close()


def test_a_bucket_that_is_deleted_meanwhile_is_restored_as_it_was(
    full: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = full.open()
    write = bucket_writer.BucketWriter._write_uploads

    def write_late(self: Any, folder: Any) -> None:
        if folder.name == "empty":
            store.delete_bucket("empty")
        write(self, folder)

    monkeypatch.setattr(bucket_writer.BucketWriter, "_write_uploads", write_late)
    full.create()
    store.close()
    full.verify()
    full.restore()
    other = full.open(full.other)
    assert [each.name for each in other.buckets()] == ["Old_Name", "empty", "plain"]
    other.close()


@pytest.mark.not_fast
def test_an_upload_that_is_aborted_meanwhile_leaves_nothing(
    full: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = full.open()
    (upload,) = store.uploads("plain").uploads
    write = bucket_writer.BucketWriter._write_part

    def write_late(self: Any, dir_fd: int, name: str, top: str) -> bool:
        done = write(self, dir_fd, name, top)
        if name.isdigit():
            store.abort_upload("plain", "parts", upload.upload_id)
        return done

    monkeypatch.setattr(bucket_writer.BucketWriter, "_write_part", write_late)
    full.create()
    store.close()
    full.restore()
    other = full.open(full.other)
    assert other.uploads("plain").uploads == []
    other.close()
    assert not list((full.other.bucket_root / "plain/.eucabox/uploads").iterdir())


def test_the_database_is_of_one_moment_after_the_buckets(
    full: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State(full.config.cloud.data_dir / "eucabox.db")
    write = bucket_writer.BucketWriter.write

    def write_first(self: Any, *where: Any) -> None:
        write(self, *where)
        with state.transaction() as database:
            database.conn.execute("insert into settings values ('late', '1')")

    monkeypatch.setattr(bucket_writer.BucketWriter, "write", write_first)
    full.create()
    state.close()
    full.restore()
    with closing(sqlite3.connect(full.other.cloud.data_dir / "eucabox.db")) as database:
        assert database.execute("select value from settings where key = 'late'").fetchall()
    assert not list((full.config.cloud.data_dir / "backups").iterdir())


class Cut(Exception):
    """The run ends here."""


@pytest.mark.not_fast
@pytest.mark.parametrize("after", [0, 1, 5, 9, 14, 20, 23])
def test_a_run_that_ends_anywhere_goes_on(
    full: House, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    before = seen(full, other=False)
    monkeypatch.setattr(sealed_file, "CHECKPOINT_SECONDS", 0.0)
    hold, left = held_key.hold_key, after

    def hold_or_end(folder: Any, key: bytes) -> Any:
        nonlocal left
        left -= 1
        if left == -1:
            raise Cut
        return hold(folder, key)

    monkeypatch.setattr(bucket_writer, "hold_key", hold_or_end)
    with pytest.raises(Cut):
        full.create()
    assert not full.file.exists()
    full.create()
    _, manifest = full.verify()
    assert manifest.contents.objects == len(ODD) * 2 - 1 + 2
    full.restore()
    assert seen(full, other=True) == before


@pytest.mark.not_fast
def test_a_run_that_ends_behind_the_buckets_does_not_copy_them_again(
    full: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: Any) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr("eucabox.operator.backup.cloud_writer.CloudWriter._write_keys", end)
        with pytest.raises(Cut):
            full.create()
    monkeypatch.setattr(bucket_writer, "hold_key", end)
    full.create()
    full.verify()
    full.restore()
    assert seen(full, other=True) == seen(full, other=False)


@pytest.mark.not_fast
def test_a_run_goes_on_only_as_it_was_begun(full: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: Any) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr("eucabox.operator.backup.cloud_writer.CloudWriter.write", end)
        with pytest.raises(Cut):
            full.create()
    with pytest.raises(BackupNotResumed, match="with or without buckets"):
        full.create(with_buckets=False)
    full.create(with_buckets=False, anew=True)
    assert full.verify()[1].contents.buckets == 0


RUN = """
import sys
from pathlib import Path
from eucabox.config import CloudSection, Config
from eucabox.operator.backup import sealed_file, sealed_form
from eucabox.operator.backup.create import write_backup
sealed_file.CHECKPOINT_BYTES = 1 << 20
sealed_form.COST = {"n": 16, "r": 8, "p": 1}
data, file, passphrase = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].encode()
config = Config(cloud=CloudSection(data_dir=data))
with sealed_file.SealedWriter(file, passphrase) as sink:
    print("went on" if sink.position else "began", flush=True)
    write_backup(config, sink, with_buckets=True, step=lambda _: 0, share=lambda *_: None)
    sink.finish()
"""


@pytest.mark.slow
def test_killed_at_random_until_it_is_done_the_backup_is_whole(full: House) -> None:
    chance = random.Random(7)
    store = full.open()
    for number in range(600):
        store.put("plain", f"many/{number}", io.BytesIO(chance.randbytes(150_000)), PROPERTIES)
    store.close()
    before = seen(full, other=False)
    words: list[str] = []
    argv = [str(full.config.cloud.data_dir), str(full.file), PASSPHRASE.decode()]
    while not full.file.exists():
        assert len(words) < 60
        run = subprocess.Popen([sys.executable, "-c", RUN, *argv], stdout=subprocess.PIPE)
        assert run.stdout
        words.append(run.stdout.readline().decode().strip())
        time.sleep(chance.uniform(0.05, 0.15) + len(words) / 100)
        run.send_signal(signal.SIGKILL)
        run.communicate()
    assert words.count("went on") >= 2
    full.restore()
    assert seen(full, other=True) == before


@pytest.mark.not_fast
def test_a_cut_backup_is_never_taken_as_whole(full: House) -> None:
    full.create()
    raw = full.file.read_bytes()
    for share in (0.1, 0.5, 0.9, 0.999):
        full.file.write_bytes(raw[: int(len(raw) * share)])
        with pytest.raises(BackupDamaged):
            full.verify()


def test_where_there_is_no_cloud_that_is_said(house: House) -> None:
    with SealedWriter(house.file, PASSPHRASE) as sink, pytest.raises(NotSetUp):
        write_backup(house.other, sink, with_buckets=True, step=quiet, share=quiet)


def test_a_backup_does_not_lie_in_what_it_is_of(house: House, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(house.config.cloud.data_dir)
    for file in (house.config.bucket_root / "x/file", tmp_path / "link" / "file"):
        with pytest.raises(Exception, match="Name a file on another disk"):
            check_place(house.config, file)
    check_place(house.config, house.file)


def test_settings_are_kept_beside_and_not_put_in_force(house: House, tmp_path: Path) -> None:
    file = tmp_path / "eucabox.conf"
    file.write_text("[cloud]\n")
    file.with_name("eucabox.conf.d").mkdir()
    (tmp_path / "eucabox.conf.d" / "50-x.conf").write_text("[api]\nport = 1\n")
    house.config = type(house.config)(cloud=house.config.cloud, file=file)
    house.create()
    folder = house.restore().settings
    assert folder is not None
    assert (folder / "eucabox.conf.d" / "50-x.conf").read_text() == "[api]\nport = 1\n"
    assert (folder / "eucabox.conf").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
