"""A launch breaks no page that loads in a browser on the same machine.

Chromium drops the requests that wait for a connection when an address of any interface comes or
goes, as one did a second after each tap was switched on.
"""

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from eucabox import ids
from eucabox.image.tiny_guest import TinyGuest
from eucabox.network.tap_ipv6 import TapIpv6
from tests.live import guests
from tests.live.console import chromium
from tests.live.process import Running
from tests.live.wires import command, own_host

pytestmark = pytest.mark.alone  # a bridge that another test makes breaks pages too
PREFIX = "eu1234"
REQUESTS = 40
SLOW = 0.4  # seconds of each request: six at a time, so the page loads for three
SETTLED = 3.0  # seconds after which the kernel has given the addresses that it will give
PICTURE = b"<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>"


def make_wires(*names: str) -> None:
    """Make devices and switch them on at once, faster than libvirt does it."""
    lines = []
    for name in names:
        lines += [f"link add {name} type veth peer name p{name}", f"link set {name} up"]
        lines += [f"link set p{name} up"]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


@contextmanager
def monitor_addresses() -> Iterator[Callable[[], list[str]]]:
    """Give what returns, a line each, the addresses of this host that came and went."""
    argv = ["ip", "-o", "monitor", "address"]
    with (
        tempfile.TemporaryFile("w+") as file,
        subprocess.Popen(argv, stdout=file, text=True) as monitor,
    ):
        time.sleep(0.5)

        def read() -> list[str]:
            return os.pread(file.fileno(), 1 << 20, 0).decode().splitlines()

        kept: list[str] = []
        try:
            yield lambda: kept or read()
        finally:
            kept += read()
            monitor.kill()


def list_local(name: str) -> list[str]:
    (link,) = json.loads(command("ip", "-j", "addr", "show", "dev", name))
    return [each["local"] for each in link["addr_info"]]


def test_no_address_comes_to_a_device_of_an_instance_and_others_keep_theirs() -> None:
    taps = [f"{PREFIX}{number:03}" for number in range(30)]
    with own_host():
        make_wires(f"{PREFIX}old")
        time.sleep(SETTLED)
        assert list_local(f"{PREFIX}old"), "the kernel gives one where nobody says otherwise"
        listener = TapIpv6(PREFIX)
        listener.open()
        with monitor_addresses() as changes:
            make_wires("other", *taps)
            time.sleep(SETTLED)
            for tap in taps:
                command("ip", "link", "del", tap)
            time.sleep(0.2)
        found = {"other": list_local("other"), "old": list_local(f"{PREFIX}old")}
        listener.close()
    assert len(found["other"]) == 1 and found["old"] == [], found
    assert any(" other " in line for line in changes())
    # One that was switched on before it was noticed loses a tentative address, which was told to
    # nobody as a new one: no browser knows it.
    ours = [line for line in changes() if f" {PREFIX}" in line]
    assert [line for line in ours if "Deleted" not in line or "tentative" not in line] == []


class SlowPictures(BaseHTTPRequestHandler):
    """A page of many pictures, each of which takes its time; none is kept by the browser."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        is_page = self.path.startswith("/page")
        if is_page:
            body = "".join(f"<img src='/{number}?{time.time()}'>" for number in range(REQUESTS))
            content = f"<!doctype html><title>page</title>{body}".encode()
        else:
            time.sleep(SLOW)
            content = PICTURE
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if is_page else "image/svg+xml")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


class Pictures(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that was closed early is none."""


@contextmanager
def serve_pictures() -> Iterator[str]:
    server = Pictures(("127.0.0.1", 0), SlowPictures)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(name="image_id", scope="module")
def _image_id(cloud: Running, tiny_guest: TinyGuest) -> str:
    return guests.install(cloud, tiny_guest)


def is_terminated(ec2: Any, instance_id: str) -> bool:
    return bool(guests.describe(ec2, instance_id)["State"]["Name"] == "terminated")


def test_five_launches_lose_no_request_of_pages_that_load(cloud: Running, image_id: str) -> None:
    """Pages of 40 requests are loaded one after the other while five instances come and go."""
    ec2: Any = cloud.client("ec2")
    made: list[str] = []

    def launch() -> None:
        for _ in range(5):
            given = {"InstanceType": "m1.tiny", "MinCount": 1, "MaxCount": 1}
            (instance,) = ec2.run_instances(ImageId=image_id, **given)["Instances"]
            made.append(instance["InstanceId"])
            guests.wait_for(ec2, instance["InstanceId"], "running")
        ec2.terminate_instances(InstanceIds=made)
        for each in made:
            guests.until(partial(is_terminated, ec2, each), "end")

    launching = threading.Thread(target=launch)
    lost: list[str] = []
    loaded = 0
    with monitor_addresses() as changes, serve_pictures() as address, chromium() as browser:
        page = browser.new_page()
        page.on("requestfailed", lambda request: lost.append(f"{request.url} {request.failure}"))
        launching.start()
        while launching.is_alive():
            page.goto(f"{address}/page?{time.time()}", wait_until="load")
            script = "[...document.images].filter((each) => each.naturalWidth).length"
            assert page.evaluate(script) == REQUESTS, (lost, changes())
            loaded += 1
    launching.join()
    assert len(made) == 5
    assert lost == [], changes()
    assert loaded >= 3, "pages loaded beside the launches"
    prefix = ids.tap_prefix(cloud.bridge)
    assert [line for line in changes() if f" {prefix}" in line and "tentative" not in line] == []
    ec2.close()
