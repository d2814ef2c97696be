from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from eucabox import ids
from eucabox.config import Config
from eucabox.errors import ConfigError, NetworkUnusable
from eucabox.network import GuestAddress, InterfaceRow, host
from eucabox.network.packets import AddressClaim, Lease
from eucabox.network.snoop import Snoop
from eucabox.network.system import System
from tests.network.conftest import FakeHost

Configured = Callable[..., Config]
ID = "i-0123456789abcdef0"
MAC = "d0:0d:01:23:45:67"
FIVE, SERVER = IPv4Address("192.168.1.5"), IPv4Address("192.168.1.1")
ACK = Lease(MAC, FIVE, SERVER, 3600)
ROW: InterfaceRow = {
    "instance_id": ID,
    "mac_address": MAC,
    "private_ip_address": None,
    "private_dns_name": None,
}
TAP = ids.tap(ID, "br0")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes]]:
    """The frames that would have been sent; nothing is listened to."""
    frames: list[tuple[str, bytes]] = []
    monkeypatch.setattr(Snoop, "open", lambda self: None)
    monkeypatch.setattr(Snoop, "send", lambda self, *what: frames.append(what))
    monkeypatch.setattr(host, "is_own", lambda address: address == IPv4Address("192.168.1.2"))
    return frames


@pytest.fixture
def net(fake: FakeHost, configured: Configured, sent: Any) -> System:
    fake.add_bridge("br0", mac="02:00:00:00:00:07")
    for port in ("eth1", TAP, ids.tap("i-999999999", "br0")):
        (fake.links / "br0" / "brif" / port).mkdir(parents=True)
    made = System(configured(mode="SYSTEM", bridge="br0"))
    made.start()
    return made


@pytest.fixture
def learnt(net: System) -> list[GuestAddress]:
    found: list[GuestAddress] = []
    net.on_address_learned(found.append)
    net.plug(ROW)
    return found


def test_the_mac_is_made_of_the_instances_id(net: System) -> None:
    assert net.assign(set(), ID) == GuestAddress(MAC, "", "")
    assert net.assign({MAC}, ID) == GuestAddress("d0:0d:01:23:45:68", "", "")
    assert net.assign(set(), "i-ffffffff").mac_address == "d0:0d:ff:ff:ff:ff"
    assert net.assign({"d0:0d:ff:ff:ff:ff"}, "i-ffffffff").mac_address == "d0:0d:00:00:00:00"


def test_a_reply_from_outside_is_believed(net: System, learnt: list[GuestAddress]) -> None:
    net._on_packet("eth1", False, ACK)
    net._on_packet("eth1", False, ACK)
    assert learnt == [GuestAddress(MAC, "192.168.1.5", "ip-192-168-1-5.eucabox-1.internal")]


@pytest.mark.parametrize(
    ("device", "outgoing"),
    [
        (TAP, False),  # the guest's own
        (ids.tap("i-999999999", "br0"), False),  # another guest's
        (TAP, True),  # on its way to the guest, from anywhere
        ("eth1", True),
        ("eth9", False),  # no port of the bridge
        ("br0", False),  # come in by any port
        ("br0", True),  # passed on by this host, as its sender is not
    ],
)
def test_a_reply_from_elsewhere_is_not(
    net: System, learnt: list[GuestAddress], device: str, outgoing: bool
) -> None:
    net._on_packet(device, outgoing, ACK)
    assert learnt == []


def test_this_hosts_own_reply_is_believed(net: System, learnt: list[GuestAddress]) -> None:
    net._on_packet("br0", True, Lease(MAC, FIVE, IPv4Address("192.168.1.2"), 60))
    assert len(learnt) == 1


def test_a_guests_word_is_asked_about_and_taken_when_nobody_objects(
    net: System, learnt: list[GuestAddress], sent: list[tuple[str, bytes]]
) -> None:
    net._on_packet(ids.tap("i-999999999", "br0"), False, AddressClaim(MAC, FIVE))
    net._on_packet(TAP, True, AddressClaim(MAC, FIVE))
    net._on_packet(TAP, False, AddressClaim(MAC, IPv4Address("192.168.1.2")))
    assert (sent, net._settle_claims()) == ([], None)
    net._on_packet(TAP, False, AddressClaim(MAC, FIVE))
    ((device, frame),) = sent
    assert (device, frame[6:12].hex(":"), frame[-4:]) == ("br0", "02:00:00:00:00:07", FIVE.packed)
    assert net._settle_claims()
    net._on_packet("eth1", False, AddressClaim("02:00:00:00:00:09", FIVE))
    assert (net._settle_claims(), learnt) == (None, [])


def test_the_rules_come_before_the_row(net: System, fake: FakeHost) -> None:
    net.plug(ROW)
    net.on_address_learned(
        lambda address: fake.inputs.append(f"learnt {address.private_ip_address}")
    )
    net._on_packet("eth1", False, ACK)
    assert "arp saddr ip @held arp saddr ip != 192.168.1.5 drop" in fake.inputs[-2]
    assert fake.inputs[-1] == "learnt 192.168.1.5"


def test_what_could_not_be_noted_is_tried_again(net: System, learnt: list[GuestAddress]) -> None:
    def refuse(address: GuestAddress) -> None:
        raise ValueError("the disk is full")

    net.on_address_learned(refuse)
    with pytest.raises(ValueError, match="disk"):
        net._on_packet("eth1", False, ACK)
    net.on_address_learned(learnt.append)
    net._on_packet("eth1", False, ACK)
    assert len(learnt) == 1


def test_each_guest_is_kept_to_its_own(net: System, fake: FakeHost) -> None:
    net.plug(ROW)
    rules = fake.inputs[-1]
    for rule in (
        f'iifname vmap {{ "{TAP}" : jump {TAP} }}',
        f"ether saddr != {MAC} drop",
        "udp sport 67 drop",
        "udp dport 67 @th,288,48 != 0xd00d01234567 drop",
        f'iifname != {{ "{TAP}" }} ether daddr 02:00:00:00:00:07 ip daddr 169.254.169.254 drop',
    ):
        assert rule in rules
    before = len(fake.inputs)
    net.plug(ROW)
    net.check()
    assert len(fake.inputs) == before, "nothing changed"
    fake.tables.remove("bridge eucabox-br0-taps")
    net.check()
    assert fake.inputs[-1] == rules, "somebody flushed it"
    net.unplug(ROW)
    net.unplug(ROW)
    assert TAP not in fake.inputs[-1]


def test_the_rows_are_believed_at_the_start(net: System, tmp_path: Path) -> None:
    net.sync([{**ROW, "private_ip_address": "192.168.1.5"}, {**ROW, "mac_address": None}])
    (tmp_path / "arp").write_text(f"IP\n192.168.1.5 0x1 0x2 {MAC} * br0\n")
    assert net.owns_address("192.168.1.5", MAC.upper())
    assert not net.owns_address("192.168.1.6", MAC)
    assert not net.owns_address("192.168.1.5", "02:00:00:00:00:01")
    (tmp_path / "arp").write_text("IP\n192.168.1.5 0x1 0x2 02:00:00:00:00:01 * br0\n")
    assert not net.owns_address("192.168.1.5", MAC)


def test_our_own_server_chooses_on_our_own_bridge(
    fake: FakeHost, configured: Configured, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "is_port_taken", lambda address, port: False)
    made = System(configured(mode="SYSTEM", subnet="172.30.64.0/24"))
    made.start()
    (command,) = fake.did("dnsmasq")
    assert "--dhcp-range=172.30.64.4,172.30.64.254,255.255.255.0,10m --dhcp-ignore-names" in command
    assert "tag:!known" not in command
    assert str(made.subnet) == "172.30.64.0/24"


@pytest.mark.parametrize(
    ("key", "keys"),
    [
        ("addresses", {"addresses": "10.0.0.5-10.0.0.9"}),
        ("dns", {"dns": "10.0.0.1", "bridge": "br0"}),
    ],
)
def test_settings_without_an_effect_are_refused(
    configured: Configured, key: str, keys: dict[str, str]
) -> None:
    with pytest.raises(ConfigError, match=rf"\[network\] {key}: must be empty"):
        System(configured(mode="SYSTEM", **keys))


def test_only_the_site_knows_its_network(net: System, configured: Configured) -> None:
    with pytest.raises(NetworkUnusable, match="br0"):
        _ = net.subnet
    driver = System(configured(mode="SYSTEM", bridge="br0", subnet="192.168.1.0/24"))
    assert str(driver.subnet) == "192.168.1.0/24"


def test_a_bridge_that_went_away_is_named(net: System, fake: FakeHost) -> None:
    (fake.links / "br0").rename(fake.links / "br1")
    for act in (net.check, lambda: net.plug(ROW), lambda: net.sync([ROW])):
        with pytest.raises(NetworkUnusable, match="br0 is no bridge of this host"):
            act()
    assert net._bindings.guests()
    (fake.links / "br1").rename(fake.links / "br0")
    net.check()
    assert TAP in fake.inputs[-1], "who was alive all along is known"
    net.unplug(ROW)


def test_removing_takes_our_rules_alone(net: System, fake: FakeHost) -> None:
    fake.add_tables(("bridge", "eucabox-br0-taps"), ("bridge", "eucabox-br0"))
    net.remove()
    assert "nft delete table bridge eucabox-br0-taps" in fake.commands
    assert "nft delete table bridge eucabox-br0" in fake.commands
    assert not fake.did("ip link")
