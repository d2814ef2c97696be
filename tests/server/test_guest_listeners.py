"""The API's door for guests: opened and shut with its bridge, and alone with its troubles."""

import dataclasses
import http.client
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eucabox import api
from eucabox.config import ApiSection, CloudSection, Config, MetadataSection
from eucabox.iam.accounts import Accounts
from eucabox.server import Server
from eucabox.state import State

DOOR = "127.0.0.2"
THREADS = 8
SOON = 2.0  # seconds


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def connects(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 1).close()
    except OSError:
        return False
    return True


def ask(address: str, port: int, path: str = "/_eucabox/health") -> tuple[int, bytes]:
    client = http.client.HTTPConnection(address, port, timeout=SOON)
    try:
        client.request("GET", path)
        response = client.getresponse()
        return response.status, response.read()
    finally:
        client.close()


@pytest.fixture(name="cloud")
def _cloud(tmp_path: Path, first_start: Path) -> Iterator[Any]:
    shutil.copytree(first_start, tmp_path, dirs_exist_ok=True)
    config = Config(
        cloud=CloudSection(data_dir=tmp_path),
        api=ApiSection(port=free_port(), https_port=free_port(), threads=THREADS),
        metadata=MetadataSection(enabled=False),
    )
    state = State(tmp_path / "eucabox.db")
    accounts = Accounts(config, state)
    network = SimpleNamespace(api_door=DOOR, bridge="lo")
    notes: dict[str, str] = {}
    rooms = {"accounts": accounts, "network": network, "state": state}
    yield SimpleNamespace(config=config, **rooms, notes=notes, note=notes.__setitem__)
    state.close()


@pytest.fixture(name="server")
def _server(cloud: Any) -> Iterator[Server]:
    made = Server(cloud)
    made.open()
    yield made
    made.close()


@pytest.mark.not_fast
def test_the_door_is_shut_until_the_network_is_up_and_opens_and_shuts_with_it(
    cloud: Any, server: Server
) -> None:
    port = cloud.config.api.port
    assert not connects(DOOR, port)
    server.open_to_guests()
    assert ask(DOOR, port)[0] == 200
    assert ask("127.0.0.1", port)[0] == 200
    cloud.network.api_door = None  # as a reload, or the bridge's end, has it
    server.reload()
    assert not connects(DOOR, port)
    assert not connects(DOOR, cloud.config.api.https_port)
    assert ask("127.0.0.1", port)[0] == 200
    cloud.network.api_door = "127.0.0.3"
    server.reload()
    assert ask("127.0.0.3", port)[0] == 200
    server.close()
    assert not connects("127.0.0.3", port)


@pytest.mark.not_fast
def test_requests_are_signed_there_as_everywhere(cloud: Any, server: Server) -> None:
    server.open_to_guests()
    status, body = ask(DOOR, cloud.config.api.port, "/?Action=DescribeInstances&Version=2016-11-15")
    assert (status, b"MissingAuthenticationToken" in body) == (403, True), body


@pytest.mark.not_fast
def test_tls_names_the_door(cloud: Any, server: Server) -> None:
    server.open_to_guests()
    context = ssl.create_default_context(cafile=str(cloud.accounts.authority.ca_file))
    for _ in range(2):
        address = (DOOR, cloud.config.api.https_port)
        with (
            socket.create_connection(address, SOON) as plain,
            context.wrap_socket(plain, server_hostname=DOOR) as secure,
        ):
            names = secure.getpeercert()
        assert names
        assert ("IP Address", DOOR) in names["subjectAltName"]
        server.reload()
    first = cloud.accounts.authority.guest_files(DOOR)[0].read_bytes()
    assert cloud.accounts.authority.guest_files(DOOR)[0].read_bytes() == first
    assert cloud.accounts.authority.guest_files("127.0.0.3")[0].read_bytes() != first


@pytest.mark.not_fast
def test_a_port_in_use_is_told_and_tried_again(
    cloud: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eucabox.server.guest_listeners.TEND_SECONDS", 0.05)
    port = cloud.config.api.port
    with socket.create_server((DOOR, port)):
        server.open_to_guests()
        assert "[api] port" in cloud.notes["api for instances"]
    until = time.monotonic() + 10
    while cloud.notes["api for instances"]:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert ask(DOOR, port)[0] == 200


@pytest.mark.not_fast
def test_guests_that_take_every_thread_of_theirs_take_none_of_others(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, stuck = threading.Event(), threading.Semaphore(0)

    def application(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/stuck":
            stuck.release()
            go_on.wait(30)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    monkeypatch.setattr(api, "create_app", lambda cloud: application)
    server = Server(cloud)
    server.open()
    server.open_to_guests()
    port = cloud.config.api.port
    sources = [f"127.0.0.{number}" for number in range(10, 14)]
    guests = [
        socket.create_connection((DOOR, port), SOON, source_address=(source, 0))
        for source in sources * 3
    ]
    try:
        for each in guests:
            each.sendall(b"GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(THREADS // 4 + 1):
            assert stuck.acquire(timeout=10)
        assert ask("127.0.0.1", port, "/quick") == (200, b"ok")
    finally:
        go_on.set()
        for each in guests:
            each.close()
        server.close()


@pytest.mark.not_fast
def test_the_configuration_of_a_cloud_without_a_network_is_served(cloud: Any) -> None:
    cloud.network.api_door = None
    cloud.config = dataclasses.replace(cloud.config, api=ApiSection(port=free_port(), https_port=0))
    server = Server(cloud)
    server.open()
    server.open_to_guests()
    assert ask("127.0.0.1", cloud.config.api.port)[0] == 200
    server.close()
