"""A console over a real store of buckets, and a browser in which the root admin is signed in: it
is there from the beginning, while another user's keys take a second to make."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from eucabox.bucket import Store
from eucabox.config import Config
from eucabox.console.application import create_app
from eucabox.console.site import Console
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.state import State
from eucabox.store import keyring
from eucabox.store.types import ObjectProperties
from tests.console.conftest import ORIGIN, Visit, give_password, open_cloud

BUCKET = "a-bucket"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


@pytest.fixture(name="store")
def _store(config: Config, accounts: Accounts) -> Iterator[Store]:
    administrator = accounts.user("eucalyptus/admin").account_id
    store = Store(config.bucket_root, keyring.open_keyring(lambda: config, administrator))
    yield store
    store.close()


@pytest.fixture(name="console")
def _console(config: Config, accounts: Accounts, state: State, store: Store) -> Console:
    give_password(state, accounts.user("eucalyptus/admin"))
    cloud: Any = open_cloud(config, accounts, state)
    cloud.store = store
    return create_app(cloud)


@pytest.fixture(name="own")
def _own(console: Console) -> Visit:
    visit = Visit(console)
    assert visit.sign_in("admin").status_code == 303
    return visit


@pytest.fixture(name="root")
def _root(accounts: Accounts) -> Caller:
    return accounts.user("eucalyptus/admin")


@pytest.fixture(name="bucket")
def _bucket(own: Visit) -> str:
    assert own.post("/buckets", {"name": BUCKET}).status_code == 303
    return BUCKET


def put(store: Store, key: str, body: bytes = b"x", bucket: str = BUCKET, **known: Any) -> None:
    store.put(bucket, key, io.BytesIO(body), ObjectProperties(**known))


def send_bytes(visit: Visit, path: str, body: bytes, **headers: str) -> TestResponse:
    """Send bytes as the page's script does."""
    sent = {
        "Origin": ORIGIN,
        "Sec-Fetch-Site": "same-origin",
        "X-CSRF-Token": visit.csrf,
        "Content-Type": "application/octet-stream",
        **headers,
    }
    length = {"CONTENT_LENGTH": str(len(body))}
    return visit.send("POST", path, data=body, headers=sent, environ_overrides=length)


def follow(visit: Visit, response: TestResponse) -> str:
    """The page that a form led to."""
    assert response.status_code == 303, response.text
    assert response.location
    page = visit.get(response.location)
    assert page.status_code == 200, page.text
    return page.text
