"""The deb over what was there before it: an older program with an older database, a clone's data.

Each test goes on where the one before it left the machine.
"""

import re
from pathlib import Path

import pytest

from eucabox.image import tiny_guest
from tests.packages.conftest import SUITES
from tests.packages.debs import EARLIER
from tests.packages.journey import DATA, PACKAGES, Journey, look_around
from tests.packages.machine import Machine

# What differs between distributions is in test_deb.py.
pytestmark = pytest.mark.parametrize("machine", SUITES[:1], indirect=True, scope="module")

CLONE = f"""\
mkdir -p /srv/clone
dpkg-deb -x {PACKAGES}/eucabox.deb /srv/clone
cd /srv/clone/usr/lib/python3/dist-packages
(setsid python3 -m eucabox serve >/srv/clone.log 2>&1 &)
until [ -e {DATA}/run/ready ]; do sleep 0.2; done
python3 -m eucabox user create carol"""
COMMAND = "cd /srv/clone/usr/lib/python3/dist-packages; python3 -m eucabox"


@pytest.fixture(scope="module")
def journey(machine: Machine, deb: Path, earlier_deb: Path, guest: tiny_guest.TinyGuest) -> Journey:
    return Journey.begin(machine, guest, {"eucabox.deb": deb, "earlier.deb": earlier_deb})


def list_backups(journey: Journey) -> list[str]:
    return journey.machine.shell(f"ls {DATA}/backups 2>/dev/null || true").split()


def test_an_older_program_runs(journey: Journey) -> None:
    journey.install("earlier.deb")
    assert journey.show("ActiveState") == "active"
    journey.machine.shell("eucabox user create alice; eucabox credentials --out /root/admin")
    assert list_backups(journey) == []


def test_an_upgrade_migrates_the_database_once_with_a_copy(journey: Journey) -> None:
    starts = journey.count_starts()
    journey.install()
    assert (journey.show("ActiveState"), journey.count_starts()) == ("active", starts + 1)
    (backup,) = list_backups(journey)
    assert re.fullmatch(r"eucabox-schema-\d+-\d{8}T\d{6}Z\.db", backup)
    assert "alice" in journey.machine.shell("eucabox user list")
    journey.machine.shell("eucabox user create bob; systemctl restart eucabox.service")
    assert list_backups(journey) == [backup]
    with journey.machine.network():
        assert journey.ec2().describe_instances()["Reservations"] == []


def test_the_older_program_refuses_the_newer_database_and_names_the_copy(
    journey: Journey,
) -> None:
    (backup,) = list_backups(journey)
    told = journey.apt("install", "--allow-downgrades", f"{PACKAGES}/earlier.deb", check=False)
    assert "eucabox: the cloud does not run; `journalctl -u eucabox`" in told
    journal = journey.machine.shell("journalctl -b -q -o cat -u eucabox -p err")
    assert backup in journal
    assert EARLIER in journey.machine.shell("dpkg-query -W -f '${Version}' eucabox")
    assert journey.show("NRestarts") == "0"
    assert list_backups(journey) == [backup]


def test_the_newer_program_has_its_data_back(journey: Journey) -> None:
    journey.install()
    assert journey.show("ActiveState") == "active"
    users = journey.machine.shell("eucabox user list")
    assert "alice" in users
    assert "bob" in users
    journey.apt("purge", "eucabox")
    assert look_around(journey.machine) == journey.before


def test_what_a_clone_left_is_given_to_the_service(journey: Journey) -> None:
    machine = journey.machine
    machine.shell(f"{CLONE}; {COMMAND} stop; touch /srv/roots; ln -s /srv/roots {DATA}/run/link")
    assert machine.shell(f"stat -c %U {DATA}/eucabox.db").strip() == "root"
    told = journey.install()
    assert f"{DATA} has the data of a eucabox that ran as root" in told
    assert "eucabox: the cloud runs." in told
    assert machine.shell(f"find {DATA} -user root") == ""
    assert machine.shell("stat -c %U /srv/roots").strip() == "root"
    assert "carol" in machine.shell("eucabox user list")
    assert "FAIL" not in machine.shell("eucabox doctor")
    assert machine.shell(f"ps -o user= -p {journey.dnsmasq}").strip() == "eucabox"
    journey.apt("purge", "eucabox")
    assert look_around(machine) == journey.before
