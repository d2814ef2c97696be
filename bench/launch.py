"""RunInstances to a started domain and to SSH, beside a bare `virsh create` of the same disk."""

import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from eucabox.image import tiny_guest
from tests.live import guests
from tests.live.process import Running, running

RUNS = 3
URI = "qemu:///system"


def main() -> None:
    tiny = tiny_guest.build_tiny(Path("/var/tmp/eucabox-test-guest"))
    with running("[node]\nvirt_type = qemu\n") as cloud:
        ec2 = cloud.client("ec2")
        image_id = guests.install(cloud, tiny)
        key = guests.key_pair(ec2, cloud.folder, "bench")
        ran, reached, created = [], [], []
        for number in range(RUNS + 1):  # the first composes the disk
            seconds, to_ssh, bare = once(cloud, ec2, image_id, key)
            if number:
                ran.append(seconds)
                reached.append(to_ssh)
                created.append(bare)
        ec2.close()
    run, ssh, bare = (statistics.median(each) for each in (ran, reached, created))
    print(f"median of {RUNS}                  s   beside virsh create")
    print(f"virsh create, same disk  {bare:6.2f}   1")
    print(f"RunInstances to running  {run:6.2f}   {run / bare:.2f}")
    print(f"RunInstances to SSH      {ssh:6.2f}   {ssh / bare:.2f}")


def once(cloud: Running, ec2: Any, image_id: str, key: Path) -> tuple[float, float, float]:
    """Return seconds to running, to SSH, and of a bare create of that very domain and disk."""
    began = time.perf_counter()
    row = guests.run(ec2, image_id, KeyName=key.stem)
    seconds = time.perf_counter() - began
    guests.said_over_ssh(row["PrivateIpAddress"], key, "true")
    to_ssh = time.perf_counter() - began
    bare = bare_create(cloud, row["InstanceId"])
    ec2.terminate_instances(InstanceIds=[row["InstanceId"]])
    guests.wait_for(ec2, row["InstanceId"], "terminated")
    return seconds, to_ssh, bare


def bare_create(cloud: Running, instance_id: str) -> float:
    """Time `virsh create` of a copy of the instance's domain, on a copy of its overlay."""
    xml = ElementTree.fromstring(virsh("dumpxml", instance_id))
    for tag in ("uuid", "metadata", "name", "sysinfo"):
        for found in xml.findall(tag):
            xml.remove(found)
    name = f"bench-{instance_id}"
    ElementTree.SubElement(xml, "name").text = name
    source = xml.find("devices/disk/source")
    assert source is not None
    copy = cloud.folder / f"{name}.qcow2"
    copy.write_bytes(Path(source.attrib["file"]).read_bytes())
    source.set("file", str(copy))
    devices = xml.find("devices")
    assert devices is not None
    for interface in devices.findall("interface"):
        devices.remove(interface)  # its address is taken
    for serial in (*devices.findall("serial"), *devices.findall("console")):
        devices.remove(serial)
    os = xml.find("os")
    assert os is not None
    for smbios in os.findall("smbios"):
        os.remove(smbios)
    with tempfile.NamedTemporaryFile("wb", suffix=".xml") as file:
        ElementTree.ElementTree(xml).write(file)
        file.flush()
        began = time.perf_counter()
        virsh("create", file.name)
        seconds = time.perf_counter() - began
    virsh("destroy", name)
    return seconds


def virsh(*argv: str) -> str:
    return subprocess.run(
        ["virsh", "-q", "-c", URI, *argv], check=True, capture_output=True, text=True
    ).stdout
