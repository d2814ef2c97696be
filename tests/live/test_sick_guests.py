"""Guests whose process hangs, whose disk is full, or that were paused or saved on the host."""

import dataclasses
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import libvirt
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from eucabox.cli import main
from eucabox.domains import health, libvirt_domains, libvirt_logs, processes
from eucabox.errors import DomainHung, ScreensBusy, ScreenUnreadable
from eucabox.image.tiny_guest import TinyGuest
from eucabox.node import Node
from eucabox.state import State
from tests.domains.house import Boot, House
from tests.domains.rows import add_instance, row_of
from tests.live import guests
from tests.live.libvirtd import Libvirtd
from tests.live.process import Running, running
from tests.live.test_node import (  # noqa: F401 (fixtures)
    READY,
    RealDisks,
    becomes,
    bridge,
    daemon,
    folder,
    guest,
    house,
    launch,
    make_house,
    says,
    until,
)


@pytest.fixture
def quick(house: House) -> House:  # noqa: F811
    settings = dataclasses.replace(
        house.config.node, shutdown_grace=1, reboot_timeout=5, stop_timeout=5
    )
    house.config = dataclasses.replace(house.config, node=settings)
    return house


def process(house: House, instance_id: str) -> int:  # noqa: F811
    (pid,) = processes.pids(instance_id, row_of(house.state, instance_id)["domain_uuid"])
    return pid


def runs(pid: int) -> bool:
    """Tell whether a process is there; one that has ended and waits for its parent is not."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


@contextmanager
def halted(*pids: int) -> Iterator[None]:
    """Stop processes, as a device that does not answer would; let them go on afterwards."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGCONT)


def well(node: Node, instance_id: str) -> None:
    """Have the node look again until nothing is wrong."""

    def look() -> bool:
        node.wake()
        return not node.trouble(instance_id)

    until(look)


def terminate(house: House, node: Node, *instance_ids: str) -> None:  # noqa: F811
    for each in instance_ids:
        house.want(each, "terminate")
    node.wake()


def reboot(house: House, node: Node, instance_id: str) -> None:  # noqa: F811
    house.want(instance_id, "reboot")
    node.wake()
    until(lambda: row_of(house.state, instance_id)["wanted"] == "")


def test_what_guests_use_is_counted_and_one_that_hangs_hides_no_other(quick: House) -> None:
    with quick.node() as node:
        sick, sound = launch(quick, node), launch(quick, node)
        for each in (sick, sound):
            says(node, each, READY)
        node.usage.look()
        time.sleep(1)
        node.usage.look()
        sample = node.usage.list_samples(sound)[-1]
        assert sample.cpus > 0
        assert sample.memory_bytes and sample.memory_bytes > 2**24
        assert None not in (sample.disk_read, sample.disk_write)
        assert None not in (sample.network_in, sample.network_out)
        with halted(process(quick, sick)):
            with suppress(DomainHung):  # the first that asks it may wait for it
                node.usage.look()
            before = len(node.usage.list_samples(sound))
            for _ in range(2):
                began = time.monotonic()
                node.usage.look()
                assert time.monotonic() - began < libvirt_domains.COUNT
            assert len(node.usage.list_samples(sound)) >= before + 2


def test_two_hung_guests_hold_up_nobody_and_are_not_terminated_before_they_are_gone(
    quick: House,
) -> None:
    with quick.node() as node:
        first, second, healthy, other = (launch(quick, node, "deaf") for _ in range(4))
        says(node, other, READY)
        pids = {each: process(quick, each) for each in (first, second)}
        with halted(*pids.values()):
            began = time.monotonic()
            terminate(quick, node, first, second)
            time.sleep(1)
            terminate(quick, node, healthy)
            becomes(quick, healthy, "terminated")
            assert time.monotonic() - began < 20
            reboot(quick, node, other)
            says(node, other, READY, times=2)
            for each, pid in pids.items():
                until(lambda each=each: row_of(quick.state, each)["state"] == "terminated")
                assert not runs(pid), "it was said to be gone"
            assert time.monotonic() - began < quick.config.node.shutdown_timeout


def test_a_hung_guest_shows_no_screen_holds_no_thread_and_is_told_of(quick: House) -> None:
    with quick.node() as node:
        instance_id = launch(quick, node, "deaf")
        says(node, instance_id, READY)

        def picture(number: int) -> str:
            try:
                return str(node.screenshot(instance_id)[:4])
            except (ScreenUnreadable, ScreensBusy) as fault:
                return fault.message

        with halted(process(quick, instance_id)):
            began = time.monotonic()
            with ThreadPoolExecutor(34) as crowd:
                said = list(crowd.map(picture, range(34)))
            assert time.monotonic() - began < 15
            assert all("no picture" in each or "Try again" in each for each in said), said
            began = time.monotonic()
            assert "does not answer" in picture(0)
            assert READY in node.console_output(instance_id)[0]
            assert time.monotonic() - began < 1, "it is known to hang by now"
            node.wake()
            until(lambda: node.trouble(instance_id))
            assert node.status()["guests"] == {instance_id: health.HUNG}
        well(node, instance_id)
        assert "PNG" in picture(0)


def test_a_guest_that_begins_to_hang_is_noticed_by_itself(
    quick: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_EVERY", 2.0)
    with quick.node() as node:
        instance_id = launch(quick, node, "deaf")
        with halted(process(quick, instance_id)):
            until(lambda: node.trouble(instance_id))
        until(lambda: not node.trouble(instance_id))


def test_a_reboot_of_a_hung_guest_makes_its_domain_anew_with_its_disk(quick: House) -> None:
    with quick.node() as node:
        instance_id = launch(quick, node, "deaf")
        says(node, instance_id, READY)
        pid = process(quick, instance_id)
        disk = quick.config.cloud.data_dir / "instances" / instance_id / "disk.raw"
        with disk.open("r+b") as written:
            written.write(b"kept")
        with halted(pid):
            reboot(quick, node, instance_id)
        says(node, instance_id, READY, times=2)
        assert process(quick, instance_id) != pid
        assert disk.read_bytes()[:4] == b"kept"
        assert row_of(quick.state, instance_id)["state"] == "running"


def test_a_hung_libvirt_does_not_keep_an_instance_from_its_end(
    quick: House,
    daemon: Libvirtd,  # noqa: F811
) -> None:
    settings = dataclasses.replace(quick.config.node, shutdown_timeout=8)
    quick.config = dataclasses.replace(quick.config, node=settings)
    with quick.node() as node:
        instance_id = launch(quick, node, "deaf")
        pid = process(quick, instance_id)
        assert daemon.process is not None
        with halted(daemon.process.pid):
            began = time.monotonic()
            terminate(quick, node, instance_id)
            becomes(quick, instance_id, "terminated")
            assert time.monotonic() - began < 60
            assert not runs(pid)


class SmallDisks(RealDisks):
    """Disks of 64 MiB that have no room for it where they are."""

    def prepare(
        self, instance: Mapping[str, Any], progress: object, partitions: bool = False
    ) -> Boot:
        made = super().prepare(instance, progress)
        os.truncate(made.disk, 2**26)
        return made


@pytest.fixture
def roomy(guest: Path, bridge: str, folder: Path) -> Iterator[House]:  # noqa: F811
    """Return a house at the host's own libvirt: a test's own does not see what is mounted later."""
    data = Path(tempfile.mkdtemp(dir=folder))
    data.chmod(0o755)
    for name in ("instances", "run"):
        (data / name).mkdir()
    made = make_house(str(data), "qemu:///system", str(guest), bridge)
    yield made
    Node(made.config, made.state, made.images, made.network).purge()
    made.state.close()


@pytest.fixture
def small(roomy: House, guest: Path, tmp_path: Path) -> Iterator[Path]:  # noqa: F811
    """Have the instances' disks on a file system of 48 MiB of their own, and return it."""
    image, mounted = tmp_path / "small.img", roomy.config.cloud.data_dir / "instances"
    with image.open("wb") as made:
        made.truncate(48 * 2**20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-m", "0", "-F", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=True)
    mounted.chmod(0o755)
    roomy.images = SmallDisks(guest, mounted)
    yield mounted
    subprocess.run(["umount", "-l", str(mounted)], check=True)


def test_a_full_disk_pauses_a_guest_quietly_until_there_is_space(
    roomy: House, small: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ballast = small / "ballast"
    with ballast.open("wb") as made:
        os.posix_fallocate(made.fileno(), 0, 30 * 2**20)
    with roomy.node() as node:
        instance_id = launch(roomy, node, "fill")
        until(lambda: node.trouble(instance_id))
        time.sleep(20)
        trouble = node.trouble(instance_id)
        assert trouble is not None
        assert trouble.text == health.STARVED
        lines = [each for each in caplog.records if instance_id in each.getMessage()]
        assert len([each for each in lines if each.levelname in ("ERROR", "WARNING")]) <= 2
        assert row_of(roomy.state, instance_id)["state"] == "running"
        ballast.unlink()
        says(node, instance_id, b"WROTE ALL")
        well(node, instance_id)


@pytest.fixture
def virt(daemon: Libvirtd) -> Iterator[libvirt.virConnect]:  # noqa: F811
    until((daemon.folder / "run" / "libvirt-sock").exists)
    opened = libvirt.open(daemon.uri)
    yield opened
    opened.close()


def test_a_guest_paused_on_the_host_is_told_of_and_a_reboot_lets_it_go_on(
    quick: House, virt: libvirt.virConnect
) -> None:
    with quick.node() as node:
        instance_id = launch(quick, node, "deaf")
        says(node, instance_id, READY)
        virt.lookupByName(instance_id).suspend()
        until(lambda: node.trouble(instance_id))
        assert node.status()["guests"] == {instance_id: health.PAUSED}
        reboot(quick, node, instance_id)
        says(node, instance_id, READY, times=2)
        until(lambda: not node.trouble(instance_id))


def test_a_guest_is_offered_no_sleep(quick: House, virt: libvirt.virConnect) -> None:
    with quick.node() as node:
        instance_id = launch(quick, node, "sleep")
        output = says(node, instance_id, b"SLEEPS IN").decode()
        assert "deep" not in output.split("SLEEPS IN")[1].splitlines()[0]
        time.sleep(2)
        assert virt.lookupByName(instance_id).state()[0] == libvirt.VIR_DOMAIN_RUNNING
        reboot(quick, node, instance_id)
        says(node, instance_id, b"SLEEPS IN", times=2)


def test_a_guest_saved_on_the_host_keeps_its_disk_and_comes_back(
    quick: House, virt: libvirt.virConnect
) -> None:
    with quick.node() as node:
        instance_id = launch(quick, node, "deaf")
        says(node, instance_id, READY)
        file = f"/var/tmp/eucabox-{instance_id}.saved"
        virt.lookupByName(instance_id).save(file)
        try:
            row = becomes(quick, instance_id, "stopped")
            assert "saved" in row["state_reason_message"]
            assert ("forget", instance_id) not in quick.images.notes
            virt.restore(file)
            row = becomes(quick, instance_id, "running")
            assert row["state_reason_message"] == ""
            assert quick.network.notes[-1] == ("plug", instance_id)
        finally:
            Path(file).unlink()


def test_a_guest_saved_while_eucabox_is_down_keeps_its_disk_and_comes_back(
    quick: House,
    virt: libvirt.virConnect,
    daemon: Libvirtd,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(libvirt_logs, "LOGS", daemon.folder / "log" / "qemu")
    with quick.node() as node:
        instance_id = launch(quick, node, "deaf")
        says(node, instance_id, READY)
    file = f"/var/tmp/eucabox-{instance_id}.saved"
    virt.lookupByName(instance_id).save(file)
    try:
        with quick.node():
            row = becomes(quick, instance_id, "stopped")
            assert "saved" in row["state_reason_message"]
            assert ("forget", instance_id) not in quick.images.notes
            virt.restore(file)
            becomes(quick, instance_id, "running")
        with quick.node() as node:
            until(lambda: node.turns)  # before it has looked, an end is one that nobody saw
            virt.lookupByName(instance_id).destroy()
            row = becomes(quick, instance_id, "stopped")
            assert "stopped on the host" in row["state_reason_message"]
    finally:
        Path(file).unlink()


def test_sick_guests_do_not_keep_a_stopping_node(quick: House) -> None:
    with quick.node() as node:
        instance_id = launch(quick, node, "deaf")
        pid = process(quick, instance_id)
        with halted(pid):
            house_id = add_instance(quick.state)
            quick.want(instance_id, "reboot")
            node.wake()
            time.sleep(1)
            began = time.monotonic()
            node.stop()
            assert time.monotonic() - began < 10
    assert row_of(quick.state, house_id)["state"] in ("pending", "running")


@pytest.fixture(scope="module")
def cloud() -> Iterator[Running]:
    with running("[node]\nvirt_type = qemu\nstop_keeps_disk = yes\nstop_timeout = 5\n") as found:
        yield found


def test_a_hung_guest_holds_up_no_client_and_is_in_status_and_doctor(
    cloud: Running, tiny_guest: TinyGuest
) -> None:
    ec2 = cloud.client("ec2", max_pool_connections=40)
    instance_id = guests.run(ec2, guests.install(cloud, tiny_guest))["InstanceId"]
    guests.until(lambda: guests.console(ec2, instance_id), "word from the guest")
    (row,) = State(cloud.data / "eucabox.db").query("select domain_uuid from instances")
    (pid,) = processes.pids(instance_id, row["domain_uuid"])

    def picture(number: int) -> str:
        try:
            return str(ec2.get_console_screenshot(InstanceId=instance_id)["ImageData"][:8])
        except ClientError as refused:
            return str(refused.response["Error"]["Code"])

    with halted(pid):
        with ThreadPoolExecutor(34) as crowd:
            asked = [crowd.submit(picture, number) for number in range(34)]
            longest = 0.0
            while not all(each.done() for each in asked):
                began = time.monotonic()
                ec2.describe_regions()
                longest = max(longest, time.monotonic() - began)
                time.sleep(0.1)
        refusals = {"UnsupportedOperation", "RequestLimitExceeded"}
        assert {each.result() for each in asked} <= refusals
        assert longest < 4, "a client that asks for anything else"
        assert ec2.get_console_output(InstanceId=instance_id)["Output"]

        def impaired() -> Any:
            (found,) = ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
            return found if found["SystemStatus"]["Status"] == "impaired" else None

        status = guests.until(impaired, "impaired status")
        assert status["Events"][0]["Description"] == health.HUNG
        reason = guests.describe(ec2, instance_id)["StateReason"]["Message"]
        assert reason == f"Server.InternalError: {health.HUNG}"

        def says_so(command: str) -> bool:
            shown = CliRunner().invoke(main, ["-c", str(cloud.config_file), command])
            return f"{instance_id}: {health.HUNG}" in shown.output

        for command in ("status", "doctor"):  # they read a file that is written after the change
            guests.until(partial(says_so, command), f"word of it in {command}")
        assert health.HUNG in cloud.log.read_text()
        ec2.stop_instances(InstanceIds=[instance_id])
        guests.wait_for(ec2, instance_id, "stopped")
        assert not runs(pid), "it was said to be stopped"
    ec2.terminate_instances(InstanceIds=[instance_id])
    guests.wait_for(ec2, instance_id, "terminated")
    ec2.close()
