"""Xen by libvirt's libxl driver: paravirtual guests with a kernel, HVM guests with a full disk."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

from eucabox.errors import SettingUnavailable
from eucabox.hypervisor import architecture
from eucabox.hypervisor import domain as common
from eucabox.hypervisor.domain import Domain, add

NAME = "xen"
URI = "xen:///system"
HYPERVISOR = Path("/proc/xen/capabilities")


def probe(folder: Path) -> str:
    """Return why this host is no Xen host (dom0), or an empty string."""
    if architecture.HOST is not architecture.X86_64:
        return "eucabox runs Xen on x86_64 alone: set virt_type to auto"
    try:
        words = HYPERVISOR.read_text("ascii")
    except OSError:
        words = ""
    if "control_d" in words:
        return ""
    return "this host does not run under Xen: boot it as Xen's dom0, or set virt_type to auto"


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
    _disk(devices, domain)
    common.interface(devices, domain)
    console = add(devices, "console", type="pty")
    add(console, "target", type="xen" if paravirtual else "serial", port="0")
    add(devices, "memballoon", model="xen")
    return common.text(xml)


def _refuse(domain: Domain) -> None:
    wanted = {
        "bootMode uefi": domain.uefi,
        "seed on a CD-ROM": domain.seed is not None,
        f"nicModel {domain.nic_model}": domain.nic_model != "virtio",
        f"diskBus {domain.bus}": domain.bus == "ide",
    }
    for setting, is_wanted in wanted.items():
        if is_wanted:
            raise SettingUnavailable(setting=setting, hypervisor=NAME)


def _rename_devices(cmdline: str) -> str:
    """Name disk and console as a Xen guest knows them."""
    return cmdline.replace("/dev/sda", "/dev/xvda").replace("console=ttyS0", "console=hvc0")


def _disk(devices: ET.Element, domain: Domain) -> None:
    disk = add(devices, "disk", type="file", device="disk")
    add(disk, "driver", name="qemu", type=domain.disk_format)
    add(disk, "source", file=str(domain.disk))
    add(disk, "target", dev="xvda", bus="xen")
