"""The systemd unit: what it must say, what it must not, and what systemd-analyze finds."""

import re
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "systemd"
UNIT = FOLDER / "eucabox.service"
MOST_EXPOSED = 2.3
LINE = re.compile(r"^(\w+)=(.*)$", re.MULTILINE)


def directives() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in LINE.findall(UNIT.read_text()):
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Type", ["notify"]),
        ("ExecStart", ["/usr/bin/eucabox serve"]),
        # A wrong file fails the reload before the running process reads it.
        ("ExecReload", ["/usr/bin/eucabox config check", "/bin/kill -HUP $MAINPID"]),
        ("RestartPreventExitStatus", ["78"]),
        ("KillMode", ["process"]),
        ("User", ["eucabox"]),
        ("UMask", ["0077"]),
        ("StateDirectoryMode", ["0751"]),
        ("RuntimeDirectoryPreserve", ["yes"]),
        ("NoNewPrivileges", ["yes"]),
        ("SystemCallErrorNumber", ["EPERM"]),
        ("DeviceAllow", ["/dev/kvm rw"]),
    ],
)
def test_the_unit_says(name: str, values: list[str]) -> None:
    assert directives()[name] == values


def test_the_service_has_three_capabilities_and_can_have_no_other() -> None:
    found = directives()
    wanted = ["CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE"]
    assert found["AmbientCapabilities"] == found["CapabilityBoundingSet"] == wanted


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ProtectKernelTunables", "ip_forward and disable_ipv6 are written"),
        ("ProcSubset", "/proc/sys is read"),
        ("PrivateDevices", "the probe runs a boot sector on /dev/kvm"),
        ("PrivateNetwork", "the bridge is the host's"),
        ("PrivateUsers", "capabilities would not be the host's"),
    ],
)
def test_the_unit_leaves_out_what_would_break_it(name: str, why: str) -> None:
    assert name not in directives(), why


@pytest.mark.not_fast
def test_the_exposure_is_small_and_the_unit_has_no_mistake(tmp_path: Path) -> None:
    analyze = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)]
    done = subprocess.run(analyze, capture_output=True, text=True, check=True)
    exposure = re.search(r"exposure level for eucabox.service: ([\d.]+)", done.stdout)
    assert exposure
    assert float(exposure[1]) <= MOST_EXPOSED
    copy = tmp_path / UNIT.name  # the program is not installed where the tests run
    copy.write_text(UNIT.read_text().replace("/usr/bin/eucabox", "/bin/true"))
    verify = ["systemd-analyze", "verify", "--man=no", str(copy)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_user_is_in_the_groups_that_it_needs_and_the_folders_are_its_own() -> None:
    lines = [line.split() for line in (FOLDER / "eucabox.sysusers").read_text().splitlines()]
    assert {line[2] for line in lines if line[0] == "m"} == {"libvirt", "kvm", "libvirt-qemu"}
    assert {line[1] for line in lines if line[0] in "um"} == {"eucabox"}
    folders = [line.split() for line in (FOLDER / "eucabox.tmpfiles").read_text().splitlines()]
    made = {line[1]: line[2:5] for line in folders if line[0] == "d"}
    assert made == {
        "/run/eucabox": ["0755", "eucabox", "eucabox"],
        "/var/lib/eucabox": ["0751", "eucabox", "eucabox"],
    }
