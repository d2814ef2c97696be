"""IAM's verbs about roles and policies as the root of an account calls them, and who is there."""

import json
from dataclasses import replace
from typing import Any

import pytest

from eucabox import ids
from eucabox.actions import perform
from eucabox.errors import Fault
from eucabox.iam.caller import Caller
from tests.actions.stand_ins import ALICE, BOB, World

ROOT, OTHER_ROOT = (replace(each, is_root=True) for each in (ALICE, BOB))
HOME, AWAY = ROOT.account_id, OTHER_ROOT.account_id
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


def write(*statements: dict[str, Any], **members: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **members})


def allow(action: str = "s3:GetObject", **members: Any) -> str:
    return write({"Effect": "Allow", "Action": action, "Resource": "*", **members})


def trust(principal: Any, **members: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return write({**statement, **members})


EC2_TRUST = trust({"Service": "ec2.amazonaws.com"})


class Entities:
    """An account with whom it has."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.state = world.state

    def do(self, name: str, caller: Caller = ROOT, /, **params: Any) -> Any:
        """The answer of a verb."""
        answer = perform("iam", name, self.world.call(caller), params)
        assert answer is not None
        return answer

    def refused(self, name: str, caller: Caller = ROOT, /, **params: Any) -> tuple[str, str]:
        """The code and the message of the fault that a verb ends in."""
        with pytest.raises(Fault) as caught:
            self.do(name, caller, **params)
        return caught.value.code, caught.value.message

    def page_all(self, name: str, member: str, /, **params: Any) -> list[Any]:
        """Everything that a list has, asked for one by one."""
        items: list[Any] = []
        marker: dict[str, str] = {}
        while True:
            answer = self.do(name, max_items=1, **params, **marker)
            items += answer[member]
            assert len(answer[member]) <= 1
            if not answer["is_truncated"]:
                return items
            marker = {"marker": answer["marker"]}

    def add_user(self, name: str, account_id: str = HOME, path: str = "/") -> str:
        """A new user's id."""
        row = {"user_id": ids.user_id(), "user_name": name}
        self._insert("users", {**row, "account_id": account_id, "path": path})
        return row["user_id"]

    def add_group(self, name: str, *user_ids: str) -> str:
        """The id of a new group of users."""
        row = {"group_id": ids.group_id(), "group_name": name, "account_id": HOME}
        self._insert("groups", row)
        for user_id in user_ids:
            member = {"group_id": row["group_id"], "user_id": user_id}
            self.state.insert("group_members", member)
        return row["group_id"]

    def add_role(self, name: str, caller: Caller = ROOT, /, **members: Any) -> Any:
        """A new role, as the API tells it."""
        members.setdefault("assume_role_policy_document", EC2_TRUST)
        return self.do("CreateRole", caller, role_name=name, **members)["role"]

    def add_policy(self, name: str, **members: Any) -> str:
        """The ARN of a new managed policy."""
        members.setdefault("policy_document", allow())
        return str(self.do("CreatePolicy", policy_name=name, **members)["policy"]["arn"])

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        self.state.insert(table, {**row, "created": ids.now()})
