"""A real eucabox whose data lie on a mounted disk; its power can be cut, a process's can not.

Configuration, credentials and standard error lie beside the disk and so outlive each cut. A host
that lost its power has another boot id, by which the store knows what to trust: each start has one
of its own. libvirt is out of reach, so that a launch ends as its row, which is what a disk keeps of
an instance; terminated ones are kept for long, as this host has been up for longer than it seems.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.live.process import Running, free_port
from tests.power import namespace
from tests.power.forked import Forked
from tests.power.plan import Plan

EUCABOX = ["eucabox"]
EXECUTED = 10  # the starts of which one is a new program; the others are forked, in half the time
NOWHERE = "qemu+unix:///system?socket=/nowhere/libvirt-sock"


@dataclass
class DiskCloud(Running):
    """A eucabox of `program`, the words after `python -m`."""

    program: list[str] = field(default_factory=lambda: EUCABOX)
    tree: Path | None = None  # where its code is, if it is not the one beside these tests
    starts: int = 0

    def spawn(self) -> None:
        self.starts += 1
        argv = ["-c", str(self.config_file), "serve"]
        if self.program == EUCABOX and self.tree is None and self.starts % EXECUTED:
            self.process = Forked(argv, self.errors)  # type: ignore[assignment]
            return
        program = [sys.executable, "-m", *self.program, *argv]
        with self.errors.open("ab") as output:
            self.process = subprocess.Popen(
                program,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=self.tree,
                env={**os.environ, **({"PYTHONPATH": str(self.tree)} if self.tree else {})},
            )

    def power_on(self) -> None:
        """Start as a host does that was without power."""
        namespace.boot()
        self.start()

    def power_off(self) -> None:
        """End the process at once, where it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.kill()


@contextmanager
def prepared(plan: Plan) -> Iterator[DiskCloud]:
    """A eucabox that is configured and does not run; its `data` is an empty folder for a disk."""
    folder = Path(tempfile.mkdtemp(prefix="eucabox-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    bridge = f"eut{secrets.token_hex(4)}"
    ports = free_port(), free_port(), bridge, free_port()
    cloud = DiskCloud(folder, *ports, program=list(plan.program), tree=plan.tree)
    cloud.data.mkdir()
    cloud.config_file.write_text(
        f"[cloud]\ndata_dir = {cloud.data}\n"
        f"[api]\nport = {cloud.port}\nhttps_port = 0\n"
        f"[console]\nenabled = no\n[metadata]\nenabled = no\n"
        f"[node]\nvirt_type = qemu\nlibvirt_uri = {NOWHERE}\n"
        "pending_timeout = 86400\nterminated_kept = 604800\n"
        "cores = 4096\nmemory_mb = 16777216\ndisk_gb = 1048576\n"
        f"[network]\nmode = SYSTEM\nbridge = {bridge}\n[buckets]\n{plan.settings}"
    )
    try:
        yield cloud
    finally:
        cloud.power_off()
        shutil.rmtree(folder, ignore_errors=True)
