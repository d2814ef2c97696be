import json
import socket
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from eucabox.errors import ProgramFailed
from eucabox.network import host
from tests.network.conftest import FakeHost


def test_neighbours_are_those_of_the_device(fake: FakeHost, tmp_path: Path) -> None:
    (tmp_path / "arp").write_text(
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "172.30.64.4      0x1         0x6         D0:0D:ac:1e:40:04     *        br0\n"
        "172.30.64.5      0x1         0x2         d0:0d:ac:1e:40:05     *        br1\n"
    )
    assert host.neighbour("172.30.64.4", "br0") == "d0:0d:ac:1e:40:04"
    assert host.neighbour("172.30.64.5", "br0") is None


def test_no_neighbours_at_all(fake: FakeHost) -> None:
    assert host.neighbour("172.30.64.4", "br0") is None


def test_resolvers_that_a_guest_can_reach(fake: FakeHost, tmp_path: Path) -> None:
    text = (
        "# ours\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\nnameserver\nnameserver 10.0.0.9\n"
    )
    (tmp_path / "resolv.conf").write_text(text)
    assert host.resolvers() == [IPv4Address("10.0.0.9")]


def test_addresses_and_gateway(fake: FakeHost) -> None:
    infos = [{"local": "10.0.0.2", "prefixlen": 24}, {"local": "169.254.169.254", "prefixlen": 32}]
    fake.answers["ip -j -4 addr show dev br0"] = json.dumps([{"addr_info": infos}])
    assert host.addresses_of("br0") == {"10.0.0.2/24", "169.254.169.254/32"}
    assert host.address_in(IPv4Network("10.0.0.0/24"), "br0") == IPv4Address("10.0.0.2")
    assert host.address_in(IPv4Network("10.1.0.0/24"), "br0") is None
    assert host.gateway("br0") is None
    routes = [{"dst": "default"}, {"dst": "default", "gateway": "10.0.0.1"}]
    fake.answers["ip -j -4 route show default dev br0"] = json.dumps(routes)
    assert host.gateway("br0") == IPv4Address("10.0.0.1")


def test_the_uplinks_mtu_is_a_guests_at_most_1500(fake: FakeHost) -> None:
    assert host.uplink_mtu() == 1500
    fake.answers["ip -j -4 route show default"] = '[{"dst": "default", "dev": "wg0"}]'
    (fake.links / "wg0").mkdir()
    for mtu, expected in (("1420", 1420), ("9001", 1500)):
        (fake.links / "wg0" / "mtu").write_text(mtu + "\n")
        assert host.uplink_mtu() == expected


def test_firewalls_that_drop(fake: FakeHost) -> None:
    chains = [
        {"family": "ip", "table": "filter", "hook": "forward", "policy": "drop"},
        {"family": "inet", "table": "site", "hook": "input", "policy": "drop"},
        {"family": "ip6", "table": "filter", "hook": "forward", "policy": "drop"},
        {"family": "ip", "table": "plain"},
    ]
    listed = {"nftables": [{"metainfo": {}}, *({"chain": each} for each in chains)]}
    fake.answers["nft -j list chains"] = json.dumps(listed)
    assert host.tables_that_drop("forward") == ["ip filter"]
    assert host.tables_that_drop("input") == ["inet site"]


def test_a_port_that_is_taken() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert host.is_port_taken(IPv4Address("127.0.0.1"), port)
    assert not host.is_port_taken(IPv4Address("127.0.0.1"), port)


def test_ports_and_switches_are_read(
    fake: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert host.ports("br0") == set()
    (fake.links / "br0" / "brif" / "eth1").mkdir(parents=True)
    assert host.ports("br0") == {"eth1"}
    monkeypatch.setattr(host, "BRIDGED", tmp_path / "bridged")
    monkeypatch.setattr(host, "REVERSE_PATH", str(tmp_path / "{name}"))
    assert (host.filters_bridged(), host.checks_way_back("br0")) == (False, False)
    (tmp_path / "bridged").write_text("1\n")
    (tmp_path / "all").write_text("0\n")
    (tmp_path / "br0").write_text("1\n")
    assert (host.filters_bridged(), host.checks_way_back("br0")) == (True, True)
    (tmp_path / "all").write_text("2\n")
    assert not host.checks_way_back("br0"), "the larger of both counts"


def test_a_hosts_own_addresses() -> None:
    assert host.is_own(IPv4Address("127.0.0.1"))
    assert not host.is_own(IPv4Address("203.0.113.77"))
    assert not host.is_own(IPv4Address(0))


@pytest.mark.parametrize(
    "rubbish", ["", '{"nftables": [{"table": {"flags": ', '{"nftables": "', "[]"]
)
def test_a_table_whose_flags_are_rubbish_is_read_by_its_chains(
    fake: FakeHost, monkeypatch: pytest.MonkeyPatch, rubbish: str
) -> None:
    monkeypatch.setattr(host, "READ_PAUSE", 0.0)
    chain = {"family": "inet", "table": "site", "name": "in", "hook": "input", "policy": "drop"}
    strangers = {**chain, "table": "other"}
    fake.answers["nft -j -t list table inet site"] = rubbish
    fake.answers["nft -j list chains"] = json.dumps(
        {"nftables": [{"chain": chain}, {"chain": strangers}]}
    )
    listed = {"nftables": [{"chain": chain}, {"rule": {"chain": "in", "expr": []}}]}
    fake.answers["nft -j -t list chain inet site in"] = json.dumps(listed)
    assert host.table("inet", "site") == listed["nftables"]


@pytest.mark.parametrize(
    ("program", "right", "read"),
    [
        ("nft", b'{"nftables": []}', partial(host.tables_that_drop, "forward")),
        ("ip", b"[]", partial(host.addresses_of, "br0")),
    ],
)
def test_a_list_that_can_not_be_read_is_asked_for_again_and_then_a_fault(
    monkeypatch: pytest.MonkeyPatch, program: str, right: bytes, read: Callable[[], object]
) -> None:
    monkeypatch.setattr(host, "READ_PAUSE", 0.0)
    outputs = [b"\xff{", b'{"nftables": [{]}', right]
    monkeypatch.setattr(host, "run", lambda *argv: outputs.pop(0))
    assert not read()
    outputs[:] = [b"\xff{"] * host.READS
    with pytest.raises(ProgramFailed, match=f"^{program} failed.*is not JSON"):
        read()
    assert not outputs


def test_a_device_whose_name_is_no_utf8_does_not_hide_the_routes(
    fake: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = b'[{"dst": "10.1.0.0/16", "dev": "\xe4th"}]'
    monkeypatch.setattr(host, "run", lambda *argv: routes)
    assert host.list_occupied("br1") == {IPv4Network("10.1.0.0/16"): "\ufffdth"}
