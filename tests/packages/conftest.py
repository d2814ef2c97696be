"""What the rounds share: packages built once, a machine a suite, and the journey through it."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from eucabox.image import tiny_guest
from tests.packages import debs
from tests.packages.journey import Journey
from tests.packages.machine import Machine, boot

SUITES = os.environ.get("EUCABOX_SUITES", "bookworm trixie").split()
ENDED = pytest.StashKey[set[str]]()
GUEST = Path("/var/tmp/eucabox-test-guest")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a step of a round."""
    item.add_marker(pytest.mark.packages)
    item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the rounds out unless they were asked for: they take minutes."""
    named = any("tests/packages" in each for each in config.args)
    if not named and "packages" not in config.option.markexpr:
        here = Path(__file__).parent
        config.hook.pytest_deselected(items=[each for each in items if here in each.path.parents])
        items[:] = [each for each in items if here not in each.path.parents]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Go no further on a way that ended: what comes later would only wait in vain."""
    ended = item.session.stash.get(ENDED, set())
    if _find_way(item) in ended:
        pytest.fail("a step before this one failed", pytrace=False)


def _find_way(item: pytest.Item) -> str:
    """Return the file and the suite that a step belongs to."""
    file, _, name = item.nodeid.partition("::")
    return f"{file}:{name.partition('[')[2].partition(']')[0]}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the service last wrote, as the machine will be gone."""
    report = yield
    if report.failed:
        item.session.stash.setdefault(ENDED, set()).add(_find_way(item))
    journey = getattr(item, "funcargs", {}).get("journey")
    if report.failed and isinstance(journey, Journey):
        journal = journey.machine.shell(
            "journalctl -b -q -o cat -u eucabox | grep -v action=Describe | tail -n 30", check=False
        )
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
def earlier_deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deb with an older database; the program is that of EUCABOX_EARLIER_DEB if it names one."""
    given = os.environ.get("EUCABOX_EARLIER_DEB")
    folder = tmp_path_factory.mktemp("earlier")
    return debs.make_earlier(Path(given) if given else debs.build_older(folder / "built"), folder)


@pytest.fixture(scope="session")
def guest() -> tiny_guest.TinyGuest:
    return tiny_guest.build_tiny(GUEST)


@pytest.fixture(scope="module", params=SUITES)
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine of a suite, through which the tests of a file go in order."""
    with boot(request.param) as booted:
        yield booted


@pytest.fixture(scope="module")
def journey(
    machine: Machine, deb: Path, later_deb: Path, guest: tiny_guest.TinyGuest
) -> Iterator[Journey]:
    """The machine with the packages of HEAD beside it."""
    yield Journey.begin(machine, guest, {"eucabox.deb": deb, "later.deb": later_deb})
