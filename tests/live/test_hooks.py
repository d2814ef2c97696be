"""An administrator's own programs in the life of one real guest: its XML, its events, a refusal."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest
from lxml import etree

from eucabox.image.guest import TinyGuest
from tests.domains.programs import program, shell
from tests.live import guests
from tests.live.process import Running, running

ADAPT = "sed 's|<devices>|<cputune><shares>77</shares></cputune><devices>|'"
SMALL = 'if grep -q m1.small; then echo "only tiny ones today" >&2; exit 1; fi'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    shell(made / "adapt", ADAPT)
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


def test_a_guest_lives_by_the_sites_programs(
    own: Running, ec2: Any, site: Path, tiny_guest: TinyGuest
) -> None:
    image_id = guests.install(own, tiny_guest)
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "for", "Value": "bob's"}]}]
    instance_id = guests.run(ec2, image_id, TagSpecifications=tags)["InstanceId"]
    virt = libvirt.open("qemu:///system")
    xml = etree.fromstring(virt.lookupByName(instance_id).XMLDesc())
    virt.close()
    assert xml.findtext("cputune/shares") == "77"

    own.kill()
    own.start()
    guests.until(lambda: "adopted" in events(site, instance_id), "adoption")
    ec2.terminate_instances(InstanceIds=[instance_id])
    guests.wait_for(ec2, instance_id, "terminated")
    wanted = ["pre-launch", "pre-boot", "running", "adopted"]
    assert events(site, instance_id) == [*wanted, "pre-terminate", "pre-clean", "terminated"]
    first = json.loads((site / "said").read_text().splitlines()[0])
    assert first["tags"] == {"for": "bob's"}

    launch = {"ImageId": image_id, "InstanceType": "m1.small", "MinCount": 1, "MaxCount": 1}
    said = own.command("logs", "--instance", instance_id, "--json").stdout.splitlines()
    logged = [json.loads(line) for line in said]
    actions = {each["action"]: each["request_id"] for each in logged if "action" in each}
    words = {each["message"]: each.get("request_id") for each in logged if "message" in each}
    assert words[f"{instance_id} runs"] == actions["RunInstances"]
    assert words[f"{instance_id} is taken back, running"] == actions["RunInstances"]
    assert words[f"{instance_id} is terminated"] == actions["TerminateInstances"]

    refused = ec2.run_instances(**launch)["Instances"][0]["InstanceId"]
    row = guests.wait_for(ec2, refused, "terminated")
    words = "The hook 20-small refused the launch at pre-launch: only tiny ones today"
    assert row["StateReason"]["Message"] == f"Server.InternalError: {words}"
