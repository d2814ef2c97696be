import gc
import multiprocessing
import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import get_type_hints

import pytest

from eucabox.ec2.bundle_tasks import BundleTaskRow
from eucabox.ec2.instance_profiles import InstanceProfileAssociationRow
from eucabox.errors import DryRunOperation, InstanceNotFound, StateTooNew
from eucabox.events.event_rows import EventRow
from eucabox.iam import rows
from eucabox.mail.queue import MailRow
from eucabox.schema import MIGRATIONS, ROW_TYPES, KeyPairRow
from eucabox.state import LOOK_SECONDS, State


def put(state: State, key: str, value: str = "x") -> None:
    with state.transaction() as database:
        database.table("settings").insert({"key": key, "value": value})


def keys(state: State) -> list[str]:
    return [row["key"] for row in state.query("select key from settings order by key")]


def test_a_failed_block_leaves_nothing(state: State) -> None:
    with pytest.raises(KeyError), state.transaction() as database:
        database.table("settings").insert({"key": "a", "value": "1"})
        database.table("settings").insert_all(
            [{"key": "b", "value": "1"}, {"key": "c", "value": "1"}]
        )
        database.table("settings").upsert({"key": "a", "value": "2"}, pk="key")
        database.execute("update settings set value = '3'")
        raise KeyError
    assert keys(state) == []


def test_an_inserted_row_and_a_deletion_are_undone_with_their_block(state: State) -> None:
    state.insert("settings", {"key": "a", "value": "1"})
    with pytest.raises(KeyError), state.transaction():
        state.insert("settings", {"key": "b", "value": "1"})
        assert state.delete("settings", {"key": "a"}) == 1
        assert keys(state) == ["b"]
        raise KeyError
    assert keys(state) == ["a"]


def test_only_the_rows_that_match_every_column_are_deleted(state: State) -> None:
    for key, value in (("a", "1"), ("b", "1"), ("c", "2")):
        state.insert("settings", {"key": key, "value": value})
    assert state.delete("settings", {"value": "1", "key": "b"}) == 1
    assert state.delete("settings", {"value": "3"}) == 0
    assert keys(state) == ["a", "c"]


def test_an_inner_block_joins_the_outer(state: State) -> None:
    with pytest.raises(KeyError), state.transaction():
        put(state, "a")
        assert keys(state) == ["a"]
        raise KeyError
    assert keys(state) == []


def test_other_threads_see_only_what_is_committed(state: State) -> None:
    seen: list[list[str]] = []
    with state.transaction():
        put(state, "a")
        thread = threading.Thread(target=lambda: seen.append(keys(state)))
        thread.start()
        thread.join()
    assert seen == [[]]
    assert keys(state) == ["a"]


def test_writers_wait_for_each_other(state: State) -> None:
    def add(name: str) -> None:
        for number in range(20):
            put(state, f"{name}{number}")

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys(state)) == 80


def _commit_and_die(path: Path) -> None:
    state = State(path)
    put(state, "kept")
    with state.transaction() as database:
        database.table("settings").insert({"key": "lost", "value": "x"})
        os.kill(os.getpid(), 9)


@pytest.mark.not_fast
def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=_commit_and_die, args=(tmp_path / "db",)
    )
    process.start()
    process.join()
    assert process.exitcode == -9
    state = State(tmp_path / "db")
    assert keys(state) == ["kept"]
    state.close()


def count_connections(path: Path) -> int:
    """How many connections of this process have the database's write-ahead log open."""
    names = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return names.count(f"{path}-wal")


def test_the_connection_of_a_thread_is_closed_when_the_thread_ends(state: State) -> None:
    assert count_connections(state.path) == 1
    all_open = threading.Barrier(6)

    def read() -> None:
        keys(state)
        all_open.wait(10)
        all_open.wait(10)

    threads = [threading.Thread(target=read) for _ in range(5)]
    for thread in threads:
        thread.start()
    all_open.wait(10)
    assert count_connections(state.path) == 6
    all_open.wait(10)
    for thread in threads:
        thread.join()
    assert count_connections(state.path) == 1


@pytest.mark.not_fast
def test_a_state_that_nobody_closed_is_closed_when_it_is_forgotten(tmp_path: Path) -> None:
    state = State(tmp_path / "db")
    keys(state)
    del state
    gc.collect()  # what Python warns of here fails the test
    assert count_connections(tmp_path / "db") == 0


def test_update_returns_how_many_rows_there_were(state: State) -> None:
    put(state, "a")
    assert state.update("settings", {"key": "a"}, value="y") == 1
    assert state.update("settings", {"key": "b"}, value="y") == 0
    assert state.one("select value from settings") == {"value": "y"}


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    State(tmp_path / "db").close()
    connection = sqlite3.connect(tmp_path / "db")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StateTooNew):
        State(tmp_path / "db")


def test_the_file_is_ours_alone(state: State) -> None:
    assert state.path.stat().st_mode & 0o077 == 0


def test_a_rehearsal_ends_at_the_first_commit_and_takes_it_back(state: State) -> None:
    reached = []
    with pytest.raises(DryRunOperation), state.rehearsal():
        assert state.rehearses
        with state.transaction() as database:
            database.conn.execute("insert into settings values ('a', '1')")
            with state.transaction():
                database.conn.execute("insert into settings values ('b', '1')")
            reached.append("inner blocks go on")
        reached.append("after the commit")
    assert reached == ["inner blocks go on"]
    assert not state.rehearses
    assert state.query("select * from settings") == []
    state.update("settings", {"key": "a"}, value="2")
    with state.transaction() as database:
        database.conn.execute("insert into settings values ('a', '1')")
    assert len(state.query("select * from settings")) == 1


def test_a_fault_within_a_rehearsal_is_the_fault(state: State) -> None:
    with pytest.raises(InstanceNotFound), state.rehearsal(), state.transaction():
        raise InstanceNotFound(id="i-1")


def test_what_is_made_by_the_first_look_is_kept_by_a_rehearsal(state: State) -> None:
    with state.rehearsal(), state.transaction(for_good=True) as database:
        database.conn.execute("insert into settings values ('a', '1')")
    assert len(state.query("select * from settings")) == 1


def test_a_rehearsal_is_of_its_own_thread(state: State) -> None:
    with state.rehearsal():
        other = threading.Thread(target=put, args=(state, "a"))
        other.start()
        other.join()
    assert keys(state) == ["a"]


SQL_TYPES = {"text": str, "integer": int, "blob": bytes}


ALL_ROW_TYPES = {
    **ROW_TYPES,
    **rows.ROW_TYPES,
    "bundle_tasks": BundleTaskRow,
    "events": EventRow,
    "instance_profile_associations": InstanceProfileAssociationRow,
    "mails": MailRow,
}


@pytest.mark.parametrize("table", ALL_ROW_TYPES)
def test_the_type_of_a_row_has_the_columns_of_its_table(state: State, table: str) -> None:
    columns = {}
    for row in state.query(f"pragma table_info({table})"):
        kind = SQL_TYPES[row["type"].lower()]
        may_be_null = not row["notnull"] and not row["pk"]
        columns[row["name"]] = kind | None if may_be_null else kind
    assert get_type_hints(ALL_ROW_TYPES[table]) == columns


def test_a_typed_row_is_read(state: State) -> None:
    key_pair: KeyPairRow = {
        "key_pair_id": "key-1",
        "account_id": "1",
        "key_name": "mine",
        "key_type": "rsa",
        "key_fingerprint": "f",
        "public_key": "k",
        "created": "c",
    }
    state.insert("key_pairs", key_pair)
    assert state.select(KeyPairRow, "select * from key_pairs") == [key_pair]
    assert state.select_one(KeyPairRow, "select * from key_pairs") == key_pair
    none = "select * from key_pairs where key_name = ?"
    assert state.select_one(KeyPairRow, none, ("other",)) is None


def test_a_query_that_lacks_a_column_of_the_row_s_type_is_refused(state: State) -> None:
    state.insert("key_pairs", dict.fromkeys(get_type_hints(KeyPairRow), "x"))
    with pytest.raises(TypeError, match="No created, public_key for KeyPairRow in: select key_pai"):
        sql = "select key_pair_id, account_id, key_name, key_type, key_fingerprint from key_pairs"
        state.select(KeyPairRow, sql)


def test_each_threads_memory_of_the_database_is_small(state: State) -> None:
    assert state.query("PRAGMA cache_size") == [{"cache_size": -256}]


def _change_identity(state: State) -> None:
    with state.transaction() as database:
        database.execute("update identity_version set version = version + 1")


@pytest.mark.not_fast
def test_each_thread_sees_a_change_of_identity_of_this_process_at_once(tmp_path: Path) -> None:
    state, again = State(tmp_path / "state.db"), State(tmp_path / "state.db")
    for _ in range(200):
        before = state.identity_mark()
        thread = threading.Thread(target=_change_identity, args=[again])
        thread.start()
        thread.join()
        assert state.identity_mark() != before
    with state.transaction():
        assert state.identity_mark() is None
    state.close()
    again.close()


def test_a_change_of_identity_by_another_process_is_seen_soon(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    with sqlite3.connect(tmp_path / "state.db", isolation_level=None) as other:
        for _ in range(3):
            before = state.identity_mark()
            other.execute("update identity_version set version = version + 1")
            time.sleep(2 * LOOK_SECONDS)
            assert state.identity_mark() != before
    other.close()
    state.close()


def test_many_rows_come_at_once_as_they_come_one_by_one(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    with state.transaction() as database:
        database.table("odd").insert_all(
            {"name": text, "number": number, "empty": None}
            for number, text in enumerate(
                ('"', "\\", "\n\0\x7f", "ä€𝄞", "", "null", "[1]", "1" * 9999)
            )
        )
        sql = "select number, name, empty, name || ? as [a b] from odd where number < ?"
        sql += " order by name desc"
        for most in (0, 1, 5, 100):
            rows = state.query(sql, ("x", most))
            assert state.query(sql, ("x", most), at_once=True) == rows
        database.table("odd").insert({"name": "", "number": 1 << 62, "empty": None})
        assert state.query("select max(number) as most from odd", at_once=True) == [
            {"most": 1 << 62}
        ]
    state.close()
