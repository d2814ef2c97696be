from collections.abc import Callable

from eucabox import network
from eucabox.config import Config
from eucabox.network.static import Static
from eucabox.network.system import System

Configured = Callable[..., Config]


def test_a_mode_is_the_module_of_its_name(configured: Configured) -> None:
    loaded = network.load(configured(mode="STATIC"))
    assert isinstance(loaded, Static)
    assert isinstance(network.load(configured(mode="SYSTEM")), System)
