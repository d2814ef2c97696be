"""The DHCP and DNS server of one bridge: dnsmasq, with a list of the hosts that it serves.

It outlives eucabox, is found again by its arguments, and reads its hosts anew on SIGHUP. Its
files are in /run, as it gives up root's rights and could not reach into a data directory; they
are written from the database at every start.
"""

import contextlib
import logging
import os
import pwd
import shutil
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Protocol

from eucabox.atomic_files import make_folder, write_atomic
from eucabox.config import Config, words
from eucabox.errors import NetworkUnusable, ProgramFailed
from eucabox.network import GuestAddress, host
from eucabox.network.address_pool import RESERVED_FIRST, RESERVED_LAST, domain_name
from eucabox.run import run

log = logging.getLogger("eucabox.network")
PROC = Path("/proc")
USERS = ("dnsmasq", "nobody")
SECONDS_TO_END = 5.0
SECONDS_TO_FREE = 1.0  # a dying server loses its arguments first, then its sockets


@dataclass(frozen=True)
class DhcpService:
    """What the server tells guests: `servers` are the name servers it asks or, without `dns`,
    that it names; none and `dns` means those of this host. `dynamic` lets it choose addresses
    for whoever asks."""

    bridge: str
    subnet: IPv4Network
    address: IPv4Address
    gateway: IPv4Address
    domain: str
    dns: bool
    servers: tuple[str, ...]
    mtu: int
    dynamic: bool = False


class DhcpSite(Protocol):
    """What a service needs to know of a bridge."""

    @property
    def name(self) -> str:
        """The bridge's name."""

    def address(self, subnet: IPv4Network) -> IPv4Address:
        """Return this host's address on it."""

    def gateway(self, subnet: IPv4Network) -> IPv4Address:
        """Return the way out."""


class Dnsmasq:
    """One dnsmasq process with its files in one folder."""

    def __init__(self, folder: Path, bridge: str, lease: str = "infinite") -> None:
        self.folder = folder
        self._lease = lease
        self._bridge = bridge
        self._hosts = folder / "hosts"
        self._names = folder / "names"
        self._service: DhcpService | None = None

    def start(self, service: DhcpService, anew: bool = False) -> None:
        """Start the server, or adopt the running one if it does what this one would.

        `anew` ends a running one first: its sockets belong to a bridge that is gone. Raises
        NetworkUnusable when another program has the DHCP port.
        """
        self._service = service
        self._prepare()
        wanted = self.arguments(service)
        processes = self.running()
        adopted = [
            pid for pid, arguments in processes.items() if arguments[1:] == wanted and not anew
        ]
        for pid in set(processes) - set(adopted[:1]):
            _end(pid)
        if not adopted:
            self._launch(wanted)

    def check(self) -> None:
        """Start the server again if it died since `start`."""
        if self._service is not None and not self.running():
            log.warning("role=cluster dnsmasq of %s is gone; starting it again", self._bridge)
            self.start(self._service)

    def running(self) -> dict[int, list[str]]:
        """Return our processes' ids with their arguments; one, unless two starts raced."""
        mark = f"--dhcp-hostsfile={self._hosts}"
        processes = {}
        for entry in PROC.iterdir():
            if entry.name.isdigit():
                arguments = _arguments(entry)
                if mark in arguments:
                    processes[int(entry.name)] = arguments
        return processes

    def hosts(self) -> dict[str, GuestAddress]:
        """Return the hosts that are served, by IP address."""
        hosts: dict[str, GuestAddress] = {}
        try:
            lines = self._hosts.read_text().splitlines()
        except FileNotFoundError:
            return hosts
        for line in lines:
            mac, ip, name = line.split(",")[:3]
            hosts[ip] = GuestAddress(mac, ip, name)
        return hosts

    def serve(self, addresses: Iterable[GuestAddress]) -> None:
        """Serve exactly these hosts from now on."""
        self._prepare()
        known = sorted(addresses, key=lambda each: IPv4Address(each.private_ip_address))
        lines = [f"{each.mac_address},{each.private_ip_address}" for each in known]
        names = [each.private_dns_name for each in known]
        hosts = [f"{line},{name},{self._lease}\n" for line, name in zip(lines, names, strict=True)]
        addn = [
            f"{each.private_ip_address} {name} {name.partition('.')[0]}\n"
            for each, name in zip(known, names, strict=True)
        ]
        write_atomic(self._names, "".join(addn).encode())
        write_atomic(self._hosts, "".join(hosts).encode())
        for pid in self.running():
            _signal(pid, signal.SIGHUP)

    def remove(self) -> None:
        """End the server and remove its files."""
        for pid in self.running():
            _end(pid)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._service = None

    def arguments(self, service: DhcpService) -> list[str]:
        """Return dnsmasq's arguments, one option each."""
        return [
            "--conf-file=/dev/null",
            "--pid-file=",
            f"--user={_user()}",
            f"--interface={service.bridge}",
            "--except-interface=lo",
            "--bind-interfaces",
            *self._range(service),
            f"--dhcp-hostsfile={self._hosts}",
            f"--dhcp-leasefile={self.folder / 'leases' / 'leases'}",
            "--dhcp-authoritative",
            "--dhcp-broadcast",  # else it would replace the fixed neighbour that keeps thieves off
            "--dhcp-ignore-clid",  # a guest may call itself by another's identifier
            "--no-ping",
            "--quiet-dhcp",
            f"--dhcp-option=option:router,{service.gateway}",
            *([f"--dhcp-option=option:mtu,{service.mtu}"] if service.mtu < host.MTU else []),
            *self._dns_options(service),
        ]

    def _range(self, service: DhcpService) -> list[str]:
        subnet, mask = service.subnet, service.subnet.netmask
        if not service.dynamic:
            known = f"--dhcp-range={subnet[0]},static,{mask},{self._lease}"
            return [known, "--dhcp-ignore=tag:!known"]
        ends = f"{subnet[RESERVED_FIRST]},{subnet[-1 - RESERVED_LAST]}"
        # A guest may call itself anything: names are ours to give.
        return [f"--dhcp-range={ends},{mask},{self._lease}", "--dhcp-ignore-names"]

    def _dns_options(self, service: DhcpService) -> list[str]:
        if not service.dns:
            servers = ",".join(service.servers)
            return ["--port=0", f"--domain={service.domain}"] + (
                [f"--dhcp-option=option:dns-server,{servers}"] if servers else []
            )
        upstream = [f"--server={each}" for each in service.servers]
        return [
            "--no-hosts",
            f"--addn-hosts={self._names}",
            f"--domain={service.domain}",
            f"--local=/{service.domain}/",
            "--domain-needed",
            "--bogus-priv",
            f"--dhcp-option=option:dns-server,{service.address}",
            *(["--no-resolv", *upstream] if upstream else []),
        ]

    def _launch(self, arguments: list[str]) -> None:
        deadline = time.monotonic() + SECONDS_TO_FREE
        while reason := _find_listener(arguments):
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            port = 67 if "DHCP" in reason else 53
            raise NetworkUnusable(
                reason=f"Another program has UDP port {port} on {self._bridge} or on all devices:"
                f" see `ss -ulpn sport = :{port}`. Stop it or keep it from that bridge."
            )

    def _prepare(self) -> None:
        leases = self.folder / "leases"
        for folder in (self.folder.parent, self.folder, leases):
            make_folder(folder, 0o755)
        for file in (self._hosts, self._names):
            if not file.exists():
                write_atomic(file, b"")
        if os.geteuid() == 0:
            os.chown(leases, pwd.getpwnam(_user()).pw_uid, -1)


def service(
    config: Config, site: DhcpSite, subnet: IPv4Network, dns: bool, dynamic: bool = False
) -> DhcpService:
    """Return the DHCP options of a bridge's guests, from the configuration."""
    servers = words(config.network.dns)
    if not servers and not dns:
        servers = tuple(str(each) for each in host.resolvers())
    return DhcpService(
        bridge=site.name,
        subnet=subnet,
        address=site.address(subnet),
        gateway=site.gateway(subnet),
        domain=domain_name(config),
        dns=dns,
        servers=servers,
        mtu=host.uplink_mtu(),
        dynamic=dynamic,
    )


def dns_possible(address: IPv4Address, server: Dnsmasq) -> bool:
    """Tell whether our server may have the DNS port at an address, or has it."""
    has_it = any("--port=0" not in arguments for arguments in server.running().values())
    return has_it or not host.is_port_taken(address, 53)


def _user() -> str:
    for name in USERS:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return "root"


def _find_listener(arguments: list[str]) -> str:
    """Start a server, which returns once it listens; or why another has its port."""
    try:
        run("dnsmasq", *arguments)
    except ProgramFailed as failed:
        reason = str(failed.facts.get("reason", ""))
        if "in use" in reason:
            return reason
        raise
    return ""


def _arguments(process: Path) -> list[str]:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:  # it ended while we looked
        return []
    return [os.fsdecode(word) for word in words[:-1]]


def _end(pid: int) -> None:
    _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + SECONDS_TO_END
    while _has_sockets(pid):
        if time.monotonic() > deadline:
            _signal(pid, signal.SIGKILL)
            deadline += SECONDS_TO_END
        time.sleep(0.02)


def _has_sockets(pid: int) -> bool:
    """Tell whether a process has its sockets still, which it loses later than its arguments."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
