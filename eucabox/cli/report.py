"""`eucabox report`: packs what a bug report needs, without secrets; changes nothing."""

import io
import json
import platform
import sqlite3
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from eucabox import __version__, logs, network
from eucabox.atomic_files import write_atomic
from eucabox.cli import CommandContext
from eucabox.cli.doctor import CHECKS
from eucabox.cli.progress import Steps
from eucabox.cli.scrub import Scrub
from eucabox.cli.status import look
from eucabox.config import Config
from eucabox.domains import serial
from eucabox.domains.bounded_calls import Bounded, Overdue
from eucabox.domains.hook_facts import TOLD
from eucabox.domains.libvirt_binding import libvirt
from eucabox.errors import Fault
from eucabox.iam.accounts import Accounts
from eucabox.network.bridge import TABLE
from eucabox.network.host import tables
from eucabox.run import PACKAGES, run
from eucabox.state import State

LOG_BYTES = 2 * 2**20
CONSOLE_BYTES = 32 * 1024
IMAGE = """image_id, account_id, name, image_location, image_type, architecture, platform,
  virtualization_type, kernel_id, ramdisk_id, root_device_name, state, state_reason, is_public,
  size, created"""
HIDDEN = ("password", "secret", "token")  # in the name of a setting
PYTHON_PACKAGES = (
    *("flask", "werkzeug", "cheroot", "sqlite-utils", "boto3", "botocore", "cryptography"),
    *("click", "defusedxml", "crc32c", "crcmod", "libvirt-python"),
)
LIBRARIES = ("python3-libvirt", "libvirt0", "libvirt-daemon", "libvirt-daemon-driver-qemu")
LIBVIRT = 20.0  # seconds that libvirt has to show the domains
LEFT_OUT = (Fault, OSError, ValueError, KeyError, sqlite3.Error)


@dataclass
class ReportContext:
    """What the collectors work with: `state` is None where there is none, or none to read."""

    config: Config
    state: State | None
    files: dict[str, bytes] = field(default_factory=dict)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return rows, or none without a database."""
        return self.state.query(sql) if self.state else []


@click.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write.  [default: eucabox-report-TIME.tar.gz]",
)
@click.pass_obj
def report(settings: CommandContext, out: Path | None) -> None:
    """Pack what a bug report needs into one file, with secrets and user data taken out."""
    name = time.strftime("eucabox-report-%Y%m%d-%H%M%S", time.gmtime())
    file = out or Path(f"{name}.tar.gz")
    steps = Steps()
    with _room(settings.config) as room:
        for what, collect in COLLECTORS.items():
            with steps.step(what):
                _collect(room, what, collect)
        with steps.step("take secrets out and pack"):
            scrub = _scrub(room)
            _pack(file, name, {each: scrub(content) for each, content in room.files.items()})
    click.echo(f"{file}: {len(room.files)} files, {file.stat().st_size // 1024 + 1} KiB")
    click.echo("Access secrets, private keys and user data are taken out; account ids are in it.")
    click.echo("Consoles may hold what guests printed: look before you send it.")


def _collect(room: ReportContext, what: str, collect: Callable[[ReportContext], None]) -> None:
    """What can't be had is a file that says why."""
    try:
        collect(room)
    except LEFT_OUT as problem:
        room.files[f"missing/{what.replace(' ', '-')}.txt"] = f"{problem}\n".encode()


@contextmanager
def _room(config: Config) -> Iterator[ReportContext]:
    room = ReportContext(config, None)
    _collect(room, "state", _open_state)
    try:
        yield room
    finally:
        if room.state:
            room.state.close()


def _open_state(room: ReportContext) -> None:
    file = room.config.cloud.data_dir / "eucabox.db"
    room.state = State(file) if file.exists() else None


# --- what is collected ---------------------------------------------------------------------------


def _versions(room: ReportContext) -> None:
    lines = [f"eucabox {__version__}", f"Python {sys.version}", platform.platform()]
    lines += [_text(Path("/etc/os-release")), "Python packages:"]
    for name in PYTHON_PACKAGES:
        try:
            lines.append(f"  {name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            lines.append(f"  {name} is not installed as a package")
    room.files["versions.txt"] = "\n".join(lines).encode()


def _packages(room: ReportContext) -> None:
    names = sorted({*PACKAGES.values(), *LIBRARIES})
    known = run("dpkg-query", "-W", "-f=${Package} ${Version} ${db:Status-Abbrev}\n")
    lines = [line for line in known.decode().splitlines() if line.split()[0] in names]
    room.files["packages.txt"] = "\n".join(lines).encode()


def _config(room: ReportContext) -> None:
    sections = asdict(room.config)
    for section in sections.values():
        for key in section if isinstance(section, dict) else ():
            if any(word in key for word in HIDDEN):
                section[key] = "[taken out]"
    room.files["config.json"] = _json(sections)


def _doctor(room: ReportContext) -> None:
    found = [asdict(each) for check in CHECKS for each in check(room.config)]
    room.files["doctor.json"] = _json(found)


def _status(room: ReportContext) -> None:
    room.files["status.json"] = _json(look(room.config))


def _log(room: ReportContext) -> None:
    text = b"".join(each.read_bytes() for each in logs.files(room.config.log_path)[-2:])
    room.files["eucabox.log"] = text[-LOG_BYTES:]


def _rows(room: ReportContext) -> None:
    room.files["instances.json"] = _json(room.rows(f"select {TOLD} from instances"))
    room.files["images.json"] = _json(room.rows(f"select {IMAGE} from images"))


def _domains(room: ReportContext) -> None:
    """libvirt leaves passwords out of XML that is not asked for as VIR_DOMAIN_XML_SECURE."""
    if libvirt is None:
        raise ValueError("Python does not find libvirt's binding")
    own = {row["domain_uuid"] for row in room.rows("select domain_uuid from instances")}
    libvirt.registerErrorHandler(lambda *_: None, None)
    uri = room.config.node.libvirt_uri or "qemu:///system"
    try:
        room.files |= Bounded().call(uri, lambda: _xml_of(uri, own), LIBVIRT)
    except (libvirt.libvirtError, Overdue) as problem:
        raise ValueError(str(problem)) from None


def _xml_of(uri: str, own: set[str]) -> dict[str, bytes]:
    domains = libvirt.openReadOnly(uri).listAllDomains()
    return {
        f"domains/{domain.name()}.xml": domain.XMLDesc(0).encode()
        for domain in domains
        if domain.UUIDString() in own
    }


def _network(room: ReportContext) -> None:
    driver = network.load(room.config)
    shown = [run("ip", "-details", "address", "show", "dev", driver.bridge)]
    shown.append(run("ip", "neighbour", "show", "dev", driver.bridge))
    for family, name in sorted(tables()):
        if name.startswith(TABLE) and driver.bridge in name:
            shown.append(run("nft", "list", "table", family, name))
    room.files["network.txt"] = b"\n".join(shown)


def _dhcp(room: ReportContext) -> None:
    mark = f"--interface={network.load(room.config).bridge}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended while we looked
            words = (process / "cmdline").read_bytes().split(b"\0")
            if mark in words:
                found.append(process.name.encode() + b" " + b" ".join(words))
    room.files["dnsmasq.txt"] = b"\n".join(found or [b"none runs"])


def _consoles(room: ReportContext) -> None:
    if room.state is None:
        raise ValueError("left out: user data is not known that may be in them")
    for folder in sorted((room.config.cloud.data_dir / "instances").glob("i-*")):
        output, _ = serial.tail(folder / "console.log", CONSOLE_BYTES)
        if output:
            room.files[f"consoles/{folder.name}.txt"] = output


COLLECTORS: dict[str, Callable[[ReportContext], None]] = {
    "versions": _versions,
    "packages": _packages,
    "configuration": _config,
    "doctor": _doctor,
    "status": _status,
    "log": _log,
    "instances and images": _rows,
    "domains": _domains,
    "network": _network,
    "DHCP server": _dhcp,
    "consoles": _consoles,
}


# --- on its way out ------------------------------------------------------------------------------


def _scrub(room: ReportContext) -> Scrub:
    secrets: list[str] = []

    def read(room: ReportContext) -> None:
        if room.state:
            secrets.extend(Accounts(room.config, room.state).secrets())

    _collect(room, "secrets", read)
    rows = room.rows("select user_data from instances where user_data is not null")
    return Scrub(secrets, (row["user_data"] for row in rows))


def _pack(file: Path, name: str, files: dict[str, bytes]) -> None:
    """Write the archive, for its owner alone, whole or not at all."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for each, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"{name}/{each}")
            entry.size, entry.mtime, entry.mode = len(content), int(time.time()), 0o600
            archive.addfile(entry, io.BytesIO(content))
    try:
        write_atomic(file, packed.getvalue(), 0o600)
    except OSError as problem:
        raise click.ClickException(f"{file}: {problem.strerror or problem}") from None


def _json(found: Any) -> bytes:
    return json.dumps(found, indent=1, default=str).encode()


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError as problem:
        return f"{file}: {problem.strerror}"
