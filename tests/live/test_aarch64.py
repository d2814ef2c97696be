"""The machine of an aarch64 host, emulated in full: from Debian's packages to SSH.

Only the processor's name is pretended; packages, firmware, kernel and guest are arm64's.
"""

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from eucabox.hypervisor import architecture
from eucabox.image import tiny_guest
from eucabox.run import run
from tests.live.process import free_port

ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests" / "hypervisor" / "golden"
GUEST = Path("/var/tmp/eucabox-test-aarch64")
FOLDER = Path("/var/tmp/eucabox-test-aarch64-demo")
MACHINE = b"\xb7\0"  # of ELF files for aarch64
PRETENDED = 'import platform\n\nplatform.machine = lambda: "aarch64"\n'
SECONDS = 600


def run_emulated(program: str, *argv: str, **options: object) -> bytes:
    """Run a program as on an aarch64 host, where the packages' own programs can be run."""
    file = Path(program)
    foreign = file.is_absolute() and file.is_file() and file.read_bytes()[18:20] == MACHINE
    words = ("qemu-aarch64-static", program, *argv) if foreign else (program, *argv)
    return run(*words, **options)  # type: ignore[arg-type]


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tiny_guest.TinyGuest:
    monkeypatch.setattr(architecture, "HOST", architecture.AARCH64)
    monkeypatch.setattr(tiny_guest, "run", run_emulated)
    settings = tmp_path / "apt.conf"
    settings.write_text(
        f'Dir::State "{tmp_path}/state";\nDir::State::status "{tmp_path}/status";\n'
        f'Dir::Cache "{tmp_path}/cache";\nAPT::Sandbox::User "root";\n'
        'APT::Architecture "arm64";\nAPT::Architectures { "arm64"; };\n'
    )
    for name in ("state/lists/partial", "cache/archives/partial"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "status").touch()
    monkeypatch.setenv("APT_CONFIG", str(settings))
    run("apt-get", "-q", "update", timeout=SECONDS)
    made = tiny_guest.build_tiny(GUEST)
    monkeypatch.delenv("APT_CONFIG")
    return made


@pytest.fixture
def folder(guest: tiny_guest.TinyGuest, tmp_path: Path) -> Iterator[Path]:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    shutil.copytree(GUEST, FOLDER / "guest")
    (tmp_path / "sitecustomize.py").write_text(PRETENDED)
    (FOLDER / "eucabox.conf").write_text(
        textwrap.dedent(f"""\
        [cloud]
        data_dir = {FOLDER}/data
        [api]
        port = {free_port()}
        https_port = 0
        [console]
        enabled = no
        [network]
        own_bridge = eucaarm0
        """)
    )
    yield FOLDER
    demo(tmp_path, "--stop")
    shutil.rmtree(FOLDER)


def demo(site: Path, *options: str) -> str:
    """Run the demo in a Python that takes its processor for an aarch64; return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "eucabox", "demo", "--folder", FOLDER, *options],
        capture_output=True, text=True, check=False, timeout=SECONDS,
        env={**os.environ, "PYTHONPATH": f"{site}:{ROOT}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["root", "disk", "set"])
def test_libvirt_can_run_the_machine(name: str) -> None:
    """The domain is defined and not started: libvirt chooses its firmware and its buses."""
    virt = libvirt.open("qemu:///system")
    made = virt.defineXML((GOLDEN / f"qemu-{name}-aarch64.xml").read_text())
    try:
        argv = virt.domainXMLToNative("qemu-argv", made.XMLDesc(), 0)
        assert "/AAVMF_CODE.fd" in argv
        assert "virtio-gpu-pci" in argv
    finally:
        made.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
        virt.close()


@pytest.mark.long  # downloads 30 MB of another architecture, and boots UEFI, emulated
def test_the_demo_goes_from_arm64_s_packages_to_a_login(folder: Path, tmp_path: Path) -> None:
    told = demo(tmp_path)
    assert "user data ran: hello from the user data" in told
    assert "-cloud-arm64" in told
    console = run("virsh", "-q", "-c", "qemu:///system", "list", "--name").decode()
    (name,) = [each for each in console.split() if each in told]
    xml = run("virsh", "-c", "qemu:///system", "dumpxml", name).decode()
    assert "<emulator>/usr/bin/qemu-system-aarch64</emulator>" in xml
    assert "/usr/share/AAVMF/AAVMF_CODE.fd" in xml
