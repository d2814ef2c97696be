"""What the live tests share: one real eucabox a file, and the tiny guest built once.

Three workers run them. One takes the files that boot guests or mount disks, one after another; one
those that look at this host's network and its packets, and the longest stories; the third those
that only speak to a eucabox of their own, and what is left of these the one that is ready first.
Files that measure are marked `alone` and run when nothing else does.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

from eucabox.image import debian
from eucabox.image import tiny_guest as guest
from tests.live.process import Running, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.live.console import Visit

GUEST = Path("/var/tmp/eucabox-test-guest")
DEBIAN = Path("/var/tmp/eucabox-test-debian")
SPEAK_ONLY = (
    "test_access_logs", "test_backup", "test_chromium", "test_console", "test_console_buckets",
    "test_console_hostile", "test_console_look", "test_console_mfa", "test_console_people",
    "test_ec2_clients", "test_encryption",
    "test_iam_policies", "test_keeping", "test_linear", "test_mirror", "test_odd_requests",
    "test_policy_clients", "test_power",
    "test_s3_boto3", "test_s3_browsers", "test_s3_clients", "test_s3_commands", "test_s3_versions",
    "test_sessions", "test_who_may",
)  # fmt: skip
NETWORK = (
    "test_ansible", "test_demo", "test_demo_service", "test_filtered_guests", "test_groups",
    "test_guest_roles", "test_host_services", "test_network", "test_network_end", "test_system",
    "test_system_guest",
)  # fmt: skip


class ThreeKinds(LoadScopeScheduling):  # type: ignore[misc]
    """Gives one worker every file that boots guests, one those about the network, and the rest to
    whoever is free, file by file."""

    def _split_scope(self, nodeid: str) -> str:
        name = Path(nodeid.partition("::")[0]).stem
        if name in SPEAK_ONLY:
            return name
        return "network" if name in NETWORK else "guests"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ThreeKinds | None:
    return ThreeKinds(config, log) if config.getvalue("dist") == "load" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.live)
            # Old clients leave their sockets to the garbage collector.
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.fixture(scope="module", autouse=True)
def _give_way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the guests of other workers go first: libvirt has seconds to answer."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    if request.path.stem in SPEAK_ONLY and "PYTEST_XDIST_WORKER" in os.environ:
        os.setpriority(os.PRIO_PROCESS, 0, max(before, 5))
    yield
    os.setpriority(os.PRIO_PROCESS, 0, before)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Running]:
    with running("[node]\nvirt_type = qemu\n") as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    from tests.live.console import chromium  # which most of these tests do without

    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def visit(cloud: Running, browser: "Browser") -> Iterator["Visit"]:
    """The administrator's window, with the first password set."""
    from tests.live.console import open_first_window

    with open_first_window(browser, cloud) as found:
        yield found


@pytest.fixture(scope="session")
def tiny_guest() -> guest.TinyGuest:
    return guest.build_tiny(GUEST)


@pytest.fixture(scope="session")
def debian_guest() -> debian.DebianGuest:
    return debian.build_debian(DEBIAN)
