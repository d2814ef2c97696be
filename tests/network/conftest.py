"""A host that is not there: what the programs would say of it, and what was asked of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from eucabox.config import CloudSection, Config, NetworkSection
from eucabox.errors import ProgramFailed
from eucabox.network import (
    base,
    bridge,
    dnsmasq,
    existing_bridge,
    firewall,
    host,
    nft_table,
    static,
    system,
    taps,
)

LISTING = "nft -s -t list table "


def _opens(line: str) -> bool:
    return line.startswith("table ") and line.endswith(" {")


class FakeHost:
    """Records each command; `answers` are outputs, `failures` reasons, by a command's words."""

    def __init__(self, folder: Path) -> None:
        self.links = folder / "net"
        self.links.mkdir()
        self.commands: list[str] = []
        self.inputs: list[str] = []
        self.tables: set[str] = set()  # that were written, by family and name
        self.answers: dict[str, str] = {}
        self.failures: dict[str, str] = {}

    def run(self, *argv: str, input: bytes | None = None) -> bytes:
        words = " ".join(argv)
        self.commands.append(words)
        if input is not None:
            self.inputs.append(input.decode())
        if words == "nft -f -":
            self.tables |= {line[6:-2] for line in self.inputs[-1].splitlines() if _opens(line)}
        for start, reason in self.failures.items():
            if words.startswith(start):
                raise ProgramFailed(program=argv[0], status=2, reason=reason)
        if words.startswith(LISTING):
            return words.encode() if words.removeprefix(LISTING) in self.tables else b""
        empty = '{"nftables": []}' if argv[0] == "nft" else ""
        return self.answers.get(words, empty).encode()

    def add_bridge(self, name: str, alias: str = "", mac: str = "02:00:00:00:00:01") -> None:
        (self.links / name / "bridge").mkdir(parents=True)
        (self.links / name / "ifalias").write_text(alias + "\n" if alias else "")
        (self.links / name / "address").write_text(mac + "\n")

    def add_tables(self, *names: tuple[str, str]) -> None:
        """Have nft list these tables alone, by family and name."""
        self.tables = {" ".join(each) for each in names}
        self.answers["nft list tables"] = "".join(f"table {each}\n" for each in self.tables)

    def did(self, start: str) -> list[str]:
        return [each for each in self.commands if each.startswith(start)]


class NoEvents:
    """This machine's own events are nothing to a host that is not there."""

    def __init__(self, *_: object) -> None: ...

    def open(self) -> None: ...

    def close(self) -> None: ...


class NoGuard(NoEvents):
    """No table of this machine's kernel."""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    made = FakeHost(tmp_path)
    for room in (host, bridge, existing_bridge, dnsmasq, firewall, static, nft_table, taps):
        monkeypatch.setattr(room, "run", made.run)
    monkeypatch.setattr(host, "LINKS", made.links)
    monkeypatch.setattr(host, "NEIGHBOURS", tmp_path / "arp")
    monkeypatch.setattr(host, "RESOLVERS", (tmp_path / "resolv.conf",))
    for room in (bridge, static, system):
        monkeypatch.setattr(room, "RUN", tmp_path / "run")
    forwarding = tmp_path / "ip_forward"
    forwarding.write_text("0\n")
    monkeypatch.setattr(bridge, "FORWARDING", forwarding)
    monkeypatch.setattr(bridge, "IPV6_OFF", str(tmp_path / "no" / "{name}"))
    processes = tmp_path / "proc"
    processes.mkdir()
    monkeypatch.setattr(dnsmasq, "PROC", processes)
    monkeypatch.setattr(dnsmasq, "SECONDS_TO_FREE", 0.05)
    monkeypatch.setattr(base, "Events", NoEvents)
    monkeypatch.setattr(base, "TapIpv6", NoEvents)
    monkeypatch.setattr(base, "Guard", NoGuard)
    return made


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Config]:
    def configured(**keys: str) -> Config:
        cloud = CloudSection(data_dir=tmp_path / "data")
        return Config(cloud=cloud, network=NetworkSection(**keys))

    return configured
