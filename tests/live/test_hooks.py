"""An administrator's own programs in the life of one real guest: its XML, its events, a refusal."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest
from lxml import etree

from eucabox.image.tiny_guest import TinyGuest
from tests.domains.programs import example, program, shell
from tests.live import guests
from tests.live.process import Running, running
from tests.test_report import unpacked

SMALL = 'if grep -q m1.small; then echo "only tiny ones today" >&2; exit 1; fi'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    program(made / "adapt", example("vnc"))
    program(made / "hooks" / "10-note", f"#!/bin/sh\n(cat; echo) >> {made}/said\n")
    shell(made / "hooks" / "20-small", SMALL)
    return made


@pytest.fixture(scope="module")
def own(site: Path) -> Iterator[Running]:
    extra = f"[node]\nvirt_type = qemu\ndomain_xml_qemu = {site}/adapt\nhooks = {site}/hooks\n"
    with running(extra) as found:
        yield found


@pytest.fixture(scope="module")
def ec2(own: Running) -> Iterator[Any]:
    client = own.client("ec2")
    yield client
    client.close()


def events(site: Path, instance_id: str) -> list[str]:
    lines = [json.loads(line) for line in (site / "said").read_text().splitlines() if line]
    return [each["event"] for each in lines if each["instance_id"] == instance_id]


def check_report(own: Running, instance_id: str) -> None:
    """A report of a cloud with a running guest has its domain, its network and its console."""
    own.command("report", "--out", str(own.folder / "report.tar.gz"))
    found = unpacked(own.folder / "report.tar.gz")
    assert b"type='vnc'" in found[f"domains/{instance_id}.xml"]
    assert own.bridge.encode() in found["network.txt"]
    assert b"table ip eucabox-" in found["network.txt"]
    assert b"--dhcp-range" in found["dnsmasq.txt"]
    assert b"qemu-system-x86 " in found["packages.txt"]
    assert f"consoles/{instance_id}.txt" in found
    assert own.secret_key.encode() not in b"".join(found.values())


def test_a_guest_lives_by_the_sites_programs(
    own: Running, ec2: Any, site: Path, tiny_guest: TinyGuest
) -> None:
    image_id = guests.install(own, tiny_guest)
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "for", "Value": "bob's"}]}]
    instance_id = guests.run(ec2, image_id, TagSpecifications=tags)["InstanceId"]
    virt = libvirt.open("qemu:///system")
    xml = etree.fromstring(virt.lookupByName(instance_id).XMLDesc())
    virt.close()
    assert xml.find("devices/graphics[@type='vnc']") is not None

    own.kill()
    own.start()
    guests.until(lambda: "adopted" in events(site, instance_id), "adoption")
    guests.until(lambda: guests.console(ec2, instance_id), "console")
    check_report(own, instance_id)
    ec2.terminate_instances(InstanceIds=[instance_id])
    guests.wait_for(ec2, instance_id, "terminated")
    wanted = ["pre-launch", "pre-boot", "running", "adopted"]
    assert events(site, instance_id) == [*wanted, "pre-terminate", "pre-clean", "terminated"]
    first = json.loads((site / "said").read_text().splitlines()[0])
    assert first["tags"] == {"for": "bob's"}

    launch = {"ImageId": image_id, "InstanceType": "m1.small", "MinCount": 1, "MaxCount": 1}
    records = own.command("logs", "--instance", instance_id, "--json").stdout.splitlines()
    logged = [json.loads(line) for line in records]
    actions = {each["action"]: each["request_id"] for each in logged if "action" in each}
    messages = {each["message"]: each.get("request_id") for each in logged if "message" in each}
    assert messages[f"{instance_id} runs"] == actions["RunInstances"]
    assert messages[f"{instance_id} is taken back, running"] == actions["RunInstances"]
    assert messages[f"{instance_id} is terminated"] == actions["TerminateInstances"]

    refused = ec2.run_instances(**launch)["Instances"][0]["InstanceId"]
    row = guests.wait_for(ec2, refused, "terminated")
    words = "The hook 20-small refused the launch at pre-launch: only tiny ones today"
    assert row["StateReason"]["Message"] == f"Server.InternalError: {words}"
