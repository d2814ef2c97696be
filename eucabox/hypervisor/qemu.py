"""QEMU without hardware help (TCG): runs anywhere, slowly; also the machine that KVM speeds up."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

from eucabox.errors import FirmwareMissing, ProgramMissing
from eucabox.hypervisor import architecture
from eucabox.hypervisor import domain as common
from eucabox.hypervisor.architecture import Architecture
from eucabox.hypervisor.capabilities import Capabilities
from eucabox.hypervisor.domain import Domain, add
from eucabox.run import find

NAME = "qemu"
URI = "qemu:///system"
PACKAGE = architecture.HOST.emulator_package
FIRMWARE = Path("/usr/share/qemu/firmware")  # where UEFI's packages tell libvirt of themselves
DISKS = {"scsi": "sda", "ide": "hda", "virtio": "vda"}  # names for libvirt, one a bus
CDROMS = {"ide": "hdc", "sata": "sdc", "scsi": "sdb"}  # all on the first controller


def probe(folder: Path) -> str:
    """Return why this host can't run QEMU guests, or an empty string."""
    try:
        find(architecture.HOST.emulator)
    except ProgramMissing as fault:
        return fault.message
    return ""


def capabilities() -> Capabilities:
    """Return what QEMU can do: the same as KVM, but slowly."""
    return Capabilities(hardware_speed="software does its work, ten times slower and more")


def domain_xml(domain: Domain) -> str:
    """Return libvirt's XML for a guest on emulated processors."""
    return machine(domain, kind="qemu", cpu="maximum")


def machine(domain: Domain, kind: str, cpu: str) -> str:
    """Return the XML of a machine with virtio devices, a PC on x86_64; `kind` and `cpu` are
    libvirt's words."""
    host = architecture.HOST
    xml = common.root(domain, kind)
    _identity(xml, domain)
    os = add(xml, "os", **_firmware(domain))
    add(os, "type", text="hvm", arch=host.name, machine=host.machine)
    if not host.has_bios:
        _refuse_secure_boot(os)
    if domain.nvram is not None:
        add(os, "nvram", text=str(domain.nvram))
    common.boot_files(os, domain)
    if domain.kernel is None:
        add(os, "boot", dev="hd")
    add(os, "smbios", mode="sysinfo")
    _features(xml, host)
    add(xml, "cpu", mode=cpu)
    common.lifecycle_actions(xml)
    if domain.owned:
        # The guest runs as libvirt's user all the same. By itself libvirt gives that user the
        # kernel and the base that other guests boot from too, for good.
        add(xml, "seclabel", type="none", model="dac")
    if host.has_bios:
        _disable_sleep(xml)
    devices = add(xml, "devices")
    _disk(devices, domain)
    if domain.seed is not None:
        _cdrom(devices, domain.seed, domain.seed_bus)
    if "scsi" in (domain.bus, domain.seed is not None and domain.seed_bus):
        add(devices, "controller", type="scsi", index="0", model="virtio-scsi")
    add(common.interface(devices, domain), "model", type=domain.nic_model)
    _serial(devices, domain)
    _helpers(devices, host)
    return common.text(xml)


def has_uefi() -> bool:
    """Return whether this host has a UEFI firmware for its guests."""
    return any(_is_for(architecture.HOST, file) for file in FIRMWARE.glob("*.json"))


def _firmware(domain: Domain) -> dict[str, str]:
    if not domain.uefi:
        return {}
    if not has_uefi():
        raise FirmwareMissing(package=architecture.HOST.firmware_package)
    return {"firmware": "efi"}


def _refuse_secure_boot(os: ET.Element) -> None:
    """Tell libvirt to choose a firmware that boots unsigned kernels; on a PC it does so anyway."""
    firmware = add(os, "firmware")
    add(firmware, "feature", enabled="no", name="enrolled-keys")
    add(firmware, "feature", enabled="no", name="secure-boot")


def _is_for(host: Architecture, description: Path) -> bool:
    """Return whether a firmware is for this host's processor; it may be for another one."""
    try:
        targets = json.loads(description.read_text("utf-8"))["targets"]
        return any(target["architecture"] == host.name for target in targets)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _features(xml: ET.Element, host: Architecture) -> None:
    features = add(xml, "features")
    add(features, "acpi")
    if host.has_bios:
        add(features, "apic")


def _identity(xml: ET.Element, domain: Domain) -> None:
    """Tell the guest its UUID by SMBIOS: cloud-init and dmidecode know EC2 by it."""
    sysinfo = add(xml, "sysinfo", type="smbios")
    system = add(sysinfo, "system")
    add(system, "entry", text="eucabox", name="manufacturer")
    add(system, "entry", text="Instance", name="product")
    add(system, "entry", text=domain.uuid, name="serial")
    add(system, "entry", text=domain.uuid, name="uuid")


def _disable_sleep(xml: ET.Element) -> None:
    """Offer the guest no sleep: nobody could wake it from outside."""
    pm = add(xml, "pm")
    add(pm, "suspend-to-mem", enabled="no")
    add(pm, "suspend-to-disk", enabled="no")


def _disk(devices: ET.Element, domain: Domain) -> None:
    disk = add(devices, "disk", type="file", device="disk")
    add(
        disk,
        "driver",
        name="qemu",
        type=domain.disk_format,
        cache="writeback",
        error_policy="enospace",
        discard="unmap",
    )
    add(disk, "source", file=str(domain.disk))
    add(disk, "target", dev=DISKS[domain.bus], bus=domain.bus)


def _cdrom(devices: ET.Element, file: Path, bus: str) -> None:
    cdrom = add(devices, "disk", type="file", device="cdrom")
    add(cdrom, "driver", name="qemu", type="raw")
    add(cdrom, "source", file=str(file))
    add(cdrom, "target", dev=CDROMS[bus], bus=bus)
    add(cdrom, "readonly")


def _serial(devices: ET.Element, domain: Domain) -> None:
    """Give a serial port that is a terminal to attach to and a file to read later."""
    serial = add(devices, "serial", type="pty")
    add(serial, "log", file=str(domain.console), append="on")
    add(serial, "target", port="0")
    console = add(devices, "console", type="pty")
    add(console, "target", type="serial", port="0")


def _screen(devices: ET.Element, host: Architecture) -> None:
    """Let libvirt hand out the screen: nothing listens, and no viewer throws another out."""
    graphics = add(devices, "graphics", type="vnc", sharePolicy="force-shared")
    add(graphics, "listen", type="none")
    # A pointer that is where the viewer's is. A PC has a keyboard of its own.
    add(devices, "input", type="tablet", bus="virtio")
    if not host.has_bios:
        add(devices, "input", type="keyboard", bus="virtio")


def _helpers(devices: ET.Element, host: Architecture) -> None:
    card = {"type": "vga", "vram": "16384"} if host.has_bios else {"type": "virtio"}
    add(add(devices, "video"), "model", **card, heads="1")
    _screen(devices, host)
    add(devices, "memballoon", model="virtio")
    rng = add(devices, "rng", model="virtio")
    add(rng, "backend", text="/dev/urandom", model="random")
    # A guest whose kernel has a pvpanic driver tells us of a panic, which then ends it. The
    # device without an ISA bus needs a libvirt that is newer than Debian 12's.
    if host.has_bios:
        add(devices, "panic", model="isa")
