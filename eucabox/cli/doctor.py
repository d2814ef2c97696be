"""`eucabox doctor`: checks the host, and says how to fix each thing that is wrong."""

import json
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from eucabox import hypervisor, network
from eucabox.atomic_files import name_user
from eucabox.cli import CommandContext, background
from eucabox.cli.data_owner import act_as_owner, is_unit_installed
from eucabox.config import Config
from eucabox.domains.admin_programs import is_meant_to_run, reason_not_trusted
from eucabox.domains.bounded_calls import Bounded, Overdue
from eucabox.domains.libvirt_binding import libvirt
from eucabox.errors import Fault
from eucabox.hypervisor import architecture, qemu
from eucabox.network import host
from eucabox.network.bridge import metadata_address
from eucabox.network.port_holder import holder_of
from eucabox.run import find

OK, WARN, FAIL = "ok", "warn", "FAIL"
PROGRAMS = ("qemu-img", "debugfs", "mke2fs", "dnsmasq", "nft", "ip")
VIRTLOGD = Path("/run/libvirt/virtlogd-sock")
QEMU_CONF = Path("/etc/libvirt/qemu.conf")
KVM = Path("/dev/kvm")
GIB = 2**30
MEMORY_MB = 512
LIBVIRT = 10.0  # seconds that libvirt has to say its version
IP_FREEBIND = 15
CAPABILITY_BITS = {"NET_BIND_SERVICE": 10, "NET_ADMIN": 12, "NET_RAW": 13}
CAPABILITIES = frozenset(CAPABILITY_BITS)
# open files: fewer than these serve few clients at once, or hardly any
DESCRIPTORS, FEW_DESCRIPTORS, ENOUGH = 4096, 512, 65_536


@dataclass(frozen=True)
class Finding:
    """The result of one check: `fix` says what to do where it is not ok."""

    what: str
    state: str
    detail: str
    fix: str = ""


Check = Callable[[Config], Iterator[Finding]]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def doctor(settings: CommandContext, as_json: bool) -> None:
    """Check this host; status 1 when something keeps instances from running."""
    findings = [finding for check in CHECKS for finding in check(settings.config)]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in findings], indent=1))
    else:
        for each in findings:
            click.echo(f"{each.state:<5}{each.what:<12}{each.detail}")
            if each.fix:
                click.echo(f"{'':17}-> {each.fix}")
    sys.exit(any(each.state == FAIL for each in findings))


def _configuration(config: Config) -> Iterator[Finding]:
    """Which file each setting is from that is no default."""
    keys: dict[Path, list[str]] = {}
    for section, key, _, file in config.list_settings():
        keys.setdefault(file, []).append(f"{section}.{key}")
    settings = "; ".join(f"{', '.join(names)}: {file}" for file, names in keys.items())
    yield Finding("config", OK, settings or "all defaults")


def _rights(config: Config) -> Iterator[Finding]:
    """May the running eucabox, or one that this user would start, change the network?"""
    pid = background.running_pid(config)
    status = Path(f"/proc/{pid or 'self'}/status").read_text("utf-8", "replace")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    needed = CAPABILITIES if config.network.mode == "SYSTEM" else CAPABILITIES - {"NET_RAW"}
    missing = needed - _name_capabilities(int(facts["CapEff"], 16))
    who = f"process {pid}" if pid else name_user(int(facts["Uid"].split()[1]))
    if not missing:
        yield Finding("rights", OK, f"{who} has {', '.join(sorted(needed))}")
        return
    fix = "type: systemctl start eucabox" if is_unit_installed() else "start it as root"
    detail = f"{who} lacks {', '.join(sorted(missing))}: buckets work without, instances do not"
    yield Finding("rights", FAIL, detail, fix)


def _name_capabilities(mask: int) -> set[str]:
    return {name for name, bit in CAPABILITY_BITS.items() if mask >> bit & 1}


def _programs(config: Config) -> Iterator[Finding]:
    missing = []
    for program in PROGRAMS:
        try:
            find(program)
        except Fault as fault:
            missing.append(fault.facts["package"])
    if missing:
        fix = "apt-get install " + " ".join(sorted(set(missing)))
        yield Finding("programs", FAIL, "some are not installed", fix)
    else:
        yield Finding("programs", OK, ", ".join(PROGRAMS))


def _virtualization(config: Config) -> Iterator[Finding]:
    try:
        with tempfile.TemporaryDirectory(prefix="eucabox-doctor-") as folder:
            choice = hypervisor.choose(config.node.virt_type, Path(folder))
    except Fault as fault:
        package = hypervisor.load(fault.facts["name"]).PACKAGE
        yield Finding("hypervisor", FAIL, fault.message, f"apt-get install {package}")
        return
    name = choice.driver.NAME
    slow = choice.driver.capabilities().hardware_speed
    if slow and config.node.virt_type == "auto":
        fix = "guests run; nothing to do where the host has no KVM to give"
        yield Finding("hypervisor", WARN, f"{name}: {slow}. {choice.reason}", fix)
    else:
        yield Finding("hypervisor", OK, f"{name}: {choice.reason}")


def _firmware(config: Config) -> Iterator[Finding]:
    """Where there is no BIOS, no guest boots without UEFI."""
    host = architecture.HOST
    if not host.has_bios and not qemu.has_uefi():
        detail = f"no UEFI firmware for guests: on {host.name} it boots every one"
        yield Finding("firmware", FAIL, detail, f"apt-get install {host.firmware_package}")


def _kvm_device(config: Config) -> Iterator[Finding]:
    """libvirt forgets what it found out about QEMU while KVM is there for root alone."""
    if KVM.exists() and KVM.stat().st_gid == 0 and KVM.stat().st_mode & 0o006 != 0o006:
        detail = f"{KVM} belongs to root alone: libvirt probes QEMU for seconds at every launch"
        yield Finding("kvm", WARN, detail, f"chgrp kvm {KVM}; chmod 660 {KVM}")


def _libvirt(config: Config) -> Iterator[Finding]:
    if libvirt is None:
        fix = "apt-get install python3-libvirt, and use the distribution's Python"
        yield Finding("libvirt", FAIL, "Python does not find libvirt's binding", fix)
        return
    uri = hypervisor.find_uri(config.node.virt_type, config.node.libvirt_uri)
    libvirt.registerErrorHandler(lambda *_: None, None)
    try:
        version = Bounded().call(uri, lambda: libvirt.openReadOnly(uri).getLibVersion(), LIBVIRT)
    except libvirt.libvirtError as problem:
        fix = "systemctl start libvirtd, or where there is no systemd: virtlogd -d; libvirtd -d"
        yield Finding("libvirt", FAIL, f"{uri}: {problem.get_error_message()}", fix)
        return
    except Overdue as late:
        fix = "look at its log, and start it again; guests run on"
        yield Finding("libvirt", FAIL, f"{uri}: {late}", fix)
        return
    detail = f"{uri}, version {version // 10**6}.{version // 1000 % 1000}.{version % 1000}"
    yield Finding("libvirt", OK, detail)
    yield from _console(uri)


def _guests(config: Config) -> Iterator[Finding]:
    """Problems of instances that the running eucabox has found."""
    status = background.status(config) if background.running_pid(config) else {}
    for instance_id, text in status.get("node", {}).get("guests", {}).items():
        fix = "see the log; `virsh list` and `ps -o stat,wchan` show what its process waits for"
        yield Finding("guests", WARN, f"{instance_id}: {text}", fix)


def _console(uri: str) -> Iterator[Finding]:
    """Without virtlogd libvirt refuses any guest whose serial console goes to a file."""
    if uri != "qemu:///system" or VIRTLOGD.exists():
        return
    try:
        settings = QEMU_CONF.read_text("utf-8", "replace").splitlines()
    except OSError:
        settings = []
    if not any(line.replace(" ", "").startswith('stdio_handler="file"') for line in settings):
        fix = f'start virtlogd, or set stdio_handler = "file" in {QEMU_CONF}'
        yield Finding("console", FAIL, f"{VIRTLOGD} is not there: guests will not start", fix)


def _ports(config: Config) -> Iterator[Finding]:
    if pid := background.running_pid(config):
        yield Finding("ports", OK, f"eucabox runs as process {pid} and has them")
        return
    api, console = config.api, config.console
    for section, key, listen, port, state in (
        ("api", "port", api.listen, api.port, FAIL),
        ("api", "https_port", api.listen, api.https_port, FAIL),
        ("console", "port", console.listen, console.port if console.enabled else 0, WARN),
    ):
        reason = _why_not_bound(listen, port) if port else ""
        if reason:
            fix = f"stop what uses it (ss -ltnp 'sport = :{port}'), or set [{section}] {key}"
            yield Finding("ports", state, f"{listen}:{port}: {reason}", fix)
        elif port:
            yield Finding("ports", OK, f"{listen}:{port} is free")


def _metadata(config: Config) -> Iterator[Finding]:
    """Guests without metadata have no key and no user data."""
    section = config.metadata
    if not section.enabled:
        return
    place = f"{section.address}:{section.port}"
    if background.running_pid(config):
        problems = background.status(config).get("problems", [])
        failures = [each for each in problems if each.startswith("metadata: ")]
        for each in failures:
            yield Finding(
                "metadata", FAIL, each.removeprefix("metadata: "), _free_port(section.port)
            )
        if not failures:
            yield Finding("metadata", OK, f"served at {place}")
        return
    device = _metadata_device(config)
    reason = _why_not_bound(section.address, section.port, free=True, device=device)
    if reason:
        process = holder_of(section.port)
        detail = f"{place}: {reason}" + (f", {process} has it" if process else "")
        yield Finding("metadata", FAIL, detail, _free_port(section.port))
    else:
        yield Finding("metadata", OK, f"{place} is free; guests ask port 80 and are brought there")


def _free_port(port: int) -> str:
    return f"stop what has port {port}, or set [metadata] port to one that is free"


def _metadata_device(config: Config) -> str:
    """Return the bridge, or where it is to come a device that no cloud's metadata is bound to.

    Clouds of one host have the same address and port, each on its own bridge.
    """
    if not metadata_address(config):
        return ""
    bridge = config.network.bridge or config.network.own_bridge
    return bridge if host.exists(bridge) else "lo"


def _why_not_bound(address: str, port: int, free: bool = False, device: str = "") -> str:
    """Return why no program can listen there, on a `device` alone where one is given.

    `free` allows an address that comes later.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            if free:
                probe.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
            if device:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            probe.bind((address, port))
            probe.listen()
        except OSError as problem:
            return problem.strerror or str(problem)
    return ""


def _data(config: Config) -> Iterator[Finding]:
    data = config.cloud.data_dir
    existing = next(folder for folder in (data, *data.parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free / GIB
    fix = "make room, or set [cloud] data_dir to a larger disk"
    state = FAIL if free < 1 else WARN if free < 5 else OK
    yield Finding("disk", state, f"{free:.1f} GiB free at {existing}", fix if free < 5 else "")
    folders = [each for each in (data, *data.parents) if each.is_dir()]
    closed = [each for each in folders if not each.stat().st_mode & 0o001]
    if closed:
        fix = f"chmod o+x {closed[0]}, or set [cloud] data_dir elsewhere"
        detail = f"the hypervisor's user can't pass through {closed[0]} to its disks"
        yield Finding("path", FAIL, detail, fix)
    else:
        yield Finding("path", OK, f"the hypervisor's user reaches {data}")


def _memory(config: Config) -> Iterator[Finding]:
    """Memory for guests: the memory of Linux, or the hypervisor's where it gives memory itself."""
    if hypervisor.find_libvirt(config.node.virt_type).capabilities().memory_of_host:
        yield from _memory_of_hypervisor(config)
        return
    lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    facts = {line.split(":")[0]: int(line.split()[1]) // 1024 for line in lines}
    yield _judge_memory(facts["MemAvailable"], f"available of {facts['MemTotal']}")


def _memory_of_hypervisor(config: Config) -> Iterator[Finding]:
    uri = hypervisor.find_uri(config.node.virt_type, config.node.libvirt_uri)
    if libvirt is None:
        return
    try:
        free = Bounded().call(uri, lambda: libvirt.openReadOnly(uri).getFreeMemory(), LIBVIRT)
    except (libvirt.libvirtError, Overdue):
        return  # there is another finding on libvirt already
    yield _judge_memory(free // 2**20, f"free at {uri}")


def _judge_memory(megabytes: int, whose: str) -> Finding:
    if megabytes < MEMORY_MB:
        fix = "end something: a small instance takes 256 MiB"
        return Finding("memory", WARN, f"{megabytes} MiB {whose}", fix)
    return Finding("memory", OK, f"{megabytes} MiB {whose}")


def _descriptors(config: Config) -> Iterator[Finding]:
    """Each client needs a file descriptor. For a running eucabox its own limit is reported."""
    pid = background.running_pid(config)
    process = Path(f"/proc/{pid or 'self'}")
    try:
        lines = (process / "limits").read_text("ascii").splitlines()
        used = len(list((process / "fd").iterdir()))
    except OSError:  # another user's process, or one that has just ended
        return
    soft, hard = next(line.split()[3:5] for line in lines if line.startswith("Max open files"))
    limit = soft if pid else hard  # a start raises the one to the other
    known = f"{used} open of {limit} that process {pid} may open" if pid else f"{limit} at most"
    if not limit.isdigit() or int(limit) >= DESCRIPTORS:
        yield Finding("files", OK, known)
        return
    fix = f"set LimitNOFILE={ENOUGH} in eucabox's unit, or ulimit -n {ENOUGH} before the start"
    few = int(limit) < FEW_DESCRIPTORS or (pid and used > int(limit) * 0.9)
    yield Finding("files", FAIL if few else WARN, f"{known}: clients are turned away", fix)


def _network(config: Config) -> Iterator[Finding]:
    try:
        driver = network.load(config)
    except Fault as fault:
        yield Finding("network", FAIL, fault.message, "see docs/configuration.md, [network]")
        return
    bridge = config.network.bridge
    if bridge and not host.is_bridge(bridge):
        fix = f"make it, with a network card as its port: ip link add {bridge} type bridge ..."
        yield Finding("network", FAIL, f"[network] bridge = {bridge} is no bridge here", fix)
        return
    yield Finding("network", OK, f"{config.network.mode} on {driver.bridge}")
    state = FAIL if driver.hindrance() else WARN
    for warning in driver.warnings():
        yield Finding("network", state, warning)


def _own_programs(config: Config) -> Iterator[Finding]:
    """A program for the domain XML that can't be run refuses every launch; a hook is left out."""
    with act_as_owner(config):  # the owner runs them
        findings = list(_judge_programs(config))
    yield from findings


def _judge_programs(config: Config) -> Iterator[Finding]:
    for name in hypervisor.DRIVERS:
        key = f"domain_xml_{name}"
        program = getattr(config.node, key)
        reason = reason_not_trusted(Path(program)) if program else ""
        if reason:
            detail = f"{program} can't be run: {reason}"
            yield Finding("domain xml", FAIL, detail, f"fix it, or set [node] {key} to nothing")
    folder = config.node.hooks
    if not folder.is_dir():
        return
    reason = reason_not_trusted(folder)
    programs = [] if reason else filter(is_meant_to_run, sorted(folder.iterdir()))
    for each in (folder, *programs):
        if reason := reason_not_trusted(each):
            yield Finding("hooks", WARN, f"{each} is not run: {reason}", "see docs/hooks.md")


def _clock(config: Config) -> Iterator[Finding]:
    """Requests are refused when client and server are 15 minutes apart."""
    mark = config.cloud.data_dir / "eucabox.db"
    behind = mark.stat().st_mtime - time.time() if mark.exists() else 0
    if behind > 60:
        detail = f"the clock is {behind:.0f} s behind eucabox's own last change"
        yield Finding("clock", FAIL, detail, "set the clock, and run an NTP client")
    else:
        yield Finding("clock", OK, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))


CHECKS: tuple[Check, ...] = (
    _configuration, _rights, _programs, _virtualization, _firmware, _kvm_device, _libvirt, _guests,
    _ports, _metadata, _data, _memory, _descriptors, _network, _own_programs, _clock,
)  # fmt: skip
