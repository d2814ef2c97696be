from collections.abc import Callable
from pathlib import Path

from eucabox import network
from eucabox.config import Config
from eucabox.network.static import Static
from eucabox.network.system import System

Configured = Callable[..., Config]


def test_a_mode_is_the_module_of_its_name(configured: Configured) -> None:
    loaded = network.load(configured(mode="STATIC"))
    assert isinstance(loaded, Static)
    assert isinstance(network.load(configured(mode="SYSTEM")), System)


def test_every_mode_has_its_module() -> None:
    folder = Path(network.__file__).parent
    assert all((folder / f"{mode.lower()}.py").exists() for mode in network.MODES)
