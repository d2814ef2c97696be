"""What the live tests share: one real eucabox a file, and the tiny guest built once.

Two workers run them. One takes the files that boot guests, mount disks or change the host's
network, one after another; the other those that only speak to a eucabox of their own, meanwhile.
Files that measure are marked `alone` and run when nothing else does.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from eucabox.image import debian
from eucabox.image import tiny_guest as guest
from tests.live.process import Running, running

GUEST = Path("/var/tmp/eucabox-test-guest")
DEBIAN = Path("/var/tmp/eucabox-test-debian")
SPEAK_ONLY = (
    "test_access_logs", "test_chromium", "test_console", "test_console_buckets",
    "test_console_look", "test_console_mfa", "test_console_people", "test_ec2_clients",
    "test_encryption",
    "test_iam_policies", "test_keeping", "test_odd_requests", "test_policy_clients",
    "test_s3_boto3", "test_s3_browsers", "test_s3_clients", "test_s3_commands", "test_s3_versions",
    "test_sessions", "test_who_may",
)  # fmt: skip


class TwoKinds(LoadScopeScheduling):  # type: ignore[misc]
    """Gives one worker every file that boots guests, and the other the rest, file by file."""

    def _split_scope(self, nodeid: str) -> str:
        name = Path(nodeid.partition("::")[0]).stem
        return name if name in SPEAK_ONLY else "guests"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> TwoKinds | None:
    return TwoKinds(config, log) if config.getvalue("dist") == "load" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.live)
            # Old clients leave their sockets to the garbage collector.
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.fixture(scope="module", autouse=True)
def _give_way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the guests of the other worker go first: libvirt has seconds to answer."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    if request.path.stem in SPEAK_ONLY and "PYTEST_XDIST_WORKER" in os.environ:
        os.setpriority(os.PRIO_PROCESS, 0, max(before, 5))
    yield
    os.setpriority(os.PRIO_PROCESS, 0, before)


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
