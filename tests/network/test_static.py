from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from eucabox.config import Config
from eucabox.errors import InsufficientFreeAddresses, NetworkUnusable, ProgramFailed
from eucabox.network import host
from eucabox.network.static import Static
from tests.network.conftest import FakeHost
from tests.rows import interface

Configured = Callable[..., Config]


@pytest.fixture
def net(fake: FakeHost, configured: Configured, monkeypatch: pytest.MonkeyPatch) -> Static:
    monkeypatch.setattr(host, "is_port_taken", lambda address, port: False)
    return Static(configured(subnet="172.30.64.0/28"))


def hosts(tmp_path: Path) -> list[str]:
    file = tmp_path / "run" / "eucabr0" / "hosts"
    return [line.split(",")[1] for line in file.read_text().splitlines()]


def test_addresses_are_given_once(net: Static) -> None:
    taken: set[str] = set()
    given = []
    for _ in range(11):
        address = net.assign(taken, "i-1")
        given.append(address.private_ip_address)
        taken.add(address.mac_address if len(taken) % 2 else address.private_ip_address)
    assert given[0] == "172.30.64.4"
    assert len(set(given)) == 11
    with pytest.raises(InsufficientFreeAddresses, match="All 11 addresses"):
        net.assign(taken, "i-1")


def test_all_addresses_of_a_larger_network_are_given_once(
    fake: FakeHost, configured: Configured
) -> None:
    net = Static(configured(subnet="172.30.64.0/24"))
    taken: set[str] = set()
    for number in range(4, 255):
        address = net.assign(taken, "i-1").private_ip_address
        assert address == f"172.30.64.{number}"
        taken.add(address)
    with pytest.raises(InsufficientFreeAddresses, match="All 251 addresses"):
        net.assign(taken, "i-1")


def test_the_gateway_is_not_given_out_where_a_range_names_it(
    fake: FakeHost, configured: Configured
) -> None:
    net = Static(configured(subnet="172.30.64.0/28", addresses="172.30.64.1-172.30.64.3"))
    assert net.assign(set(), "i-1").private_ip_address == "172.30.64.2"


def test_plug_and_unplug_may_be_repeated(net: Static, fake: FakeHost, tmp_path: Path) -> None:
    net.start()
    row = asdict(net.assign(set(), "i-1"))
    net.plug(interface(row))
    net.plug(interface(row))
    assert hosts(tmp_path) == ["172.30.64.4"]
    bound = "neigh replace 172.30.64.4 lladdr d0:0d:ac:1e:40:04 dev eucabr0 nud permanent\n"
    assert fake.inputs[-1] == bound
    net.unplug(interface(row))
    net.unplug(interface(row))
    assert hosts(tmp_path) == []


def test_unplugging_late_leaves_the_heir_alone(net: Static, tmp_path: Path) -> None:
    net.start()
    heir = asdict(net.assign(set(), "i-1"))
    net.plug(interface(heir))
    net.unplug(interface({**heir, "mac_address": "02:00:00:00:00:01"}))
    assert hosts(tmp_path) == ["172.30.64.4"]


def test_sync_knows_only_the_living(net: Static, tmp_path: Path, fake: FakeHost) -> None:
    net.start()
    first = asdict(net.assign(set(), "i-1"))
    second = asdict(net.assign({first["private_ip_address"]}, "i-1"))
    net.plug(interface(first))
    (tmp_path / "arp").write_text("IP\n172.30.64.4 0x1 0x6 d0:0d:ac:1e:40:04 * eucabr0\n")
    nobody = {"mac_address": None, "private_ip_address": None, "private_dns_name": None}
    net.sync([interface(second), interface(nobody)])
    assert hosts(tmp_path) == ["172.30.64.5"]
    assert fake.inputs[-1].startswith(
        "neigh del 172.30.64.4 dev eucabr0\nneigh replace 172.30.64.5 "
    )


def test_an_address_is_held_by_its_mac(net: Static, tmp_path: Path) -> None:
    (tmp_path / "arp").write_text("IP\n172.30.64.4 0x1 0x2 d0:0d:ac:1e:40:04 * eucabr0\n")
    assert net.owns_address("172.30.64.4", "D0:0D:AC:1E:40:04")
    assert not net.owns_address("172.30.64.4", "02:00:00:00:00:01")
    assert not net.owns_address("172.30.64.5", "d0:0d:ac:1e:40:05")


def test_a_plug_starts_what_could_not_start_before(net: Static, fake: FakeHost) -> None:
    fake.failures["dnsmasq"] = "dnsmasq: failed to bind DHCP server socket: Address already in use"
    row = asdict(net.assign(set(), "i-1"))
    attempts: tuple[Callable[[], None], ...] = (
        net.start, lambda: net.plug(interface(row)), lambda: net.sync([interface(row)]),
    )  # fmt: skip
    for attempt in attempts:
        with pytest.raises(NetworkUnusable, match="UDP port 67"):
            attempt()
    fake.failures.clear()
    net.plug(interface(row))
    assert fake.did("dnsmasq")


def test_who_may_not_is_told_so(net: Static, fake: FakeHost) -> None:
    fake.failures["ip link add"] = "RTNETLINK answers: Operation not permitted"
    with pytest.raises(NetworkUnusable, match="Start it by its systemd unit, as root, or"):
        net.start()
    fake.failures["ip link add"] = "RTNETLINK answers: No space left on device"
    with pytest.raises(ProgramFailed, match="No space"):
        net.start()


def test_a_read_only_host_is_told_so(
    net: Static, fake: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, data: str) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(NetworkUnusable, match="Read-only"):
        net.start()


def test_without_port_53_guests_are_told_the_hosts_name_servers(
    net: Static, fake: FakeHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host, "is_port_taken", lambda address, port: True)
    (tmp_path / "resolv.conf").write_text("nameserver 10.0.0.9\n")
    net.start()
    (started,) = fake.did("dnsmasq")
    assert "--port=0" in started
    assert "option:dns-server,10.0.0.9" in started
    assert "port 53 at this host's address on eucabr0" in net.warnings()[-1]
    assert "ss -lunp" in net.warnings()[-1]


def test_nothing_of_another_cloud_is_removed(net: Static, fake: FakeHost, tmp_path: Path) -> None:
    fake.add_bridge("eucabr0", "eucabox /var/lib/other")
    (tmp_path / "run" / "eucabr0").mkdir(parents=True)
    net.remove()
    assert fake.commands == []
    assert (tmp_path / "run" / "eucabr0").exists()


def test_the_metadata_device(net: Static) -> None:
    assert (net.bridge, net.metadata_device) == ("eucabr0", "eucabr0")


def test_warnings_of_one_who_may_not_look(net: Static, fake: FakeHost) -> None:
    fake.failures["nft"] = "Operation not permitted"
    (warning,) = net.warnings()
    assert "can't be read" in warning
