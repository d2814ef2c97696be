"""One Xen host for all steps: from the snapshot where there is one, else from its first boot."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from eucabox.cli import image
from eucabox.cli.progress import Steps
from eucabox.image import tiny_guest
from tests.live.guests import BUCKET
from tests.xen.dom0 import CACHE, SNAPSHOT, Dom0, digest, started
from tests.xen.journey import CONF, Journey

GUEST = Path("/var/tmp/eucabox-test-guest")
ENDED = pytest.StashKey[bool]()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a step."""
    item.add_marker(pytest.mark.xen)
    item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the steps out unless they were asked for: they take minutes."""
    if "xen" not in config.option.markexpr:
        here = Path(__file__).parent
        config.hook.pytest_deselected(items=[each for each in items if here in each.path.parents])
        items[:] = [each for each in items if here not in each.path.parents]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Go no further once the first steps failed: what comes later would only wait in vain."""
    if item.session.stash.get(ENDED, False):
        pytest.fail("the instance of the steps never came up", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the service last wrote, as the host will be gone."""
    report = yield
    if report.failed and item.get_closest_marker("first"):
        item.session.stash[ENDED] = True
    journey = getattr(item, "funcargs", {}).get("journey")
    if report.failed and isinstance(journey, Journey):
        journal = "journalctl -b -q -o cat -u eucabox | grep -v 'action=\\|dnsmasq' | tail -n 30"
        said = journey.host.shell(f"{journal}; timeout 30 virsh -c xen:///system list", check=False)
        report.sections.append(("the service's journal", said))
    return report


@pytest.fixture(scope="session")
def deb() -> Path:
    return Path(os.environ["EUCABOX_DEB"])


@pytest.fixture(scope="session")
def journey(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    """The host with this deb's service, and the tiny guest's image registered."""
    guest = tiny_guest.build_tiny(GUEST)
    host = Dom0(CACHE)
    made_of = digest(CACHE / "made", GUEST / ".tiny.json") + CONF
    is_warm = host.mark.exists() and host.mark.read_text() == made_of
    if not is_warm:
        host.make_disk()
    with started(host, SNAPSHOT if is_warm else "") as booted:
        host.shell(f"mkdir -p /etc/eucabox/eucabox.conf.d\ncat >{CONF_FILE} <<END\n{CONF}END\n")
        journey = Journey(booted, tmp_path_factory.mktemp("xen"))
        journey.install(deb)
        journey.sign_in()
        if not is_warm:
            _install_image(journey, guest)
            host.take_snapshot()
            host.mark.write_text(made_of)
        yield journey


CONF_FILE = "/etc/eucabox/eucabox.conf.d/test.conf"


def _install_image(journey: Journey, guest: tiny_guest.TinyGuest) -> None:
    """Bundle, upload and register kernel, ramdisk and root through the API."""
    owner, steps = journey.user, Steps(quiet=True)
    kernel = image.install_file(owner, guest.kernel, BUCKET, steps, image_type="kernel")
    ramdisk = image.install_file(owner, guest.ramdisk, BUCKET, steps, image_type="ramdisk")
    image.install_file(owner, guest.root, BUCKET, steps, kernel_id=kernel, ramdisk_id=ramdisk)
