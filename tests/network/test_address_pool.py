from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

import pytest

from eucabox.config import Config
from eucabox.errors import ConfigError
from eucabox.network import GuestAddress
from eucabox.network.address_pool import mac_for, pool

Configured = Callable[..., Config]
SUBNET = IPv4Network("172.30.64.0/24")
GATEWAY = SUBNET[1]


def addresses(config: Config) -> list[GuestAddress]:
    return list(pool(config, SUBNET, GATEWAY))


def test_all_of_the_subnet_but_its_ends(configured: Configured) -> None:
    found = addresses(configured())
    assert found[0] == GuestAddress(
        "d0:0d:ac:1e:40:04", "172.30.64.4", "ip-172-30-64-4.eucabox-1.internal"
    )
    assert found[-1].private_ip_address == "172.30.64.254"
    assert len({each.mac_address for each in found}) == len(found) == 251


def test_a_mac_is_one_machines_and_follows_from_the_address() -> None:
    assert mac_for(IPv4Address("10.1.2.3")) == "d0:0d:0a:01:02:03"
    assert int(mac_for(IPv4Address("10.1.2.3"))[:2], 16) & 1 == 0


def test_a_range(configured: Configured) -> None:
    found = addresses(configured(addresses=" 172.30.64.1 - 172.30.64.3 "))
    assert [each.private_ip_address for each in found] == ["172.30.64.2", "172.30.64.3"]


@pytest.mark.parametrize("between", [" ", ", ", "\n"])
def test_pairs_as_eucalyptus_wrote_them(configured: Configured, between: str) -> None:
    pairs = between.join(["AA:DD:11:CE:FF:ED=172.30.64.9", "AA:DD:11:CE:FF:EE=172.30.64.8"])
    found = addresses(configured(addresses=pairs))
    assert [(each.mac_address, each.private_ip_address) for each in found] == [
        ("aa:dd:11:ce:ff:ed", "172.30.64.9"),
        ("aa:dd:11:ce:ff:ee", "172.30.64.8"),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("172.30.64.9", "neither"),
        ("172.30.64.9-172.30.64.2", "ends before"),
        ("172.30.65.1-172.30.65.9", "no address for a machine in 172.30.64.0/24"),
        ("172.30.64.0-172.30.64.9", "no address for a machine"),
        ("172.30.64.9-x", "no IPv4 address"),
        ("aa:dd:11:ce:ff=172.30.64.9", "no MAC"),
        ("ab:dd:11:ce:ff:ed=172.30.64.9", "single machine"),
        ("aa:dd:11:ce:ff:ed=172.30.64.255", "no address for a machine"),
        ("aa:dd:11:ce:ff:ed=172.30.64.9 aa:dd:11:ce:ff:ee=172.30.64.9", "second time"),
        ("aa:dd:11:ce:ff:ed=172.30.64.9 aa:dd:11:ce:ff:ed=172.30.64.8", "second time"),
        ("aa:dd:11:ce:ff:ed=172.30.64.9 x", "no MAC"),
    ],
)
def test_nonsense_is_refused_with_its_place(configured: Configured, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        addresses(configured(addresses=text))
    assert "[network] addresses" in caught.value.message
