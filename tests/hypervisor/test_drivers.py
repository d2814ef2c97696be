"""Each driver's XML, line by line, against libvirt's schema and against libvirt itself."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import libvirt
import pytest
from lxml import etree

from eucabox import hypervisor
from eucabox.errors import FirmwareMissing, SettingUnavailable
from eucabox.hypervisor import architecture, qemu
from eucabox.hypervisor.architecture import AARCH64, X86_64, Architecture
from eucabox.hypervisor.domain import NAMESPACE, Domain

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")  # Debian: libvirt0
FOLDER = Path("/var/lib/eucabox/instances/i-0123456789abcdef0")
ROOT = Domain(
    name="i-0123456789abcdef0",
    uuid="ec2f0000-1111-2222-3333-444455556666",
    cloud="9f5c8e0e-3ad1-4c36-a54e-1f3f0a9d2b11",
    account="123456789012",
    vcpus=2,
    memory_mb=256,
    disk=FOLDER / "disk.qcow2",
    disk_format="qcow2",
    bus="scsi",
    kernel=Path("/var/lib/eucabox/cache/kernel"),
    ramdisk=Path("/var/lib/eucabox/cache/ramdisk"),
    cmdline="console=ttyS0 root=/dev/sda1",
    mac_address="d0:0d:0a:00:00:02",
    bridge="eucabr0",
    tap="",
    console=FOLDER / "console.log",
)
DISK = replace(ROOT, kernel=None, ramdisk=None, cmdline="", bus="virtio", tap="euca0123")
SET = replace(
    DISK, nic_model="e1000", bus="ide", uefi=True, nvram=FOLDER / "nvram.fd",
    seed=FOLDER / "seed.iso", seed_bus="sata",
)  # fmt: skip
PARTED = replace(
    ROOT, partitions={"sda1": FOLDER / "disk.qcow2", "sda3": FOLDER / "disk-sda3.qcow2"}
)
DOMAINS = {"root": ROOT, "disk": DISK, "set": SET, "parted": PARTED}
ARM = {
    "root": replace(
        ROOT, cmdline="console=ttyAMA0 root=/dev/sda1", uefi=True, nvram=FOLDER / "nvram.fd"
    ),
    "disk": replace(DISK, uefi=True, nvram=FOLDER / "nvram.fd"),
    "set": replace(SET, bus="virtio"),
}
CASES = [
    *((name, kind, X86_64) for name in ("kvm", "qemu") for kind in ARM),
    *(("xen", kind, X86_64) for kind in ("root", "disk", "parted")),
    *((name, kind, AARCH64) for name in ("kvm", "qemu") for kind in ARM),
]
over_cases = pytest.mark.parametrize(
    ("name", "kind", "host"), CASES, ids=lambda value: getattr(value, "name", value)
)


@pytest.fixture(autouse=True)
def fixed_host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the host of a case; elsewhere a PC, wherever the tests run."""
    callspec = getattr(request.node, "callspec", None)
    host = callspec.params.get("host", X86_64) if callspec else X86_64
    monkeypatch.setattr(architecture, "HOST", host)


def written(name: str, kind: str, host: Architecture) -> str:
    return hypervisor.load(name).domain_xml((DOMAINS if host is X86_64 else ARM)[kind])


@over_cases
def test_the_xml_is_the_golden_one(name: str, kind: str, host: Architecture) -> None:
    """GOLDEN=write in the environment writes the files anew; read the difference."""
    file = GOLDEN / f"{name}-{kind}{'' if host is X86_64 else '-' + host.name}.xml"
    if os.environ.get("GOLDEN") == "write":
        file.write_text(written(name, kind, host))
    assert written(name, kind, host) == file.read_text()


@over_cases
def test_the_xml_fits_libvirts_schema(name: str, kind: str, host: Architecture) -> None:
    schema = etree.RelaxNG(etree.parse(SCHEMA))
    assert schema.validate(etree.fromstring(written(name, kind, host))), schema.error_log


@pytest.mark.parametrize("kind", ARM)
@pytest.mark.parametrize("host", [AARCH64], ids=["aarch64"])
def test_no_part_of_a_pc_is_in_the_machine_of_aarch64(kind: str, host: Architecture) -> None:
    text = written("qemu", kind, host)
    for word in ("apic", 'model="isa"', "suspend", '"vga"', "x86_64", "ttyS0", 'bus="ide"'):
        assert word not in text


@pytest.mark.parametrize("domain", [ROOT, DISK], ids=["root", "disk"])
def test_libvirt_takes_the_xml_and_keeps_the_owner(domain: Domain) -> None:
    virt = libvirt.open("test:///default")
    made = virt.createXML(qemu.machine(domain, kind="test", cpu="maximum"), 0)
    try:
        owner = etree.fromstring(made.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE))
        assert dict(owner.attrib) == {
            "id": domain.name,
            "cloud": domain.cloud,
            "account": domain.account,
        }
        assert made.UUIDString() == domain.uuid
        assert not made.isPersistent()
    finally:
        made.destroy()
        virt.close()


def test_a_kernel_may_come_without_ramdisk_and_command_line() -> None:
    text = qemu.domain_xml(replace(ROOT, ramdisk=None, cmdline=""))
    assert "<kernel>" in text
    assert "<initrd>" not in text
    assert "<cmdline>" not in text


def test_markup_in_a_value_stays_a_value() -> None:
    xml = etree.fromstring(qemu.domain_xml(replace(ROOT, cmdline="root=/dev/sda1 x='<a>&b'")))
    assert xml.findtext("os/cmdline") == "root=/dev/sda1 x='<a>&b'"


@pytest.mark.parametrize("bus", ["ide", "sata", "scsi"])
@pytest.mark.parametrize("disk", ["ide", "scsi", "virtio"])
def test_disk_and_seed_have_names_of_their_own_and_scsi_one_controller(disk: str, bus: str) -> None:
    xml = etree.fromstring(qemu.domain_xml(replace(SET, bus=disk, seed_bus=bus)))
    names = [target.get("dev") for target in xml.iterfind("devices/disk/target")]
    assert len(set(names)) == 2
    assert len(xml.findall("devices/controller")) == ("scsi" in (disk, bus))


@pytest.mark.parametrize(
    ("host", "other", "package"),
    [(X86_64, "aarch64", "ovmf"), (AARCH64, "x86_64", "qemu-efi-aarch64")],
    ids=["x86_64", "aarch64"],
)
def test_uefi_without_firmware_for_this_host_names_the_package(
    host: Architecture, other: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = replace(SET, bus="virtio")
    monkeypatch.setattr(qemu, "FIRMWARE", tmp_path)
    (tmp_path / "60-other.json").write_text(json.dumps({"targets": [{"architecture": other}]}))
    (tmp_path / "70-broken.json").write_text("{")
    with pytest.raises(FirmwareMissing, match=f"package {package}"):
        qemu.domain_xml(domain)
    own = {"targets": [{"architecture": host.name, "machines": ["*"]}]}
    (tmp_path / "60-own.json").write_text(json.dumps(own))
    assert 'firmware="efi"' in qemu.domain_xml(domain)


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({"uefi": True}, "uefi"),
        ({"seed": FOLDER / "seed.iso"}, "CD-ROM"),
        ({"nic_model": "e1000"}, "nicModel e1000"),
        ({"bus": "ide"}, "diskBus ide"),
    ],
)
def test_what_xen_lacks_is_refused_by_name(facts: dict[str, Any], word: str) -> None:
    with pytest.raises(SettingUnavailable, match=word):
        hypervisor.load("xen").domain_xml(replace(DISK, **facts))


@pytest.mark.parametrize("name", ["sda", "xvda"])
def test_a_command_line_may_have_the_old_names_under_xen(name: str) -> None:
    domain = replace(PARTED, cmdline=f"root=/dev/{name}1 console=ttyS0")
    xml = etree.fromstring(hypervisor.load("xen").domain_xml(domain))
    assert xml.findtext("os/cmdline") == "root=/dev/xvda1 console=hvc0"
    names = [target.get("dev") for target in xml.iterfind("devices/disk/target")]
    assert names == ["sda1", "sda3"]


def test_libvirt_leaves_files_alone_whose_owners_are_right() -> None:
    xml = etree.fromstring(qemu.domain_xml(replace(SET, owned=True)))
    label = xml.find("seclabel")
    assert label is not None
    assert label.attrib == {"type": "none", "model": "dac"}
    assert etree.fromstring(qemu.domain_xml(SET)).find("seclabel") is None
