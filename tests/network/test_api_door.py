"""Where guests reach the API, by configuration and by packet rules."""

import dataclasses
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

import pytest

from eucabox.config import ApiSection, Config
from eucabox.network import host
from eucabox.network.api_door import find_door, is_open_to_others
from eucabox.network.host_services import Guests, render
from eucabox.network.snoop import Snoop
from eucabox.network.static import Static
from eucabox.network.system import System
from tests.network.conftest import FakeHost

Configured = Callable[..., Config]
SUBNET = IPv4Network("172.30.64.0/24")
OWN = "172.30.64.1"


def with_api(config: Config, **keys: Any) -> Config:
    return dataclasses.replace(config, api=ApiSection(**keys))


@pytest.mark.parametrize(
    ("keys", "door", "rules"),
    [
        ({}, OWN, [f"ip daddr {OWN} tcp dport {{ 8773, 8443 }} accept"]),
        ({"https_port": 0}, OWN, [f"ip daddr {OWN} tcp dport {{ 8773 }} accept"]),
        ({"port": 9000}, OWN, [f"ip daddr {OWN} tcp dport {{ 9000, 8443 }} accept"]),
        ({"listen": "::1"}, OWN, [f"ip daddr {OWN} tcp dport {{ 8773, 8443 }} accept"]),
        ({"listen": "0.0.0.0"}, None, ["tcp dport { 8773, 8443 } accept"]),
        ({"listen": "::"}, None, ["tcp dport { 8773, 8443 } accept"]),
        ({"listen": OWN}, None, [f"ip daddr {OWN} tcp dport {{ 8773, 8443 }} accept"]),
        (
            {"listen": "192.0.2.7"},
            OWN,
            [
                "ip daddr 192.0.2.7 tcp dport { 8773, 8443 } accept",
                f"ip daddr {OWN} tcp dport {{ 8773, 8443 }} accept",
            ],
        ),
        ({"guests": False}, None, []),
        ({"guests": False, "listen": "0.0.0.0"}, None, []),
    ],
    ids=str,
)
def test_guests_reach_exactly_the_ports_of_the_api(
    configured: Configured, keys: dict[str, Any], door: str | None, rules: list[str]
) -> None:
    config = with_api(configured(), **keys)
    found = find_door(config, SUBNET)
    assert (str(found) if found else None) == door
    lines = render(config, Guests("eucabr0"), SUBNET).splitlines()
    assert [each.strip() for each in lines if "8443" in each or "tcp dport { 8773" in each] == rules


@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "192.0.2.7"])
def test_the_administrators_bridge_has_no_door(configured: Configured, listen: str) -> None:
    config = with_api(configured(), listen=listen)
    shared = render(config, Guests("br0", ["203.0.113.50"]))
    assert ("8773" in shared) == is_open_to_others(config)


@pytest.fixture(params=["STATIC", "SYSTEM"], name="net")
def _net(
    request: pytest.FixtureRequest,
    fake: FakeHost,
    configured: Configured,
    monkeypatch: pytest.MonkeyPatch,
) -> Static | System:
    monkeypatch.setattr(Snoop, "open", lambda self: None)
    monkeypatch.setattr(host, "is_port_taken", lambda address, port: False)
    config = configured(mode=request.param, subnet=str(SUBNET))
    return Static(config) if request.param == "STATIC" else System(config)


def test_the_door_is_there_once_the_bridge_is_up(net: Static | System, fake: FakeHost) -> None:
    assert (net.api_door, net.api_address) == (None, None)
    net.start()
    assert (net.api_door, net.api_address) == (OWN, OWN)
    net.config = with_api(net.config, listen="0.0.0.0")
    assert (net.api_door, net.api_address) == (None, OWN)
    net.remove()
    assert (net.api_door, net.api_address) == (None, None)


def test_a_new_configuration_shuts_the_door_and_its_rule(
    net: Static | System, fake: FakeHost
) -> None:
    net.start()
    fake.add_bridge("eucabr0")
    assert "tcp dport { 8773" in fake.inputs[-1]
    net.config = with_api(net.config, guests=False)
    assert (net.api_door, net.api_address) == (None, None)
    fake.inputs.clear()
    net.check()
    (rules,) = [each for each in fake.inputs if "chain services" in each]
    assert "tcp dport { 8773" not in rules


@pytest.mark.parametrize(
    ("keys", "address"),
    [
        ({}, None),
        ({"listen": "0.0.0.0"}, "203.0.113.2"),
        ({"listen": "203.0.113.9"}, "203.0.113.9"),
        ({"listen": "::1"}, None),
        ({"listen": "0.0.0.0", "guests": False}, None),
    ],
    ids=str,
)
def test_on_the_administrators_bridge_guests_go_where_the_api_listens(
    fake: FakeHost,
    configured: Configured,
    monkeypatch: pytest.MonkeyPatch,
    keys: dict[str, Any],
    address: str | None,
) -> None:
    fake.add_bridge("br0")
    own = {"169.254.169.254/32", "203.0.113.2/24"}
    monkeypatch.setattr(host, "addresses_of", lambda device: own)
    named = {"bridge": "br0", "subnet": "203.0.113.0/24", "addresses": "203.0.113.50-203.0.113.51"}
    net = Static(with_api(configured(**named), **keys))
    assert (net.api_door, net.api_address) == (None, address)
