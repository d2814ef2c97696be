"""Which hypervisor is chosen, and that the choice says why."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from eucabox import hypervisor
from eucabox.errors import Fault, HypervisorUnusable, ProgramFailed, ProgramMissing
from eucabox.hypervisor import architecture, kvm, qemu, xen
from eucabox.hypervisor.architecture import AARCH64, X86_64, Architecture
from tests.hypervisor.dom0 import pretend_dom0

EMULATOR = "qemu-system-x86_64"


def qemu_ends(monkeypatch: pytest.MonkeyPatch, fault: Fault | None) -> list[tuple[str, ...]]:
    """Have QEMU end as no QEMU on this host does, and return how it was called."""
    calls = []

    def run(*argv: str, timeout: float) -> bytes:
        calls.append(argv)
        if fault:
            raise fault
        return b""

    monkeypatch.setattr(kvm, "run", run)
    return calls


def failed(status: object, reason: str = "it said nothing") -> ProgramFailed:
    return ProgramFailed(program=EMULATOR, status=status, reason=reason)


@pytest.fixture(autouse=True)
def kvm_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kvm, "DEVICE", tmp_path / "kvm")
    kvm.DEVICE.touch()


def test_kvm_is_chosen_when_the_boot_sector_ran(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    qemu_ends(monkeypatch, failed(33))
    choice = hypervisor.choose("auto", tmp_path)
    assert (choice.driver.NAME, choice.reason) == ("kvm", "KVM ran a boot sector")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (failed("none"), "did not run within"),
        (failed(1, "failed to initialize kvm"), "failed to initialize kvm"),
        (failed(-31, "SIGSYS ended it"), "SIGSYS ended QEMU: a filter of system calls"),
        (failed(-9, "SIGKILL ended it; it wrote nothing"), "QEMU says: SIGKILL ended it"),
        (ProgramMissing(program=EMULATOR, package="qemu-system-x86"), "qemu-system-x86"),
        (None, "without its mark"),
    ],
)
def test_a_kvm_that_runs_no_guest_gives_way_to_qemu_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    fault: Fault | None,
    words: str,
) -> None:
    qemu_ends(monkeypatch, fault)
    with caplog.at_level(logging.WARNING):
        choice = hypervisor.choose("auto", tmp_path)
    assert choice.driver.NAME == "qemu"
    assert words in choice.reason
    assert words in caplog.text


def test_without_the_device_nothing_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = qemu_ends(monkeypatch, failed(33))
    kvm.DEVICE.unlink()
    assert "does not exist" in kvm.probe(tmp_path)
    assert calls == []


def test_the_verdict_is_kept_until_the_host_reboots(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = qemu_ends(monkeypatch, failed(33))
    assert [kvm.probe(tmp_path), kvm.probe(tmp_path), len(calls)] == ["", "", 1]
    monkeypatch.setattr(kvm, "BOOT_ID", tmp_path / "boot_id")
    kvm.BOOT_ID.write_text("another\n")
    assert [kvm.probe(tmp_path), len(calls)] == ["", 2]


def test_a_verdict_that_an_administrator_can_change_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    qemu_ends(monkeypatch, failed(1, "Permission denied"))
    assert "Permission denied" in kvm.probe(tmp_path)
    qemu_ends(monkeypatch, failed(33))
    assert kvm.probe(tmp_path) == ""


def test_a_slow_kvm_has_a_second_attempt_and_then_a_kept_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = qemu_ends(monkeypatch, failed("none"))
    assert "did not run within" in kvm.probe(tmp_path)
    assert kvm.probe(tmp_path)
    assert len(calls) == 2


@pytest.mark.parametrize("host", [X86_64, AARCH64], ids=lambda host: host.name)
def test_the_probe_s_program_really_runs_under_emulation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: Architecture
) -> None:
    monkeypatch.setattr(architecture, "HOST", host)
    monkeypatch.setattr(kvm, "SLOWEST", 30.0)
    argv = kvm._argv
    monkeypatch.setattr(
        kvm,
        "_argv",
        lambda trial, sector: ["tcg" if word == "kvm" else word for word in argv(trial, sector)],
    )
    assert kvm.probe(tmp_path) == ""


def test_a_program_for_aarch64_that_does_not_end_is_no_kvm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(architecture, "HOST", AARCH64)
    qemu_ends(monkeypatch, failed(1, "failed to initialize kvm"))
    assert "failed to initialize kvm" in kvm.probe(tmp_path)
    qemu_ends(monkeypatch, failed("none"))
    assert "did not run within" in kvm.probe(tmp_path)


def test_xen_is_for_x86_64_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(architecture, "HOST", AARCH64)
    with pytest.raises(HypervisorUnusable, match="x86_64 alone"):
        hypervisor.choose("xen", tmp_path)


def test_a_configured_hypervisor_is_taken_as_it_is(tmp_path: Path) -> None:
    assert hypervisor.choose("qemu", tmp_path).driver is qemu
    assert "configured" in hypervisor.choose("kvm", tmp_path).reason


@pytest.fixture
def dom0(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = pretend_dom0(monkeypatch, tmp_path)
    (folder / "properties/capabilities").write_text("xen-3.0-x86_64 \n")
    return folder


def test_xen_is_known_by_what_a_service_sees_too(dom0: Path, tmp_path: Path) -> None:
    assert hypervisor.choose("xen", tmp_path).driver is xen


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("properties/features", "000026fd"),  # a guest of Xen, which is no dom0
        ("properties/features", "not a number"),
        ("type", "none"),
    ],
)
def test_xen_needs_a_dom0(dom0: Path, tmp_path: Path, file: str, content: str) -> None:
    (dom0 / file).write_text(content)
    with pytest.raises(HypervisorUnusable, match="does not run under Xen"):
        hypervisor.choose("xen", tmp_path)


def test_xen_is_not_there_without_xen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(xen, "HYPERVISOR", tmp_path / "none")
    with pytest.raises(HypervisorUnusable, match="does not run under Xen"):
        hypervisor.choose("xen", tmp_path)


def test_a_dom0_takes_xen_by_itself_and_asks_xens_libvirt(
    dom0: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = hypervisor.choose("auto", tmp_path)
    assert (choice.driver, choice.reason) == (xen, "this host is Xen's dom0")
    assert hypervisor.find_uri("auto") == "xen:///system"
    (dom0 / "type").unlink()
    assert hypervisor.find_uri("auto") == "qemu:///system"


@pytest.mark.parametrize(
    ("virt_type", "configured", "uri"),
    [
        ("xen", "", "xen:///system"),
        ("qemu", "", "qemu:///system"),
        ("kvm", "", "qemu:///system"),
        ("xen", "xen+unix:///system?socket=/s", "xen+unix:///system?socket=/s"),
    ],
)
def test_libvirts_address_is_the_configured_one_or_the_drivers(
    virt_type: str, configured: str, uri: str
) -> None:
    assert hypervisor.find_uri(virt_type, configured) == uri


@pytest.mark.parametrize(
    ("kinds", "runs"),
    [("xen-3.0-x86_64 ", False), ("xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_64 ", True)],
)
def test_xen_runs_whole_disks_where_it_has_hvm(dom0: Path, kinds: str, runs: bool) -> None:
    (dom0 / "properties/capabilities").write_text(kinds)
    reason = xen.capabilities().whole_disks
    assert (reason == "") is runs
    assert runs or "VT-x" in reason


def test_no_emulator_at_all_is_said_with_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host = replace(architecture.HOST, emulator="no-such-emulator")
    monkeypatch.setattr(architecture, "HOST", host)
    with pytest.raises(HypervisorUnusable, match="no-such-emulator"):
        hypervisor.choose("qemu", tmp_path)


@pytest.mark.parametrize(
    ("host", "words"), [(X86_64, "load kvm_intel"), (AARCH64, "at EL2")], ids=["x86_64", "aarch64"]
)
def test_without_kvm_the_remedy_is_this_processor_s(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: Architecture, words: str
) -> None:
    monkeypatch.setattr(architecture, "HOST", host)
    kvm.DEVICE.unlink()
    assert words in kvm.probe(tmp_path)
