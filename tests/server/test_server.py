import ctypes
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eucabox.config import ApiSection, CloudSection, Config, MetadataSection
from eucabox.errors import ListenFailed
from eucabox.iam.accounts import Accounts
from eucabox.server import Server
from eucabox.server.listener import Listener
from eucabox.state import State

# The process as the command line starts it, with the rooms below the doors left out.
PROCESS = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from eucabox import api, config, errors, server

class Cloud:
    def __init__(self, given):
        self.config = given
        self.node = SimpleNamespace(turns=0, wake=self.turn)
        self.network = SimpleNamespace(api_door=None)
        self.accounts = SimpleNamespace(provider_keys=SimpleNamespace())
        (given.cloud.data_dir / "run").mkdir(exist_ok=True)
    def turn(self): self.node.turns += not Path(sys.argv[1] + ".stuck").exists()
    def list_problems(self): return ["network: none"]
    def start(self): pass
    def note(self, component, problem): pass
    def reload(self):
        self.config = config.load(self.config.file)
        Path(sys.argv[1] + ".reloaded").touch()
        return ["api.port"]
    def close(self): Path(sys.argv[1] + ".closed").touch()

def create_app(cloud):
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            time.sleep(1)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]
    return application

server.Cloud, api.create_app, api.preload = Cloud, create_app, lambda: None
sys.exit(server.serve(config.load(Path(sys.argv[1]))))
"""


WATCHDOG = 2.0  # seconds


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Process:
    """A running serve(), its configuration and what it told systemd."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, _free_port()
        self.file = folder / "eucabox.conf"
        self.write("info")
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.told.bind(str(folder / "notify"))
        self.told.settimeout(30)
        self.process = self.start()

    def write(self, log_level: str) -> None:
        self.file.write_text(
            f"[cloud]\ndata_dir = {self.folder}\nlog_level = {log_level}\n"
            f"[api]\nport = {self.port}\nhttps_port = 0\n[metadata]\nenabled = no\n"
            "[console]\nenabled = no\n"
        )

    def start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(self.file)],
            env={
                **os.environ,
                "NOTIFY_SOCKET": str(self.folder / "notify"),
                "WATCHDOG_USEC": str(int(WATCHDOG * 1e6)),
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    def hear(self, word: str) -> list[str]:
        """Return the next lines for systemd that have one of these, and forget those before."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            lines = self.told.recv(1000).decode().splitlines()
            if word in lines:
                return lines
        raise AssertionError(f"no {word} in 30 s")

    def ask(self, path: str = "/") -> http.client.HTTPConnection:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        client.request("GET", path)
        return client

    def marked(self, word: str) -> bool:
        return Path(f"{self.file}.{word}").exists()


@pytest.fixture(name="process")
def _process(tmp_path: Path) -> Iterator[Process]:
    running = Process(tmp_path)
    try:
        assert running.told.recv(100) == b"STATUS=Starting"
        lines = running.told.recv(100).decode().splitlines()
        assert lines == ["READY=1", f"STATUS=Serves http://127.0.0.1:{running.port}"]
        yield running
    finally:
        running.told.close()
        running.process.kill()
        running.process.communicate()


@pytest.mark.slow
def test_it_says_when_it_is_ready_and_ends_with_its_requests_done(process: Process) -> None:
    ready = process.folder / "run" / "ready"
    assert ready.read_text() == f"{process.process.pid}\nhttp://127.0.0.1:{process.port}\n"
    client = process.ask("/slow")
    time.sleep(0.3)
    started = time.monotonic()
    process.process.send_signal(signal.SIGTERM)
    assert client.getresponse().read() == b"ok"
    client.close()
    _, errors = process.process.communicate(timeout=30)
    assert time.monotonic() - started < 20  # the next step would be a kill
    assert process.process.returncode == 0
    assert process.hear("STOPPING=1")
    assert process.marked("closed")
    assert not ready.exists()
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_hangup_reads_the_configuration_again_and_a_bad_one_changes_nothing(
    process: Process,
) -> None:
    process.file.write_text("[cloud]\ncolour = red\n")
    process.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert not process.marked("reloaded")
    process.write("debug")
    process.process.send_signal(signal.SIGHUP)
    for _ in range(50):
        if process.marked("reloaded"):
            break
        time.sleep(0.1)
    client = process.ask()
    assert client.getresponse().read() == b"ok"
    client.close()
    process.process.send_signal(signal.SIGINT)
    process.process.communicate(timeout=30)
    assert process.process.returncode == 0
    log = (process.folder / "log" / "eucabox.log").read_text()
    assert "colour" in log
    assert "restart to change: api.port" in log


@pytest.mark.slow
def test_systemd_hears_that_a_reload_begins_and_when_it_is_over(process: Process) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    process.process.send_signal(signal.SIGHUP)
    words = dict(line.split("=", 1) for line in process.hear("RELOADING=1"))
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert before <= int(words["MONOTONIC_USEC"]) <= now
    assert process.hear("READY=1")
    process.file.write_text("[cloud]\ncolour = red\n")
    process.process.send_signal(signal.SIGHUP)
    assert process.hear("RELOADING=1")
    assert process.hear("READY=1"), "the old configuration goes on"


@pytest.mark.slow
def test_the_watchdog_is_fed_until_the_nodes_loop_is_stuck(process: Process) -> None:
    status = f"STATUS=Serves http://127.0.0.1:{process.port}; network: none"
    assert process.hear("WATCHDOG=1") == ["WATCHDOG=1", status]
    assert process.hear("WATCHDOG=1")
    Path(f"{process.file}.stuck").touch()
    process.told.settimeout(WATCHDOG * 2)
    with pytest.raises(TimeoutError):
        for _ in range(100):  # what was sent before is heard first
            process.told.recv(1000)
    log = (process.folder / "log" / "eucabox.log").read_text()
    assert "systemd's watchdog is not fed: the node's loop did not turn within 0.5 s" in log


@pytest.mark.slow
def test_a_port_in_use_is_one_line_that_names_the_key(process: Process) -> None:
    second = process.start()
    _, errors = second.communicate(timeout=10)
    assert second.returncode == 1
    assert errors.splitlines()[-1] == (
        f"eucabox: Can't listen on 127.0.0.1 port {process.port}: Address already in use."
        f" Set [api] port in {process.file}."
    )
    assert "Traceback" not in errors


@pytest.fixture(name="cloud")
def _cloud(tmp_path: Path, first_start: Path) -> Iterator[Any]:
    shutil.copytree(first_start, tmp_path, dirs_exist_ok=True)
    config = Config(
        cloud=CloudSection(data_dir=tmp_path),
        api=ApiSection(port=_free_port(), https_port=_free_port(), threads=4),
        metadata=MetadataSection(address="127.0.0.1", port=_free_port()),
    )
    state = State(tmp_path / "eucabox.db")
    accounts = Accounts(config, state)
    network = SimpleNamespace(metadata_device=None, api_door=None, bridge="lo")
    members: dict[str, str] = {}
    rooms = {"accounts": accounts, "network": network}
    yield SimpleNamespace(config=config, **rooms, said=members, note=members.__setitem__)
    state.close()


@pytest.mark.not_fast
def test_the_three_listeners_open_and_close(cloud: Any) -> None:
    server = Server(cloud)
    server.open()
    server.open_to_guests()
    ports = cloud.config.api.port, cloud.config.api.https_port, cloud.config.metadata.port
    try:
        plain = http.client.HTTPConnection("127.0.0.1", ports[0], timeout=5)
        plain.request("GET", "/_eucabox/health")
        assert plain.getresponse().status == 200
        plain.close()
        context = ssl.create_default_context(cafile=str(cloud.accounts.authority.ca_file))
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default since Python 3.13
        context.check_hostname = False
        secure = http.client.HTTPSConnection("127.0.0.1", ports[1], timeout=5, context=context)
        secure.request("GET", "/_eucabox/health")
        assert secure.getresponse().status == 200
        secure.close()
        guests = http.client.HTTPConnection("127.0.0.1", ports[2], timeout=5)
        guests.request("POST", "/")
        assert guests.getresponse().status == 405
        guests.close()
        server.reload()
    finally:
        server.close()
    for port in ports:
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), 1)


@pytest.mark.not_fast
def test_free_memory_is_given_back_now_and_then(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eucabox.server.EXPIRE_SECONDS", 0.01)
    monkeypatch.setattr("eucabox.server.TRIM_SECONDS", 0.05)
    given_back = threading.Semaphore(0)
    monkeypatch.setattr("eucabox.server.malloc.give_back", given_back.release)
    server = Server(cloud)
    server.open()
    try:
        assert all(given_back.acquire(timeout=5) for _ in range(2))
    finally:
        server.close()


def test_an_https_port_in_use_leaves_nothing_open(cloud: Any) -> None:
    with socket.create_server(("127.0.0.1", cloud.config.api.https_port)):
        with pytest.raises(ListenFailed) as caught:
            Server(cloud).open()
        assert "[api] https_port" in caught.value.message
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", cloud.config.api.port), 1)


@pytest.mark.not_fast
def test_without_metadata_the_api_still_serves_and_metadata_comes_later(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eucabox.server.guest_listeners.TEND_SECONDS", 0.05)
    port = cloud.config.metadata.port
    server = Server(cloud)
    server.open()
    try:
        with socket.create_server(("127.0.0.1", port)):
            server.open_to_guests()
            assert "[metadata] port" in cloud.said["metadata"]
            assert f"process {os.getpid()}) has the port" in cloud.said["metadata"]
        until = time.monotonic() + 5
        while cloud.said["metadata"]:
            assert time.monotonic() < until
            time.sleep(0.01)
        socket.create_connection(("127.0.0.1", port), 1).close()
    finally:
        server.close()


@pytest.mark.not_fast
def test_only_the_guests_address_may_be_missing() -> None:
    address, place = ("192.0.2.99", 0), ("metadata", "port")
    guests = Listener(address, lambda *_: [], 1, place, freebind=True)
    guests.open()
    guests.shut()
    with pytest.raises(ListenFailed, match=r"192\.0\.2\.99"):
        Listener(address, lambda *_: [], 1, place).open()


def test_a_missing_device_is_reported() -> None:
    listener = Listener(("127.0.0.1", 0), lambda *_: [], 1, ("metadata", "port"), device="none9")
    with pytest.raises(ListenFailed):
        listener.open()


@pytest.mark.not_fast
def test_a_signal_that_another_thread_gets_ends_it_too(process: Process) -> None:
    pid = process.process.pid
    others = [int(each.name) for each in Path(f"/proc/{pid}/task").iterdir()]
    other = next(thread for thread in others if thread != pid)
    assert ctypes.CDLL(None).tgkill(pid, other, signal.SIGTERM) == 0
    process.process.communicate(timeout=30)
    assert process.process.returncode == 0
