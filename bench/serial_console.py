"""From a key to its echo at a guest's serial console, through the console's WebSocket."""

import contextlib
import http.cookies
import re
import socket
import statistics
import time
import urllib.parse
from http.client import HTTPConnection
from pathlib import Path

from eucabox.console.visitor import LOGIN_COOKIE, VISIT_COOKIE
from eucabox.image import tiny_guest
from tests.console.socket_client import SocketClient
from tests.live import guests
from tests.live.process import Running, running

KEYS = 200
PASSWORD = "a long enough password"
GOAL = 30  # milliseconds in the median


def main() -> None:
    tiny = tiny_guest.build_tiny(Path("/var/tmp/eucabox-test-guest"))
    with running("[node]\nvirt_type = qemu\n") as cloud:
        ec2 = cloud.client("ec2")
        row = guests.run(ec2, guests.install(cloud, tiny))
        guests.booted(ec2, row["InstanceId"])
        ec2.close()
        times = sorted(measure(cloud, row["InstanceId"]))
    print(f"key to echo, of {len(times)}      ms")
    print(f"median                  {1000 * statistics.median(times):6.1f}  (goal: {GOAL})")
    print(f"of ten nine at most     {1000 * times[len(times) * 9 // 10]:6.1f}")


def measure(cloud: Running, instance_id: str) -> list[float]:
    """Type letters at the prompt for a name, which getty says back, and time each."""
    host = cloud.console.removeprefix("http://")
    cookie = f"{LOGIN_COOKIE}={sign_in(cloud, host)}"
    with socket.create_connection(("127.0.0.1", cloud.console_port), 10) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = SocketClient(line)
        path = f"/instances/{instance_id}/serial/socket"
        client.shake_hands(path, host, Origin=cloud.console, Cookie=cookie)
        client.until(lambda: b"login:" in client.data and {"status": "open"} in client.texts)
        time.sleep(2)
        return [time_key(client) for _ in range(KEYS)]


def time_key(client: SocketClient) -> float:
    """Return the seconds of one letter, which is taken back."""
    client.got.clear()
    began = time.perf_counter()
    client.say(b"k")
    client.until(lambda: b"k" in client.data)
    seconds = time.perf_counter() - began
    client.say(b"\x7f")
    client.until(lambda: client.data.endswith(b"\b \b"))
    return seconds


def sign_in(cloud: Running, host: str) -> str:
    """Set the first password as a browser does; return the session's secret."""
    code = (cloud.data / "first-run-code").read_text().strip()
    with contextlib.closing(HTTPConnection("127.0.0.1", cloud.console_port)) as browser:
        browser.request("GET", "/first-run", headers={"Host": host})
        page = browser.getresponse()
        held = http.cookies.SimpleCookie(page.headers["Set-Cookie"])[VISIT_COOKIE].value
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', page.read().decode())
        assert token
        form = {"csrf": token[1], "code": code, "password": PASSWORD, "again": PASSWORD}
        headers = {
            "Host": host, "Origin": f"http://{host}", "Cookie": f"{VISIT_COOKIE}={held}",
            "Content-Type": "application/x-www-form-urlencoded",
        }  # fmt: skip
        browser.request("POST", "/first-run", urllib.parse.urlencode(form), headers)
        cookies = browser.getresponse().headers.get_all("Set-Cookie") or []
    return next(
        http.cookies.SimpleCookie(each)[LOGIN_COOKIE].value
        for each in cookies
        if each.startswith(LOGIN_COOKIE + "=")
    )
