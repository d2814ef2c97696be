"""A Xen host that QEMU emulates: boots what setup/xen.sh built, and takes and loads snapshots."""

import hashlib
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.live.process import free_port

CACHE = Path("/var/tmp/eucabox-xen")
SNAPSHOT = "ready"
MEMORY_MB, DOM0_MB = 2560, 1280
BOOT_SECONDS = 900  # one emulated processor on a machine that does other things beside
PATIENCE = 1500
OPTIONS = (
    "-o", "ConnectTimeout=60", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
    "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
)  # fmt: skip


@dataclass
class Dom0:
    """The host: `ssh_port` and `api_port` are this machine's ways in; it reaches nothing."""

    folder: Path
    ssh_port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def disk(self) -> Path:
        """What the host writes, and its snapshots, over what was built."""
        return self.folder / "run.qcow2"

    @property
    def mark(self) -> Path:
        """What the snapshot was made of, once it is made."""
        return self.folder / "ready"

    def ssh(self, *words: str) -> list[str]:
        """Return how to run a program of the host as root."""
        return [
            "ssh", "-i", str(self.folder / "key"), "-p", str(self.ssh_port), *OPTIONS, *words,
            "root@127.0.0.1",
        ]  # fmt: skip

    def shell(self, script: str, check: bool = True, timeout: float = PATIENCE) -> str:
        """Run a shell script on the host and return its standard output."""
        done = subprocess.run(
            [*self.ssh(), "sh", "-s"], input=script, capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{script}: {done.stdout} {done.stderr}"
        return done.stdout

    def copy(self, *files: Path) -> None:
        """Put files into root's home."""
        for file in files:
            with file.open("rb") as content:
                to = f"cat > /root/{file.name}"
                subprocess.run([*self.ssh(), to], stdin=content, timeout=PATIENCE, check=True)

    def fetch(self, folder: str, to: Path) -> None:
        """Copy a folder of the host into one of this machine."""
        packed = subprocess.run(
            [*self.ssh(), f"tar -C {folder} -c ."],
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        ).stdout
        subprocess.run(["tar", "-C", str(to), "-x"], input=packed, timeout=PATIENCE, check=True)

    def make_disk(self) -> None:
        """Begin with what was built, without a snapshot."""
        self.mark.unlink(missing_ok=True)
        order = ("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b")
        subprocess.run([*order, str(self.folder / "dom0.qcow2"), str(self.disk)], check=True)

    def start(self, snapshot: str = "") -> None:
        """Boot the host, or go on from a snapshot, and wait until it lets us in."""
        with (self.folder / "qemu.log").open("wb") as log:
            self.process = subprocess.Popen(
                self._argv(snapshot), cwd=self.folder, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + BOOT_SECONDS
        while subprocess.run([*self.ssh(), "true"], capture_output=True, check=False).returncode:
            assert self.process.poll() is None, (self.folder / "qemu.log").read_text()
            assert time.monotonic() < deadline, (self.folder / "serial.log").read_bytes()[-2000:]
            time.sleep(1)
        self.shell(f"date -s @{int(time.time())}")  # of a snapshot it is that of the snapshot

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def take_snapshot(self) -> None:
        """Keep the running host as it is now."""
        told = self._monitor(f"savevm {SNAPSHOT}")
        assert "Error" not in told, told

    def _monitor(self, order: str) -> str:
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(PATIENCE)
            monitor.connect(str(self.folder / "monitor"))
            _read_prompt(monitor)
            monitor.sendall(order.encode() + b"\n")
            return _read_prompt(monitor)

    def _argv(self, snapshot: str) -> list[str]:
        # Other processor models start a dom0 too, but libvirt knows what this one is.
        forward = f"hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22"
        forward += f",hostfwd=tcp:127.0.0.1:{self.api_port}-:8773"
        return [
            "qemu-system-x86_64", "-accel", "tcg", "-M", "pc", "-cpu", "Nehalem", "-smp", "1",
            "-m", str(MEMORY_MB), "-display", "none", "-no-reboot",
            "-kernel", "xen", "-append",
            f"dom0_mem={DOM0_MB}M,max:{DOM0_MB}M com1=115200,8n1 console=com1 noreboot",
            "-initrd", "vmlinuz root=/dev/vda rw console=hvc0 net.ifnames=0,initrd.img",
            "-drive", f"file={self.disk},format=qcow2,if=virtio",
            "-netdev", f"user,id=n0,restrict=on,{forward}",
            "-device", "virtio-net-pci,netdev=n0,romfile=", "-device", "virtio-rng-pci",
            "-monitor", f"unix:{self.folder}/monitor,server=on,wait=off",
            "-serial", f"file:{self.folder}/serial.log",
            *(("-loadvm", snapshot) if snapshot else ()),
        ]  # fmt: skip


def _read_prompt(monitor: socket.socket) -> str:
    told = b""
    while not told.rstrip().endswith(b"(qemu)"):
        piece = monitor.recv(4096)
        assert piece, told
        told += piece
    return told.decode("ascii", "replace")


def digest(*files: Path) -> str:
    """Return what a snapshot was made of, as one word."""
    made = hashlib.sha256()
    for file in files:
        made.update(file.read_bytes())
    return made.hexdigest()


@contextmanager
def started(host: Dom0, snapshot: str = "") -> Iterator[Dom0]:
    """Run the host until the block ends."""
    try:
        host.start(snapshot)
        yield host
    finally:
        host.stop()
