"""A small cloud with people: accounts with their roots, users, a role's session, and policies."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eucabox import ids
from eucabox.actions import Call, perform
from eucabox.bucket import Store
from eucabox.config import Config
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller, Session
from eucabox.iam.policy.request import RoleSession
from eucabox.state import State
from eucabox.store import keyring
from tests.actions.stand_ins import ADMIN, ALICE, BOB, World

Statement = dict[str, Any]
EC2_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
)
CONTEXT = {"region": "eucabox", "source_ip": "192.0.2.1", "secure": "false"}


def statement(action: str | Sequence[str], resource: str | Sequence[str] = "*", **more: Any) -> Any:
    """An Allow, unless `more` has another Effect."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def document(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@dataclass
class People:
    """Two accounts, with a user and a role each when they are asked for."""

    cloud: Any
    world: World
    state: State

    def user(self, name: str, *statements: Statement, root: Caller = ALICE, **more: Any) -> Caller:
        """Make a user of an account, with one inline policy of these statements."""
        user_id = ids.user_id()
        row = {"user_id": user_id, "account_id": root.account_id, "user_name": name, "admin": 0}
        self.state.insert("users", {**row, "created": ids.now(), **more})
        self.allow(user_id, *statements)
        return replace(
            root, user_id=user_id, user_name=name, is_root=False, admin=False,
            path=more.get("path", "/"), access_key_id=f"AKIA{name.upper()}",
        )  # fmt: skip

    def session(
        self, role: str, *statements: Statement, root: Caller = ALICE, **more: Any
    ) -> Caller:
        """Make a role and a session of it; `more` are members of Session."""
        role_id = f"AROA{role.upper()}"
        row = {"role_id": role_id, "account_id": root.account_id, "role_name": role}
        self.state.insert("roles", {**row, "trust_policy": EC2_TRUST, "created": ids.now()})
        self.allow(role_id, *statements)
        who = RoleSession(
            root.account_id, role, "job", root.account_name, root.canonical_id, role_id=role_id
        )
        session = Session(f"ASIA{role.upper()}", "", "2100-01-01T00:00:00Z", who, **more)
        return replace(root, user_id="", user_name="", is_root=False, admin=False, session=session)

    def allow(self, owner_id: str, *statements: Statement, name: str = "own") -> None:
        """Replace the inline policy of a user, group or role."""
        where = {"owner_id": owner_id, "policy_name": name}
        self.state.delete("inline_policies", where)
        if statements:
            self.state.insert("inline_policies", {**where, "document": document(*statements)})

    def perform(self, service: str, name: str, call: Call, params: dict[str, Any]) -> Any:
        return perform(service, name, call, params)

    def do(self, key: str, caller: Caller | None, /, **params: Any) -> Any:
        """Perform SERVICE:Action."""
        service, _, name = key.partition(":")
        return perform(service, name, self.call(caller), params)

    def call(self, caller: Caller | None) -> Call:
        return replace(self.world.call(caller), context=CONTEXT)


def make_people(config: Config, state: State, keys: Path) -> People:
    """A cloud with real accounts, buckets and rows, and without a node."""
    shutil.copytree(keys, config.cloud.data_dir, dirs_exist_ok=True)
    world = World(config, state)
    cloud = world.cloud
    cloud.accounts = Accounts(config, state)
    cloud.store = Store(config.bucket_root, keyring.open_keyring(lambda: config, ADMIN.account_id))
    for root in (ADMIN, ALICE, BOB):
        row = {"user_id": root.user_id, "account_id": root.account_id, "admin": int(root.admin)}
        more = {"user_name": root.user_name, "is_root": 1, "created": ids.now()}
        state.insert("users", {**row, **more})
    return People(cloud, world, state)
