"""What tests of the verbs may ask for."""

from collections.abc import Iterator

import pytest

from eucabox.bucket import Store
from eucabox.config import Config
from eucabox.state import State
from tests.actions.shop import Shop
from tests.actions.stand_ins import World


@pytest.fixture
def world(config: Config, state: State) -> World:
    return World(config, state)


@pytest.fixture
def shop(config: Config) -> Iterator[Shop]:
    store = Store(config.bucket_root)
    made = Shop(store)
    made.ask("CreateBucket", bucket="shop")
    yield made
    store.close()
