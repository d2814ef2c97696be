"""What tests of the verbs may ask for."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from eucabox.bucket import Store
from eucabox.config import Config
from eucabox.state import State
from eucabox.store import keyring
from tests.actions.people import People, make_people
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
def people(config: Config, state: State, first_keys: Path) -> Iterator[People]:
    made = make_people(config, state, first_keys)
    yield made
    made.cloud.store.close()


@pytest.fixture
def shop(config: Config, state: State) -> Iterator[Shop]:
    store = Store(config.bucket_root, keyring.open_keyring(lambda: keyed(config), ACCOUNT))
    made = Shop(store, state)
    made.ask("CreateBucket", bucket="shop")
    yield made
    store.close()
