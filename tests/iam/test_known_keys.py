"""What is remembered of keys is forgotten with whatever it was made of, and only then."""

import sqlite3
import time
from collections.abc import Iterator

import pytest

from eucabox.config import LimitsSection
from eucabox.iam import known_keys
from eucabox.iam.accounts import Accounts
from eucabox.iam.key_use import KeyUse
from eucabox.iam.known_keys import KnownKeys
from eucabox.schema import IDENTITY_TABLES
from eucabox.state import State


@pytest.fixture
def use(state: State) -> Iterator[KeyUse]:
    opened = KeyUse(state, "here")
    yield opened
    opened.close()


@pytest.fixture
def keys(accounts: Accounts, state: State, use: KeyUse) -> KnownKeys:
    return KnownKeys(state, accounts._load_credential, use)


def admin_key(accounts: Accounts) -> str:
    return accounts.user_credentials(accounts.user("admin")).caller.access_key_id


def last_use(state: State, key: str) -> tuple[str, str]:
    row = state.one("select * from access_keys where access_key_id = ?", (key,))
    assert row is not None
    return row["last_used_service"], row["last_used_region"]


def test_rows_of_other_tables_change_nothing(
    accounts: Accounts, state: State, keys: KnownKeys
) -> None:
    key = admin_key(accounts)
    before = keys.credential(key)
    state.insert("settings", {"key": "another", "value": "row"})
    assert before is not None and keys.credential(key) is before
    state.update("access_keys", {"access_key_id": key}, status="Inactive")
    after = keys.credential(key)
    assert after is not None and not after.active


def test_limits_are_those_of_now(accounts: Accounts, state: State, keys: KnownKeys) -> None:
    account_id = accounts.user("admin").account_id
    configured = LimitsSection()
    assert keys.limits(configured, account_id) is keys.limits(configured, account_id)
    state.update("accounts", {"account_id": account_id}, limits='{"instances": 3}')
    assert keys.limits(configured, account_id).instances == 3
    assert keys.limits(LimitsSection(vcpus=7), account_id).vcpus == 7


@pytest.mark.not_fast
def test_every_table_that_a_caller_is_read_from_is_watched(
    accounts: Accounts, state: State, keys: KnownKeys
) -> None:
    read: set[str] = set()

    def note(action: int, table: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_READ and table:
            read.add(table)
        return sqlite3.SQLITE_OK

    user = accounts.create_user("ann")
    made = accounts.sessions.create_user_session(user, 900)
    connection = state._connection()
    connection.set_authorizer(note)
    try:
        keys.credential(accounts.user_credentials(user).caller.access_key_id)
        found = keys.credential(made.access_key_id)
        assert found is not None
        for kind in ("user", "role"):
            accounts.authorization._read_own(kind, user.user_id)
        accounts.authorization.find_policies(found.caller).tags.get("team")
        keys.limits(LimitsSection(), user.account_id)
    finally:
        connection.set_authorizer(None)
    read -= {"identity_version", "certificates", "sqlite_master"}
    assert {"users", "access_keys", "sessions", "inline_policies", "iam_tags"} <= read
    assert read <= set(IDENTITY_TABLES)


def test_a_use_is_written_once_an_hour(
    accounts: Accounts, state: State, use: KeyUse, keys: KnownKeys
) -> None:
    key = admin_key(accounts)
    for _ in range(100):
        keys.note_use(key, "s3")
    assert use._waiting.qsize() <= 1
    use.close()
    assert last_use(state, key) == ("s3", "here")
    state.update("access_keys", {"access_key_id": key}, last_used_service="")
    keys._noted[key, "s3"] -= known_keys.SECONDS
    keys.note_use(key, "s3")
    use.close()
    assert last_use(state, key) == ("s3", "here")


def test_a_note_costs_next_to_nothing(keys: KnownKeys) -> None:
    keys.note_use("AKIA", "s3")
    started = time.process_time()
    for _ in range(10_000):
        keys.note_use("AKIA", "s3")
    assert time.process_time() - started < 0.2


def test_many_keys_do_not_fill_the_memory(keys: KnownKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_keys, "MOST_NOTED", 10)
    for number in range(100):
        keys.note_use(f"AKIA{number}", "s3")
    assert len(keys._noted) <= 10


def test_a_role_is_used_whatever_the_service(use: KeyUse, keys: KnownKeys) -> None:
    keys.note_use("AROAX", "ec2")
    keys.note_use("AROAX", "s3")
    keys.note_use("", "s3")
    assert list(keys._noted) == [("AROAX", ""), ("", "s3")]
