"""Tells systemd, if it started this process, how it is; never decides what the process does."""

import contextlib
import http.client
import logging
import os
import socket
import threading
import time
from ipaddress import ip_address

from eucabox.api import HEALTH
from eucabox.cloud import Cloud
from eucabox.config import ApiSection
from eucabox.iam.credentials_folder import endpoint

log = logging.getLogger("eucabox.server")

ROUNDS = 4  # in the time that the watchdog grants: a slow answer or two are forgiven
STEP = 0.05  # seconds between two looks at the node's loop
OK = 200
OWN_SOURCE = "127.0.0.86"  # no client's address, so that no client takes our share of threads


def notify(*lines: str) -> None:
    """Send lines such as READY=1 to systemd."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(address)
        # systemd would take each further line of a problem for another assignment
        text = "\n".join(line.replace("\n", " ") for line in lines)
        sock.sendall(text.encode("utf-8", "replace"))


def notify_reloading() -> None:
    """Say that the configuration is read again, until READY=1 is sent."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notify("RELOADING=1", f"MONOTONIC_USEC={now}")


class Watchdog:
    """Feeds systemd's watchdog only while the API answers and the node's loop turns."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._round = _read_limit() / ROUNDS

    def start(self) -> None:
        """Begin to feed the watchdog, if systemd has set one."""
        if self._round:
            threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def _run(self) -> None:
        while True:
            started = time.monotonic()
            problem = self.find_problem(self._round)
            if problem:
                log.error("systemd's watchdog is not fed: %s", problem)
            else:
                notify("WATCHDOG=1", f"STATUS={self._describe()}")
            time.sleep(max(0.0, started + self._round - time.monotonic()))

    def find_problem(self, seconds: float) -> str:
        """Return what did not answer within this many seconds, or an empty string."""
        node = self._cloud.node
        before, deadline = node.turns, time.monotonic() + seconds
        node.wake()
        if reason := explain_silence(self._cloud.config.api, seconds):
            return f"the API does not answer: {reason}"
        while node.turns == before:
            if time.monotonic() > deadline:
                return f"the node's loop did not turn within {seconds:g} s"
            time.sleep(STEP)
        return ""

    def _describe(self) -> str:
        problems = self._cloud.list_problems()
        return "; ".join([f"Serves {endpoint(self._cloud.config)}", *problems])


def explain_silence(api: ApiSection, seconds: float) -> str:
    """Return why the API's health check got no answer, or an empty string."""
    listen = ip_address(api.listen)
    local = listen.version == 4 and (listen.is_loopback or listen.is_unspecified)
    source = (OWN_SOURCE, 0) if local else None
    connection = http.client.HTTPConnection(api.listen, api.port, seconds, source_address=source)
    try:
        connection.request("GET", HEALTH)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as problem:
        return str(problem) or type(problem).__name__
    finally:
        connection.close()
    return "" if status == OK else f"status {status}"


def _read_limit() -> float:
    """Return how many seconds systemd waits for a sign of life; 0 if it has no watchdog."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdigit() else 0.0
