"""A cloud with real accounts, whose people call STS."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from eucabox import ids
from eucabox.actions import Call, perform
from eucabox.config import Config
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.state import State
from tests.actions.stand_ins import ALICE, BOB, World

STATEMENT = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def write(*statements: Mapping[str, Any]) -> str:
    """A policy's document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(principal: Any, *actions: str, **more: Any) -> str:
    """A trust policy that allows AssumeRole, or the actions that are named."""
    named = list(actions) or ["sts:AssumeRole"]
    return write({"Effect": "Allow", "Principal": principal, "Action": named, **more})


@dataclass
class Doors:
    """STS's verbs, beside the rows that they read."""

    world: World
    accounts: Accounts
    state: State

    def do(self, name: str, caller: Caller | None, /, **params: Any) -> Any:
        """The answer of a verb."""
        answer = perform("sts", name, self.call(caller), params)
        assert answer is not None
        return answer

    def call(self, caller: Caller | None) -> Call:
        """A call of a caller, or of nobody."""
        return replace(self.world.call(), caller=caller, region="eucabox-1")

    def assume(self, caller: Caller, arn: str, /, **params: Any) -> Any:
        """The answer of AssumeRole with a session name."""
        params = {"role_session_name": "tuesday", "role_arn": arn, **params}
        return self.do("AssumeRole", caller, **params)

    def add_root(self, user: Caller) -> Caller:
        """The user as the root of its account."""
        row = {"user_id": user.user_id, "account_id": user.account_id, "is_root": 1}
        self.state.insert("users", {**row, "user_name": user.user_name, "created": ids.now()})
        return replace(user, is_root=True)

    def add_user(self, root: Caller, name: str, *statements: Mapping[str, Any]) -> Caller:
        """A user of an account with an inline policy of these statements, if any."""
        row = {"user_id": ids.user_id(), "account_id": root.account_id, "user_name": name}
        self.state.insert("users", {**row, "created": ids.now()})
        if statements:
            self.add_policy(row["user_id"], *statements)
        return replace(root, user_id=row["user_id"], user_name=name, is_root=False)

    def add_role(self, root: Caller, name: str, trust_policy: str, **columns: Any) -> str:
        """A role of an account; return its ARN."""
        row = {"role_id": ids.role_id(), "account_id": root.account_id, "role_name": name}
        columns = {"trust_policy": trust_policy, "created": ids.now(), **columns}
        self.state.insert("roles", {**row, **columns})
        return f"arn:aws:iam::{root.account_id}:role{columns.get('path', '/')}{name}"

    def role_id(self, name: str) -> str:
        """The id of a role."""
        row = self.state.one("select role_id from roles where role_name = ?", (name,))
        assert row is not None
        return str(row["role_id"])

    def add_policy(self, owner_id: str, *statements: Mapping[str, Any]) -> None:
        """An inline policy."""
        row = {"owner_id": owner_id, "policy_name": ids.new("p"), "document": write(*statements)}
        self.state.insert("inline_policies", row)

    def caller_of(self, answer: Any) -> Caller:
        """Who signs with the credentials of an answer."""
        credential = self.accounts.credential(answer["credentials"]["access_key_id"])
        assert credential is not None
        assert credential.secret == answer["credentials"]["secret_access_key"]
        return credential.caller


@pytest.fixture
def doors(config: Config, state: State, first_keys: Path) -> Doors:
    shutil.copytree(first_keys, config.cloud.data_dir, dirs_exist_ok=True)
    world = World(config, state)
    world.cloud.accounts = Accounts(config, state)
    return Doors(world, world.cloud.accounts, state)


@pytest.fixture
def ann(doors: Doors) -> Caller:
    """The root of an account."""
    return doors.add_root(ALICE)


@pytest.fixture
def bob(doors: Doors) -> Caller:
    """The root of another account."""
    return doors.add_root(BOB)
