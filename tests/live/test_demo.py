"""The newcomer's road: `eucabox demo` from nothing, again, interrupted, and stopped."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from tests.live.process import free_port


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="eucabox-demo-", dir="/var/tmp"))
    made.chmod(0o755)
    (made / "eucabox.conf").write_text(
        f"[cloud]\ndata_dir = {made}/data\n"
        f"[api]\nport = {free_port()}\nhttps_port = 0\n[console]\nport = {free_port()}\n"
        f"[network]\nown_bridge = eud{secrets.token_hex(4)}\n[node]\nvirt_type = qemu\n"
    )
    yield made
    demo(made, "--stop")
    shutil.rmtree(made)


def demo(folder: Path, *more: str, check: bool = True) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "eucabox", "demo", "--folder", str(folder), *more],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def bridges() -> set[str]:
    return {each.name for each in Path("/sys/class/net").iterdir()}


def domains() -> set[str]:
    connection = libvirt.openReadOnly("qemu:///system")
    names = {each.name() for each in connection.listAllDomains()}
    connection.close()
    return names


def test_an_interrupted_run_can_be_repeated(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "eucabox", "demo", "--folder", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not (folder / "guest").exists():
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    output = demo(folder)
    found = json.loads((folder / "demo.json").read_text())
    instance_id, _, address = found["instance"].split()
    assert f"meta-data/instance-id: {instance_id}" in output
    assert f"meta-data/local-ipv4: {address}" in output
    assert "user data ran: hello from the user data" in output
    assert instance_id in domains()


def test_a_second_run_is_quick_and_leaves_no_mess(folder: Path) -> None:
    before = json.loads((folder / "demo.json").read_text())["instance"].split()[0]
    output = demo(folder)
    assert "bundling" not in output, "the images are there already"
    after = json.loads((folder / "demo.json").read_text())["instance"].split()[0]
    assert after in domains()
    deadline = time.monotonic() + 30
    while before in domains():
        assert time.monotonic() < deadline, "the earlier instance is still there"
        time.sleep(0.2)


def test_the_ssh_line_works_as_it_is_printed(folder: Path) -> None:
    found = json.loads((folder / "demo.json").read_text())
    done = subprocess.run(
        ["bash", "-c", found["ssh"] + " hostname"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("ip-")


def test_stop_takes_everything_away(folder: Path) -> None:
    found = json.loads((folder / "demo.json").read_text())
    instance_id = found["instance"].split()[0]
    config = (folder / "eucabox.conf").read_text()
    bridge = config.partition("own_bridge = ")[2].split()[0]
    assert bridge in bridges()
    demo(folder, "--stop")
    assert bridge not in bridges()
    assert instance_id not in domains()
    assert "was not running" in demo(folder, "--stop")


def test_a_taken_port_is_one_line(folder: Path) -> None:
    import socket

    text = (folder / "eucabox.conf").read_text()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (folder / "eucabox.conf").write_text(
            "\n".join(f"port = {port}" if line.startswith("port") else line
                      for line in text.splitlines())
        )  # fmt: skip
        output = demo(folder, check=False).strip().splitlines()
    (folder / "eucabox.conf").write_text(text)
    assert str(port) in output[-1]
    assert "[api] port" in output[-1]
    assert "Traceback" not in "".join(output)


def test_without_root_it_is_one_line(folder: Path) -> None:
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-c",
         "from eucabox.cli import main; main()", "demo", "--folder", str(folder)],
        capture_output=True, text=True, check=False, cwd="/", env={**os.environ, "HOME": "/"},
    )  # fmt: skip
    assert done.returncode != 0
    assert "root" in done.stderr.strip().splitlines()[-1]
