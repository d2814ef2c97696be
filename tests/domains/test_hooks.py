"""Hooks at instances' events: which are run, in what order, with what, and what a failure does."""

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from eucabox import hypervisor
from eucabox.config import Config, NodeSection
from eucabox.domains import admin_programs
from eucabox.domains import reconciler as loops
from eucabox.domains.hook_facts import Facts
from eucabox.domains.hooks import Hooks
from eucabox.domains.libvirt_domains import Domains
from eucabox.errors import HookRefused
from eucabox.state import State
from tests.domains.house import URI, House, Network, PretendedHypervisor
from tests.domains.programs import example, program, shell
from tests.domains.rows import add_instance


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "hooks"
    made.mkdir(mode=0o755)
    return made


@pytest.fixture
def settled(config: Config, folder: Path) -> Config:
    node = NodeSection(virt_type="qemu", libvirt_uri=URI, shutdown_grace=0, hooks=folder)
    return dataclasses.replace(config, node=node)


@pytest.fixture
def hooks(settled: Config, state: State) -> Hooks:
    return Hooks(settled, Facts(state, settled.cloud.data_dir / "instances", Network()))


@pytest.fixture
def house(settled: Config, state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setitem(hypervisor.DRIVERS, "qemu", PretendedHypervisor())
    monkeypatch.setattr(loops, "EVENT_WAIT", 0.2)
    for name in ("instances", "run"):
        (settled.cloud.data_dir / name).mkdir()
    made = House(settled, state)
    yield made
    for domain in made.virt.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        if domain.name().startswith("i-"):
            domain.destroy()
    made.virt.close()


def said(folder: Path) -> list[str]:
    file = folder.parent / "said"
    return file.read_text().splitlines() if file.exists() else []


def noting(folder: Path, name: str, *lines: str) -> None:
    shell(folder / name, f'echo "{name} $1" >> {folder.parent}/said', *lines)


def test_they_run_by_name_with_event_places_and_facts(
    hooks: Hooks, folder: Path, state: State
) -> None:
    for name in ("20-b", "10-a", "30-c"):
        noting(folder, name, f'cat > "{folder.parent}/facts"; echo "$2 $3" >> {folder.parent}/said')
    (folder / "README").write_text("not executable")
    (folder / "sub").mkdir()
    instance_id = add_instance(state)
    hooks.tell("running", instance_id)
    places = f"{folder.parent} {folder.parent}/instances/{instance_id}"
    wanted = [line for name in ("10-a", "20-b", "30-c") for line in (f"{name} running", places)]
    assert said(folder) == wanted
    facts = json.loads((folder.parent / "facts").read_text())
    assert (facts["event"], facts["instance_id"], facts["vcpus"]) == ("running", instance_id, 1)
    assert facts["bridge"] == "eucabr0"


def test_the_first_that_fails_refuses_with_its_last_line(
    hooks: Hooks, folder: Path, state: State
) -> None:
    noting(folder, "10-a")
    noting(folder, "20-b", "echo thinking >&2; echo 'not on a \u00df Sunday' >&2; exit 1")
    noting(folder, "30-c")
    with pytest.raises(HookRefused) as caught:
        hooks.ask("pre-launch", add_instance(state))
    words = "The hook 20-b refused the launch at pre-launch: not on a \\xdf Sunday"
    assert caught.value.message == words
    assert said(folder) == ["10-a pre-launch", "20-b pre-launch"]


def test_a_failure_at_another_event_is_logged_and_the_rest_run(
    hooks: Hooks, folder: Path, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    noting(folder, "10-a", "echo broken >&2; exit 7")
    noting(folder, "20-b")
    hooks.tell("terminated", add_instance(state))
    assert said(folder) == ["10-a terminated", "20-b terminated"]
    assert "broken" in caplog.text


def test_a_late_one_refuses_too(
    hooks: Hooks, folder: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_programs, "SECONDS", 0.2)
    noting(folder, "10-a", "sleep 9")
    with pytest.raises(HookRefused, match=r"no end after 0\.2 seconds"):
        hooks.ask("pre-boot", add_instance(state))


def test_what_others_can_write_is_not_run(
    hooks: Hooks, folder: Path, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    noting(folder, "10-a")
    noting(folder, "20-b")
    (folder / "10-a").chmod(0o777)
    hooks.ask("pre-launch", add_instance(state))
    assert said(folder) == ["20-b pre-launch"]
    assert "10-a is not run: others can write it" in caplog.text
    folder.chmod(0o777)
    hooks.ask("pre-boot", add_instance(state))
    assert said(folder) == ["20-b pre-launch"]
    assert f"no hook of {folder} is run: others can write it" in caplog.text


def test_a_folder_that_is_not_there_is_fine(hooks: Hooks, folder: Path, state: State) -> None:
    folder.rmdir()
    hooks.ask("pre-launch", add_instance(state))


def test_an_instance_goes_through_the_events(house: House, folder: Path) -> None:
    noting(folder, "a")
    with house.node() as node:
        instance_id = add_instance(house.state)
        node.wake()
        house.becomes(instance_id, "running")
        house.wait(lambda: said(folder)[-1:] == ["a running"])
        house.want(instance_id, "reboot")
        node.wake()
        house.wait(lambda: said(folder)[-1:] == ["a pre-reboot"])
    with house.node() as node:
        house.wait(lambda: "a adopted" in said(folder))
        house.want(instance_id, "terminate")
        node.wake()
        house.becomes(instance_id, "terminated")
    wanted = ["pre-launch", "pre-boot", "running", "pre-reboot", "adopted"]
    wanted += ["pre-terminate", "pre-clean", "terminated"]
    seen = [line.removeprefix("a ") for line in said(folder)]
    assert [event for event in seen if event != "pre-reboot"] == [
        event for event in wanted if event != "pre-reboot"
    ]
    assert "pre-reboot" in seen


def test_a_stop_and_a_start_have_their_events(house: House, folder: Path) -> None:
    noting(folder, "a")
    with house.node() as node:
        instance_id = add_instance(house.state)
        node.wake()
        house.becomes(instance_id, "running")
        for state, code, then in (("stopping", 64, "stopped"), ("pending", 0, "running")):
            where = {"instance_id": instance_id}
            wanted = "stop" if state == "stopping" else ""
            house.state.update("instances", where, state=state, state_code=code, wanted=wanted)
            node.wake()
            house.becomes(instance_id, then)
        house.wait(lambda: said(folder)[-1:] == ["a running"] and len(said(folder)) > 7)
    launch = ["a pre-launch", "a pre-boot", "a running"]
    assert said(folder) == [*launch, "a pre-stop", "a stopped", *launch]


@pytest.mark.slow
def test_the_time_of_a_hook_is_not_taken_from_the_guest(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(house.config.node, shutdown_grace=1)
    house.config = dataclasses.replace(house.config, node=settings)
    shell(folder / "slow", "[ $1 = pre-terminate ] && sleep 1.2; true")
    moments: list[float] = []
    destroy = Domains.destroy

    def end(self: Domains, instance_id: str, uuid: str = "") -> None:
        moments.append(time.monotonic())
        destroy(self, instance_id, uuid)

    monkeypatch.setattr(Domains, "shutdown", lambda *_: moments.append(time.monotonic()))
    monkeypatch.setattr(Domains, "destroy", end)
    with house.node() as node:
        instance_id = add_instance(house.state)
        node.wake()
        house.becomes(instance_id, "running")
        house.want(instance_id, "terminate")
        node.wake()
        house.becomes(instance_id, "terminated")
    assert moments[1] - moments[0] >= 1


def test_a_guest_that_ended_by_itself_is_only_cleaned(house: House, folder: Path) -> None:
    noting(folder, "a")
    with house.node() as node:
        instance_id = add_instance(house.state)
        node.wake()
        house.becomes(instance_id, "running")
        house.wait(lambda: said(folder)[-1:] == ["a running"])
        house.virt.lookupByName(instance_id).shutdown()
        house.becomes(instance_id, "terminated")
    assert said(folder)[3:] == ["a pre-clean", "a terminated"]


@pytest.mark.parametrize("event", ["pre-launch", "pre-boot"])
def test_a_refused_launch_says_so_to_the_user(house: House, folder: Path, event: str) -> None:
    noting(
        folder, "policy", f'if [ $1 = {event} ]; then echo "the budget is spent" >&2; exit 1; fi'
    )
    instance_id = add_instance(house.state)
    with house.node():
        row = house.becomes(instance_id, "terminated")
    words = f"The hook policy refused the launch at {event}: the budget is spent"
    assert row["state_reason_message"] == f"Server.InternalError: {words}"
    assert ("forget", instance_id) in house.images.notes
    assert instance_id not in house.names()


def test_before_the_boot_a_hook_sees_the_final_xml(house: House, folder: Path) -> None:
    file = folder.parent / "told"
    shell(folder / "look", f"[ $1 = pre-boot ] && cat > {file}; true")
    instance_id = add_instance(house.state)
    with house.node():
        house.becomes(instance_id, "running")
    assert json.loads(file.read_text())["domain_xml"].startswith("<domain")


def test_the_examples_of_the_docs_work(hooks: Hooks, folder: Path, state: State) -> None:
    (folder.parent / "run").mkdir()
    program(folder / "10-small", example("vCPUs"))
    program(folder / "20-noted", example("coming-and-going"))
    small, large = add_instance(state), add_instance(state, vcpus=4, instance_type="m1.xlarge")
    hooks.ask("pre-launch", small)
    hooks.tell("running", small)
    with pytest.raises(HookRefused, match=r"at most 2 vCPUs here; m1\.xlarge has 4"):
        hooks.ask("pre-launch", large)
    noted = (folder.parent / "run" / "coming-and-going").read_text()
    assert noted.split()[1:] == ["running", small]
