"""The wheel, installed by pip as a user would, goes the demo's whole way."""

import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.process import free_port

ROOT = Path(__file__).parent.parent.parent
PYTHON = "/usr/bin/python3"  # the distribution's, which has libvirt's binding
SECONDS = 300


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="eucabox-wheel-", dir="/var/tmp"))
    made.chmod(0o755)
    (made / "eucabox.conf").write_text(
        f"[cloud]\ndata_dir = {made}/data\n"
        f"[api]\nport = {free_port()}\nhttps_port = 0\n[console]\nport = {free_port()}\n"
        f"[network]\nown_bridge = euw{secrets.token_hex(4)}\n[node]\nvirt_type = qemu\n"
    )
    yield made
    if (made / "venv/bin/eucabox").exists():
        run(made / "venv/bin/eucabox", "demo", "--folder", made, "--stop")
    shutil.rmtree(made)


def run(*argv: str | Path) -> str:
    """Run a program with no more of the environment than a user of the wheel has."""
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=SECONDS, cwd="/",
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_installed_wheel_runs_the_demo(folder: Path) -> None:
    subprocess.run([ROOT / "setup" / "wheel.sh", sys.executable, folder], check=True)
    (wheel,) = folder.glob("*.whl")
    venv = folder / "venv"
    run(PYTHON, "-m", "venv", "--system-site-packages", venv)
    run(venv / "bin/pip", "install", "-q", "--disable-pip-version-check", wheel)
    place = run(venv / "bin/python", "-c", "import eucabox; print(eucabox.__file__)").strip()
    assert Path(place).is_relative_to(venv)
    told = run(venv / "bin/eucabox", "demo", "--folder", folder)
    assert "user data ran: hello from the user data" in told
