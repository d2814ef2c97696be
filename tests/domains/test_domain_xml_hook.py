"""The administrator's program for the domain XML: what it is given, and what is not let through."""

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from eucabox.config import Config, NodeSection
from eucabox.domains import admin_programs
from eucabox.domains.domain_xml_hook import DomainXml
from eucabox.domains.hook_facts import Facts
from eucabox.errors import DomainXmlRefused
from eucabox.hypervisor import kvm
from eucabox.state import State
from tests.domains.house import Network
from tests.domains.programs import example, program, shell
from tests.domains.rows import add_instance
from tests.hypervisor.test_drivers import ROOT, SCHEMA

Adapt = Callable[[Path | str], str]


@pytest.fixture
def instance_id(state: State, tmp_path: Path) -> str:
    made = add_instance(state, private_ip_address="172.30.64.77")
    (tmp_path / made).mkdir()
    tag = {"resource_id": made, "account_id": "1", "resource_type": "instance"}
    state.insert("tags", {**tag, "key": "share", "value": "4096"})
    return made


@pytest.fixture
def adapt(config: Config, state: State, instance_id: str) -> Adapt:
    def run(named: Path | str) -> str:
        node = NodeSection(domain_xml_kvm=str(named))
        domain = dataclasses.replace(ROOT, name=instance_id)
        facts = Facts(state, config.cloud.data_dir, Network())
        room = DomainXml(dataclasses.replace(config, node=node), facts)
        return room.adapt("kvm", domain, kvm.domain_xml(domain))

    return run


def test_a_screen_of_the_program_takes_the_place_of_ours(adapt: Adapt, tmp_path: Path) -> None:
    ours = etree.fromstring(adapt(""))
    assert len(ours.findall("devices/graphics")) == 1
    adapted = etree.fromstring(adapt(program(tmp_path / "adapt", example("vnc"))))
    (screen,) = adapted.findall("devices/graphics")
    assert screen.get("listen") == "127.0.0.1"
    assert adapted.find("metadata/*").attrib == ours.find("metadata/*").attrib


def test_without_a_program_the_xml_stays(adapt: Adapt, instance_id: str) -> None:
    assert adapt("") == kvm.domain_xml(dataclasses.replace(ROOT, name=instance_id))


def test_it_gets_xml_and_facts_and_its_output_is_used(
    adapt: Adapt, tmp_path: Path, instance_id: str
) -> None:
    file = tmp_path / "told"
    script = shell(
        tmp_path / "adapt",
        f'echo "$EUCABOX_INSTANCE" > {file}; cat "$EUCABOX_FACTS" >> {file}',
        "sed 's|<vcpu>2<|<vcpu>1<|'",
    )
    assert "<vcpu>1</vcpu>" in adapt(script)
    name, facts = file.read_text().splitlines()
    assert name == instance_id
    assert json.loads(facts)["private_ip_address"] == "172.30.64.77"
    assert json.loads(facts)["tags"] == {"share": "4096"}
    assert "user_data" not in json.loads(facts)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("echo no such model >&2; exit 3", "status 3: no such model"),
        ("echo hello", "not XML"),
        ("true", "not XML"),
        ("printf '\\377'", "utf-8"),
        ("echo '<network/>'", "<network>"),
        ("sed 's|<name>i-|<name>j-|'", "<name>"),
        ("sed 's|<uuid>ec2|<uuid>abc|'", "<uuid>"),
        ("sed '/<eucabox:instance/d'", "<metadata>"),
        ("sed 's| account=\"[0-9]*\"||'", "<metadata>"),
        ("echo '<!DOCTYPE d [<!ENTITY e \"e\">]><domain>&e;</domain>'", "not XML"),
    ],
)
def test_broken_output_is_refused_by_its_reason(
    adapt: Adapt, tmp_path: Path, line: str, words: str
) -> None:
    script = shell(tmp_path / "adapt", line)
    with pytest.raises(DomainXmlRefused) as caught:
        adapt(script)
    assert words in caught.value.message
    assert f"{script} that [node] domain_xml_kvm names" in caught.value.message


@pytest.mark.not_fast
def test_one_that_is_late_is_killed_with_its_children(
    adapt: Adapt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_programs, "SECONDS", 0.3)
    alive = tmp_path / "alive"
    script = shell(tmp_path / "adapt", f"(sleep 1; touch {alive}) &", "cat", "wait")
    with pytest.raises(DomainXmlRefused, match=r"no end after 0\.3 seconds"):
        adapt(script)
    time.sleep(1.2)
    assert not alive.exists()


def test_one_that_is_missing_or_no_program_is_refused(adapt: Adapt, tmp_path: Path) -> None:
    with pytest.raises(DomainXmlRefused, match="No such file"):
        adapt(tmp_path / "missing")
    with pytest.raises(DomainXmlRefused, match=r"chmod a\+rx"):
        adapt(shell(tmp_path / "plain", mode=0o644))
    with pytest.raises(DomainXmlRefused, match="Exec format error"):
        adapt(program(tmp_path / "garbage", "\x01\x02"))


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_one_that_others_can_write_is_not_run(adapt: Adapt, tmp_path: Path, mode: int) -> None:
    with pytest.raises(DomainXmlRefused, match="others can write it"):
        adapt(shell(tmp_path / "adapt", "cat", mode=mode))


@pytest.mark.not_fast
@pytest.mark.parametrize(("word", "path"), [("vnc", "devices/graphics"), ("share", "cputune")])
def test_the_examples_of_the_docs_work(adapt: Adapt, tmp_path: Path, word: str, path: str) -> None:
    xml = etree.fromstring(adapt(program(tmp_path / "adapt", example(word))))
    assert xml.find(path) is not None
    schema = etree.RelaxNG(etree.parse(SCHEMA))
    assert schema.validate(xml), schema.error_log
