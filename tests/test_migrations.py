"""Databases of older programs: brought up to date once, with a copy, and never half.

old_states/ holds databases that eucabox wrote when each of these schemas was its newest, as SQL,
with the key file that seals their secrets in the first line.
"""

import multiprocessing
import os
import resource
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from eucabox import __version__
from eucabox import state as state_module
from eucabox.config import CloudSection, Config
from eucabox.errors import StateNotCopied, StateTooNew, StateTooOld
from eucabox.iam.accounts import Accounts
from eucabox.schema import MIGRATIONS
from eucabox.state import MOST_COPIES, State

OLD = Path(__file__).parent / "old_states"
SCHEMAS = sorted(int(file.stem.removeprefix("schema-")) for file in OLD.glob("*.sql"))
LAST = len(MIGRATIONS)
KILLS = [(1, 1), (1, 2), (1, LAST // 2), (1, LAST - 1), (1, LAST), (8, 8), (8, LAST)]


def make_old(folder: Path, schema: int) -> Path:
    """Write the data directory of an older program; return its database."""
    script = (OLD / f"schema-{schema}.sql").read_text("utf-8")
    key = script.partition("\n")[0].removeprefix("-- key ")
    (folder / "key").write_bytes(bytes.fromhex(key))
    (folder / "key").chmod(0o600)
    file = folder / "eucabox.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(script)
    return file


def read_rows(file: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, and the schema's number under ""."""
    with closing(sqlite3.connect(file)) as connection:
        names = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        rows = {name: connection.execute(f"select * from {name}").fetchall() for (name,) in names}
        rows[""] = connection.execute("PRAGMA user_version").fetchall()
    return rows


def read_columns(file: Path) -> dict[str, list[tuple[object, ...]]]:
    """The columns of every table and index, without their order."""
    with closing(sqlite3.connect(file)) as connection:
        names = connection.execute("select name, type from sqlite_master").fetchall()
        return {
            name: sorted(
                each[1:]
                for each in connection.execute(
                    f"PRAGMA {'table' if kind == 'table' else 'index'}_info([{name}])"
                )
            )
            for name, kind in names
        }


def list_copies(file: Path) -> list[Path]:
    return sorted((file.parent / "backups").glob("*"))


@pytest.fixture(params=SCHEMAS, name="schema")
def _schema(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(name="old")
def _old(tmp_path: Path, schema: int) -> Path:
    return make_old(tmp_path, schema)


def test_every_row_of_an_older_database_is_kept(old: Path) -> None:
    before = read_rows(old)
    State(old).close()
    after = read_rows(old)
    for name, rows in before.items():
        if name:
            assert [row[: len(rows[0])] for row in after[name]] == rows if rows else True, name
    assert after[""] == [(len(MIGRATIONS),)]


def test_an_older_database_gets_the_columns_of_a_new_one(old: Path, tmp_path: Path) -> None:
    State(old).close()
    State(tmp_path / "new.db").close()
    assert read_columns(old) == read_columns(tmp_path / "new.db")


def test_the_oldest_databases_users_and_secrets_are_read(tmp_path: Path) -> None:
    state = State(make_old(tmp_path, SCHEMAS[0]))
    accounts = Accounts(Config(cloud=CloudSection(data_dir=tmp_path)), state)
    assert accounts.ensure_administrator().user_name == "admin"
    key = state.one("select access_key_id from access_keys join users using (user_id) where admin")
    assert key is not None
    credential = accounts.credential(key["access_key_id"])
    assert credential is not None
    assert len(credential.secret) == 40
    state.close()


def test_the_copy_is_the_database_as_it_was(old: Path, schema: int) -> None:
    before = read_rows(old)
    State(old).close()
    (copy,) = list_copies(old)
    assert copy.name.startswith(f"eucabox-schema-{schema}-20")
    assert read_rows(copy) == before
    assert copy.stat().st_mode & 0o777 == 0o600
    assert copy.parent.stat().st_mode & 0o777 == 0o700


def test_a_migration_runs_once(old: Path) -> None:
    State(old).close()
    changes = read_rows(old)["schema_changes"]
    State(old).close()
    assert read_rows(old)["schema_changes"] == changes
    assert len(list_copies(old)) == 1


def test_a_new_database_is_not_copied(tmp_path: Path) -> None:
    State(tmp_path / "eucabox.db").close()
    State(tmp_path / "eucabox.db").close()
    assert not (tmp_path / "backups").exists()


def test_the_log_names_the_copy(tmp_path: Path, lines: list[str]) -> None:
    State(make_old(tmp_path, 5)).close()
    (line,) = lines
    assert f"schema 5 to {len(MIGRATIONS)}" in line
    assert str(list_copies(tmp_path / "eucabox.db")[0]) in line


def test_copies_are_bounded_and_those_of_other_schemas_outlive_many_starts(tmp_path: Path) -> None:
    file = make_old(tmp_path, 5)
    folder = tmp_path / "backups"
    folder.mkdir()
    for schema in range(1, 5):
        (folder / f"eucabox-schema-{schema}-20260101T000000Z.db").touch()
    for minute in range(30):  # as starts would leave that were killed in the middle
        (folder / f"eucabox-schema-5-20260102T00{minute:02}00Z.db").touch()
    (folder / "mine.db").touch()
    State(file).close()
    names = [copy.name for copy in list_copies(file)]
    assert "mine.db" in names
    assert len(names) == MOST_COPIES + 1
    for schema in range(1, 5):
        assert f"eucabox-schema-{schema}-20260101T000000Z.db" in names
    assert sum("schema-5" in name for name in names) == 2


def test_without_a_copy_nothing_is_changed(tmp_path: Path) -> None:
    file = make_old(tmp_path, 8)
    before = read_rows(file)
    (tmp_path / "backups").write_text("in the way")
    with pytest.raises(StateNotCopied, match=r"backups first: File exists\. Nothing was changed"):
        State(file)
    assert read_rows(file) == before


def test_a_copy_for_which_there_is_no_room_leaves_nothing(tmp_path: Path) -> None:
    file = make_old(tmp_path, 8)
    before = read_rows(file)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    try:
        with pytest.raises(StateNotCopied, match="Make room"):
            State(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_rows(file) == before
    assert list_copies(file) == []


class Killer(str):
    """A step of the schema's history at which the process is killed."""

    def split(self, *_: object, **__: object) -> list[str]:
        os.kill(os.getpid(), 9)
        return []


def _migrate_and_die(file: Path, step: int) -> None:
    vars(state_module).update(MIGRATIONS=(*MIGRATIONS[:step], Killer(), *MIGRATIONS[step:]))
    State(file)


@pytest.mark.slow  # a process each
@pytest.mark.parametrize(("schema", "step"), KILLS)
def test_a_migration_that_was_killed_is_finished_at_the_next_start(
    tmp_path: Path, schema: int, step: int
) -> None:
    file = make_old(tmp_path, schema)
    before = read_rows(file)
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_migrate_and_die, args=(file, step))
    process.start()
    process.join()
    assert process.exitcode == -9
    assert read_rows(file) == before
    (copy,) = list_copies(file)
    assert read_rows(copy) == before
    State(file).close()
    assert read_rows(file)[""] == [(len(MIGRATIONS),)]
    assert 1 <= len(list_copies(file)) <= 2
    for each in list_copies(file):
        assert read_rows(each) == before


def test_what_is_left_of_a_copy_that_was_killed_is_taken_away(tmp_path: Path) -> None:
    file = make_old(tmp_path, 8)
    (tmp_path / "backups").mkdir()
    for name in (".new", ".new-journal"):
        (tmp_path / "backups" / name).write_bytes(b"half a copy")
    State(file).close()
    (copy,) = list_copies(file)
    assert read_rows(copy)[""] == [(8,)]


def test_a_command_beside_the_service_changes_no_older_database(old: Path, schema: int) -> None:
    before = read_rows(old)
    with pytest.raises(StateTooOld) as caught:
        State(old, migrates=False)
    assert f"schema {schema}" in caught.value.message
    assert "Restart eucabox" in caught.value.message
    assert read_rows(old) == before
    assert not list_copies(old)
    assert not old.with_name(f"{old.name}-wal").exists(), "a connection was left open"


@pytest.fixture(name="newer")
def _newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database that eucabox 9.0.0, two steps ahead, took over from schema 5."""
    file = make_old(tmp_path, 5)
    State(file).close()
    monkeypatch.setattr(state_module, "__version__", "9.0.0")
    steps = ("create table later (x)", "alter table later add column y")
    monkeypatch.setattr(state_module, "MIGRATIONS", (*MIGRATIONS, *steps))
    State(file).close()
    monkeypatch.undo()
    return file


def test_a_newer_database_is_refused_with_the_version_that_wrote_it(newer: Path) -> None:
    before = read_rows(newer)
    for migrates in (True, False):
        with pytest.raises(StateTooNew) as caught:
            State(newer, migrates=migrates)
        message = caught.value.message
        assert "eucabox 9.0.0" in message
        assert f"schema {len(MIGRATIONS) + 2}" in message
        assert f"eucabox {__version__}" in message
    assert read_rows(newer) == before


def test_a_newer_database_is_refused_with_the_copy_to_go_back_to(newer: Path) -> None:
    with pytest.raises(StateTooNew) as caught:
        State(newer)
    newest = list_copies(newer)[0]
    assert f"schema-{len(MIGRATIONS)}-" in newest.name
    assert str(newest) in caught.value.message
    for each in ("", "-wal", "-shm"):
        newer.with_name(newer.name + each).unlink(missing_ok=True)
    newest.rename(newer)
    State(newer).close()


def test_a_newer_database_without_copies_is_refused_too(newer: Path) -> None:
    for copy in list_copies(newer):
        copy.unlink()
    with pytest.raises(StateTooNew, match=f"a copy of it with schema {len(MIGRATIONS)} or older"):
        State(newer)
