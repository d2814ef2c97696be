"""What a guest reaches of this host, and what it reaches while rules are being deleted."""

import dataclasses
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from eucabox import ids
from eucabox.config import ApiSection
from eucabox.network import FilteredGuest
from eucabox.network.host import mac_of
from tests.live import packets
from tests.live.packets import answered, arrives, connects, connects_to, pings, seen, soon
from tests.live.test_groups import ALL_OUT, NOBODY, Site, built, egress, ingress
from tests.live.test_network import again, give, opened, started
from tests.live.wires import command, own_host, space


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with own_host(), built(tmp_path_factory.mktemp("services")) as made:
        yield made


# --- DHCP in another's name ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", [3, 4, 7], ids=["request", "decline", "release"])
def test_nobody_speaks_to_the_dhcp_server_in_anothers_name(site: Site, kind: int) -> None:
    site.allow(ingress("-1"))
    a, b = site.guests["a"], site.guests["b"]
    bridge = site.net.bridge
    macs = a.mac_address, mac_of(bridge)
    ips = site.a_ip, site.gateway
    own = packets.dhcp_frame(macs, ips, kind, a.mac_address, ciaddr=site.a_ip)
    assert seen(site.a, None, own, bridge)
    for source, port in ((site.a_ip, 68), (NOBODY, 68), (site.a_ip, 67), (site.a_ip, 999)):
        pair, ports = (source, site.gateway), (port, 67)
        forged = packets.dhcp_frame(macs, pair, kind, b.mac_address, ciaddr=site.b_ip, ports=ports)
        assert not seen(site.a, None, forged, bridge)
        cut = packets.framed(macs, pair, forged[34:50], fragment=0x2000)
        assert not seen(site.a, None, cut, bridge), "too short to tell whose it is"
    assert site.b.ask_dhcp()


def test_anothers_client_identifier_takes_no_lease(site: Site) -> None:
    site.allow(ingress("-1"))
    assert site.b.ask_dhcp(), "so its lease has the identifier"
    a, b, bridge = site.guests["a"], site.guests["b"], site.net.bridge
    leases = Path("/run/eucabox") / bridge / "leases" / "leases"
    held = [line for line in leases.read_text().splitlines() if site.b_ip in line]
    identifier = b"\x3d\x07\x01" + packets.mac(b.mac_address)
    server = b"\x36\x04" + packets.ip(site.gateway)
    release = packets.dhcp_frame(
        (a.mac_address, mac_of(bridge)), (site.a_ip, site.gateway), 7, a.mac_address,
        identifier, server, ciaddr=site.b_ip,
    )  # fmt: skip
    assert seen(site.a, None, release, bridge)
    time.sleep(0.2)
    now = leases.read_text().splitlines()
    assert [line.split()[1:3] for line in held] == [
        line.split()[1:3] for line in now if site.b_ip in line
    ]


# --- this host's own services -------------------------------------------------------------------


def test_a_guest_reaches_dhcp_names_metadata_and_the_api_of_this_host_alone(site: Site) -> None:
    site.allow()
    assert not connects(site.b, None, "198.51.100.1", 8773), "but at its own bridge"
    for port in (8773, 8443):
        assert connects(site.b, None, site.gateway, port)
    for address in (site.gateway, "198.51.100.1"):
        assert not connects(site.b, None, address, 22)
        assert not connects(site.b, None, address, 8774)
        assert not arrives(site.b, None, address, 2049)
        assert not pings(site.b, address)
    assert not arrives(site.b, None, "224.0.0.251", 5353)
    assert site.b.ask_dhcp()
    assert site.b.run("busybox", "nslookup", f"ip-{site.b_ip.replace('.', '-')}", site.gateway)
    site.allow(ingress("tcp", 22))
    assert connects(None, site.b, site.b_ip, 22), "and this host the guest, by its rules"


def test_the_administrator_and_a_groups_rules_keep_guests_from_the_api(site: Site) -> None:
    config = site.net.config
    site.net.config = dataclasses.replace(config, api=ApiSection(listen="0.0.0.0", guests=False))
    site.allow()
    assert not connects(site.b, None, site.gateway, 8773)
    site.net.config = config
    site.allow()
    assert connects(site.b, None, site.gateway, 8773)
    site.allow(out=False)
    assert not connects(site.b, None, site.gateway, 8773)
    site.allow(egress("tcp", 8773), out=False)
    assert connects(site.b, None, site.gateway, 8773)


def test_what_containers_publish_is_shut_too(site: Site) -> None:
    site.allow()
    redirect = "table ip eut_published { chain c { type nat hook prerouting priority dstnat; "
    rule = f"iifname {site.net.bridge} tcp dport 8081 dnat to 198.51.100.2:8080;"
    command("nft", f"{redirect}{rule} }}; }}")
    try:
        assert not connects_to(site.b, site.outside, (site.gateway, 8081), 8080)
    finally:
        command("nft", "delete", "table", "ip", "eut_published")


def test_the_administrator_opens_more(tmp_path: Path) -> None:
    with own_host(), ExitStack() as stack:
        net = opened(tmp_path, host_services="tcp/22 udp/2000-2001, icmp")
        net.config = dataclasses.replace(net.config, api=ApiSection(listen="0.0.0.0"))
        net = again(net)
        net.start()
        stack.callback(net.remove)
        row = give(net)
        guest = stack.enter_context(space(tmp_path, net.bridge, row["mac_address"]))
        assert guest.ask_dhcp()
        gateway = str(net.subnet[1])
        assert connects(guest, None, gateway, 22)
        assert arrives(guest, None, gateway, 2001)
        assert pings(guest, gateway)
        assert connects(guest, None, gateway, 8773)
        assert connects(guest, None, gateway, 8443)
        assert not connects(guest, None, gateway, 23)
        assert not arrives(guest, None, gateway, 2002)


METADATA = "169.254.169.254"


@pytest.fixture
def site_bridge() -> Iterator[str]:
    """An administrator's bridge, on which this host has an address, and one of IPv6 too."""
    name = "eutsite1"
    with own_host():
        made = ("type", "bridge", "stp_state", "0", "forward_delay", "0")
        command("ip", "link", "add", name, *made)
        command("ip", "addr", "add", "203.0.113.2/24", "dev", name)
        command("ip", "link", "set", name, "up")
        yield name


def test_a_guest_of_a_named_bridge_is_kept_off_this_hosts_services_and_the_site_is_not(
    site_bridge: str, tmp_path: Path
) -> None:
    folder = tmp_path / "cloud"
    folder.mkdir()
    keys = {"bridge": site_bridge, "subnet": "203.0.113.0/24"}
    own = "203.0.113.2"
    with (
        started(folder, addresses="203.0.113.50-203.0.113.51", **keys) as net,
        ExitStack() as stack,
    ):
        row = give(net)
        tap = ids.tap("i-0123456789abcdef0", site_bridge)
        member = FilteredGuest(tap, row["mac_address"], row["private_ip_address"], ("sg-1",))
        net.filter([member], {"sg-1": [ALL_OUT]})
        guest = stack.enter_context(space(tmp_path, site_bridge, row["mac_address"], tap))
        machine = stack.enter_context(space(tmp_path, site_bridge))
        machine.run("ip", "addr", "add", "203.0.113.9/24", "dev", "eth0")
        machine.run("ip", "route", "add", f"{METADATA}/32", "dev", "eth0")
        assert guest.ask_dhcp()
        for address in (own, METADATA):
            assert not connects(guest, None, address, 22)
            assert not arrives(guest, None, address, 2049)
            assert not pings(guest, address)
        assert connects_to(guest, None, (METADATA, 80), net.config.metadata.port)
        assert not connects_to(guest, None, (own, 80), net.config.metadata.port)
        assert connects(guest, machine, "203.0.113.9", 22)
        assert connects(machine, None, own, 22)
        assert connects(machine, None, own, 80)
        assert pings(machine, own)


# --- while rules are gone ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "deletion",
    [("flush", "ruleset"), ("delete", "table", "bridge"), ("flush", "table", "bridge")],
    ids=["ruleset", "table", "rules"],
)
def test_a_closed_port_stays_closed_while_rules_are_deleted(
    site: Site, deletion: tuple[str, ...]
) -> None:
    """Packets are sent all the time, from before until the rules are back."""
    site.allow(ingress("udp", 53))
    named = [f"eucabox_groups-{site.net.bridge}"] if "table" in deletion else []
    with (
        packets.opened(site.b, socket.SOCK_DGRAM, ("", 99)) as shut,
        packets.opened(site.a, socket.SOCK_DGRAM) as client,
    ):
        for round_ in range(400):
            if round_ == 50:
                command("nft", *deletion, *named)
            client.sendto(b"x", (site.b_ip, 99))
            time.sleep(0.002)
        with pytest.raises(TimeoutError):
            shut.recv(10)
    assert soon(lambda: answered(site.a, site.b, site.b_ip, 53), 2)
    assert connects(site.b, site.outside, "198.51.100.2", 8080), "and NAT is back"
    assert not connects(site.a, None, site.gateway, 8080), "and the host's own services are shut"


def test_a_tap_that_is_taken_off_its_bridge_is_put_back(site: Site) -> None:
    site.allow(ingress("tcp", 22))
    site.net.check()
    tap = site.guests["b"].tap
    command("ip", "link", "set", tap, "nomaster")
    assert soon(lambda: Path(f"/sys/class/net/{site.net.bridge}/brif/{tap}").exists(), 2)
    assert soon(lambda: connects(site.a, site.b, site.b_ip, 22), 5)
