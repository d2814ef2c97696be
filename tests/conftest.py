"""What every test may ask for: a configuration of its own, and its open state and accounts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eucabox.accounts import Accounts
from eucabox.config import CloudSection, Config
from eucabox.state import State


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(cloud=CloudSection(data_dir=tmp_path))


@pytest.fixture
def state(config: Config) -> Iterator[State]:
    opened = State(config.cloud.data_dir / "eucabox.db")
    yield opened
    opened.close()


@pytest.fixture
def accounts(config: Config, state: State) -> Accounts:
    opened = Accounts(config, state)
    opened.ensure_administrator()
    return opened
