from collections.abc import Iterator

import pytest

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
    use.write(key, "ec2")
    use.write(key, "s3")
    use.close()
    assert last_use(state, key) == ("s3", "here")


def test_the_use_of_a_role_is_written_too(accounts: Accounts, state: State, use: KeyUse) -> None:
    row = {"role_id": "AROAX", "account_id": accounts.user("admin").account_id, "role_name": "x"}
    state.insert("roles", {**row, "trust_policy": "{}", "created": "2026-11-30T00:00:00.000Z"})
    use.write("AROAX", "")
    use.close()
    row = state.query("select last_used, last_used_region from roles")[0]
    assert (row["last_used"] > "2026", row["last_used_region"]) == (True, "here")
