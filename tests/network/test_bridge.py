import json
from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from eucabox.config import Config, MetadataSection
from eucabox.errors import ConfigError, NetworkUnusable
from eucabox.network.bridge import OwnBridge, metadata_address
from tests.network.conftest import FakeHost

Configured = Callable[..., Config]
SUBNET = IPv4Network("172.30.64.0/24")


def tables(fake: FakeHost, *names: tuple[str, str]) -> None:
    fake.add_tables(*names)


def test_a_bridge_is_made_with_its_own_mac_and_no_spanning_tree(
    fake: FakeHost, configured: Configured, tmp_path: Path
) -> None:
    OwnBridge(configured()).start(SUBNET)
    assert fake.did("ip link") == [
        "ip link add eucabr0 address d0:0d:61:62:72:30 type bridge stp_state 0 forward_delay 0",
        f"ip link set eucabr0 alias eucabox {tmp_path}/data",
        "ip link set eucabr0 up",
    ]
    assert fake.did("ip addr") == [
        "ip addr add 169.254.169.254/32 dev eucabr0 scope link label eucabr0:md",
        "ip addr add 172.30.64.1/24 dev eucabr0 scope global",
    ]
    (rules,) = fake.inputs
    assert "ip saddr 172.30.64.0/24" in rules
    assert "masquerade" in rules


def test_ours_is_adopted_and_loses_old_addresses(
    fake: FakeHost, configured: Configured, tmp_path: Path
) -> None:
    fake.add_bridge("eucabr0", f"eucabox {tmp_path}/data")
    infos = [
        {"local": "172.30.64.1", "prefixlen": 24},
        {"local": "169.254.169.254", "prefixlen": 32},
        {"local": "172.30.99.1", "prefixlen": 24},
    ]
    fake.answers["ip -j -4 addr show dev eucabr0"] = json.dumps([{"addr_info": infos}])
    own = OwnBridge(configured())
    own.start(SUBNET)
    assert not own.made
    assert not fake.did("ip link add")
    assert fake.did("ip addr") == ["ip addr del 172.30.99.1/24 dev eucabr0"]


def test_one_that_a_kill_left_half_made_is_finished(fake: FakeHost, configured: Configured) -> None:
    fake.add_bridge("eucabr0", mac="d0:0d:61:62:72:30")
    OwnBridge(configured()).start(SUBNET)
    assert fake.did("ip link set eucabr0 alias")


@pytest.mark.parametrize("alias", ["", "eucabox /var/lib/other"])
def test_another_owners_is_neither_used_nor_removed(
    fake: FakeHost, configured: Configured, alias: str
) -> None:
    fake.add_bridge("eucabr0", alias)
    own = OwnBridge(configured())
    assert not own.is_ours()
    with pytest.raises(NetworkUnusable, match="own_bridge") as caught:
        own.start(SUBNET)
    assert (alias.partition(" ")[2] or "is not eucabox's") in caught.value.message


def test_forwarding_is_given_back_by_the_last(
    fake: FakeHost, configured: Configured, tmp_path: Path
) -> None:
    forwarding = tmp_path / "ip_forward"
    own = OwnBridge(configured())
    own.start(SUBNET)
    own.start(SUBNET)
    assert forwarding.read_text().strip() == "1"
    tables(fake, ("ip", "eucabox-eucabr0"), ("ip", "eucabox-second"), ("ip", "filter"))
    own.remove()
    assert "nft delete table ip eucabox-eucabr0" in fake.commands
    assert forwarding.read_text().strip() == "1"
    tables(fake, ("ip", "filter"))
    own.remove()
    assert forwarding.read_text().strip() == "0"


def test_forwarding_stays_on_for_another_programs_network(
    fake: FakeHost, configured: Configured, tmp_path: Path
) -> None:
    own = OwnBridge(configured())
    own.start(SUBNET)
    tables(fake, ("ip", "nat"))
    for rule in ('oifname != "docker0" xt target "MASQUERADE"', "snat to 192.0.2.1"):
        fake.answers["nft -t list ruleset"] = f"table ip nat {{ chain POSTROUTING {{ {rule} }} }}"
        own.remove()
        assert (tmp_path / "ip_forward").read_text().strip() == "1"
    del fake.answers["nft -t list ruleset"]
    own.remove()
    assert (tmp_path / "ip_forward").read_text().strip() == "0"


def test_translation_that_was_flushed_is_brought_back(
    fake: FakeHost, configured: Configured
) -> None:
    own = OwnBridge(configured())
    own.follow()
    assert fake.inputs == [], "nothing was started"
    own.start(SUBNET)
    own.follow()
    assert len(fake.inputs) == 1
    fake.tables.clear()
    own.follow()
    assert fake.inputs[0] == fake.inputs[1]


def test_lost_addresses_are_brought_back_and_an_administrators_stay(
    fake: FakeHost, configured: Configured
) -> None:
    own = OwnBridge(configured())
    own.start(SUBNET)
    fake.add_bridge("eucabr0", mac="d0:0d:61:62:72:30")
    (fake.links / "eucabr0" / "flags").write_text("0x1002\n")
    infos = [
        {"local": "172.30.64.1", "prefixlen": 24},
        {"local": "192.0.2.1", "prefixlen": 24},
    ]
    fake.answers["ip -j -4 addr show dev eucabr0"] = json.dumps([{"addr_info": infos}])
    fake.commands.clear()
    own.follow()
    assert fake.did("ip link") == ["ip link set eucabr0 up"]
    assert fake.did("ip addr") == [
        "ip addr add 169.254.169.254/32 dev eucabr0 scope link label eucabr0:md"
    ]
    (fake.links / "eucabr0" / "flags").write_text("0x1003\n")
    infos.append({"local": "169.254.169.254", "prefixlen": 32})
    fake.answers["ip -j -4 addr show dev eucabr0"] = json.dumps([{"addr_info": infos}])
    fake.commands.clear()
    own.follow()
    assert not fake.did("ip link")
    assert not fake.did("ip addr")


def test_forwarding_that_was_on_stays_on(
    fake: FakeHost, configured: Configured, tmp_path: Path
) -> None:
    (tmp_path / "ip_forward").write_text("1\n")
    own = OwnBridge(configured())
    own.start(SUBNET)
    own.remove()
    assert (tmp_path / "ip_forward").read_text() == "1\n"


def test_a_name_too_long_for_a_label_is_refused(configured: Configured) -> None:
    OwnBridge(configured(own_bridge="b" * 12))
    with pytest.raises(ConfigError, match="at most 12"):
        OwnBridge(configured(own_bridge="b" * 13))


@pytest.mark.parametrize(
    ("section", "there"),
    [
        (MetadataSection(), True),
        (MetadataSection(enabled=False), False),
        (MetadataSection(address="127.0.0.1"), False),
        (MetadataSection(address="fd00:ec2::254"), False),
    ],
)
def test_the_bridge_bears_a_link_local_metadata_address_alone(
    section: MetadataSection, there: bool
) -> None:
    assert (metadata_address(Config(metadata=section)) is not None) == there


def test_a_host_in_a_cloud_keeps_its_own_metadata_and_names(
    fake: FakeHost, configured: Configured, tmp_path: Path
) -> None:
    own = OwnBridge(configured())
    routes = "ip -j -4 route show table all root 169.254.169.254/32"
    fake.answers[routes] = json.dumps([{"type": "local", "dev": "another-cloud"}])
    own.start(SUBNET)
    fake.answers[routes] = json.dumps([{"dst": "169.254.169.254", "dev": "ens4"}])
    with pytest.raises(NetworkUnusable, match="the metadata service of the cloud"):
        own.start(SUBNET)
    (tmp_path / "resolv.conf").write_text("nameserver 169.254.169.254\n")
    with pytest.raises(NetworkUnusable, match=r"name server.*enabled = no"):
        own.start(SUBNET)
