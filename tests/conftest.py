"""What every test may ask for: a configuration of its own, and its open state and accounts."""

import functools
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from eucabox.config import CloudSection, Config
from eucabox.iam import certificate_authority, passwords
from eucabox.iam.accounts import Accounts
from eucabox.logs import Format
from eucabox.state import State

# On a busy host an example takes as long as it takes; what measures says so itself.
hypothesis.settings.register_profile("eucabox", deadline=None)
hypothesis.settings.load_profile("eucabox")


@pytest.fixture(scope="session", autouse=True)
def _read_keys_once() -> Iterator[None]:
    """OpenSSL looks at a key for longer than most tests take, and they all have the same two."""
    read_once = functools.cache(certificate_authority.read_private_key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificate_authority, "read_private_key", read_once)
        yield


@pytest.fixture(autouse=True)
def _quick_passwords(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash costs a quarter of a second, which only the tests of hashes need."""
    if "slow_passwords" not in request.fixturenames:
        monkeypatch.setattr(passwords, "COST", 64)


@pytest.fixture
def slow_passwords() -> None:
    """Leaves passwords at what they cost users."""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(cloud=CloudSection(data_dir=tmp_path))


@pytest.fixture(scope="session")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as a first start leaves it; its keys take a moment to make."""
    folder = tmp_path_factory.mktemp("first-start")
    state = State(folder / "eucabox.db")
    Accounts(Config(cloud=CloudSection(data_dir=folder)), state).ensure_administrator()
    state.close()
    return folder


@pytest.fixture(scope="session")
def first_keys(first_start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A first start's keys and certificates without its database."""
    folder = tmp_path_factory.mktemp("first-keys")
    shutil.copytree(first_start, folder, ignore=shutil.ignore_patterns("*.db"), dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new database, to be copied: its schema takes longer than most tests."""
    file = tmp_path_factory.mktemp("empty") / "eucabox.db"
    State(file).close()
    return file


@pytest.fixture
def state(config: Config, empty_database: Path) -> Iterator[State]:
    shutil.copy(empty_database, config.cloud.data_dir)
    opened = State(config.cloud.data_dir / "eucabox.db")
    yield opened
    opened.close()


@pytest.fixture
def accounts(config: Config, first_start: Path, state: State) -> Accounts:
    state.close()
    state.path.unlink()
    shutil.copytree(first_start, config.cloud.data_dir, dirs_exist_ok=True)
    return Accounts(config, state)


class Lines(logging.Handler):
    """Keeps what would be written to the log."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []
        self.setFormatter(Format())

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """The lines of the log, as they are written."""
    handler, ours = Lines(), logging.getLogger("eucabox")
    level = ours.level
    ours.addHandler(handler)
    ours.setLevel("INFO")
    yield handler.kept
    ours.removeHandler(handler)
    ours.setLevel(level)
