"""A distribution that boots its own systemd: a root from a tar, in namespaces of its own."""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
BOOT_SECONDS = 120
PATIENCE = 240  # seconds; guests are emulated, and the machine may be busy
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
NETWORK = 0x40000000  # CLONE_NEWNET
CANNOT = 75  # what setup/roots.sh ends with when a root can't be had


class NoRoot(Exception):
    """A root could not be had: no network, no room or no time. No fault of the packages."""


@dataclass
class Machine:
    """A booted root."""

    name: str
    root: Path
    leader: int

    def enter(
        self, *argv: str, check: bool = True, timeout: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the machine as its root, without the service's namespaces."""
        into = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-C"]
        return _run([*into, "--wdns=/root", *argv], check, timeout)

    def shell(self, script: str, check: bool = True, timeout: float = PATIENCE) -> str:
        """Run a shell script in the machine and return its standard output."""
        return self.enter("sh", "-euc", script, check=check, timeout=timeout).stdout

    @contextmanager
    def network(self) -> Iterator[None]:
        """Have this thread, and programs that it starts, on the machine's network: a client with
        this host's files and libraries, outside of all that the service has of its own."""
        files = Path("/proc/self/ns/net"), Path(f"/proc/{self.leader}/ns/net")
        with files[0].open() as own, files[1].open() as other:
            _change_network(other.fileno())
            try:
                yield
            finally:
                _change_network(own.fileno())

    def file(self, path: str) -> Path:
        """Return a file of the machine as this host sees it."""
        return self.root / path.lstrip("/")


def _run(argv: list[str], check: bool, timeout: float) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        argv, capture_output=True, text=True, errors="replace", timeout=timeout, check=False,
        env=ENVIRONMENT, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert not check or done.returncode == 0, (
        f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done


def _change_network(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, NETWORK):
        raise OSError(ctypes.get_errno(), "setns")


def find_tar(name: str, seconds: int = 900) -> Path:
    """Return the tar of a root, made if need be; raises NoRoot."""
    argv = [str(ROOT / "setup" / "roots.sh"), name, str(seconds)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode == CANNOT:
        raise NoRoot(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@contextmanager
def boot(suite: str) -> Iterator[Machine]:
    """Boot a fresh root of a suite; at the end its processes, guests too, and files are gone."""
    tar = find_tar(suite)
    # libvirt's guests have to pass through the folder.
    folder = Path(tempfile.mkdtemp(prefix=f"eucabox-{suite}-", dir="/var/tmp"))
    folder.chmod(0o755)
    root = folder / "root"
    root.mkdir()
    process = None
    try:
        subprocess.run(["tar", "-xf", tar, "-C", root], check=True)
        _prepare(root)
        process = _start(root, f"eucabox-{suite}-{os.getpid()}", folder / "console")
        yield Machine(suite, root, _wait_until_up(process, folder / "console"))
    finally:
        if process is not None:
            _end(process)
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(root: Path) -> None:
    (root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
    with (root / "etc/libvirt/qemu.conf").open("a") as file:
        file.write("cgroup_controllers = [ ]\n")  # there is none to be made in nspawn
    (root / "etc/hostname").write_text("packages\n")


def _start(root: Path, name: str, console: Path) -> subprocess.Popen[bytes]:
    options = ["--private-network", "--capability=all", "--bind=/dev/net/tun", "--resolv-conf=off"]
    with console.open("wb") as output:
        return subprocess.Popen(
            ["systemd-nspawn", "-q", "--register=no", "--keep-unit", "-D", str(root), "-M", name,
             "-b", *options],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            # Suites from systemd 258 on refuse the older hierarchy.
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )  # fmt: skip


def _wait_until_up(process: subprocess.Popen[bytes], console: Path) -> int:
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, console.read_text(errors="replace")
        for leader in _children(process.pid):
            state = subprocess.run(
                ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "-C",
                 "systemctl", "is-system-running"],
                capture_output=True, text=True, check=False,
            ).stdout.strip()  # fmt: skip
            if state in ("running", "degraded"):
                return leader
        time.sleep(0.3)
    raise AssertionError(f"no boot in {BOOT_SECONDS} s:\n{console.read_text(errors='replace')}")


def _children(pid: int) -> list[int]:
    """Return the children that are the machine's first process; others are passing helpers."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    found = []
    for child in text.split():
        with suppress(OSError):
            if Path(f"/proc/{child}/comm").read_text().strip() in ("systemd", "init"):
                found.append(int(child))
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the machine's first process, and with it all others of the machine, then nspawn."""
    for child in _children(process.pid) if process.poll() is None else []:
        os.kill(child, signal.SIGKILL)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)
