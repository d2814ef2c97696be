import dataclasses
import os
import signal
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from eucabox.errors import NetworkUnusable, ProgramFailed
from eucabox.network import GuestAddress, dnsmasq, host
from eucabox.network.dnsmasq import DhcpService, Dnsmasq, dns_possible
from tests.network.conftest import FakeHost

SERVICE = DhcpService(
    bridge="br0",
    subnet=IPv4Network("172.30.64.0/24"),
    address=IPv4Address("172.30.64.1"),
    gateway=IPv4Address("172.30.64.1"),
    domain="eucabox.internal",
    dns=True,
    servers=(),
    mtu=1500,
)
FIRST = GuestAddress("d0:0d:ac:1e:40:04", "172.30.64.4", "ip-172-30-64-4.eucabox.internal")
TENTH = GuestAddress("d0:0d:ac:1e:40:0a", "172.30.64.10", "ip-172-30-64-10.eucabox.internal")


@pytest.fixture
def server(fake: FakeHost, tmp_path: Path) -> Dnsmasq:
    return Dnsmasq(tmp_path / "run" / "br0", "br0")


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    sent: list[tuple[int, int]] = []

    def kill(pid: int, number: int) -> None:
        sent.append((pid, number))
        (dnsmasq.PROC / str(pid) / "cmdline").unlink(missing_ok=True)

    monkeypatch.setattr(os, "kill", kill)
    return sent


def runs(pid: int, arguments: list[str]) -> None:
    folder = dnsmasq.PROC / str(pid)
    folder.mkdir()
    words = ["/usr/sbin/dnsmasq", *arguments]
    (folder / "cmdline").write_bytes(b"".join(os.fsencode(word) + b"\0" for word in words))


def test_it_answers_known_macs_of_one_bridge_alone(server: Dnsmasq) -> None:
    options = server.arguments(SERVICE)
    for option in ("--interface=br0", "--bind-interfaces", "--dhcp-ignore=tag:!known"):
        assert option in options
    assert "--dhcp-range=172.30.64.0,static,255.255.255.0,infinite" in options
    assert "--dhcp-option=option:router,172.30.64.1" in options
    assert "--dhcp-option=option:dns-server,172.30.64.1" in options
    assert not any("mtu" in option for option in options)


def test_name_servers(server: Dnsmasq) -> None:
    arguments = server.arguments(dataclasses.replace(SERVICE, servers=("10.0.0.9",), mtu=1420))
    assert {"--no-resolv", "--server=10.0.0.9", "--dhcp-option=option:mtu,1420"} <= set(arguments)
    named = server.arguments(dataclasses.replace(SERVICE, dns=False, servers=("10.0.0.9",)))
    assert {"--port=0", "--dhcp-option=option:dns-server,10.0.0.9"} <= set(named)
    none = server.arguments(dataclasses.replace(SERVICE, dns=False))
    assert not any("dns-server" in option for option in none)


def test_hosts_are_written_whole_in_order_and_read_back(server: Dnsmasq, tmp_path: Path) -> None:
    server.serve([TENTH, FIRST])
    assert server.hosts() == {"172.30.64.4": FIRST, "172.30.64.10": TENTH}
    lines = (tmp_path / "run" / "br0" / "hosts").read_text().splitlines()
    assert lines[0] == "d0:0d:ac:1e:40:04,172.30.64.4,ip-172-30-64-4.eucabox.internal,infinite"
    names = (tmp_path / "run" / "br0" / "names").read_text().splitlines()
    assert names[0] == "172.30.64.4 ip-172-30-64-4.eucabox.internal ip-172-30-64-4"
    server.serve([])
    assert server.hosts() == {}


def test_a_running_one_is_adopted_and_told_of_new_hosts(
    fake: FakeHost, server: Dnsmasq, signals: list[tuple[int, int]]
) -> None:
    runs(7, server.arguments(SERVICE))
    runs(8, ["--interface=br0", "--dhcp-hostsfile=/elsewhere"])
    server.start(SERVICE)
    assert fake.did("dnsmasq") == []
    server.serve([FIRST])
    assert signals == [(7, signal.SIGHUP)]


def test_one_with_other_options_or_of_a_bridge_that_is_gone_is_replaced(
    fake: FakeHost, server: Dnsmasq, signals: list[tuple[int, int]]
) -> None:
    runs(7, server.arguments(dataclasses.replace(SERVICE, mtu=1400)))
    server.start(SERVICE)
    assert signals == [(7, signal.SIGTERM)]
    runs(9, server.arguments(SERVICE))
    server.start(SERVICE, anew=True)
    assert signals[1:] == [(9, signal.SIGTERM)]
    assert len(fake.did("dnsmasq")) == 2


def test_the_dns_port_is_ours_or_free(
    fake: FakeHost, server: Dnsmasq, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = True
    monkeypatch.setattr(host, "is_port_taken", lambda address, port: taken)
    assert not dns_possible(SERVICE.address, server)
    runs(7, server.arguments(dataclasses.replace(SERVICE, dns=False)))
    assert not dns_possible(SERVICE.address, server), "ours does without it"
    runs(8, server.arguments(SERVICE))
    assert dns_possible(SERVICE.address, server)


def test_one_that_died_is_started_again(
    fake: FakeHost, server: Dnsmasq, signals: list[tuple[int, int]]
) -> None:
    server.check()
    assert fake.did("dnsmasq") == [], "nothing to check before a start"
    server.start(SERVICE)
    runs(7, server.arguments(SERVICE))
    server.check()
    assert len(fake.did("dnsmasq")) == 1
    (dnsmasq.PROC / "7" / "cmdline").write_bytes(b"")  # a zombie
    server.check()
    assert len(fake.did("dnsmasq")) == 2


@pytest.mark.parametrize(
    ("message", "port"),
    [
        ("dnsmasq: failed to bind DHCP server socket: Address already in use", 67),
        ("dnsmasq: failed to create listening socket for 172.30.64.1: Address already in use", 53),
    ],
)
def test_a_taken_port_is_named(fake: FakeHost, server: Dnsmasq, message: str, port: int) -> None:
    fake.failures["dnsmasq"] = message
    with pytest.raises(NetworkUnusable, match=f"UDP port {port} on br0"):
        server.start(SERVICE)


def test_a_dying_one_has_a_moment_to_free_its_port(
    fake: FakeHost, server: Dnsmasq, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.failures["dnsmasq"] = "dnsmasq: failed to bind: Address already in use"
    monkeypatch.setattr("time.sleep", lambda _: fake.failures.clear())
    server.start(SERVICE)
    assert len(fake.did("dnsmasq")) == 2


def test_another_failure_is_told_as_it_is(fake: FakeHost, server: Dnsmasq) -> None:
    fake.failures["dnsmasq"] = "dnsmasq: bad option"
    with pytest.raises(ProgramFailed, match="bad option"):
        server.start(SERVICE)


def test_a_real_process_is_ended_even_if_it_will_not(
    server: Dnsmasq, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dnsmasq, "PROC", Path("/proc"))
    monkeypatch.setattr(dnsmasq, "SECONDS_TO_END", 0.2)
    stubborn = (
        "import signal,sys,time;signal.signal(15,signal.SIG_IGN);print(flush=True);time.sleep(60)"
    )
    mark = f"--dhcp-hostsfile={tmp_path}/run/br0/hosts"
    with subprocess.Popen([sys.executable, "-c", stubborn, mark], stdout=-1) as process:
        assert process.stdout
        process.stdout.readline()
        assert set(server.running()) == {process.pid}
        server.remove()
        assert process.wait(5) == -signal.SIGKILL
