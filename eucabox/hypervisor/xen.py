"""Xen by libvirt's libxl driver: paravirtual guests with a kernel, HVM guests with a full disk."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

from eucabox.errors import SettingUnavailable
from eucabox.hypervisor import architecture
from eucabox.hypervisor import domain as common
from eucabox.hypervisor.capabilities import Capabilities
from eucabox.hypervisor.domain import Domain, add

NAME = "xen"
URI = "xen:///system"
PACKAGE = "xen-system-amd64 libvirt-daemon-driver-xen"
HYPERVISOR = Path("/sys/hypervisor")  # a service's own mounts hide /proc/xen, and leave this
FEATURES = "properties/features"  # a hexadecimal number
DOM0 = 1 << 11  # XENFEAT_dom0
GUESTS = "properties/capabilities"  # the kinds of guests that it runs, such as hvm-3.0-x86_64
NO_HVM = (
    "this Xen runs paravirtual guests alone; a whole disk needs HVM, so a processor with VT-x or"
    " AMD-V that the firmware switches on"
)


def probe(folder: Path) -> str:
    """Return why this host is no Xen host (dom0), or an empty string."""
    if architecture.HOST is not architecture.X86_64:
        return "eucabox runs Xen on x86_64 alone: set virt_type to auto"
    try:
        features = int(_read(FEATURES), 16)
    except ValueError:
        features = 0
    if _read("type") == "xen" and features & DOM0:
        return ""
    return "this host does not run under Xen: boot it as Xen's dom0, or set virt_type to auto"


def capabilities() -> Capabilities:
    """Return what Xen can do here; it runs whole disks where the processor has what HVM needs."""
    return Capabilities(
        whole_disks="" if "hvm-" in _read(GUESTS) else NO_HVM,
        uefi="Xen's guests get no UEFI here",
        seed_cdrom="Xen's guests get no CD-ROM here",
        nic_models="Xen's guests have its own network card, netfront",
        ide_disks="Xen's guests have its own disk, blkfront",
        partition_table="each is a device of its own, without a partition table, as EC2 had them",
        screenshots="libvirt takes none of a Xen guest",
        screen="libvirt hands out no screen of a Xen guest without a port",
        console_file="eucabox reads the console and writes the file itself",
        reboot_in_place="each reboot makes a new domain with the same disk",
        pause_when_full="the guest's writes fail",
        block_statistics="libvirt has none of a disk that QEMU serves to a Xen guest",
        memory_of_host="Xen gives memory out itself: what it has free counts",
    )


def _read(name: str) -> str:
    try:
        return (HYPERVISOR / name).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def domain_xml(domain: Domain) -> str:
    """Return libvirt's XML for a Xen guest; libxl keeps no console file, so none is named.

    Raises SettingUnavailable for what only QEMU's machine has.
    """
    _refuse(domain)
    xml = common.root(domain, "xen")
    paravirtual = domain.kernel is not None
    os = add(xml, "os")
    if paravirtual:
        add(os, "type", text="linux", arch="x86_64", machine="xenpv")
        common.boot_files(os, replace(domain, cmdline=_rename_devices(domain.cmdline)))
    else:
        add(os, "type", text="hvm", arch="x86_64", machine="xenfv")
        add(os, "boot", dev="hd")
        features = add(xml, "features")
        add(features, "acpi")
        add(features, "apic")
    common.lifecycle_actions(xml)
    devices = add(xml, "devices")
    _disks(devices, domain)
    common.interface(devices, domain)
    console = add(devices, "console", type="pty")
    add(console, "target", type="xen" if paravirtual else "serial", port="0")
    add(devices, "memballoon", model="xen")
    return common.text(xml)


def _refuse(domain: Domain) -> None:
    setting = capabilities().find_lacking(
        uefi=domain.uefi,
        seed_cdrom=domain.seed is not None,
        nic_model=domain.nic_model,
        bus=domain.bus,
    )
    if setting:
        raise SettingUnavailable(setting=setting, hypervisor=NAME)


def _rename_devices(cmdline: str) -> str:
    """Name disk and console as a Xen guest knows them."""
    return cmdline.replace("/dev/sda", "/dev/xvda").replace("console=ttyS0", "console=hvc0")


def _disks(devices: ET.Element, domain: Domain) -> None:
    """Attach the disk, or where the partitions have files of their own each as a device."""
    if not domain.partitions:
        _disk(devices, domain.disk, domain.disk_format, "xvda")
        return
    # libvirt's name decides the device's number, and by that the guest's kernel names it: a
    # kernel of EC2's first years sda1, later ones xvda1.
    for name, file in domain.partitions.items():
        _disk(devices, file, domain.disk_format, name)


def _disk(devices: ET.Element, file: Path, file_format: str, name: str) -> None:
    disk = add(devices, "disk", type="file", device="disk")
    add(disk, "driver", name="qemu", type=file_format)
    add(disk, "source", file=str(file))
    add(disk, "target", dev=name, bus="xen")
