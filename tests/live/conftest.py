"""What the live tests share: one real eucabox a file, and the tiny guest built once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eucabox.image import debian
from eucabox.image import tiny_guest as guest
from tests.live.process import Running, running

GUEST = Path("/var/tmp/eucabox-test-guest")
DEBIAN = Path("/var/tmp/eucabox-test-debian")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.live)
            # Old clients leave their sockets to the garbage collector.
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.fixture(scope="module")
def cloud() -> Iterator[Running]:
    with running("[node]\nvirt_type = qemu\n") as found:
        yield found


@pytest.fixture(scope="session")
def tiny_guest() -> guest.TinyGuest:
    return guest.build_tiny(GUEST)


@pytest.fixture(scope="session")
def debian_guest() -> debian.DebianGuest:
    return debian.build_debian(DEBIAN)
