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

import click

from eucabox import __version__, hypervisor, logs, network
from eucabox.atomic_files import write_atomic
from eucabox.cli import CommandContext, journal
from eucabox.cli.data_owner import act_as_owner, give_file_to_caller
from eucabox.cli.doctor import CHECKS
from eucabox.cli.logs import is_in_journal
from eucabox.cli.progress import Steps
from eucabox.cli.scrub import Scrub
from eucabox.cli.status import collect
from eucabox.config import SECTIONS, Config
from eucabox.domains import serial
from eucabox.domains.bounded_calls import Bounded, Overdue
from eucabox.domains.hook_facts import TOLD
from eucabox.domains.libvirt_binding import libvirt
from eucabox.errors import Fault
from eucabox.iam.accounts import Accounts
from eucabox.network.bridge import TABLE
from eucabox.network.host import tables
from eucabox.run import PACKAGES, run
from eucabox.state import Row, State

LOG_BYTES = 2 * 2**20
LOG_LINES = 10_000  # of a journal
CONSOLE_BYTES = 32 * 1024
IMAGE = """image_id, account_id, name, image_location, image_type, architecture, platform,
  virtualization_type, kernel_id, ramdisk_id, root_device_name, state, state_reason, is_public,
  size, created"""
HIDDEN = ("password", "secret", "token")  # in the name of a setting
PYTHON_PACKAGES = (
    *("flask", "werkzeug", "cheroot", "sqlite-utils", "boto3", "botocore", "cryptography"),
    *("click", "defusedxml", "crc32c", "crcmod", "libvirt-python"),
)
LIBRARIES = (
    *("python3-libvirt", "libvirt0", "libvirt-daemon", "libvirt-daemon-driver-qemu"),
    *("libvirt-daemon-driver-xen", "xen-hypervisor-common", "xen-utils-common"),
)
LIBVIRT = 20.0  # seconds that libvirt has to show the domains
LEFT_OUT = (Fault, OSError, ValueError, KeyError, sqlite3.Error)


@dataclass
class ReportContext:
    """What the collectors work with: `state` is None where there is none, or none to read."""

    config: Config
    state: State | None
    files: dict[str, bytes] = field(default_factory=dict)

    def rows(self, sql: str) -> list[Row]:
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
    with _open_context(settings.config) as context:
        for what, collect in COLLECTORS.items():
            with steps.step(what):
                _collect(context, what, collect)
        with steps.step("take secrets out and pack"):
            scrub = _scrub(context)
            _pack(file, name, {each: scrub(content) for each, content in context.files.items()})
    give_file_to_caller(file)
    click.echo(f"{file}: {len(context.files)} files, {file.stat().st_size // 1024 + 1} KiB")
    click.echo("Access secrets, private keys and user data are taken out; account ids are in it.")
    click.echo("Consoles may hold what guests printed: look before you send it.")


def _collect(context: ReportContext, what: str, collect: Callable[[ReportContext], None]) -> None:
    """Run one collector; if it fails, the report has a file with the reason."""
    try:
        collect(context)
    except LEFT_OUT as problem:
        context.files[f"missing/{what.replace(' ', '-')}.txt"] = f"{problem}\n".encode()


@contextmanager
def _open_context(config: Config) -> Iterator[ReportContext]:
    context = ReportContext(config, None)
    _collect(context, "state", _open_state)
    try:
        yield context
    finally:
        if context.state:
            context.state.close()


def _open_state(context: ReportContext) -> None:
    file = context.config.cloud.data_dir / "eucabox.db"
    with act_as_owner(context.config):
        context.state = State(file, migrates=False) if file.exists() else None


# --- what is collected ---------------------------------------------------------------------------


def _versions(context: ReportContext) -> None:
    lines = [f"eucabox {__version__}", f"Python {sys.version}", platform.platform()]
    lines += [_text(Path("/etc/os-release")), "Python packages:"]
    for name in PYTHON_PACKAGES:
        try:
            lines.append(f"  {name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            lines.append(f"  {name} is not installed as a package")
    context.files["versions.txt"] = "\n".join(lines).encode()


def _packages(context: ReportContext) -> None:
    names = sorted({*PACKAGES.values(), *LIBRARIES})
    known = run("dpkg-query", "-W", "-f=${Package} ${Version} ${db:Status-Abbrev}\n")
    lines = [line for line in known.decode().splitlines() if line.split()[0] in names]
    context.files["packages.txt"] = "\n".join(lines).encode()


def _config(context: ReportContext) -> None:
    config = context.config
    sections = {name: asdict(getattr(config, name)) for name in SECTIONS}
    for section in sections.values():
        for key in section:
            if any(word in key for word in HIDDEN):
                section[key] = "[taken out]"
    origins = {f"{section}.{key}": file for (section, key), file in config.origins.items()}
    context.files["config.json"] = _json({**sections, "file": config.file, "origins": origins})


def _doctor(context: ReportContext) -> None:
    findings = [asdict(each) for check in CHECKS for each in check(context.config)]
    context.files["doctor.json"] = _json(findings)


def _status(context: ReportContext) -> None:
    with act_as_owner(context.config):
        context.files["status.json"] = _json(collect(context.config))


def _log(context: ReportContext) -> None:
    if is_in_journal(context.config):
        text = "\n".join(journal.read_lines(last=LOG_LINES)).encode("ascii", "backslashreplace")
    else:
        with act_as_owner(context.config):
            text = b"".join(each.read_bytes() for each in logs.files(context.config.log_path)[-2:])
    context.files["eucabox.log"] = text[-LOG_BYTES:]


def _rows(context: ReportContext) -> None:
    context.files["instances.json"] = _json(context.rows(f"select {TOLD} from instances"))
    context.files["images.json"] = _json(context.rows(f"select {IMAGE} from images"))


def _domains(context: ReportContext) -> None:
    """Without VIR_DOMAIN_XML_SECURE libvirt leaves passwords out of the XML."""
    if libvirt is None:
        raise ValueError("Python does not find libvirt's binding")
    own = {row["domain_uuid"] for row in context.rows("select domain_uuid from instances")}
    libvirt.registerErrorHandler(lambda *_: None, None)
    node = context.config.node
    uri = hypervisor.find_uri(node.virt_type, node.libvirt_uri)
    try:
        context.files |= Bounded().call(uri, lambda: _xml_of(uri, own), LIBVIRT)
    except (libvirt.libvirtError, Overdue) as problem:
        raise ValueError(str(problem)) from None


def _xml_of(uri: str, own: set[str]) -> dict[str, bytes]:
    domains = libvirt.openReadOnly(uri).listAllDomains()
    return {
        f"domains/{domain.name()}.xml": domain.XMLDesc(0).encode()
        for domain in domains
        if domain.UUIDString() in own
    }


def _network(context: ReportContext) -> None:
    driver = network.load(context.config)
    outputs = [run("ip", "-details", "address", "show", "dev", driver.bridge)]
    outputs.append(run("ip", "neighbour", "show", "dev", driver.bridge))
    for family, name in sorted(tables()):
        if name.startswith(TABLE) and driver.bridge in name:
            outputs.append(run("nft", "list", "table", family, name))
    context.files["network.txt"] = b"\n".join(outputs)


def _dhcp(context: ReportContext) -> None:
    mark = f"--interface={network.load(context.config).bridge}".encode()
    processes = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended while we looked
            words = (process / "cmdline").read_bytes().split(b"\0")
            if mark in words:
                processes.append(process.name.encode() + b" " + b" ".join(words))
    context.files["dnsmasq.txt"] = b"\n".join(processes or [b"none runs"])


def _consoles(context: ReportContext) -> None:
    if context.state is None:
        raise ValueError("left out: user data is not known that may be in them")
    for folder in sorted((context.config.cloud.data_dir / "instances").glob("i-*")):
        with act_as_owner(context.config):
            output, _ = serial.tail(folder / "console.log", CONSOLE_BYTES)
        if output:
            context.files[f"consoles/{folder.name}.txt"] = output


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


def _scrub(context: ReportContext) -> Scrub:
    secrets: list[str] = []

    def read(context: ReportContext) -> None:
        if context.state:
            with act_as_owner(context.config):
                accounts = Accounts(context.config, context.state)
            secrets.extend(accounts.secrets())

    _collect(context, "secrets", read)
    rows = context.rows("select user_data from instances where user_data is not null")
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


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, default=str).encode()


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError as problem:
        return f"{file}: {problem.strerror}"
