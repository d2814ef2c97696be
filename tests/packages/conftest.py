"""What the rounds share: packages built once, a machine a suite, and the journey through it."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from eucabox.image import tiny_guest
from tests.packages import debs
from tests.packages.journey import Journey
from tests.packages.machine import boot

SUITES = os.environ.get("EUCABOX_SUITES", "bookworm trixie").split()
GUEST = Path("/var/tmp/eucabox-test-guest")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.packages)
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the service last wrote, as the machine will be gone."""
    report = yield
    journey = getattr(item, "funcargs", {}).get("journey")
    if report.failed and isinstance(journey, Journey):
        journal = journey.machine.shell("journalctl -b -q -o cat -u eucabox -n 60", check=False)
        report.sections.append(("the service's journal", journal))
    return report


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The deb of HEAD; one that EUCABOX_DEB names is taken as it is."""
    given = os.environ.get("EUCABOX_DEB")
    return Path(given) if given else debs.build(tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="session")
def later_deb(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return debs.make_later(deb, tmp_path_factory.mktemp("later"))


@pytest.fixture(scope="session")
def guest() -> tiny_guest.TinyGuest:
    return tiny_guest.build_tiny(GUEST)


@pytest.fixture(scope="module", params=SUITES)
def journey(
    request: pytest.FixtureRequest, deb: Path, later_deb: Path, guest: tiny_guest.TinyGuest
) -> Iterator[Journey]:
    """A machine of a suite with the packages beside it, through which the tests go in order."""
    with boot(request.param) as machine:
        yield Journey.begin(machine, guest, {"eucabox.deb": deb, "later.deb": later_deb})
