"""The facts of one guest and the XML that all hypervisors share; knows no hypervisor by name."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

NAMESPACE = "urn:eucabox:instance:1"
ET.register_namespace("eucabox", NAMESPACE)


@dataclass(frozen=True)
class Domain:
    """What a guest is made of.

    `memory_mb` is in MiB. `bus` is how the disk is attached: "scsi" or "ide" (the guest sees sda)
    or "virtio" (vda). An empty `kernel` boots the disk as it is. `tap` names the interface on the
    host; empty leaves it to libvirt. `cloud` is the id of the eucabox that owns the domain. `uefi`
    needs `nvram`, a file that libvirt makes. `seed` is a CD-ROM. With `owned` the files belong to
    whom they have to, and libvirt leaves that alone. `partitions` are the files of sda1, sda2 and
    sda3 where each is a device of its own; then `disk` is that of sda1.
    """

    name: str
    uuid: str
    cloud: str
    account: str
    vcpus: int
    memory_mb: int
    disk: Path
    disk_format: str
    bus: str
    kernel: Path | None
    ramdisk: Path | None
    cmdline: str
    mac_address: str
    bridge: str
    tap: str
    console: Path
    nic_model: str = "virtio"
    uefi: bool = False
    nvram: Path | None = None
    seed: Path | None = None
    seed_bus: str = "scsi"
    owned: bool = False
    partitions: Mapping[str, Path] = field(default_factory=dict)


def root(domain: Domain, kind: str) -> ET.Element:
    """Return a domain element with name, owner, sizes and what becomes of it when it ends."""
    xml = ET.Element("domain", type=kind)
    add(xml, "name", text=domain.name)
    add(xml, "uuid", text=domain.uuid)
    _owner(add(xml, "metadata"), domain)
    add(xml, "memory", text=str(domain.memory_mb), unit="MiB")
    add(xml, "vcpu", text=str(domain.vcpus))
    return xml


def lifecycle_actions(xml: ET.Element) -> None:
    """Say what the hypervisor does when the guest powers off, reboots or crashes."""
    add(xml, "clock", offset="utc")
    add(xml, "on_poweroff", text="destroy")
    add(xml, "on_reboot", text="restart")
    add(xml, "on_crash", text="destroy")


def boot_files(os: ET.Element, domain: Domain) -> None:
    """Add kernel, ramdisk and command line where the guest has them."""
    if domain.kernel is None:
        return
    add(os, "kernel", text=str(domain.kernel))
    if domain.ramdisk is not None:
        add(os, "initrd", text=str(domain.ramdisk))
    if domain.cmdline:
        add(os, "cmdline", text=domain.cmdline)


def interface(devices: ET.Element, domain: Domain) -> ET.Element:
    """Add the guest's only network card, on the bridge."""
    card = add(devices, "interface", type="bridge")
    add(card, "mac", address=domain.mac_address)
    add(card, "source", bridge=domain.bridge)
    if domain.tap:
        add(card, "target", dev=domain.tap)
    return card


def add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    """Append a child element and return it."""
    child = ET.SubElement(parent, tag, attributes)
    child.text = text
    return child


def text(xml: ET.Element) -> str:
    """Return the element as indented text."""
    ET.indent(xml)
    return ET.tostring(xml, encoding="unicode") + "\n"


def _owner(metadata: ET.Element, domain: Domain) -> None:
    facts = {"cloud": domain.cloud, "account": domain.account, "id": domain.name}
    ET.SubElement(metadata, f"{{{NAMESPACE}}}instance", facts)
