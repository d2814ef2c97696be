"""A restore fills empty folders only, whole or refused; instances end, or keep their disks."""

import io
import json
import os
import pwd
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from eucabox import __version__
from eucabox.bucket import Store
from eucabox.cloud import Cloud
from eucabox.config import BucketsSection, CloudSection, Config
from eucabox.errors import (
    BackupDamaged,
    BackupTooNew,
    DataFolderInUse,
    FolderNotEmpty,
    OtherBucketFolder,
    RestoreNotWritten,
    RestoreUnfinished,
    StateTooNew,
)
from eucabox.image.instance_disks import InstanceDisks
from eucabox.operator.backup import cloud_writer, places, restore
from eucabox.operator.backup.contents import Contents
from eucabox.operator.backup.members import Sink, write_end, write_small
from eucabox.process_lock import ProcessLock
from eucabox.schema import MIGRATIONS
from eucabox.state import State
from tests.image.disks import ext, qcow2, raw
from tests.image.test_instance_disks import Room
from tests.operator.backup.conftest import PASSPHRASE, PROPERTIES, House, read_all
from tests.rows import add_instance
from tests.test_migrations import SCHEMAS, make_old

NOBODY = pwd.getpwnam("nobody")
STOPPED = {"state": "stopped", "state_code": 80, "stopped_time": "2026-11-23T01:02:03.456Z"}
ENDED = "Server.InternalError: The cloud was restored from a backup, which has no disk of this"


def rows_of(config: Config) -> dict[str, Any]:
    with closing(State(config.cloud.data_dir / "eucabox.db")) as state:
        return {row["instance_id"]: row for row in state.query("select * from instances")}


# --- folders ---------------------------------------------------------------------------------


@pytest.mark.not_fast
@pytest.mark.parametrize("name", ["data/eucabox.db", "data/buckets/box/a", "data/notes.txt"])
def test_a_folder_that_is_not_empty_is_refused_and_left_alone(full: House, name: str) -> None:
    full.create()
    file = full.folder / name.replace("data", "other")
    file.parent.mkdir(parents=True)
    file.write_text("precious")
    before = sorted(full.other.cloud.data_dir.rglob("*"))
    with pytest.raises(FolderNotEmpty, match=r"is not empty: it holds .* Stop eucabox"):
        full.restore()
    assert sorted(full.other.cloud.data_dir.rglob("*")) == before
    assert file.read_text() == "precious"


def test_what_a_disk_or_a_stopped_start_leaves_is_empty_enough(full: House) -> None:
    full.create()
    for name in ("lost+found", "run", "buckets/lost+found"):
        (full.other.cloud.data_dir / name).mkdir(parents=True)
    full.restore()
    assert (full.other.cloud.data_dir / "buckets" / "lost+found").is_dir()


@pytest.mark.not_fast
def test_a_folder_in_use_is_refused(full: House) -> None:
    full.create()
    (full.other.cloud.data_dir / "run").mkdir(parents=True)
    lock = ProcessLock(full.other.cloud.data_dir / "run" / "lock")
    assert lock.acquire()
    with pytest.raises(DataFolderInUse):
        full.restore()
    lock.release()
    full.restore()


@pytest.mark.not_fast
def test_half_a_restore_keeps_eucabox_out_until_one_ends_well(full: House) -> None:
    full.create()
    whole = full.file.read_bytes()
    full.file.write_bytes(whole[:-2000])
    with pytest.raises(BackupDamaged):
        full.restore()
    with pytest.raises(RestoreUnfinished, match="eucabox restore FILE"):
        Cloud(full.other)
    (full.other.bucket_root / "plain" / "stray").write_text("of the first try")
    full.file.write_bytes(whole)
    full.restore()
    assert not (full.other.bucket_root / "plain" / "stray").exists()
    cloud = Cloud(full.other)
    cloud.close()


def test_a_killed_restore_begins_anew_only_where_it_was(full: House, tmp_path: Path) -> None:
    full.create()
    whole = full.file.read_bytes()
    full.file.write_bytes(whole[:-2000])
    data = CloudSection(data_dir=full.other.cloud.data_dir)
    elsewhere = Config(cloud=data, buckets=BucketsSection(path=str(tmp_path / "disk")))
    with pytest.raises(BackupDamaged):
        full.restore(elsewhere)
    full.file.write_bytes(whole)
    with pytest.raises(OtherBucketFolder):
        full.restore()
    full.restore(elsewhere)
    store = Store(elsewhere.bucket_root)
    assert [each.name for each in store.buckets()] == ["Old_Name", "empty", "plain"]
    store.close()


def test_a_full_disk_is_one_sentence_and_the_next_restore_begins_anew(full: House) -> None:
    full.create()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(RestoreNotWritten, match=r"File too large.* it begins anew"):
            full.restore()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(RestoreUnfinished):
        Cloud(full.other)
    full.restore()


RUN = """
import sys
from pathlib import Path
from eucabox.config import CloudSection, Config
from eucabox.operator.backup.restore import restore_backup
from eucabox.operator.backup.sealed_file import SealedReader
config, file = Config(cloud=CloudSection(data_dir=Path(sys.argv[1]))), Path(sys.argv[2])
with file.open("rb") as opened:
    reader = SealedReader(opened.fileno(), file, sys.argv[3].encode())
    print("begun", flush=True)
    restore_backup(config, reader, lambda *_: None)
"""


@pytest.mark.slow
def test_killed_at_random_a_restore_is_whole_or_keeps_eucabox_out(full: House) -> None:
    store, chance = full.open(), random.Random(11)
    for number in range(150):
        store.put("plain", f"many/{number}", io.BytesIO(chance.randbytes(20_000)), PROPERTIES)
    before = read_all(store)
    store.close()
    full.create()
    data, kept_out = full.other.cloud.data_dir, 0
    argv = [str(data), str(full.file), PASSPHRASE.decode()]
    mark = data / "restore-unfinished"
    for number in range(8):
        run = subprocess.Popen([sys.executable, "-c", RUN, *argv], stdout=subprocess.PIPE)
        assert run.stdout and run.stdout.readline() == b"begun\n"
        while not number and not mark.exists():  # it has begun to write
            assert run.poll() is None
            time.sleep(0.001)
        time.sleep(chance.uniform(0.0, 0.4) if number else 0)
        run.send_signal(signal.SIGKILL)
        run.communicate()
        if (data / "eucabox.db").exists() and not mark.exists():
            break
        if mark.exists():
            kept_out += 1
            with pytest.raises(RestoreUnfinished):
                Cloud(full.other)
    else:
        full.restore()
    assert kept_out >= 1
    other = full.open(full.other)
    assert read_all(other) == before
    other.close()


def test_links_in_half_a_restore_lead_nowhere(full: House, tmp_path: Path) -> None:
    full.create()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    data = full.other.cloud.data_dir
    data.mkdir()
    (data / "restore-unfinished").write_text(json.dumps({"buckets": str(data / "buckets")}))
    (data / "link").symlink_to(outside)
    full.restore()
    assert (outside / "precious").exists()
    assert not (data / "link").is_symlink()


# --- versions of eucabox -----------------------------------------------------------------------


def forge_state(house: House, database: bytes, key: bytes, schema: int) -> None:
    """A backup of a cloud without buckets that has this database."""
    head = {
        "program": "9.9.9", "schema": schema, "buckets": False, "host": "h", "begun": "then",
    }  # fmt: skip

    def write(sink: Sink) -> None:
        write_small(sink, places.HEAD, json.dumps(head).encode())
        write_small(sink, "state/eucabox.db", database)
        write_small(sink, "state/key", key)
        facts = {**head, "kept": {}, "contents": Contents().to_record()}
        write_small(sink, places.MANIFEST, json.dumps(facts).encode())
        write_end(sink)

    house.forge(write)


def test_a_newer_programs_backup_names_it_and_nothing_is_written(house: House) -> None:
    forge_state(house, b"", b"k" * 32, len(MIGRATIONS) + 1)
    with pytest.raises(BackupTooNew, match=rf"made by eucabox 9\.9\.9 .* eucabox {__version__}"):
        house.restore()
    assert not house.other.cloud.data_dir.exists()


def test_a_newer_database_in_an_older_ones_clothes_is_refused(house: House) -> None:
    file = house.config.cloud.data_dir / "eucabox.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        database.execute("PRAGMA journal_mode = DELETE").fetchone()
    forge_state(house, file.read_bytes(), b"k" * 32, 1)
    with pytest.raises(StateTooNew):
        house.restore()
    with pytest.raises(RestoreUnfinished):
        Cloud(house.other)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_an_older_programs_backup_is_brought_up_to_date_after_a_copy(
    house: House, tmp_path: Path, schema: int
) -> None:
    old = tmp_path / "old"
    old.mkdir()
    file = make_old(old, schema)
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode = DELETE").fetchone()
    forge_state(house, file.read_bytes(), (old / "key").read_bytes(), schema)
    house.restore()
    data = house.other.cloud.data_dir
    (copy,) = (data / "backups").glob("*.db")
    assert copy.name.startswith(f"eucabox-schema-{schema}-")
    states = {row["state"] for row in rows_of(house.other).values()}
    assert states <= {"terminated"}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda raw: b"no database" * 100, "file is not a database"),
        (lambda raw: raw[:8192] + b"\xff" * 4096 + raw[12288:], "can't be used"),
    ],
)
def test_a_database_that_is_none_is_refused(house: House, spoil: Any, reason: str) -> None:
    file = house.config.cloud.data_dir / "eucabox.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode = DELETE").fetchone()
    forge_state(house, spoil(file.read_bytes()), b"k" * 32, 1)
    with pytest.raises(BackupDamaged, match=reason):
        house.restore()


@pytest.mark.parametrize(
    "program",
    [
        "create trigger t after insert on users begin delete from users; end",
        "create trigger identity_x after insert on users begin delete from users; end",
        "create view v as select * from users",
    ],
)
def test_a_strangers_trigger_or_view_does_not_come_in(house: House, program: str) -> None:
    file = house.config.cloud.data_dir / "eucabox.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute(program)
        database.execute("PRAGMA journal_mode = DELETE").fetchone()
    forge_state(house, file.read_bytes(), b"k" * 32, len(MIGRATIONS))
    with pytest.raises(BackupDamaged, match="triggers or views that no eucabox makes"):
        house.restore()


# --- instances ---------------------------------------------------------------------------------


def test_instances_without_a_disk_are_terminated_and_say_why(house: House) -> None:
    with closing(State(house.config.cloud.data_dir / "eucabox.db")) as state:
        states = {"pending": 0, "running": 16, "stopping": 64, "stopped": 80, "shutting-down": 32}
        ids = [
            add_instance(state, state=name, state_code=code, mac_address=f"d0:0d:0:0:0:{code}")
            for name, code in states.items()
        ]
        state.insert(
            "login_sessions",
            {
                "session_hash": "x", "user_id": state.query("select * from users")[0]["user_id"],
                "password_created": "", "created": "", "last_used": "", "expires": "",
                "source": "", "user_agent": "",
            },
        )  # fmt: skip
    house.create()
    assert house.restore().kept == []
    rows = rows_of(house.other)
    assert rows.keys() == set(ids)
    for instance_id in ids:
        row = rows[instance_id]
        assert (row["state"], row["state_code"]) == ("terminated", 48)
        assert row["state_reason_message"].startswith(ENDED)
    with closing(State(house.other.cloud.data_dir / "eucabox.db")) as state:
        assert state.query("select * from login_sessions") == []


@pytest.fixture
def kept(house: House, tmp_path: Path) -> str:
    """A stopped instance with a disk over the image cache; its id."""
    data = house.config.cloud.data_dir
    room = Room(data)
    (tmp_path / "vmlinuz").write_bytes(b"\x7fELF kernel")
    with room.cache.pin("c" * 64), room.cache.pin("d" * 64):
        kernel = room.entry(tmp_path / "vmlinuz", "c" * 64, "kernel")
        image = room.entry(ext(tmp_path / "root"), "d" * 64)
        with closing(State(data / "eucabox.db")) as state:
            instance_id = add_instance(state, **STOPPED, state_clock="boot 12")
        room.prepare(instance_id, image, kernel=kernel)
    return instance_id


@pytest.mark.not_fast
def test_a_stopped_instance_keeps_its_disk(house: House, kept: str, tmp_path: Path) -> None:
    house.create()
    restored = house.restore()
    assert restored.kept == [kept]
    assert rows_of(house.other)[kept]["state"] == "stopped"
    before, after = (
        InstanceDisks(each.cloud.data_dir / "instances").find(kept)
        for each in (house.config, house.other)
    )
    assert before and after
    assert after.kernel == house.other.cloud.data_dir / "cache" / before.kernel.name  # type: ignore[union-attr]
    assert after.cmdline == before.cmdline
    shutil.rmtree(house.config.cloud.data_dir / "cache")  # nothing may rest on it
    (house.config.cloud.data_dir / "cache").mkdir()
    info = subprocess.check_output(
        ["qemu-img", "info", "--backing-chain", "--output=json", after.disk]
    )
    names = [each["filename"] for each in json.loads(info)]
    assert len(names) == 2
    assert all(name.startswith(str(house.other.cloud.data_dir)) for name in names)
    assert raw(after.disk, tmp_path / "after").stat().st_size > 0


@pytest.mark.not_fast
def test_the_kept_disk_is_the_same_byte_for_byte(house: House, kept: str, tmp_path: Path) -> None:
    folders = InstanceDisks(house.config.cloud.data_dir / "instances")
    found = folders.find(kept)
    assert found
    before = raw(found.disk, tmp_path / "before").read_bytes()
    house.create()
    house.restore()
    after = InstanceDisks(house.other.cloud.data_dir / "instances").find(kept)
    assert after
    assert raw(after.disk, tmp_path / "after").read_bytes() == before


@pytest.mark.not_fast
def test_an_instance_that_is_started_meanwhile_does_not_keep_a_torn_disk(
    house: House, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = cloud_writer.CloudWriter._write_open

    def write_late(self: Any, name: str, descriptor: int) -> None:
        write(self, name, descriptor)
        if not name.startswith("instances/"):
            return
        with closing(State(house.config.cloud.data_dir / "eucabox.db")) as state:
            state.update("instances", {"instance_id": kept}, state_clock="boot 99")

    monkeypatch.setattr(cloud_writer.CloudWriter, "_write_open", write_late)
    house.create()
    assert "was started meanwhile" in house.verify()[1].contents.notes[0]
    assert house.restore().kept == []
    assert rows_of(house.other)[kept]["state"] == "terminated"
    assert not (house.other.cloud.data_dir / "instances" / kept).exists()


def test_a_disk_that_can_not_be_read_is_noted_and_the_backup_is_whole(
    house: House, kept: str
) -> None:
    disk = house.config.cloud.data_dir / "instances" / kept / "disk.qcow2"
    disk.rename(disk.with_name("elsewhere"))
    disk.symlink_to("elsewhere")
    house.create()
    assert kept in house.verify()[1].contents.notes[0]
    assert house.restore().kept == []


@pytest.mark.not_fast
def test_a_disk_that_names_another_file_of_the_host_is_not_kept(
    house: House, kept: str, tmp_path: Path
) -> None:
    secret = tmp_path / "shadow"
    secret.write_bytes(b"root:x" * 1000)
    disk = house.config.cloud.data_dir / "instances" / kept / "disk.qcow2"
    disk.unlink()
    qcow2(disk, 1 << 20, "-o", f"data_file={secret},data_file_raw=on")
    house.create()
    assert house.restore().kept == []
    disk.unlink()
    subprocess.check_call(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", secret, disk]
    )
    house.file.unlink()
    shutil.rmtree(house.other.cloud.data_dir)
    house.create()
    assert house.restore().kept == []
    assert rows_of(house.other)[kept]["state"] == "terminated"


def test_an_image_that_names_another_file_of_the_host_is_refused(
    house: House, tmp_path: Path
) -> None:
    (tmp_path / "shadow").write_bytes(bytes(1 << 20))
    cache = house.config.cloud.data_dir / "cache"
    cache.mkdir()
    subprocess.check_call(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", tmp_path / "shadow",
         cache / f"{'e' * 64}.qcow2"]
    )  # fmt: skip
    facts = {"format": "qcow2", "bytes": 1, "kind": "disk", "size": 1}
    (cache / f"{'e' * 64}.json").write_text(json.dumps(facts))
    with closing(State(house.config.cloud.data_dir / "eucabox.db")) as state:
        add_instance(state)
        with state.transaction() as database:
            database.conn.execute("update images set digest = ?, state = 'available'", ("e" * 64,))
    house.create()
    with pytest.raises(Exception, match="overlay over a backing file"):
        house.restore()


# --- root restores another user's data ----------------------------------------------------------


@pytest.mark.not_fast
def test_root_restores_as_the_owner_of_the_folder(full: House, tmp_path: Path) -> None:
    full.create()  # root alone reads it and the passphrase
    secret = tmp_path / "secret"
    secret.write_text("a cat on the keyboard\n")
    secret.chmod(0o600)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        data, settings = folder / "data", folder / "eucabox.conf"
        data.mkdir()
        os.chown(data, NOBODY.pw_uid, NOBODY.pw_gid)
        settings.write_text(f"[cloud]\ndata_dir = {data}\n")
        argv = ("-c", settings, "restore", full.file, "--passphrase-file", secret, "--json")
        done = subprocess.run(
            [sys.executable, "-P", "-m", "eucabox", *argv],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["buckets"] == 3
        owners = {path.lstat().st_uid for path in [data, *data.rglob("*")]}
        assert owners == {NOBODY.pw_uid}
        assert not (data / restore.SETTINGS).exists()
