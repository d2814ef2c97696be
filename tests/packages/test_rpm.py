"""The RPM's way through a machine: installed, used by a client, upgraded and erased.

There is no Fedora here. Debian's rpm runs the scriptlets, with macros that stand in for Fedora's;
dependencies are the Debian's. Each test goes on where the one before it left the machine.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eucabox.image import tiny_guest
from tests.live import guests
from tests.packages import rpms
from tests.packages.journey import DATA, PACKAGES, Journey, look_around
from tests.packages.machine import boot

CONF = "/etc/eucabox/eucabox.conf"
USER_DATA = "#!/bin/sh\necho ran > /run/user-data\n"
# What this Debian has not of a Fedora: Python's place, and the group of its QEMU.
PATH_FILE = "/usr/lib/python3/dist-packages/fedora.pth"
UNIT_FOLDER = "/etc/systemd/system/eucabox.service.d"


@pytest.fixture(scope="module")
def journey(
    tmp_path_factory: pytest.TempPathFactory, guest: tiny_guest.TinyGuest
) -> Iterator[Journey]:
    first = rpms.build(tmp_path_factory.mktemp("rpm"))
    later = rpms.build(tmp_path_factory.mktemp("later"), dist=".later")
    with boot("bookworm") as machine:
        place = next(machine.file("/usr/lib").glob("python3.[0-9]*")).name
        machine.file(PATH_FILE).write_text(f"/usr/lib64/{place}/site-packages\n")
        machine.file(UNIT_FOLDER).mkdir(parents=True)
        drop_in = machine.file(f"{UNIT_FOLDER}/debian.conf")
        drop_in.write_text("[Service]\nSupplementaryGroups=libvirt-qemu\n")
        yield Journey.begin(machine, guest, {"eucabox.rpm": first, "later.rpm": later})


def rpm(journey: Journey, *argv: str) -> str:
    """Run rpm as an administrator; return all that it and its scriptlets say."""
    words = " ".join(argv)
    return journey.machine.shell(f"rpm --nodeps --force-debian {words} 2>&1")


def ssh(journey: Journey, command: str) -> str:
    """What a command of the guest says; the caller is on the machine's network."""
    return guests.said_over_ssh(journey.address, journey.key, command).strip()


def test_rpm_installs_it_and_the_service_starts_when_it_is_told(journey: Journey) -> None:
    rpm(journey, "-i", f"{PACKAGES}/eucabox.rpm")
    assert journey.show("ActiveState") == "inactive"
    shell = journey.machine.shell
    shell("systemctl enable --now eucabox.service")
    assert journey.show("ActiveState") == "active"
    assert "FAIL" not in shell("eucabox doctor")
    assert shell(f"stat -c '%U %G %a' {DATA}").strip() == "eucabox eucabox 751"
    assert set(shell("id -nG eucabox").split()) >= {"eucabox", "kvm", "libvirt", "qemu"}


def test_rpm_finds_its_files_as_it_left_them(journey: Journey) -> None:
    shell = journey.machine.shell
    assert shell("rpm -V --nodeps eucabox").strip() == ""
    files = shell("rpm -ql eucabox").splitlines()
    for file in ("/usr/bin/eucabox", CONF, "/usr/share/man/man5/eucabox.conf.5"):
        assert [each for each in files if each.startswith(file)], file
    assert "%config" not in shell("rpm -qc eucabox")
    assert shell("rpm -qc eucabox").strip() == CONF


def test_a_guest_of_an_installed_image_lets_a_client_in(journey: Journey) -> None:
    told = journey.machine.shell(
        "cd /root; eucabox credentials --out /root/admin; . /root/admin/eucarc;"
        f" cd {PACKAGES}/guest; eucabox image install root-tiny.img --bucket images"
        " --kernel vmlinuz-tiny --ramdisk initrd-tiny"
    )
    image_id = told.strip().splitlines()[-1]
    with journey.machine.network():
        ec2 = journey.ec2()
        guests.key_pair(ec2, journey.key.parent, "k")
        row = guests.run(ec2, image_id, KeyName="k", UserData=USER_DATA)
        journey.instance_id, journey.address = row["InstanceId"], row["PrivateIpAddress"]
        assert ssh(journey, "until [ -e /run/user-data ]; do sleep 0.2; done; cat /run/user-data")
        ssh(journey, "echo kept > /root/kept; sync")


def test_an_upgrade_restarts_once_and_keeps_guests_and_edited_files(journey: Journey) -> None:
    conf = journey.machine.file(CONF)
    edited = conf.read_text().replace("#console_kb = 64", "console_kb = 65")
    conf.write_text(edited)
    before, starts = journey.list_pids(), journey.count_starts()
    rpm(journey, "-U", f"{PACKAGES}/later.rpm")
    assert journey.machine.shell("rpm -q --qf '%{RELEASE}' eucabox").strip() == "1.later"
    assert (journey.show("ActiveState"), journey.count_starts()) == ("active", starts + 1)
    assert journey.list_pids() == before
    assert conf.read_text() == edited
    with journey.machine.network():
        guests.wait_for(journey.ec2(), journey.instance_id, "running")
        assert ssh(journey, "cat /root/kept") == "kept"
    assert journey.machine.shell("journalctl -b -q -o cat -u eucabox -p err") == ""


def test_erasing_with_a_guest_names_it_and_keeps_it(journey: Journey) -> None:
    before = journey.list_pids()
    told = rpm(journey, "-e", "eucabox")
    assert f"These instances run on, and their network stays: {journey.instance_id}." in told
    assert journey.list_pids() == before
    with journey.machine.network():
        assert ssh(journey, "cat /root/kept") == "kept"
    assert journey.machine.file(f"{DATA}/eucabox.db").exists()
    assert journey.machine.file(f"{CONF}.rpmsave").exists()
    assert list_program(journey) == []


def list_program(journey: Journey) -> list[Path]:
    """Return what is left of the program's files, compiled ones too."""
    found = journey.machine.file("/usr/lib64").glob("python3*/site-packages/eucabox*")
    return [*found, *journey.machine.file("/usr/lib/systemd/system").glob("eucabox*")]


def test_erasing_without_guests_ends_the_network_and_keeps_the_data(journey: Journey) -> None:
    rpm(journey, "-i", f"{PACKAGES}/later.rpm")
    journey.machine.shell("systemctl enable --now eucabox.service")
    with journey.machine.network():
        ec2 = journey.ec2()
        ec2.terminate_instances(InstanceIds=[journey.instance_id])
        guests.wait_for(ec2, journey.instance_id, "terminated")
    told = rpm(journey, "-e", "eucabox")
    assert "Its network is removed." in told
    after = look_around(journey.machine)
    for what in ("devices", "addresses", "tables", "domains", "forwarding", "dnsmasq"):
        assert after[what] == journey.before[what], what
    assert journey.machine.file(f"{DATA}/eucabox.db").exists()
