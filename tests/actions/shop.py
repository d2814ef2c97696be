"""A cloud of buckets and accounts alone, to perform S3's verbs on, and people who ask."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eucabox import actions, ids
from eucabox.actions import Call
from eucabox.bucket import Store
from eucabox.config import Config
from eucabox.errors import Fault
from eucabox.iam.caller import Caller
from eucabox.s3.access_log import AccessLog
from eucabox.state import State
from tests.kept_events import KeptEvents


class Shop:
    """Performs verbs as one of `admin`, `ann`, `bob` or nobody."""

    def __init__(self, store: Store, state: State) -> None:
        self.store = store
        self.path = ""  # the service path that callers come by
        known = {name: _caller(name) for name in ("admin", "ann", "bob")}
        with state.transaction():
            for each in known.values():
                names = (each.account_id, each.account_name, each.canonical_id)
                columns = ("account_id", "account_name", "canonical_id")
                row = dict(zip(columns, names, strict=True))
                state.insert("accounts", {**row, "created": ids.now()})
        self.people: dict[str, Caller | None] = {**known, "": None}
        self.cloud: Any = SimpleNamespace(
            access_log=AccessLog(store, Path("/nowhere"), "eucabox", lambda: 300),
            accounts=Directory(list(known.values())),
            store=store,
            state=state,
            events=KeptEvents(),
            config=Config(),
        )

    def ask(self, name: str, who: str = "ann", **params: Any) -> dict[str, Any]:
        """The result of a verb."""
        call = Call(self.cloud, self.people[who], "r", region="eucabox", endpoint="http://box:8773")
        call.path = self.path
        return actions.perform("s3", name, call, params) or {}

    def refused(self, name: str, who: str = "ann", **params: Any) -> str:
        """The code of the fault that a verb ends in."""
        with pytest.raises(Fault) as caught:
            self.ask(name, who, **params)
        assert caught.value.message.isascii()
        return caught.value.code

    def put(self, key: str, content: bytes = b"x", who: str = "ann", **params: Any) -> Any:
        """Put an object into the bucket `shop`."""
        body = io.BytesIO(content)
        return self.ask("PutObject", who, bucket="shop", key=key, body=body, **params)

    def get(self, key: str, who: str = "ann", **params: Any) -> bytes:
        """The bytes of an object in the bucket `shop`."""
        body = self.ask("GetObject", who, bucket="shop", key=key, **params)["body"]
        try:
            return b"".join(body)
        finally:
            body.close()


class Directory:
    """The accounts, as actions look them up."""

    def __init__(self, people: list[Caller]) -> None:
        self._rows = [vars(each) for each in people]

    def get_by_account_id(self, account_id: str) -> dict[str, Any] | None:
        return self._find("account_id", account_id)

    def get_by_canonical_id(self, canonical_id: str) -> dict[str, Any] | None:
        return self._find("canonical_id", canonical_id)

    def get_by_email(self, email: str) -> dict[str, Any] | None:
        return self._find("email", email.lower())

    def knows_principal(self, account: str, user: str = "") -> bool:
        found = self._find("account_id", account) or self._find("account_name", account)
        return found is not None and user in ("", found["user_name"])

    def _find(self, column: str, value: str) -> dict[str, Any] | None:
        return next((each for each in self._rows if each[column] == value), None)


def _caller(name: str) -> Caller:
    admin = name == "admin"
    account_id, canonical_id, user_id = ids.account_id(), ids.canonical_id(), ids.user_id()
    email = f"{name}@x.org"
    return Caller(account_id, name, canonical_id, user_id, name, admin, email=email, is_root=True)
