"""The deb on an administrator's bridge in SYSTEM mode, with programs of the site, and by UEFI.

Each test goes on where the one before it left the machine.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from eucabox.image import tiny_guest
from tests.domains.programs import example, program
from tests.live import guests
from tests.packages.conftest import SUITES
from tests.packages.journey import DATA, PACKAGES, Journey, look_around
from tests.packages.machine import Machine

# The newest libvirt and QEMU of the round; what else differs is in test_deb.py.
pytestmark = pytest.mark.parametrize("machine", SUITES[-1:], indirect=True, scope="module")

BRIDGE = "site0"
SITE = f"""\
ip link add {BRIDGE} type bridge forward_delay 0
ip address add 203.0.113.2/24 dev {BRIDGE}
ip link set {BRIDGE} up
ip netns add site
ip link add {BRIDGE}p type veth peer name eth0 netns site
ip link set {BRIDGE}p master {BRIDGE} up
ip -n site address add 203.0.113.1/24 dev eth0
ip -n site link set eth0 up
ip netns exec site dnsmasq --conf-file=/dev/null --pid-file= --port=0 --user=root \
    --interface=eth0 --no-ping --dhcp-authoritative --dhcp-leasefile=/run/site-leases \
    --dhcp-range=203.0.113.50,203.0.113.99,1h --dhcp-option=option:router,203.0.113.1
until [ "$(cat /sys/class/net/{BRIDGE}/operstate)" = up ]; do sleep 0.1; done
"""
SETTINGS = f"""\
[network]
mode = SYSTEM
bridge = {BRIDGE}
[node]
domain_xml_qemu = /etc/eucabox/adapt
"""
DROP_INS = "/etc/eucabox/eucabox.conf.d"


@pytest.fixture(scope="module")
def journey(machine: Machine, deb: Path, guest: tiny_guest.TinyGuest) -> Journey:
    """A machine with a bridge, behind which the site's DHCP server is."""
    machine.shell(SITE)
    begun = Journey.begin(machine, guest, {"eucabox.deb": deb})
    for folder in (DROP_INS, "/etc/eucabox/hooks"):
        machine.file(folder).mkdir(parents=True)
    machine.file(f"{DROP_INS}/50-site.conf").write_text(SETTINGS)
    program(machine.file("/etc/eucabox/adapt"), example("vnc"))
    program(machine.file("/etc/eucabox/hooks/10-note"), example("coming-and-going"))
    return begun


def test_it_installs_on_the_sites_bridge(journey: Journey) -> None:
    assert "eucabox: the cloud runs." in journey.install()
    assert "FAIL" not in journey.machine.shell("eucabox doctor")


def test_a_guest_boots_by_uefi_with_an_address_of_the_sites(journey: Journey) -> None:
    told = journey.machine.shell(
        "cd /root; eucabox credentials --out /root/admin; . /root/admin/eucarc;"
        f" cd {PACKAGES}/guest; eucabox image install root-tiny.img --bucket images"
        " --kernel vmlinuz-tiny --ramdisk initrd-tiny"
    )
    image_id = told.strip().splitlines()[-1]
    journey.machine.shell(f". /root/admin/eucarc; eucabox image set {image_id} --boot-mode uefi")
    with journey.machine.network():
        ec2 = journey.ec2()
        guests.key_pair(ec2, journey.key.parent, "k")
        journey.instance_id = guests.run(ec2, image_id, KeyName="k", InstanceType="m1.small")[
            "InstanceId"
        ]
        journey.address = guests.until(lambda: find_address(journey, ec2), "an address")
        firmware = guests.said_over_ssh(
            journey.address, journey.key, "ls /sys/firmware/efi; cat /proc/cmdline"
        )
    assert journey.address.startswith("203.0.113.")
    assert "runtime" in firmware


def find_address(journey: Journey, ec2: Any) -> str:
    address: str = guests.describe(ec2, journey.instance_id).get("PrivateIpAddress", "")
    return address if address != "0.0.0.0" else ""


def test_the_sites_programs_ran_in_the_sandbox(journey: Journey) -> None:
    xml = journey.machine.shell(f"virsh -c qemu:///system dumpxml {journey.instance_id}")
    assert "type='vnc'" in xml
    assert "OVMF" in xml
    noted = journey.machine.shell(f"cat {DATA}/run/coming-and-going")
    assert f"running {journey.instance_id}" in noted
    assert journey.machine.shell("journalctl -b -q -o cat -u eucabox -p err") == ""


def test_a_removal_with_a_wrong_configuration_goes_by_the_last_start(journey: Journey) -> None:
    machine = journey.machine
    with machine.network():
        ec2 = journey.ec2()
        ec2.terminate_instances(InstanceIds=[journey.instance_id])
        guests.wait_for(ec2, journey.instance_id, "terminated")
    assert f"eucabox-{BRIDGE}" in look_around(machine)["tables"]
    machine.file(f"{DROP_INS}/50-site.conf").write_text("[network]\nmode = none\n")
    told = journey.apt("remove", "eucabox")
    assert "50-site.conf: [network] mode: 'none' must be" in told
    assert "The settings of the last start count." in told
    assert "Its network is removed." in told
    check_network(look_around(machine), journey.before)
    assert machine.file(f"{DATA}/eucabox.db").exists()


def check_network(after: Mapping[str, str], before: Mapping[str, str]) -> None:
    for what in ("devices", "addresses", "tables", "domains", "forwarding", "dnsmasq"):
        assert after[what] == before[what], what


def test_a_purge_leaves_the_sites_bridge_as_it_was(journey: Journey) -> None:
    journey.apt("purge", "eucabox")
    assert look_around(journey.machine) == journey.before
