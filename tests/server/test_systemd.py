"""What the watchdog looks at, with a real listener, and with ones that do not answer."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from eucabox import api
from eucabox.cloud import Cloud
from eucabox.config import ApiSection, Config
from eucabox.server import systemd
from eucabox.server.listener import Listener
from eucabox.server.systemd import Watchdog


class Node:
    """A node whose loop turns when it is woken, or does not."""

    turns = 0
    turning = True

    def wake(self) -> None:
        self.turns += self.turning


def cloud(port: int, listen: str = "127.0.0.1") -> Any:
    config = Config(api=ApiSection(listen=listen, port=port, threads=4))
    return SimpleNamespace(config=config, node=Node(), list_problems=list)


def listen_on(address: str, use: Callable[[Any], None]) -> None:
    """Serve the real application on an address of this host while `use` looks at it."""
    with socket.create_server((address, 0)) as probe:
        port = probe.getsockname()[1]
    made = cloud(port, address)
    listener = Listener((address, port), api.create_app(cast(Cloud, made)), 4, ("api", "port"))
    listener.open()
    try:
        use(made)
    finally:
        listener.shut()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.5", "0.0.0.0"])
def test_nothing_is_wrong_while_the_api_answers_and_the_loop_turns(address: str) -> None:
    listen_on(address, lambda made: none_is_wrong(Watchdog(made)))


def none_is_wrong(watchdog: Watchdog) -> None:
    assert watchdog.find_problem(20) == ""


@pytest.mark.not_fast
def test_a_loop_that_does_not_turn_is_named() -> None:
    def use(made: Any) -> None:
        made.node.turning = False
        assert "the node's loop did not turn within 0.2 s" in Watchdog(made).find_problem(0.2)

    listen_on("127.0.0.1", use)


def test_an_api_that_is_gone_or_hangs_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        made = cloud(hanging.getsockname()[1])
        problem = Watchdog(made).find_problem(0.2)
        assert problem == "the API does not answer: timed out"
    assert "Connection refused" in Watchdog(made).find_problem(0.2)


@pytest.mark.parametrize(
    ("pid", "limit", "seconds"),
    [("", "", 0.0), ("own", "120000000", 120.0), ("1", "120000000", 0.0), ("", "x", 0)],
)
def test_only_a_watchdog_of_this_process_is_fed(
    monkeypatch: pytest.MonkeyPatch, pid: str, limit: str, seconds: float
) -> None:
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    pid = str(os.getpid()) if pid == "own" else pid
    if pid:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    monkeypatch.setenv("WATCHDOG_USEC", limit)
    assert systemd._read_limit() == seconds


def test_a_status_of_several_lines_is_one_assignment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        systemd.notify("WATCHDOG=1", "STATUS=libvirt: no answer\nSTOPPING=1")
        manager.settimeout(5)
        assert manager.recv(1000) == b"WATCHDOG=1\nSTATUS=libvirt: no answer STOPPING=1"
