"""A cloud of buckets and accounts alone, to perform S3's verbs on, and people who ask."""

import io
from types import SimpleNamespace
from typing import Any

import pytest

from eucabox import actions, ids
from eucabox.accounts import Caller
from eucabox.actions import Call
from eucabox.bucket import Store
from eucabox.errors import Fault


class Shop:
    """Performs verbs as one of `admin`, `ann`, `bob` or nobody."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.path = ""  # the service path that callers come by
        known = {name: _caller(name) for name in ("admin", "ann", "bob")}
        self.people: dict[str, Caller | None] = {**known, "": None}
        rows = {each.account_id: vars(each) for each in known.values()}
        self.cloud: Any = SimpleNamespace(
            accounts=SimpleNamespace(by_account_id=rows.get), bucket=store
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


def _caller(name: str) -> Caller:
    admin = name == "admin"
    return Caller(ids.account_id(), name, ids.canonical_id(), ids.user_id(), name, admin)
