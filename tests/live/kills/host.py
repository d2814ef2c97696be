"""What eucabox has on the host, and which row each piece of it belongs to; changes nothing."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eucabox import ids
from eucabox.domains.libvirt_binding import libvirt
from eucabox.network import host
from tests.live.kills.launches import GUESTS
from tests.live.kills.resources import ports_of
from tests.live.kills.things import Things
from tests.live.process import Running

RUN = Path("/run/eucabox")
GROUPS, GUARD = "eucabox_groups-", "eucabox_guard-"  # and the bridge's name
HELD = ("running", "stopped")
DISK = {"disk.qcow2", "boot.json"}
CONSOLE = {"console.log"}


@dataclass(frozen=True)
class Instance:
    """Of an instance's row what says where its parts are."""

    instance_id: str
    state: str
    uuid: str
    mac: str
    ip: str
    name: str

    @property
    def host_line(self) -> str:
        """How the DHCP server's file has it."""
        return f"{self.mac},{self.ip},{self.name},infinite"

    @property
    def name_line(self) -> str:
        """How the DNS server's file has it."""
        return f"{self.ip} {self.name} {self.name.partition('.')[0]}"


class Host:
    """The parts of one eucabox on this host, beside its rows."""

    def __init__(self, cloud: Running) -> None:
        self.cloud, self.bridge = cloud, cloud.bridge
        libvirt.registerErrorHandler(lambda *_: None, None)  # a guest may end while it is read
        self.virt = libvirt.openReadOnly("qemu:///system")

    def close(self) -> None:
        self.virt.close()

    def instances(self) -> list[Instance]:
        """Return the rows of all instances."""
        sql = """select instance_id, state, domain_uuid, mac_address, private_ip_address,
          private_dns_name from instances"""
        return [Instance(*row) for row in self.query(sql)]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Read of the database, beside eucabox."""
        path = f"file:{self.cloud.data / 'eucabox.db'}?mode=ro"
        with closing(sqlite3.connect(path, uri=True, timeout=30)) as database:
            return database.execute(sql).fetchall()

    def differences(self, things: Things, rules: bool = True) -> list[str]:
        """Return what is there without a row, or is missing for one; empty when all is well.

        No instance is on its way meanwhile. Without `rules` the packet rules are not looked at,
        which takes nft a second where many clouds are on a host.
        """
        rows = self.instances()
        running = [each for each in rows if each.state == "running"]
        taps = {ids.tap(each.instance_id, self.bridge) for each in running}
        pairs: dict[str, tuple[object, object]] = {
            "domains": (self._domains(), {(each.instance_id, each.uuid) for each in running}),
            "guests' processes": (self._processes(), {each.instance_id for each in running}),
            "taps on the bridge": (host.ports(self.bridge), taps),
            "devices": (self._devices(), taps),
            "neighbours": (
                host.neighbours(self.bridge),
                {each.ip: each.mac.lower() for each in running},
            ),
            "hosts of DHCP": (self._lines("hosts"), {each.host_line for each in running}),
            "names": (self._lines("names"), {each.name_line for each in running}),
        }
        if rules:
            pairs |= self._rules(things, taps)
        lines = [
            f"{what} are {found}, should be {expected}"
            for what, (found, expected) in pairs.items()
            if found != expected
        ]
        return [*lines, *self._files(rows), *self._cache()]

    # --- guests ---------------------------------------------------------------------------------

    def _domains(self) -> set[tuple[str, str]]:
        found = set()
        for domain in self.virt.listAllDomains():
            try:
                ours = str(self.cloud.data) in domain.XMLDesc(0)
            except libvirt.libvirtError:  # it ended meanwhile, or is another's
                continue
            if ours:
                found.add((domain.name(), domain.UUIDString()))
        return found

    def _processes(self) -> set[str]:
        """The guests of which there is a process, whatever libvirt knows of them."""
        found = set()
        place = f"{self.cloud.data}/instances/"
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = entry.read_bytes().decode(errors="replace")
            except OSError:
                continue
            if "qemu-system" in command and place in command:
                found.add(command.partition(place)[2].partition("/")[0])
        return found

    # --- the network ----------------------------------------------------------------------------

    def _devices(self) -> set[str]:
        prefix = ids.tap_prefix(self.bridge)
        return {each.name for each in host.LINKS.iterdir() if each.name.startswith(prefix)}

    def _rules(self, things: Things, taps: set[str]) -> dict[str, tuple[object, object]]:
        """The tables of packet rules, and of security groups the chains and the open ports."""
        names = {f"eucabox-{self.bridge}", GROUPS + self.bridge, GUARD + self.bridge}
        tables = {name for _, name in host.tables() if self.bridge in name}
        if not taps:  # those of the groups are not needed
            return {"tables": (tables, names & tables)}
        listed = host.table("bridge", GROUPS + self.bridge)
        ports = {(tap, port) for tap in taps for port in ports_of(things.value("group", GUESTS))}
        return {
            "tables": (tables, names),
            "chains": (_read_chains(listed), taps),
            "open ports": (_read_ports(listed), ports),
        }

    def _lines(self, name: str) -> set[str]:
        return set((RUN / self.bridge / name).read_text().splitlines())

    # --- files ----------------------------------------------------------------------------------

    def _files(self, rows: list[Instance]) -> Iterator[str]:
        """What instances' folders have too much or too little."""
        folders = {
            folder.name: {each.name for each in folder.iterdir()}
            for folder in (self.cloud.data / "instances").iterdir()
        }
        for row in rows:
            files = folders.pop(row.instance_id, set())
            needed = DISK | CONSOLE if row.state in HELD else set()
            if not needed <= files <= needed | CONSOLE:
                yield f"{row} has the files {files}"
        if folders:
            yield f"folders of no instance: {folders}"

    def _cache(self) -> Iterator[str]:
        """What is in the cache of images without an image or an instance that needs it."""
        owners = {
            str(row[0])
            for row in self.query("select digest from images where state <> 'deregistered'")
        }
        for note in (self.cloud.data / "instances").glob("*/boot.json"):
            owners |= set(json.loads(note.read_text())["uses"])
        for file in (self.cloud.data / "cache").iterdir():
            if file.stem not in owners and file.stem.partition("-")[0] not in owners:
                yield f"the cache has {file.name}, which belongs to no image"


def _read_chains(table: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the taps that the chains of the security groups' table are for."""
    names = {each["chain"]["name"] for each in table if "chain" in each}
    return {each.rpartition("-")[2] for each in names if each.startswith(("to-", "from-"))}


def _read_ports(table: Iterable[Mapping[str, Any]]) -> set[tuple[str, int]]:
    """Return the ports that its rules open, by tap."""
    found = set()
    for each in table:
        rule = each.get("rule", {})
        for part in rule.get("expr", ()):
            match = part.get("match", {})
            is_port = match.get("left") == {"payload": {"protocol": "tcp", "field": "dport"}}
            if is_port and rule["chain"].startswith("to-") and isinstance(match["right"], int):
                found.add((rule["chain"].removeprefix("to-"), match["right"]))
    return found
