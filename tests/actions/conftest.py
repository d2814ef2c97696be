"""What tests of the verbs may ask for."""

import pytest

from eucabox.config import Config
from eucabox.state import State
from tests.actions.stand_ins import World


@pytest.fixture
def world(config: Config, state: State) -> World:
    return World(config, state)
