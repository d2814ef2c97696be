"""What the live tests share: one real eucabox a file, and the tiny guest built once.

Two workers run them. One takes the files that boot guests or change the host's network, one after
another; the other those that only speak to a eucabox of their own, meanwhile. Files that measure
are marked `alone` and run when nothing else does.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eucabox.image import debian
from eucabox.image import tiny_guest as guest
from tests.live.process import Running, running

GUEST = Path("/var/tmp/eucabox-test-guest")
DEBIAN = Path("/var/tmp/eucabox-test-debian")
SPEAK_ONLY = (
    "test_access_logs", "test_chromium", "test_disks", "test_ec2_clients", "test_encryption",
    "test_keeping", "test_kills", "test_odd_requests", "test_s3_browsers", "test_s3_clients",
    "test_s3_commands", "test_s3_versions", "test_who_may",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.live)
            name = item.path.stem
            item.add_marker(pytest.mark.xdist_group(name if name in SPEAK_ONLY else "guests"))
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
