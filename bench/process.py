"""The process alone: start to first answer, idle memory, time to stop; beside moto's server."""

import os
import subprocess
import sys
import time
from pathlib import Path

import requests

from tests.live.process import free_port, running

RUNS = 5
REST = 3  # seconds: its loops have had their first turns
PROCESS_CLOCK = 2  # of Linux: the scheduler's, of a whole process


def memory_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def read_cpu(pid: int) -> float:
    """Return the CPU seconds that a process has taken, of all its threads, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | PROCESS_CLOCK)  # as clock_getcpuclockid(3) makes it


def answer(url: str) -> None:
    while True:
        try:
            requests.get(url, timeout=5)
        except requests.ConnectionError:
            time.sleep(0.005)
        else:
            return


def ours() -> tuple[float, float, float]:
    starts, stops, memory = [], [], 0.0
    with running("[node]\nvirt_type = qemu\n") as found:
        for _ in range(RUNS):
            found.client("ec2").describe_regions()
            assert found.process is not None
            time.sleep(REST)
            memory = memory_mb(found.process.pid)
            began = time.perf_counter()
            found.stop()
            stops.append(time.perf_counter() - began)
            began = time.perf_counter()
            found.start()
            answer(found.endpoint)
            starts.append(time.perf_counter() - began)
    return min(starts), memory, min(stops)


def moto() -> tuple[float, float]:
    starts, memory = [], 0.0
    for _ in range(RUNS):
        port = free_port()
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-p", str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        answer(f"http://127.0.0.1:{port}/")
        starts.append(time.perf_counter() - began)
        memory = memory_mb(process.pid)
        process.kill()
        process.wait()
    return min(starts), memory


def main() -> None:
    start, memory, stop = ours()
    their_start, their_memory = moto()
    print("            start s   idle MiB   stop s")
    print(f"eucabox     {start:7.2f}   {memory:8.0f}   {stop:6.2f}")
    print(f"moto        {their_start:7.2f}   {their_memory:8.0f}")
    print(f"ratio       {start / their_start:7.2f}   {memory / their_memory:8.2f}")
