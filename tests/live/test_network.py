"""The network with real packets: bridge, DHCP, names, translation, metadata, coexistence."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from ipaddress import IPv4Address
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from eucabox import api, ids, network
from eucabox.config import CloudSection, Config, NetworkSection
from eucabox.errors import NetworkUnusable
from eucabox.iam.accounts import Accounts
from eucabox.network import host
from eucabox.network.static import Static
from eucabox.server.listener import Listener
from eucabox.state import State
from tests.live.wires import Space, command, host_network, own_host, space
from tests.rows import add_instance, interface

METADATA = "http://169.254.169.254"


def opened(folder: Path, **keys: str) -> Static:
    section = NetworkSection(**{"own_bridge": f"eut{secrets.token_hex(3)}", **keys})
    return Static(Config(cloud=CloudSection(data_dir=folder), network=section))


@contextlib.contextmanager
def started(folder: Path, **keys: str) -> Iterator[Static]:
    made = opened(folder, **keys)
    made.start()
    try:
        yield made
    finally:
        made.remove()


def again(before: Static) -> Static:
    """The same network as another eucabox process would open it after the first one's end."""
    before.stop()
    return Static(before.config)


@pytest.fixture(scope="module", autouse=True)
def before() -> Iterator[dict[str, str]]:
    with own_host():
        yield host_network()


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory, before: dict[str, str]) -> Iterator[Static]:
    with started(tmp_path_factory.mktemp("net")) as made:
        yield made
    assert host_network() == before


def give(net: Static, taken: set[str] | None = None) -> dict[str, str]:
    """Plug the next instance and return its row."""
    held = {line.split(",")[1] for line in hosts_file(net).read_text().splitlines()}
    row = asdict(net.assign(held | (taken or set()), "i-1"))
    net.plug(interface(row))
    return row


def hosts_file(net: Static) -> Path:
    return Path("/run/eucabox") / net.bridge / "hosts"


def dnsmasq_of(net: Static) -> list[int]:
    return list(net._dhcp.running())


@pytest.fixture
def row(net: Static) -> Iterator[dict[str, str]]:
    made = give(net)
    yield made
    net.unplug(interface(made))


@pytest.fixture
def guest(net: Static, row: dict[str, str], tmp_path: Path) -> Iterator[Space]:
    with space(tmp_path, net.bridge, row["mac_address"]) as made:
        assert made.ask_dhcp()
        yield made


# --- DHCP and names ----------------------------------------------------------------------------


def test_a_plugged_mac_gets_its_address_router_and_names(
    net: Static, row: dict[str, str], guest: Space
) -> None:
    gateway = str(net.subnet[1])
    assert guest.lease["ip"] == row["private_ip_address"]
    assert (guest.lease["router"], guest.lease["dns"]) == (gateway, gateway)
    assert guest.lease["hostname"] == row["private_dns_name"].partition(".")[0]
    assert guest.lease["domain"] == "eucabox-1.internal"
    assert guest.lease["mask"] == "24"


def test_a_stranger_gets_no_answer(net: Static, tmp_path: Path) -> None:
    with space(tmp_path, net.bridge, "02:00:00:00:00:99") as stranger:
        assert not stranger.ask_dhcp()


def test_an_unplugged_mac_gets_no_answer_and_its_address_goes_to_the_next(
    net: Static, tmp_path: Path
) -> None:
    row = give(net)
    with space(tmp_path, net.bridge, row["mac_address"]) as guest:
        assert guest.ask_dhcp()
        net.unplug(interface(row))
        assert not guest.ask_dhcp()
        assert not net.owns_address(row["private_ip_address"], row["mac_address"])
    net.plug(interface(row))
    with space(tmp_path, net.bridge, row["mac_address"]) as heir:
        assert heir.ask_dhcp()
        assert heir.lease["ip"] == row["private_ip_address"]
    net.unplug(interface(row))


def test_leases_go_on_over_a_restart_of_eucabox_and_a_death_of_dnsmasq(
    net: Static, row: dict[str, str], guest: Space
) -> None:
    (pid,) = dnsmasq_of(net)
    second = again(net)
    second.start()
    second.sync([interface(row)])
    assert dnsmasq_of(second) == [pid], "adopted, not started again"
    assert guest.ask_dhcp()
    os.kill(pid, signal.SIGKILL)
    while dnsmasq_of(second):
        time.sleep(0.01)
    second.check()
    assert len(dnsmasq_of(second)) == 1
    assert guest.ask_dhcp()
    assert guest.lease["ip"] == row["private_ip_address"]


def test_an_update_that_a_kill_cut_short_is_made_good_by_the_next_start(
    net: Static, row: dict[str, str], guest: Space
) -> None:
    hosts_file(net).write_text("")  # as if written, and killed before the server was told
    second = again(net)
    second.start()
    second.sync([interface(row)])
    assert guest.ask_dhcp()


def test_guests_find_each_other_by_name(net: Static, row: dict[str, str], guest: Space) -> None:
    answer = guest.run("busybox", "nslookup", row["private_dns_name"], str(net.subnet[1]))
    assert row["private_ip_address"] in answer.partition("Name:")[2]


def test_a_bridge_that_somebody_deleted_is_made_again(tmp_path: Path) -> None:
    with started(tmp_path) as net:
        (pid,) = dnsmasq_of(net)
        mac = host.mac_of(net.bridge)
        net.start()
        assert dnsmasq_of(net) == [pid]
        command("ip", "link", "delete", net.bridge)
        net.start()
        assert host.mac_of(net.bridge) == mac
        assert dnsmasq_of(net) != [pid], "its socket was bound to the bridge that is gone"
        row = give(net)
        with space(tmp_path, net.bridge, row["mac_address"]) as guest:
            assert guest.ask_dhcp()


@pytest.mark.parametrize(
    "change",
    [
        "ip addr del 169.254.169.254/32 dev {}",
        "ip addr flush dev {}",
        "ip link set {} down",
        "ip neigh flush dev {} nud all",
        "sysctl -w net.ipv4.ip_forward=0",
        "sysctl -w net.ipv6.conf.{}.disable_ipv6=0",
    ],
)
def test_what_somebody_took_from_the_bridge_is_brought_back(
    net: Static, row: dict[str, str], guest: Space, change: str
) -> None:
    def found() -> tuple[object, ...]:
        return (
            sorted(host.addresses_of(net.bridge)),
            host.is_up(net.bridge),
            host.neighbour(row["private_ip_address"], net.bridge),
            Path("/proc/sys/net/ipv4/ip_forward").read_text(),
            Path(f"/proc/sys/net/ipv6/conf/{net.bridge}/disable_ipv6").read_text(),
        )

    before = found()
    command(*change.format(net.bridge).split())
    assert found() != before
    net.check()
    assert found() == before
    assert guest.ask_dhcp()


def test_guests_have_no_way_in_by_ipv6(net: Static) -> None:
    assert Path(f"/proc/sys/net/ipv6/conf/{net.bridge}/disable_ipv6").read_text() == "1\n"


def test_a_hosts_own_metadata_service_is_seen() -> None:
    with own_host():
        command("ip", "route", "add", "169.254.169.254/32", "dev", "lo")
        assert host.use_of(IPv4Address("169.254.169.254"))


def test_dnsmasq_is_not_root(net: Static) -> None:
    (pid,) = dnsmasq_of(net)
    status = Path(f"/proc/{pid}/status").read_text()
    assert "Uid:\t0" not in status


# --- the world outside -------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Space]:
    """A neighbour of this host that knows no way to the instances' network."""
    with space(tmp_path, None) as made:
        port = (tmp_path / made.name).read_text()
        command("ip", "addr", "add", "198.51.100.1/24", "dev", port)
        made.run("ip", "addr", "add", "198.51.100.2/24", "dev", "eth0")
        yield made


def test_guests_reach_out_under_the_hosts_address(
    net: Static, guest: Space, outside: Space, tmp_path: Path
) -> None:
    server = [sys.executable, "-m", "http.server", "8080", "--directory", str(tmp_path)]
    listening = ["ip", "netns", "exec", outside.name, *server]
    with subprocess.Popen(listening, stderr=subprocess.PIPE) as process:
        retrying = ("--retry", "20", "--retry-delay", "0", "--retry-connrefused")
        assert guest.get("http://198.51.100.2:8080/", *retrying, seconds=10).startswith("200")
        process.terminate()
        assert process.stderr
        assert process.stderr.read().startswith(b"198.51.100.1 "), "the one who asked"
    seen = outside.run("cat", "/proc/net/arp")
    assert "198.51.100.1 " in seen
    assert str(net.subnet[0]).rpartition(".")[0] not in seen


# --- metadata ----------------------------------------------------------------------------------


@contextlib.contextmanager
def metadata(net: network.Network, folder: Path) -> Iterator[State]:
    """The real listener over a state of its own, bound as the server binds it."""
    state = State(folder / "eucabox.db")
    accounts = Accounts(net.config, state)
    cloud = SimpleNamespace(config=net.config, state=state, accounts=accounts, network=net)
    app = api.create_metadata_app(cast(Any, cloud))
    place = ("metadata", "port")
    address = net.config.metadata.address, net.config.metadata.port
    listener = Listener(address, app, 4, place, device=net.metadata_device)
    listener.open()
    try:
        yield state
    finally:
        listener.shut()
        state.close()


@pytest.fixture
def state(net: Static, tmp_path: Path) -> Iterator[State]:
    (tmp_path / "ca").mkdir(exist_ok=True)
    config = Config(cloud=CloudSection(data_dir=tmp_path), network=net.config.network)
    net.config = config
    with metadata(net, tmp_path) as made:
        yield made


def test_a_listener_knows_that_its_bridge_is_gone() -> None:
    device, place = f"eut{secrets.token_hex(3)}", ("metadata", "port")
    for _ in range(2):  # a bridge of the same name is another
        command("ip", "link", "add", device, "type", "bridge")
        listener = Listener(
            ("169.254.169.254", 0), lambda *_: [], 1, place, freebind=True, device=device
        )
        listener.open()
        assert not listener.is_cut_off()
        command("ip", "link", "delete", device)
        assert listener.is_cut_off()
        command("ip", "link", "add", device, "type", "bridge")
        assert listener.is_cut_off()
        command("ip", "link", "delete", device)
        listener.shut()


def test_each_guest_reads_its_own_metadata_with_a_default_route_alone(
    net: Static, row: dict[str, str], guest: Space, state: State, tmp_path: Path
) -> None:
    mine = add_instance(state, **row)
    other = give(net)
    theirs = add_instance(state, **other)
    with space(tmp_path, net.bridge, other["mac_address"]) as second:
        assert second.ask_dhcp()
        path = METADATA + "/latest/meta-data/instance-id"
        assert guest.get(path) == f"200\n{mine}"
        assert second.get(path) == f"200\n{theirs}"
        token = guest.get(
            METADATA + "/latest/api/token",
            *("-X", "PUT", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60"),
        ).partition("\n")[2]
        header = "-H", f"X-aws-ec2-metadata-token: {token}"
        assert guest.get(path, *header) == f"200\n{mine}"
        assert second.get(path, *header).startswith("401"), "a token is for its instance alone"
    net.unplug(interface(other))


def test_who_takes_anothers_address_gets_nothing(
    net: Static, row: dict[str, str], guest: Space, state: State, tmp_path: Path
) -> None:
    add_instance(state, **row)
    url = METADATA + "/latest/user-data"
    with space(tmp_path, net.bridge, "02:00:00:00:00:66") as thief:
        thief.take(row["private_ip_address"], str(net.subnet[1]))
        assert thief.get(url, seconds=1).startswith("000"), "while the owner runs"
        guest.run("ip", "link", "set", "eth0", "down")
        assert thief.get(url, seconds=1).startswith("000"), "while the owner is silent"


def test_an_address_without_an_instance_gets_404(net: Static, guest: Space, state: State) -> None:
    assert guest.get(METADATA + "/latest/meta-data/").startswith("404")
    document = METADATA + "/latest/dynamic/instance-identity/document"
    assert guest.get(document).startswith("404")


# --- several clouds on one host ----------------------------------------------------------------


def test_two_clouds_live_side_by_side(
    net: Static, row: dict[str, str], guest: Space, state: State, tmp_path: Path
) -> None:
    mine = add_instance(state, **row)
    folder = tmp_path / "second"
    folder.mkdir()
    with started(folder) as second, metadata(second, folder) as second_state:
        assert not second.subnet.overlaps(net.subnet)
        other = give(second)
        theirs = add_instance(second_state, **other)
        with space(tmp_path, second.bridge, other["mac_address"]) as far:
            assert far.ask_dhcp()
            url = METADATA + "/latest/dynamic/instance-identity/document"
            assert json.loads(far.get(url).partition("\n")[2])["instanceId"] == theirs
            assert json.loads(guest.get(url).partition("\n")[2])["instanceId"] == mine
    assert guest.get(METADATA + "/latest/meta-data/instance-id") == f"200\n{mine}"
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "1\n", "still needed"


def test_clouds_that_start_at_the_same_time_take_different_networks(tmp_path: Path) -> None:
    clouds = [opened(tmp_path / str(number)) for number in range(4)]
    try:
        with ThreadPoolExecutor(len(clouds)) as pool:
            list(pool.map(Static.start, clouds))
        assert len({each.subnet for each in clouds}) == len(clouds)
    finally:
        for each in clouds:
            each.remove()


def test_a_bridge_of_another_cloud_is_left_alone(net: Static, tmp_path: Path) -> None:
    intruder = opened(tmp_path, own_bridge=net.bridge)
    with pytest.raises(NetworkUnusable, match="belongs to the eucabox of"):
        intruder.start()
    rules = command("nft", "list", "ruleset")
    intruder.config = net.config
    assert net.bridge in rules
    assert Path("/sys/class/net", net.bridge).exists()


def test_a_device_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    name = f"eut{secrets.token_hex(3)}"
    command("ip", "link", "add", name, "type", "bridge")
    try:
        foreign = opened(tmp_path, own_bridge=name)
        with pytest.raises(NetworkUnusable, match="is not eucabox's"):
            foreign.start()
        foreign.remove()
        assert Path("/sys/class/net", name).exists()
    finally:
        command("ip", "link", "delete", name)


def test_a_taken_dhcp_port_is_named(tmp_path: Path) -> None:
    with own_host(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 67))
        made = opened(tmp_path)
        try:
            with pytest.raises(NetworkUnusable, match="UDP port 67"):
                made.start()
        finally:
            made.remove()


def test_a_network_that_the_host_uses_is_refused(net: Static, tmp_path: Path) -> None:
    with pytest.raises(NetworkUnusable, match="overlaps"):
        opened(tmp_path, subnet=str(net.subnet)).start()


# --- a bridge that the administrator names -----------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The administrator's bridge with this host and the site's router on it."""
    name = f"eut{secrets.token_hex(3)}"
    command("ip", "link", "add", name, "type", "bridge", "stp_state", "0", "forward_delay", "0")
    command("ip", "addr", "add", "203.0.113.2/24", "dev", name)
    command("ip", "link", "set", name, "up")
    command("ip", "route", "add", "default", "via", "203.0.113.1", "dev", name, "metric", "9999")
    try:
        with space(tmp_path, name) as router:
            router.run("ip", "addr", "add", "203.0.113.1/24", "dev", "eth0")
            yield name
    finally:
        command("ip", "link", "delete", name)


def test_static_on_a_named_bridge(site: str, tmp_path: Path) -> None:
    folder = tmp_path / "cloud"
    folder.mkdir()
    keys = {"bridge": site, "subnet": "203.0.113.0/24", "addresses": "203.0.113.50-203.0.113.51"}
    before = host_network()
    with started(folder, **keys) as made, metadata(made, folder) as state:
        row = give(made)
        mine = add_instance(state, **row)
        tap = ids.tap(mine, site)
        with space(tmp_path, site, row["mac_address"], tap) as guest:
            assert guest.ask_dhcp()
            assert guest.lease["ip"] == "203.0.113.50"
            assert guest.lease["router"] == "203.0.113.1", "the site's, not this host"
            assert guest.get(METADATA + "/latest/meta-data/instance-id") == f"200\n{mine}"
    assert host_network() == before


def test_the_mode_is_loaded_by_its_name(tmp_path: Path) -> None:
    config = Config(cloud=CloudSection(data_dir=tmp_path))
    assert isinstance(network.load(config), Static)
