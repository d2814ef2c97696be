"""Security groups with real packets: guests are namespaces on taps of the right names."""

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from eucabox import ids
from eucabox.domains.security_groups import SecurityGroupFilters
from eucabox.ec2 import security_groups
from eucabox.network import FilteredGuest, FirewallRule, host
from eucabox.network.static import Static
from eucabox.state import State
from tests.live import packets
from tests.live.packets import (
    answered,
    arrives,
    connected,
    connects,
    listening,
    pings,
    says,
    seen,
    soon,
)
from tests.live.test_network import again, give, opened
from tests.live.wires import Space, command, host_network, own_host, space
from tests.rows import ACCOUNT, add_instance, interface

A, B = "sg-aaaaaaaaaaaaaaaaa", "sg-bbbbbbbbbbbbbbbbb"
NOBODY = "255.255.255.255"
ALL_OUT = FirewallRule(True, "-1", cidr="0.0.0.0/0")
FORWARDING = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


def ingress(
    protocol: str, low: int | None = None, high: int | None = None, **peer: str
) -> FirewallRule:
    high = low if high is None else high
    return FirewallRule(False, protocol, low, high, **peer or {"cidr": "0.0.0.0/0"})


def egress(
    protocol: str, low: int | None = None, high: int | None = None, **peer: str
) -> FirewallRule:
    return FirewallRule(
        True, protocol, low, low if high is None else high, **peer or {"cidr": "0.0.0.0/0"}
    )


@dataclass
class Site:
    """Two instances on a bridge, one in each group, and a machine outside that routes to them."""

    net: Static
    a: Space
    b: Space
    outside: Space
    guests: dict[str, FilteredGuest]
    rules: dict[str, list[FirewallRule]] = field(default_factory=dict)

    @property
    def a_ip(self) -> str:
        return str(self.guests["a"].private_ip_address)

    @property
    def b_ip(self) -> str:
        return str(self.guests["b"].private_ip_address)

    @property
    def gateway(self) -> str:
        return str(self.net.subnet[1])

    def allow(
        self, *b_rules: FirewallRule, a: tuple[FirewallRule, ...] = (), out: bool = True
    ) -> None:
        """Put rules in force for B, and for A; both may send anything unless `out` is false."""
        always = [ALL_OUT] if out else []
        self.rules = {A: [ALL_OUT, *a], B: [*always, *b_rules]}
        self.net.filter(list(self.guests.values()), self.rules)


@contextmanager
def built(folder: Path) -> Iterator[Site]:
    net = opened(folder)
    with ExitStack() as stack:
        net.start()
        stack.callback(net.remove)
        rows = {}
        for name in ("a", "b"):
            rows[name] = give(net)
        guests = {
            name: FilteredGuest(
                ids.tap(ids.new("i"), net.bridge), row["mac_address"],
                row["private_ip_address"], ({"a": A, "b": B}[name],),
            )
            for name, row in rows.items()
        }  # fmt: skip
        net.filter(list(guests.values()), {A: [ALL_OUT], B: [ALL_OUT]})
        spaces = {
            name: stack.enter_context(space(folder, net.bridge, guest.mac_address, guest.tap))
            for name, guest in guests.items()
        }
        assert all(each.ask_dhcp() for each in spaces.values())
        outside = stack.enter_context(space(folder, None))
        port = (folder / outside.name).read_text()
        command("ip", "addr", "add", "198.51.100.1/24", "dev", port)
        for address in ("198.51.100.2/24", "198.51.100.3/24"):
            outside.run("ip", "addr", "add", address, "dev", "eth0")
        outside.run("ip", "route", "add", str(net.subnet), "via", "198.51.100.1")
        made = Site(net, spaces["a"], spaces["b"], outside, guests)
        yield made
        made.net.stop()  # which may be another by now


@pytest.fixture(scope="module", autouse=True)
def before() -> Iterator[dict[str, str]]:
    with own_host():
        yield host_network()


@pytest.fixture(scope="module", params=["0", "1"], ids=["plain", "br_netfilter"])
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[str, str],
) -> Iterator[Site]:
    """With and without the detour of bridged frames through the host's own firewall."""
    if FORWARDING.exists():
        FORWARDING.write_text(request.param)
    with built(tmp_path_factory.mktemp("groups")) as made:
        yield made
    assert host_network() == before


# --- who may reach whom -------------------------------------------------------------------------


def test_nothing_comes_in_without_a_rule(site: Site) -> None:
    site.allow()
    for source in (site.a, site.outside, None):
        assert not connects(source, site.b, site.b_ip, 22)
        assert not arrives(source, site.b, site.b_ip, 53)
        assert not pings(source, site.b_ip)


def test_everything_may_leave(site: Site) -> None:
    site.allow()
    assert connects(site.b, site.outside, "198.51.100.2", 8080)
    assert answered(site.b, site.outside, "198.51.100.2", 5353)
    assert pings(site.b, "198.51.100.2")
    assert packets.raw(site.b, site.outside, "198.51.100.2", 50)


def test_a_network_may_come_in_on_a_range_of_ports(site: Site) -> None:
    site.allow(ingress("tcp", 20, 22, cidr="198.51.100.2/32"))
    assert connects(site.outside, site.b, site.b_ip, 22)
    assert not connects(site.outside, site.b, site.b_ip, 23)
    assert not connects(site.a, site.b, site.b_ip, 22)
    assert not arrives(site.outside, site.b, site.b_ip, 22), "tcp is not udp"
    site.allow(ingress("tcp", 22, cidr="198.51.100.3/32"))
    assert not connects(site.outside, site.b, site.b_ip, 22)


def test_the_host_itself_comes_in_by_the_rules(site: Site) -> None:
    site.allow(ingress("tcp", 22))
    assert connects(None, site.b, site.b_ip, 22)
    assert not connects(None, site.b, site.b_ip, 23)


def test_a_group_is_the_addresses_of_its_members(site: Site) -> None:
    site.allow(ingress("tcp", 22, group_id=A))
    assert connects(site.a, site.b, site.b_ip, 22)
    assert not connects(site.outside, site.b, site.b_ip, 22)
    site.allow(ingress("tcp", 22, group_id=B))
    assert not connects(site.a, site.b, site.b_ip, 22)


def test_a_member_that_leaves_its_group_is_out(site: Site) -> None:
    site.allow(ingress("tcp", 22, group_id=A))
    with connected(site.a, site.b, site.b_ip, 22) as (near, far):
        assert says(near, far)
        site.net.filter([site.guests["b"]], site.rules)
        assert not says(near, far)
    site.allow(ingress("tcp", 22, group_id=A))
    assert connects(site.a, site.b, site.b_ip, 22)


def test_a_machine_of_the_site_on_the_same_bridge(site: Site, tmp_path: Path) -> None:
    address = str(site.net.subnet[200])
    with space(tmp_path, site.net.bridge) as machine:
        machine.take(address, site.gateway)
        site.allow(ingress("tcp", 22, cidr=f"{address}/32"), egress("udp", 53), out=False)
        assert connects(machine, site.b, site.b_ip, 22)
        assert not connects(machine, site.b, site.b_ip, 23)
        assert answered(site.b, machine, address, 53)
        assert not arrives(site.b, machine, address, 54)


def test_udp_is_answered(site: Site) -> None:
    site.allow(ingress("udp", 53))
    assert answered(site.a, site.b, site.b_ip, 53)
    assert answered(site.outside, site.b, site.b_ip, 53)
    assert not arrives(site.a, site.b, site.b_ip, 54)


def test_icmp_by_type_and_code(site: Site) -> None:
    site.allow(ingress("icmp", 8, 0))
    assert pings(site.a, site.b_ip)
    site.allow(ingress("icmp", 8, -1))
    assert pings(site.outside, site.b_ip)
    site.allow(ingress("icmp", -1, -1))
    assert pings(None, site.b_ip)
    site.allow(ingress("icmp", 13, 0))
    assert not pings(site.a, site.b_ip)


def test_other_protocols_by_number(site: Site) -> None:
    site.allow(ingress("47"))
    assert packets.raw(site.a, site.b, site.b_ip, 47)
    assert not packets.raw(site.a, site.b, site.b_ip, 50)
    site.allow(ingress("-1"))
    assert packets.raw(site.a, site.b, site.b_ip, 50)
    assert connects(site.a, site.b, site.b_ip, 1234)


# --- what may leave -----------------------------------------------------------------------------


def test_without_egress_rules_only_answers_leave(site: Site) -> None:
    site.allow(ingress("tcp", 22), ingress("udp", 53), ingress("icmp", 8, 0), out=False)
    assert connects(site.outside, site.b, site.b_ip, 22)
    assert answered(site.outside, site.b, site.b_ip, 53)
    assert pings(site.outside, site.b_ip)
    assert not connects(site.b, site.outside, "198.51.100.2", 8080)
    assert not arrives(site.b, site.outside, "198.51.100.2", 5353)
    assert not arrives(site.b, None, site.gateway, 5353)
    assert not pings(site.b, site.gateway)
    site.allow(egress("tcp", 8080), out=False)
    assert connects(site.b, site.outside, "198.51.100.2", 8080)
    assert not connects(site.b, site.outside, "198.51.100.2", 8081)


def test_dhcp_names_and_metadata_need_no_rule(site: Site) -> None:
    site.allow(out=False)
    assert site.b.ask_dhcp()
    answer = site.b.run("busybox", "nslookup", f"ip-{site.b_ip.replace('.', '-')}", site.gateway)
    assert site.b_ip in answer.partition("Name:")[2]
    with (
        listening(None, site.net.config.metadata.port, "169.254.169.254"),
        packets.opened(site.b, socket.SOCK_STREAM) as client,
    ):
        client.connect(("169.254.169.254", 80))


def test_a_closed_port_is_said_to_be_closed(site: Site) -> None:
    """ICMP errors about what was sent arrive, though no rule names them."""
    site.allow(ingress("udp", 99), out=False)
    for source, target in ((site.a, site.b_ip), (site.b, "198.51.100.2")):
        site.allow(ingress("udp", 99), egress("udp", 99), out=False)
        with packets.opened(source, socket.SOCK_DGRAM) as client:
            client.connect((target, 99))
            client.send(b"anybody?")
            with pytest.raises(ConnectionRefusedError):
                client.recv(10)


def test_fragments_go_with_their_first(site: Site) -> None:
    site.allow(ingress("udp", 53))
    assert answered(site.a, site.b, site.b_ip, 53, 4000)
    assert answered(site.outside, site.b, site.b_ip, 53, 4000)
    assert answered(site.b, site.outside, "198.51.100.2", 53, 4000)
    assert not arrives(site.a, site.b, site.b_ip, 54, 4000)


# --- live change --------------------------------------------------------------------------------


def test_a_change_of_other_rules_leaves_conversations_alone(site: Site) -> None:
    site.allow(ingress("tcp", 22))
    with (
        connected(site.a, site.b, site.b_ip, 22) as (near, far),
        connected(site.b, site.outside, "198.51.100.2", 80) as (client, server),
    ):
        site.allow(ingress("tcp", 22), ingress("tcp", 23))
        site.allow(ingress("tcp", 22))
        assert says(server, client), "a reply first: nothing but the note lets it in"
        assert says(far, near)
        assert says(near, far)


@pytest.mark.parametrize("out", [True, False])
def test_a_revoked_rule_ends_what_it_let_begin(site: Site, out: bool) -> None:
    site.allow(ingress("tcp", 22), out=out)
    with connected(site.outside, site.b, site.b_ip, 22) as (near, far):
        assert says(near, far)
        site.allow(out=out)
        assert not says(near, far)
        far.send(b"what may leave on its own")
        assert not says(near, far), "is no reason to let its answer in"


def test_a_revoked_rule_ends_a_conversation_of_packets(site: Site) -> None:
    site.allow(ingress("udp", 53))
    with (
        packets.opened(site.b, socket.SOCK_DGRAM, ("", 53)) as server,
        packets.opened(site.outside, socket.SOCK_DGRAM) as client,
    ):
        client.connect((site.b_ip, 53))
        client.send(b"first")
        _, peer = server.recvfrom(100)
        site.allow()
        server.sendto(b"answer that was on its way", peer)
        assert client.recv(100).startswith(b"answer")
        assert not says(client, server)
        site.allow(ingress("udp", 53))
        assert says(client, server)


def test_a_revoked_egress_rule_ends_what_it_let_begin(site: Site) -> None:
    site.allow(egress("tcp", 80), out=False)
    with connected(site.b, site.outside, "198.51.100.2", 80) as (near, far):
        assert says(far, near)
        site.allow(out=False)
        assert not says(far, near)
        assert not says(near, far)
        site.allow(egress("tcp", 80), out=False)
        assert packets.soon(lambda: says(near, far)), "and it goes on when the rule is back"


def test_a_new_connection_is_no_reply(site: Site) -> None:
    site.allow(a=(ingress("tcp", 80),))
    with packets.opened(site.b, socket.SOCK_STREAM, ("", 4000)) as client, listening(site.a, 80):
        client.connect((site.a_ip, 80))
        # Closed at once, or the guest itself would wait before it takes the next from there.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with (
        packets.opened(site.a, socket.SOCK_STREAM, ("", 80)) as back,
        listening(site.b, 4000),
        pytest.raises(TimeoutError),
    ):
        back.connect((site.b_ip, 4000))


def test_a_closed_connection_is_soon_forgotten(site: Site) -> None:
    table, tap = f"eucabox_groups-{site.net.bridge}", site.guests["b"].tap
    site.allow()

    def left() -> int:
        """The seconds that the connection will be remembered."""
        found = [each["elem"] for each in host.elements("bridge", table)[f"out-{tap}"]]
        (mine,) = (each for each in found if 4022 in each["val"]["concat"])
        return int(mine["expires"])

    with connected(site.b, site.outside, "198.51.100.2", 4022) as (near, far):
        assert says(near, far)
        assert packets.soon(lambda: left() > 80000)
    assert packets.soon(lambda: left() <= 60)


def test_a_row_is_all_it_takes(site: Site, tmp_path: Path) -> None:
    state = State(tmp_path / "eucabox.db")
    mine = security_groups.create(state, ACCOUNT, "web", "d")["group_id"]
    filters = SecurityGroupFilters(state, site.net)
    row = give(site.net)
    instance_id = add_instance(state, **row)
    with state.transaction() as database:
        database.conn.execute("insert into instance_groups values (?, ?)", (instance_id, mine))
    filters.start()
    tap, address = ids.tap(instance_id, site.net.bridge), row["private_ip_address"]
    try:
        with space(tmp_path, site.net.bridge, row["mac_address"], tap) as guest:
            assert packets.soon(guest.ask_dhcp)
            assert not connects(None, guest, address, 22)
            security_groups.add_rule(state, mine, is_egress=False, cidr_ipv4=f"{site.gateway}/32")
            filters.wake()
            assert packets.soon(lambda: connects(None, guest, address, 22))
            with state.transaction() as database:
                database.conn.execute("delete from security_group_rules where is_egress = 0")
            filters.wake()
            assert packets.soon(lambda: not connects(None, guest, address, 22))
            state.update("instances", {"instance_id": instance_id}, state="terminated")
            filters.wake()
            assert packets.soon(lambda: not pings(guest, site.gateway))
    finally:
        filters.stop(5)
        state.close()
        site.net.unplug(interface(row))


# --- false names --------------------------------------------------------------------------------


def test_who_sends_under_another_name_is_not_heard(site: Site) -> None:
    site.allow(ingress("-1"))
    mine, stranger = site.guests["a"].mac_address, "02:00:00:00:00:07"
    everybody, bridge = "ff:ff:ff:ff:ff:ff", site.net.bridge
    for mac, address, heard in (
        (mine, site.a_ip, True),
        (stranger, site.a_ip, False),
        (site.guests["b"].mac_address, site.a_ip, False),
        (mine, site.b_ip, False),
        (mine, site.gateway, False),
        (mine, "203.0.113.9", False),
    ):
        frame = packets.udp_frame((mac, everybody), (address, NOBODY), (7, 7))
        assert seen(site.a, None, frame, bridge) is heard, (mac, address)
    macs = (mine, site.guests["b"].mac_address)
    assert seen(site.a, site.b, packets.udp_frame(macs, (site.a_ip, site.b_ip), (7, 7)))
    assert not seen(site.a, site.b, packets.udp_frame(macs, (site.gateway, site.b_ip), (7, 7)))


def test_a_tag_or_another_protocol_does_not_help(site: Site) -> None:
    site.allow(ingress("-1"))
    a, b = site.guests["a"], site.guests["b"]
    macs = (a.mac_address, b.mac_address)
    for tag in (b"\x81\x00\x00\x00", b"\x81\x00\x00\x05", b"\x88\xa8\x00\x05"):
        frame = packets.udp_frame(macs, (site.a_ip, site.b_ip), (7, 7), tag)
        assert not seen(site.a, site.b, frame)
    for kind in (b"\x86\xdd", b"\x88\x8e"):
        frame = packets.mac(b.mac_address) + packets.mac(a.mac_address) + kind + b"mark" * 12
        assert not seen(site.a, site.b, frame)


def test_arp_tells_no_lies(site: Site) -> None:
    site.allow(ingress("-1"))
    a, b = site.guests["a"], site.guests["b"]
    macs = (a.mac_address, b.mac_address)
    true = packets.arp_frame(macs, (a.mac_address, site.a_ip), site.b_ip)
    assert seen(site.a, site.b, true)
    for said in ((a.mac_address, site.gateway), ("02:00:00:00:00:07", site.a_ip)):
        assert not seen(site.a, site.b, packets.arp_frame(macs, said, site.b_ip))


def test_no_guest_answers_dhcp(site: Site) -> None:
    site.allow(ingress("-1"))
    mine, bridge = site.guests["a"].mac_address, site.net.bridge
    for ports, heard in (((68, 67), True), ((67, 68), False)):
        macs = mine, "ff:ff:ff:ff:ff:ff"
        frame = packets.dhcp_frame(macs, (site.a_ip, NOBODY), 1, mine, ports=ports)
        assert seen(site.a, None, frame, bridge) is heard
    macs = (mine, site.guests["b"].mac_address)
    assert not seen(site.a, site.b, packets.udp_frame(macs, (site.a_ip, site.b_ip), (67, 68)))


def test_broadcasts_go_past_no_rule(site: Site) -> None:
    site.allow()
    a, b = site.guests["a"], site.guests["b"]
    for address in (str(site.net.subnet[-1]), NOBODY, "224.0.0.251", site.b_ip):
        for mac in ("ff:ff:ff:ff:ff:ff", b.mac_address):
            frame = packets.udp_frame((a.mac_address, mac), (site.a_ip, address), (7, 7))
            assert not seen(site.a, site.b, frame)


def test_a_thief_of_mac_and_address_gets_nothing(site: Site) -> None:
    site.allow(ingress("-1"))
    b = site.guests["b"]
    site.a.run("ip", "link", "set", "eth0", "address", b.mac_address)
    site.a.run("ip", "addr", "flush", "dev", "eth0")
    site.a.take(site.b_ip, site.gateway)
    try:
        assert not connects(site.a, None, site.gateway, 8080)
        assert not pings(site.a, site.gateway)
        assert connects(None, site.b, site.b_ip, 22), "and its owner keeps it"
    finally:
        site.a.run("ip", "link", "set", "eth0", "address", site.guests["a"].mac_address)
        site.a.run("ip", "addr", "flush", "dev", "eth0")
        assert site.a.ask_dhcp()


# --- the table's life ---------------------------------------------------------------------------


def test_rules_outlive_eucabox_and_are_taken_over(site: Site) -> None:
    site.allow(ingress("tcp", 22))
    with connected(site.b, site.outside, "198.51.100.2", 80) as (near, far):
        second = again(site.net)
        assert not connects(site.a, site.b, site.b_ip, 23)
        second.start()
        second.filter(list(site.guests.values()), {A: [ALL_OUT], B: [ALL_OUT]})
        assert not connects(site.a, site.b, site.b_ip, 22)
        assert says(far, near), "conversations go on"
    site.net = second


def test_rules_that_somebody_flushed_come_back(site: Site) -> None:
    site.allow()
    table = f"eucabox_groups-{site.net.bridge}"
    command("nft", "delete", "table", "bridge", table)
    assert not connects(site.a, site.b, site.b_ip, 22)
    assert soon(lambda: table in command("nft", "list", "tables"))
    site.allow(ingress("tcp", 22))
    assert connects(site.a, site.b, site.b_ip, 22)


def test_a_table_of_another_form_is_replaced(site: Site) -> None:
    table, tap = f"eucabox_groups-{site.net.bridge}", site.guests["b"].tap
    command("nft", "delete", "table", "bridge", table)
    command("nft", "add", "table", "bridge", table)
    command("nft", "add", "set", "bridge", table, f"out-{tap}", "{ type ether_addr; }")
    site.net = again(site.net)
    site.allow(ingress("tcp", 22))
    assert connects(site.a, site.b, site.b_ip, 22)
    assert not connects(site.a, site.b, site.b_ip, 23)


def test_a_tap_of_ours_without_an_instance_is_shut(site: Site, tmp_path: Path) -> None:
    site.allow()
    row = give(site.net)
    tap = ids.tap(ids.new("i"), site.net.bridge)
    with space(tmp_path, site.net.bridge, row["mac_address"], tap) as stray:
        assert not stray.ask_dhcp()
        stray.take(row["private_ip_address"], site.gateway)
        assert not pings(stray, site.gateway)
    site.net.unplug(interface(row))


def test_an_instance_without_an_address_yet_may_ask_for_one(site: Site) -> None:
    site.allow(ingress("-1"))
    bare = FilteredGuest(site.guests["b"].tap, site.guests["b"].mac_address, None, (B,))
    site.net.filter([site.guests["a"], bare], site.rules)
    assert site.b.ask_dhcp()
    assert not connects(site.a, site.b, site.b_ip, 22)
    assert not pings(site.b, site.gateway)
    site.allow(ingress("-1"))
    assert connects(site.a, site.b, site.b_ip, 22)
