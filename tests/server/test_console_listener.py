"""The console's port: plain HTTP on loopback, HTTPS elsewhere, and never in the API's way."""

import contextlib
import http.client
import socket
import ssl
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from eucabox.config import Config, ConsoleSection
from eucabox.iam.accounts import Accounts
from eucabox.server.console_listener import ConsoleListener
from eucabox.state import State

FILE = "/static/console.css"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture(name="cloud")
def _cloud(config: Config, accounts: Accounts, state: State) -> Any:
    notes: dict[str, str] = {}
    config = replace(config, console=ConsoleSection(port=free_port()))
    rooms = {"accounts": accounts, "state": state, "notes": notes, "note": notes.__setitem__}
    return SimpleNamespace(config=config, **rooms)


@contextlib.contextmanager
def serving(cloud: Any) -> Any:
    console = ConsoleListener(cloud)
    console.open()
    try:
        yield console
    finally:
        console.close()
        for each in console.listeners:
            each.shut()


def read(client: http.client.HTTPConnection, host: str) -> http.client.HTTPResponse:
    with contextlib.closing(client):
        client.request("GET", FILE, headers={"Host": host})
        answer = client.getresponse()
        answer.read()
        return answer


@pytest.mark.not_fast
def test_it_speaks_http_on_loopback(cloud: Any) -> None:
    with serving(cloud):
        client = http.client.HTTPConnection("127.0.0.1", cloud.config.console.port, timeout=10)
        answer = read(client, "console.localhost")
        assert answer.status == 200
        assert answer.headers["Strict-Transport-Security"] is None
    assert cloud.notes["console"] == ""


@pytest.mark.not_fast
def test_it_speaks_https_where_others_reach_it(cloud: Any) -> None:
    port = cloud.config.console.port
    section = ConsoleSection(listen="0.0.0.0", port=port, hosts="box.example.com")
    cloud.config = replace(cloud.config, console=section)
    cloud.accounts = Accounts(cloud.config, cloud.state)  # whose certificate has the name
    context = ssl.create_default_context(cafile=str(cloud.accounts.authority.ca_file))
    head = f"GET {FILE} HTTP/1.1\r\nHost: box.example.com:{port}\r\nConnection: close\r\n\r\n"
    with (
        serving(cloud),
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="box.example.com") as secure,
    ):
        secure.sendall(head.encode())
        answer = b""
        while piece := secure.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"Strict-Transport-Security: max-age=31536000" in answer


@pytest.mark.not_fast
def test_a_port_that_another_has_is_noted_and_taken_later(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eucabox.server.console_listener.TEND_SECONDS", 0.05)
    port = cloud.config.console.port
    with contextlib.ExitStack() as stack:
        with socket.create_server(("127.0.0.1", port)):
            console = stack.enter_context(serving(cloud))
            assert "[console] port" in cloud.notes["console"]
        until = time.monotonic() + 20
        while not console.listeners:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert cloud.notes["console"] == ""
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        assert read(client, "console.localhost").status == 200


def test_its_pages_come_with_the_first_request(cloud: Any) -> None:
    with serving(cloud) as console:
        assert console._app._app is None
        client = http.client.HTTPConnection("127.0.0.1", cloud.config.console.port, timeout=10)
        assert read(client, "console.localhost").status == 200
        assert console._app._app is not None


def test_it_can_be_left_out(cloud: Any) -> None:
    section = replace(cloud.config.console, enabled=False)
    cloud.config = replace(cloud.config, console=section)
    with serving(cloud) as console:
        assert console.listeners == []


@pytest.mark.parametrize(
    ("section", "url"),
    [
        (ConsoleSection(), "http://console.localhost:8888"),
        (ConsoleSection(listen="::1", port=80), "http://console.localhost"),
        (
            ConsoleSection(listen="192.0.2.1", port=443, hosts="Box.example.com, other"),
            "https://box.example.com",
        ),
    ],
)
def test_the_address_for_people(section: ConsoleSection, url: str) -> None:
    assert section.url == url
