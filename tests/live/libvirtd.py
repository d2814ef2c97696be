"""A libvirtd of a test's own, hidden from the host's in a mount namespace; needs root."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FOLDERS = {
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt",
    "etc": "/etc/libvirt",
    "cache": "/var/cache/libvirt",
    "log": "/var/log/libvirt",
}


@dataclass
class Libvirtd:
    """Starts, kills and starts again; its guests outlive it as those of the host's would."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket={self.folder}/run/libvirt-sock"

    def start(self) -> None:
        for name in FOLDERS:
            (self.folder / name).mkdir(exist_ok=True)
        # Without virtlogd, which has one socket a host.
        (self.folder / "etc" / "qemu.conf").write_text('stdio_handler = "file"\n')
        mounts = [f"mount --bind {self.folder}/{own} {path}" for own, path in FOLDERS.items()]
        script = "; ".join(
            ["mount --make-rprivate /", *mounts, f"exec libvirtd -p {self.folder}/pid"]
        )
        with (self.folder / "stderr").open("ab") as errors:
            self.process = subprocess.Popen(["unshare", "-m", "sh", "-ec", script], stderr=errors)

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(20)


@contextmanager
def libvirtd(folder: Path) -> Iterator[Libvirtd]:
    """Return a running libvirtd that ends with the block."""
    made = Libvirtd(folder)
    made.start()
    try:
        yield made
    finally:
        made.kill(signal.SIGTERM)
