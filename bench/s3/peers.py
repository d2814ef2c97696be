"""The servers that are measured, each with a folder of its own on the same disk; knows no load."""

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.s3.signing import Target
from tests.live.process import free_port, running

VENV = Path(".venv/bench").absolute()
KEY, SECRET = "AKIABENCHBENCHBENCH1", "benchbenchbenchbenchbenchbenchbenchbench"
START_SECONDS = 60


class Missing(Exception):  # noqa: N818
    """A peer that can't be had here; the text says why."""


@dataclass
class Server:
    """One server that runs."""

    target: Target
    pid: int
    start: float  # seconds to the first answer

    def memory(self) -> float:
        """MiB of memory that belong to the process and its children (proportional set size)."""
        return sum(_pss(pid) for pid in (self.pid, *_children(self.pid))) / 1024

    def cpu(self) -> float:
        """Seconds of CPU that the process and its children have used."""
        return sum(_cpu(pid) for pid in (self.pid, *_children(self.pid)))


def _cpu(pid: int) -> float:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def _children(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *_children(child)]
    return found


@contextmanager
def eucabox(durability: str) -> Iterator[Server]:
    setting = f"[buckets]\ndurability = {durability}\n" if durability else ""
    with running(f"[node]\nvirt_type = qemu\n{setting}", place()) as found:
        found.stop()
        began = time.perf_counter()
        found.start()
        target = Target("127.0.0.1", found.port, found.access_key, found.secret_key, "eucabox")
        _answers(target, began)
        assert found.process is not None
        yield Server(target, found.process.pid, time.perf_counter() - began)


@contextmanager
def seaweedfs() -> Iterator[Server]:
    weed = shutil.which("weed") or VENV / "bin" / "weed"
    if not Path(weed).exists():
        raise Missing("no weed; setup/bench.sh installs it")
    port = free_port()
    with _folder() as folder:
        names = ("master", "filer", "volume", "webdav", "admin")
        ports = [f"-{name}.port={free_port()}" for name in names]
        argv = [
            str(weed), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-s3.port={port}", *ports, "-master.telemetry=false",
        ]  # fmt: skip
        keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        with _started(argv, Target("127.0.0.1", port, KEY, SECRET), folder, keys) as server:
            yield server


@contextmanager
def moto() -> Iterator[Server]:
    port = free_port()
    with _folder() as folder:
        argv = [sys.executable, "-m", "moto.server", "-p", str(port)]
        with _started(argv, Target("127.0.0.1", port, KEY, SECRET), folder) as server:
            yield server


@contextmanager
def nginx() -> Iterator[Server]:
    """Static files and DAV PUT: no hash, no signature, no listing. The limit."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin") or VENV / "nginx/usr/sbin/nginx"
    if not Path(program).exists():
        raise Missing("no nginx; setup/bench.sh unpacks the distribution's")
    port = free_port()
    with _folder() as folder:
        (folder / "data").mkdir()
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
        if os.geteuid() == 0:
            folder.chmod(0o777)
        argv = [str(program), "-c", str(folder / "nginx.conf"), "-e", str(folder / "errors")]
        with _started(argv, Target("127.0.0.1", port), folder) as server:
            yield server


NGINX = """daemon off; worker_processes 2; pid {folder}/pid; user root;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; tcp_nopush on; client_max_body_size 0; keepalive_requests 1000000;
  client_body_temp_path {folder}/temporary; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; root {folder}/data;
    location / {{ dav_methods PUT DELETE; create_full_put_path on; }} }}
}}
"""


@cache
def place() -> Path:
    """Return a folder whose folders lie apart on the disk.

    ext4 passes over inodes that were freed within the last minutes, one by one: where a server
    before removed its thousands of files, the next would pay for it with each new one.
    """
    folder = Path(tempfile.mkdtemp(prefix="eucabox-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # another file system, without this habit
        subprocess.run(["chattr", "+T", str(folder)], check=False, stderr=subprocess.DEVNULL)
    return folder


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="eucabox-bench-", dir=place()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _started(
    argv: list[str], target: Target, folder: Path, extra: dict[str, str] | None = None
) -> Iterator[Server]:
    began = time.perf_counter()
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env={**os.environ, **(extra or {})}, start_new_session=True,
        )  # fmt: skip
    try:
        _answers(target, began, process)
        yield Server(target, process.pid, time.perf_counter() - began)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(
    target: Target, began: float, process: "subprocess.Popen[bytes] | None" = None
) -> None:
    """Wait for any HTTP answer that is no server's own trouble."""
    while time.perf_counter() - began < START_SECONDS:
        if process is not None and process.poll() is not None:
            raise Missing(f"it ended with status {process.returncode}")
        with (
            contextlib.suppress(OSError),
            socket.create_connection((target.host, target.port)) as s,
        ):
            s.settimeout(5)
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            if (s.recv(12) or b"HTTP/1.1 500")[9:10] != b"5":
                return
        time.sleep(0.01)
    raise Missing(f"no answer within {START_SECONDS} s")


SERVERS: dict[str, Callable[[], contextlib.AbstractContextManager[Server]]] = {
    "eucabox": lambda: eucabox("commit"),
    "relaxed": lambda: eucabox("relaxed"),
    "seaweedfs": seaweedfs,
    "moto": moto,
    "nginx": nginx,
}
