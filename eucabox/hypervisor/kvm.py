"""KVM: qemu.py's machine on the host's own processors, once a guest has been seen to run there."""

import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

from eucabox.atomic_files import write_atomic
from eucabox.errors import ProgramFailed, ProgramMissing
from eucabox.hypervisor import architecture, qemu
from eucabox.hypervisor.capabilities import Capabilities
from eucabox.hypervisor.domain import Domain
from eucabox.run import run

NAME = "kvm"
URI = "qemu:///system"
PACKAGE = qemu.PACKAGE
DEVICE = Path("/dev/kvm")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
DEBUG_EXIT = "isa-debug-exit,iobase=0xf4,iosize=1"
ATTEMPTS = 2  # a host that is busy booting deserves a second one
FILTERED = (
    f"{DEVICE} is there, but SIGSYS ended QEMU: a filter of system calls forbids one that it makes."
    " In a systemd unit set SystemCallErrorNumber=EPERM beside SystemCallFilter="
)
SLOWEST = 1.5  # seconds; real KVM and even TCG need a tenth, a pretended KVM several


@dataclass(frozen=True)
class Trial:
    """A guest of a few instructions, and the exit status of a QEMU that ran them."""

    program: bytes
    status: int
    machine: str
    devices: tuple[str, ...]
    boot: str
    without_device: str


TRIALS = {
    # mov al,10h; out F4h,al; hlt: QEMU's debug-exit device turns the 10h into exit status 33.
    "x86_64": Trial(
        bytes.fromhex("b010e6f4f4ebfd").ljust(510, b"\0") + b"\x55\xaa",
        33, "pc", ("-device", DEBUG_EXIT, "-drive"), "file={},format=raw,if=ide,snapshot=on",
        "switch virtualization on in the firmware, load kvm_intel",
    ),
    # PSCI's SYSTEM_OFF by hvc: a QEMU that could not run it would not end, or end with 1.
    "aarch64": Trial(
        bytes.fromhex("000180520080b072020000d400000014"),
        0, "virt,gic-version=max", ("-cpu", "max", "-kernel"), "{}",
        "the kernel has to be started at EL2, which few virtual machines are",
    ),
}  # fmt: skip


def domain_xml(domain: Domain) -> str:
    """Return libvirt's XML for a guest on the host's processors."""
    return qemu.machine(domain, kind="kvm", cpu="host-passthrough")


def capabilities() -> Capabilities:
    """Return what KVM can do: everything."""
    return Capabilities()


def probe(folder: Path) -> str:
    """Return why KVM does not run guests here, or an empty string.

    That /dev/kvm opens, or that libvirt lists KVM, proves nothing on a nested host, so a boot
    sector is run. The verdict is kept in `folder` until the host reboots.
    """
    if not DEVICE.exists():
        return f"{DEVICE} does not exist: {TRIALS[architecture.HOST.name].without_device}"
    cache_file = folder / "kvm-probe"
    boot_id = BOOT_ID.read_text("ascii").strip()
    verdict = _recall(cache_file, boot_id)
    if verdict is None:
        verdict, final = _boot_a_sector()
        if final:
            write_atomic(cache_file, f"{boot_id}\n{verdict}\n".encode("ascii", "replace"))
    return verdict


def _recall(cache_file: Path, boot_id: str) -> str | None:
    try:
        stored_boot_id, _, verdict = cache_file.read_text("ascii").partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return verdict.strip() if stored_boot_id == boot_id else None


def _boot_a_sector() -> tuple[str, bool]:
    """Return why it does not run, and whether asking again would give the same answer."""
    trial = TRIALS[architecture.HOST.name]
    verdict = f"{DEVICE} opens, but a boot sector did not run within {SLOWEST:g} s"
    for _ in range(ATTEMPTS):
        try:
            _run_once(trial)
        except ProgramMissing as fault:
            return fault.message, False
        except ProgramFailed as fault:
            if fault.facts["status"] == trial.status:
                return "", True
            if fault.facts["status"] == -signal.SIGSYS:
                return FILTERED, False
            if fault.facts["status"] != "none":
                return f"{DEVICE} is there, but QEMU says: {fault.facts['reason']}", False
        else:
            if trial.status == 0:
                return "", True
            return "the probe's boot sector ended without its mark", False
    return verdict, True


def _run_once(trial: Trial) -> None:
    with tempfile.NamedTemporaryFile(prefix="eucabox-kvm-") as sector:
        sector.write(trial.program)
        sector.flush()
        run(*_argv(trial, sector.name), timeout=SLOWEST)


def _argv(trial: Trial, sector: str) -> list[str]:
    return [
        architecture.HOST.emulator,
        *("-accel", "kvm"),
        *("-M", trial.machine),
        *("-m", "16"),
        *("-display", "none"),
        "-nodefaults",
        *trial.devices,
        trial.boot.format(sector),
    ]
