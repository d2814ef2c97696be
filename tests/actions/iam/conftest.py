"""A cloud with real accounts, whose roots call IAM's verbs."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eucabox import ids
from eucabox.actions import perform
from eucabox.config import Config
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.state import State
from tests.actions.stand_ins import ADMIN, ALICE, BOB, World

CLOUD_ROOT, ROOT, OTHER_ROOT = (replace(each, is_root=True) for each in (ADMIN, ALICE, BOB))


class People:
    """IAM's verbs, as the root of Alice's account calls them where nobody else is named."""

    def __init__(self, config: Config, state: State) -> None:
        self.world = World(config, state)
        self.cloud = self.world.cloud
        self.state = state
        self.cloud.applied = 0
        self.cloud.apply_limits = self.count_applied
        self.accounts = self.cloud.accounts = Accounts(config, state)
        for root in (CLOUD_ROOT, ROOT, OTHER_ROOT):
            row = {
                "user_id": root.user_id,
                "account_id": root.account_id,
                "user_name": root.user_name,
                "admin": int(root.admin),
                "is_root": 1,
                "created": ids.now(),
            }
            state.insert("users", row)

    def count_applied(self) -> None:
        """Stand in for the cloud that hands an account's limits to the store."""
        self.cloud.applied += 1

    def do(self, name: str, caller: Caller = ROOT, /, **params: Any) -> Any:
        """The answer of a verb."""
        answer = perform("iam", name, self.world.call(caller), params)
        assert answer is not None
        return answer

    def create_user(self, name: str, **params: Any) -> Caller:
        """Create a user of Alice's account; return it as a caller."""
        user = self.do("CreateUser", user_name=name, **params)["user"]
        return replace(
            ROOT, user_id=user["user_id"], user_name=name, path=user["path"], is_root=False
        )

    def create_manager(self, name: str) -> Caller:
        """Create a user of Alice's account who may do all of IAM."""
        user = self.create_user(name)
        allow = {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": allow})
        row = {"owner_id": user.user_id, "policy_name": "iam", "document": document}
        self.state.insert("inline_policies", row)
        return user

    def give_policy(self, user: Caller, *statements: dict[str, Any]) -> None:
        """Give a user an inline policy of these statements."""
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        row = {"owner_id": user.user_id, "policy_name": "own", "document": document}
        self.state.insert("inline_policies", row)

    def page_all(self, name: str, member: str, **params: Any) -> list[Any]:
        """Everything that a list has, asked for one by one."""
        items, marker = [], ""
        while True:
            more = {"marker": marker} if marker else {}
            answer = self.do(name, max_items=1, **params, **more)
            items += answer[member]
            assert len(answer[member]) <= 1
            if not answer["is_truncated"]:
                return items
            marker = answer["marker"]


@pytest.fixture
def people(config: Config, state: State, first_keys: Path) -> People:
    shutil.copytree(first_keys, config.cloud.data_dir, dirs_exist_ok=True)
    return People(config, state)
