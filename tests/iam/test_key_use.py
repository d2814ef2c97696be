import time
from collections.abc import Iterator

import pytest

from eucabox.iam import key_use
from eucabox.iam.accounts import Accounts
from eucabox.iam.key_use import KeyUse
from eucabox.state import State


@pytest.fixture
def use(state: State) -> Iterator[KeyUse]:
    opened = KeyUse(state, "here")
    yield opened
    opened.close()


def last_use(state: State, key: str) -> tuple[str, str]:
    row = state.one("select * from access_keys where access_key_id = ?", (key,))
    assert row is not None
    return row["last_used_service"], row["last_used_region"]


def test_the_newest_use_is_written_when_it_closes_at_the_latest(
    accounts: Accounts, state: State, use: KeyUse
) -> None:
    key = accounts.user_credentials(accounts.user("admin")).caller.access_key_id
    use.note(key, "ec2")
    use.note(key, "s3")
    use.close()
    assert last_use(state, key) == ("s3", "here")


def test_the_use_of_a_role_is_written_once_whatever_the_service(
    accounts: Accounts, state: State, use: KeyUse
) -> None:
    row = {"role_id": "AROAX", "account_id": accounts.user("admin").account_id, "role_name": "x"}
    state.insert("roles", {**row, "trust_policy": "{}", "created": "2026-11-30T00:00:00.000Z"})
    use.note("AROAX", "ec2")
    use.note("AROAX", "s3")
    assert use._waiting.qsize() <= 1
    use.close()
    row = state.query("select last_used, last_used_region from roles")[0]
    assert (row["last_used"] > "2026", row["last_used_region"]) == (True, "here")


def test_a_use_is_written_once_an_hour(
    accounts: Accounts, state: State, use: KeyUse, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = accounts.user_credentials(accounts.user("admin")).caller.access_key_id
    for _ in range(100):
        use.note(key, "s3")
    assert use._waiting.qsize() <= 1
    use._noted[key, "s3"] -= key_use.SECONDS
    use.close()
    state.update("access_keys", {"access_key_id": key}, last_used_service="")
    again = KeyUse(state, "here")
    again._noted = dict(use._noted)
    again.note(key, "s3")
    again.close()
    assert last_use(state, key) == ("s3", "here")


def test_a_note_costs_next_to_nothing(use: KeyUse) -> None:
    use.note("AKIA", "s3")
    started = time.process_time()
    for _ in range(10_000):
        use.note("AKIA", "s3")
    assert time.process_time() - started < 0.2


def test_many_keys_do_not_fill_the_memory(use: KeyUse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_use, "MOST_NOTED", 10)
    for number in range(100):
        use.note(f"AKIA{number}", "s3")
    assert len(use._noted) <= 10
