import json
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

import pytest

from eucabox.config import Config
from eucabox.errors import ConfigError, NetworkUnusable
from eucabox.network import host
from eucabox.network.existing_bridge import ExistingBridge, require_addresses
from tests.network.conftest import FakeHost

Configured = Callable[..., Config]
SUBNET = IPv4Network("192.168.1.0/24")
KEYS = {"bridge": "br0", "subnet": str(SUBNET), "addresses": "192.168.1.50-192.168.1.59"}


@pytest.mark.parametrize("key", ["subnet", "addresses"])
def test_what_must_be_set_beside_it(configured: Configured, key: str) -> None:
    default = {"subnet": "auto", "addresses": ""}[key]
    with pytest.raises(ConfigError, match=rf"\[network\] {key}: must be set"):
        require_addresses(configured(**{**KEYS, key: default}))
    require_addresses(configured(**KEYS))
    require_addresses(configured())


def test_it_must_be_a_bridge_with_an_address_in_the_subnet(
    fake: FakeHost, configured: Configured
) -> None:
    with pytest.raises(NetworkUnusable, match="br0 is no bridge"):
        ExistingBridge(configured(**KEYS)).start(SUBNET)
    fake.add_bridge("br0")
    with pytest.raises(NetworkUnusable, match=r"address in 192.168.1.0/24"):
        ExistingBridge(configured(**KEYS)).start(SUBNET)


def test_the_gateway_is_the_sites_or_this_host(fake: FakeHost, configured: Configured) -> None:
    fake.add_bridge("br0")
    info = {"local": "192.168.1.2", "prefixlen": 24}
    fake.answers["ip -j -4 addr show dev br0"] = json.dumps([{"addr_info": [info]}])
    site = ExistingBridge(configured(**KEYS))
    assert site.gateway(SUBNET) == IPv4Address("192.168.1.2")
    route = {"dst": "default", "gateway": "192.168.1.1"}
    fake.answers["ip -j -4 route show default dev br0"] = json.dumps([route])
    assert site.gateway(SUBNET) == IPv4Address("192.168.1.1")
    route["gateway"] = "10.0.0.1"
    fake.answers["ip -j -4 route show default dev br0"] = json.dumps([route])
    assert site.gateway(SUBNET) == IPv4Address("192.168.1.2")


def test_only_the_metadata_address_is_added_and_taken(
    fake: FakeHost, configured: Configured
) -> None:
    fake.add_bridge("br0", mac="02:00:00:00:00:07")
    infos = [{"local": "192.168.1.2", "prefixlen": 24}]
    fake.answers["ip -j -4 addr show dev br0"] = json.dumps([{"addr_info": infos}])
    site = ExistingBridge(configured(**KEYS))
    site.start(SUBNET)
    assert fake.did("ip addr") == ["ip addr add 169.254.169.254/32 dev br0 scope link"]
    services, rules = fake.inputs
    assert 'iifname "br0" ip daddr 169.254.169.254 tcp dport 80 dnat to :8775' in services
    assert "ether daddr set 02:00:00:00:00:07" in rules
    infos.append({"local": "169.254.169.254", "prefixlen": 32})
    fake.answers["ip -j -4 addr show dev br0"] = json.dumps([{"addr_info": infos}])
    site.remove()
    assert "ip addr del 169.254.169.254/32 dev br0" in fake.commands
    assert "nft delete table bridge eucabox-br0" in fake.commands
    assert not fake.did("ip link")


def test_a_bridges_new_mac_is_followed(fake: FakeHost, configured: Configured) -> None:
    fake.add_bridge("br0", mac="02:00:00:00:00:07")
    site = ExistingBridge(configured(mode="SYSTEM", bridge="br0"))
    site.join()
    site.follow()
    assert len(fake.inputs) == 2, "nothing changed"
    (fake.links / "br0" / "address").write_text("02:00:00:00:00:08\n")
    site.follow()
    assert "ether daddr set 02:00:00:00:00:08" in fake.inputs[-1]
    assert len(fake.inputs) == 3
    fake.tables.clear()
    site.follow()
    assert len(fake.inputs) == 5, "somebody flushed both"
    (fake.links / "br0").rename(fake.links / "br1")
    site.follow()
    assert len(fake.inputs) == 5


def test_what_stops_bridged_packets_is_said(
    fake: FakeHost, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = ExistingBridge(configured(mode="SYSTEM", bridge="br0"))
    monkeypatch.setattr(host, "filters_bridged", lambda: False)
    monkeypatch.setattr(host, "checks_way_back", lambda device: False)
    chain = {"family": "ip", "table": "filter", "hook": "forward", "policy": "drop"}
    fake.answers["nft -j list chains"] = json.dumps({"nftables": [{"chain": chain}]})
    assert site.warnings() == []
    monkeypatch.setattr(host, "filters_bridged", lambda: True)
    monkeypatch.setattr(host, "checks_way_back", lambda device: True)
    dropped, unanswered = site.warnings()
    assert "bridge-nf-call-iptables to 0" in dropped
    assert "net.ipv4.conf.br0.rp_filter to 2" in unanswered
