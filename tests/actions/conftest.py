"""What tests of the verbs may ask for."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from eucabox.bucket import Store
from eucabox.config import Config
from eucabox.state import State
from eucabox.store import keyring
from tests.actions.shop import Shop
from tests.actions.stand_ins import World

ACCOUNT = "123456789012"


def keyed(config: Config) -> Config:
    """The configuration with a key for SSE-KMS."""
    return replace(config, buckets=replace(config.buckets, kms_keys="first, second"))


@pytest.fixture
def world(config: Config, state: State) -> World:
    return World(config, state)


@pytest.fixture
def shop(config: Config) -> Iterator[Shop]:
    store = Store(config.bucket_root, keyring.open_keyring(lambda: keyed(config), ACCOUNT))
    made = Shop(store)
    made.ask("CreateBucket", bucket="shop")
    yield made
    store.close()
