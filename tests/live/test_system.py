"""SYSTEM with real packets: somebody else's DHCP server on a bridge that an administrator made."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from eucabox import ids
from eucabox.config import CloudSection, Config, NetworkSection
from eucabox.domains.instance_rows import InstanceRows
from eucabox.errors import NetworkUnusable
from eucabox.network import FilteredGuest, FirewallRule, GuestAddress, InterfaceRow
from eucabox.network.packets import probe
from eucabox.network.system import System
from tests.live import packets
from tests.live.test_network import METADATA, metadata
from tests.live.wires import DHCP_CLIENT, Space, command, host_network, own_host, space
from tests.rows import add_instance, interface

SITE = "eutsite0"
ROUTER = "203.0.113.1"
SOON = 2.0  # seconds from a lease until everybody knows of it
FIRST, SECOND = "d0:0d:00:00:00:01", "d0:0d:00:00:00:02"
SEND = """
import socket, sys
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("eth0", 0))
out.send(bytes.fromhex(sys.argv[1]))
"""


@dataclass
class Server:
    """The site's DHCP server, in a network namespace behind a port of the bridge."""

    space: Space
    hosts: Path
    process: subprocess.Popen[bytes]

    def give(self, mac: str, ip: str) -> None:
        """Let a MAC have this address from its next renewal on."""
        self.hosts.write_text(f"{mac},{ip},1h\n")
        self.process.send_signal(signal.SIGHUP)
        time.sleep(0.1)


@dataclass
class Cloud:
    """A network in SYSTEM mode with rows and metadata, and what it learnt."""

    config: Config
    learnt: list[GuestAddress] = field(default_factory=list)
    process: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Begin as a process does, from what is in the rows."""
        self.net = System(self.config)
        self.net.on_address_learned(self.learn)
        self.net.start()
        self.process.callback(self.net.stop)
        self.state = self.process.enter_context(metadata(self.net, self.config.cloud.data_dir))
        alive = "select * from instances where state <> 'terminated'"
        self.net.sync(self.state.select(InterfaceRow, alive))

    def learn(self, address: GuestAddress) -> None:
        self.learnt.append(address)
        InstanceRows(self.state).set_address(address)

    def run(self, mac: str, ip: str | None = None) -> str:
        """Plug an instance, and return its id."""
        row = {"mac_address": mac, "private_ip_address": ip, "private_dns_name": None}
        instance_id = add_instance(self.state, **row)
        self.net.plug(interface(row, instance_id))
        return instance_id

    def guest(self, instance_id: str) -> AbstractContextManager[Space]:
        """Return the instance's guest, which is a namespace behind the tap of its name."""
        row = self.state.one("select * from instances where instance_id = ?", (instance_id,))
        assert row is not None
        bridge = self.net.bridge
        return space(
            self.config.cloud.data_dir, bridge, row["mac_address"], ids.tap(instance_id, bridge)
        )

    def address(self, instance_id: str) -> str | None:
        sql = "select private_ip_address ip from instances where instance_id = ?"
        found = self.state.one(sql, (instance_id,))
        assert found is not None
        return None if found["ip"] is None else str(found["ip"])

    def becomes(self, instance_id: str, ip: str | None, seconds: float = SOON) -> None:
        deadline = time.monotonic() + seconds
        while self.address(instance_id) != ip:
            assert time.monotonic() < deadline, (self.address(instance_id), ip)
            time.sleep(0.02)


@pytest.fixture(scope="module", autouse=True)
def _apart() -> Iterator[None]:
    with own_host():
        command("ip", "link", "add", SITE, "address", "02:00:00:00:00:07", "type", "bridge")
        command("ip", "link", "set", SITE, "up", "type", "bridge", "forward_delay", "0")
        yield


@pytest.fixture(scope="module")
def server(_apart: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("site")
    hosts = folder / "hosts"
    hosts.touch()
    with space(folder, SITE) as router:
        router.run("ip", "addr", "add", f"{ROUTER}/24", "dev", "eth0")
        arguments = [
            *(
                "dnsmasq",
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--pid-file=",
                "--port=0",
            ),
            *("--user=root", "--interface=eth0", "--no-ping", "--dhcp-authoritative"),
            *("--dhcp-range=203.0.113.50,203.0.113.99,1h", f"--dhcp-hostsfile={hosts}"),
            *(f"--dhcp-leasefile={folder / 'leases'}", f"--dhcp-option=option:router,{ROUTER}"),
        ]
        with subprocess.Popen(["ip", "netns", "exec", router.name, *arguments]) as process:
            yield Server(router, hosts, process)
            process.terminate()


@contextmanager
def opened(folder: Path, **keys: str) -> Iterator[Cloud]:
    folder.mkdir()
    section = NetworkSection(mode="SYSTEM", **keys)
    cloud = Cloud(Config(cloud=CloudSection(data_dir=folder), network=section))
    try:
        cloud.start()
        yield cloud
    finally:
        cloud.process.close()
        System(cloud.config).remove()


@pytest.fixture
def cloud(server: Server, tmp_path: Path) -> Iterator[Cloud]:
    before = host_network()
    with opened(tmp_path / "data", bridge=SITE) as made:
        yield made
    assert host_network() == before


# --- leases ------------------------------------------------------------------------------------


def test_the_address_is_known_with_the_lease_and_metadata_answers(cloud: Cloud) -> None:
    """The host has no address in the site's network, and the site's router is elsewhere."""
    instance_id = cloud.run(FIRST)
    assert cloud.address(instance_id) is None
    with cloud.guest(instance_id) as guest:
        assert guest.ask_dhcp()
        cloud.becomes(instance_id, guest.lease["ip"])
        assert guest.lease["router"] == ROUTER
        url = METADATA + "/latest/meta-data/"
        assert guest.get(url + "instance-id") == f"200\n{instance_id}"
        assert guest.get(url + "local-ipv4") == f"200\n{guest.lease['ip']}"
        name = f"ip-{guest.lease['ip'].replace('.', '-')}.eucabox-1.internal"
        assert guest.get(url + "local-hostname") == f"200\n{name}"


def test_a_guest_reaches_metadata_of_this_host_and_no_other_service(
    cloud: Cloud, server: Server
) -> None:
    """Also by an address of this host's in the site's network, and the site's machines do."""
    instance_id, own = cloud.run(FIRST), "203.0.113.3"
    command("ip", "addr", "add", f"{own}/24", "dev", SITE)
    try:
        with cloud.guest(instance_id) as guest:
            assert guest.ask_dhcp()
            ip = guest.lease["ip"]
            cloud.becomes(instance_id, ip)
            member = FilteredGuest(ids.tap(instance_id, SITE), FIRST, ip, ("sg-1",))
            cloud.net.filter([member], {"sg-1": [FirewallRule(True, "-1", cidr="0.0.0.0/0")]})
            for host in (own, "169.254.169.254"):
                assert not packets.connects(guest, None, host, 22)
                assert not packets.arrives(guest, None, host, 2049)
                assert not packets.pings(guest, host)
            url = METADATA + "/latest/meta-data/instance-id"
            assert guest.get(url) == f"200\n{instance_id}"
            assert packets.connects(guest, server.space, ROUTER, 22)
            assert packets.connects(server.space, None, own, 22)
    finally:
        command("ip", "addr", "del", f"{own}/24", "dev", SITE)


def test_a_renewal_with_another_address_is_followed(
    cloud: Cloud, server: Server, tmp_path: Path
) -> None:
    instance_id = cloud.run(FIRST)
    server.give(FIRST, "203.0.113.20")
    script = tmp_path / "client.sh"
    script.write_text(DHCP_CLIENT.replace("ip addr replace", "ip addr flush dev eth0; ip addr add"))
    script.chmod(0o755)
    with cloud.guest(instance_id) as guest:
        asking = ["ip", "netns", "exec", guest.name, "busybox", "udhcpc", "-f", "-i", "eth0"]
        lease = {"LEASE": str(tmp_path / "lease"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        with subprocess.Popen([*asking, "-s", str(script)], env=lease, stderr=-3) as client:
            cloud.becomes(instance_id, "203.0.113.20", 5)
            server.give(FIRST, "203.0.113.21")
            client.send_signal(signal.SIGUSR1)  # renew now
            cloud.becomes(instance_id, "203.0.113.21", 5)
            client.terminate()
        assert "0.0.0.0" not in {each.private_ip_address for each in cloud.learnt}
        assert guest.get(METADATA + "/latest/meta-data/local-ipv4") == "200\n203.0.113.21"


def test_an_address_that_the_server_gives_to_another_changes_hands(
    cloud: Cloud, server: Server
) -> None:
    first, second = cloud.run(FIRST, "203.0.113.30"), cloud.run(SECOND)
    server.give(SECOND, "203.0.113.30")
    with cloud.guest(second) as guest:
        assert guest.ask_dhcp()
        cloud.becomes(second, "203.0.113.30")
        assert cloud.address(first) is None


def test_a_guest_without_dhcp_is_known_by_what_it_says(cloud: Cloud, server: Server) -> None:
    instance_id = cloud.run(FIRST)
    with cloud.guest(instance_id) as guest:
        guest.take("203.0.113.120", ROUTER)
        guest.run("ping", "-c1", "-W1", ROUTER)
        cloud.becomes(instance_id, "203.0.113.120", 3)
        assert guest.get(METADATA + "/latest/meta-data/instance-id") == f"200\n{instance_id}"


def test_a_row_that_could_not_be_written_is_written_at_the_next_word(cloud: Cloud) -> None:
    instance_id = cloud.run(FIRST)
    failures = ["the disk is full"]

    def learn(address: GuestAddress) -> None:
        if failures:
            raise OSError(failures.pop())
        cloud.learn(address)

    cloud.net.on_address_learned(learn)
    with cloud.guest(instance_id) as guest:
        assert guest.ask_dhcp()
        assert guest.ask_dhcp()
        cloud.becomes(instance_id, guest.lease["ip"])
    assert not failures


# --- restarts ----------------------------------------------------------------------------------


def test_a_restart_knows_the_address_and_metadata_goes_on(cloud: Cloud) -> None:
    instance_id = cloud.run(FIRST)
    with cloud.guest(instance_id) as guest:
        assert guest.ask_dhcp()
        cloud.becomes(instance_id, guest.lease["ip"])
        cloud.process.close()
        cloud.start()
        assert cloud.address(instance_id) == guest.lease["ip"]
        url = METADATA + "/latest/meta-data/instance-id"
        assert guest.get(url) == f"200\n{instance_id}"


def test_an_address_that_changed_while_nobody_listened_is_corrected(
    cloud: Cloud, server: Server
) -> None:
    instance_id = cloud.run(FIRST)
    with cloud.guest(instance_id) as guest:
        assert guest.ask_dhcp()
        cloud.becomes(instance_id, guest.lease["ip"])
        cloud.process.close()
        server.give(FIRST, "203.0.113.40")
        guest.run("ip", "addr", "flush", "dev", "eth0")
        assert guest.ask_dhcp()
        cloud.start()
        assert cloud.address(instance_id) != "203.0.113.40"
        guest.run("ip", "neigh", "flush", "all")
        guest.run("ping", "-c1", "-W1", ROUTER)
        cloud.becomes(instance_id, "203.0.113.40", 3)


def test_a_guest_with_a_second_address_keeps_its_first_over_a_restart(cloud: Cloud) -> None:
    instance_id = cloud.run(FIRST)
    with cloud.guest(instance_id) as guest:
        assert guest.ask_dhcp()
        cloud.becomes(instance_id, guest.lease["ip"])
        guest.run("ip", "addr", "add", "203.0.113.130/24", "dev", "eth0")
        cloud.process.close()
        cloud.start()
        guest.run("ip", "neigh", "flush", "all")
        guest.run("ping", "-c1", "-W1", "-I", "203.0.113.130", ROUTER)
        time.sleep(1.5)
        assert cloud.address(instance_id) == guest.lease["ip"]


# --- liars -------------------------------------------------------------------------------------


def acknowledgement(mac: str, ip: str, server: str = ROUTER) -> bytes:
    """The frame of a DHCPACK, broadcast from the router's MAC."""
    chaddr = bytes.fromhex(mac.replace(":", ""))
    message = b"\x02\x01\x06\x00" + bytes(12) + address(ip) + bytes(8) + chaddr + bytes(202)
    message += b"\x63\x82\x53\x63" + b"\x35\x01\x05" + b"\x33\x04\x00\x00\x0e\x10" + b"\xff"
    datagram = b"\x00\x43\x00\x44" + (8 + len(message)).to_bytes(2) + b"\0\0" + message
    header = b"\x45\0" + (20 + len(datagram)).to_bytes(2) + b"\0\0\0\0\x40\x11\0\0"
    packet = header + address(server) + b"\xff\xff\xff\xff" + datagram
    return b"\xff" * 6 + chaddr + b"\x08\x00" + packet


def address(ip: str) -> bytes:
    return bytes(int(part) for part in ip.split("."))


def send(guest: Space, frame: bytes) -> None:
    guest.run("/usr/bin/python3", "-c", SEND, frame.hex())


def test_a_guest_that_plays_dhcp_server_is_not_believed(cloud: Cloud) -> None:
    first, second = cloud.run(FIRST), cloud.run(SECOND)
    with cloud.guest(first) as victim, cloud.guest(second) as liar:
        assert victim.ask_dhcp()
        cloud.becomes(first, victim.lease["ip"])
        send(liar, acknowledgement(SECOND, victim.lease["ip"]))
        send(liar, acknowledgement(FIRST, "203.0.113.66"))
        send(liar, acknowledgement(SECOND, "203.0.113.66"))
        time.sleep(0.3)
        assert cloud.address(first) == victim.lease["ip"]
        assert cloud.address(second) is None


def test_the_same_words_from_outside_are_believed(cloud: Cloud, server: Server) -> None:
    """Else the test above would pass with a frame that is no DHCPACK."""
    instance_id = cloud.run(FIRST)
    send(server.space, acknowledgement(FIRST, "203.0.113.66"))
    cloud.becomes(instance_id, "203.0.113.66")


def test_nobody_else_may_answer_or_ask_as_another(cloud: Cloud, server: Server) -> None:
    """The liar's lies do not even reach the wire."""
    first, second = cloud.run(FIRST), cloud.run(SECOND)
    with cloud.guest(first) as victim, cloud.guest(second) as liar:
        assert victim.ask_dhcp()
        cloud.becomes(first, victim.lease["ip"])
        liar.take(victim.lease["ip"], ROUTER)
        with pytest.raises(subprocess.CalledProcessError):
            liar.run("ping", "-c1", "-W1", ROUTER)
        assert liar.get(METADATA + "/latest/user-data", seconds=1).startswith("000")
        victim.run("ip", "link", "set", "eth0", "down")
        assert liar.get(METADATA + "/latest/user-data", seconds=1).startswith("000")
        liar.run("ip", "link", "set", "eth0", "address", FIRST)
        assert liar.get(METADATA + "/latest/user-data", seconds=1).startswith("000")
        assert not liar.ask_dhcp()
        assert cloud.address(first) == victim.lease["ip"]


def test_a_claim_to_an_address_in_use_counts_for_nothing(cloud: Cloud, server: Server) -> None:
    instance_id = cloud.run(FIRST)
    with cloud.guest(instance_id) as liar:
        claim = bytearray(probe(FIRST, IPv4Address("203.0.113.9")))
        for claimed in (ROUTER, "169.254.169.254", "0.0.0.0", "224.0.0.1"):
            claim[28:32] = address(claimed)
            send(liar, bytes(claim))
        time.sleep(1.5)
        assert cloud.address(instance_id) is None


def test_a_machine_of_the_site_gets_no_instances_metadata(
    cloud: Cloud, server: Server, tmp_path: Path
) -> None:
    cloud.run(FIRST, "203.0.113.45")
    with space(tmp_path, SITE) as machine:
        machine.run("ip", "link", "set", "eth0", "address", FIRST)
        machine.run("ip", "addr", "add", "203.0.113.45/24", "dev", "eth0")
        machine.run("ip", "route", "add", "169.254.169.254/32", "dev", "eth0")
        assert machine.get(METADATA + "/latest/user-data", seconds=1).startswith("000")


# --- bridges -----------------------------------------------------------------------------------


def test_system_on_eucaboxs_own_bridge(tmp_path: Path) -> None:
    before = host_network()
    with opened(tmp_path / "data", own_bridge="eutown0") as cloud:
        instance_id = cloud.run(FIRST)
        with cloud.guest(instance_id) as guest:
            assert guest.ask_dhcp()
            cloud.becomes(instance_id, guest.lease["ip"])
            assert cloud.net.subnet.overlaps(type(cloud.net.subnet)(guest.lease["ip"]))
            url = METADATA + "/latest/meta-data/instance-id"
            assert guest.get(url) == f"200\n{instance_id}"
            name = f"ip-{guest.lease['ip'].replace('.', '-')}.eucabox-1.internal"
            answer = guest.run("busybox", "nslookup", name, guest.lease["dns"])
            assert guest.lease["ip"] in answer.partition("Name:")[2]
            first = guest.lease["ip"]
            assert guest.ask_dhcp()
            assert guest.lease["ip"] == first
    assert host_network() == before


def test_rules_that_somebody_flushed_are_brought_back(cloud: Cloud) -> None:
    instance_id = cloud.run(FIRST)
    before = command("nft", "list", "ruleset")
    command("nft", "flush", "ruleset")
    cloud.net.check()
    assert sorted(command("nft", "list", "ruleset").split()) == sorted(before.split())
    with cloud.guest(instance_id) as guest:
        assert guest.ask_dhcp()
        cloud.becomes(instance_id, guest.lease["ip"])


def test_a_bridge_that_takes_another_mac_is_followed(cloud: Cloud) -> None:
    instance_id = cloud.run(FIRST)
    try:
        command("ip", "link", "set", SITE, "address", "02:00:00:00:00:08")
        cloud.net.check()
        with cloud.guest(instance_id) as guest:
            assert guest.ask_dhcp()
            cloud.becomes(instance_id, guest.lease["ip"])
            url = METADATA + "/latest/meta-data/instance-id"
            assert guest.get(url) == f"200\n{instance_id}"
    finally:
        command("ip", "link", "set", SITE, "address", "02:00:00:00:00:07")


def test_a_bridge_that_is_not_there_is_named(tmp_path: Path) -> None:
    config = Config(
        cloud=CloudSection(data_dir=tmp_path),
        network=NetworkSection(mode="SYSTEM", bridge="eutnone"),
    )
    net = System(config)
    instance_id = "i-0123456789abcdef0"
    row = asdict(net.assign(set(), instance_id))
    assert row["mac_address"] == "d0:0d:01:23:45:67"
    with pytest.raises(NetworkUnusable, match="eutnone is no bridge of this host"):
        net.plug(interface(row, instance_id))
    net.unplug(interface(row, instance_id))
    net.remove()
