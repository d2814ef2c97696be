from collections.abc import Callable
from pathlib import Path

import pytest

from eucabox import network
from eucabox.config import Config
from eucabox.errors import ConfigError
from eucabox.network.static import Static

Configured = Callable[..., Config]


def test_a_mode_is_the_module_of_its_name(configured: Configured) -> None:
    loaded = network.load(configured(mode="STATIC"))
    assert isinstance(loaded, Static)


def test_every_mode_has_its_module() -> None:
    folder = Path(network.__file__).parent
    assert all((folder / f"{mode.lower()}.py").exists() for mode in network.MODES)


def test_a_mode_of_a_later_release_is_refused(configured: Configured) -> None:
    with pytest.raises(ConfigError, match=r"\[network\] mode: SYSTEM arrives in a later release"):
        network.load(configured(mode="SYSTEM"))
