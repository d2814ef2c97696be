"""A real Chromium without a window, led by its DevTools over a pipe; knows nothing of buckets."""

import fcntl
import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 30
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--remote-debugging-pipe", "--ignore-certificate-errors"),
)
LOADED = "Page.loadEventFired"
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"


class Browser:
    """What is said to Chromium, and what it says back: JSON, each ended by a zero byte."""

    def __init__(self, into: int, out_of: int) -> None:
        self._into, self._out_of = into, out_of
        self._kept = b""
        self._count = 0
        self._events: list[Any] = []

    def ask(self, method: str, session: str = "", **params: Any) -> Any:
        """Call a method of DevTools and return its result."""
        self._count += 1
        members = {"id": self._count, "method": method, "params": params}
        members |= {"sessionId": session} if session else {}
        os.write(self._into, json.dumps(members).encode() + b"\0")
        answer = self._next(lambda each: each.get("id") == self._count)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def wait(self, method: str, session: str = "") -> Any:
        """Wait for an event, of a page if it is named, and return what it says."""

        def is_it(each: Any) -> bool:
            return (each.get("method"), each.get("sessionId", "")) == (method, session)

        for number, each in enumerate(self._events):
            if is_it(each):
                return self._events.pop(number)["params"]
        return self._next(is_it)["params"]

    def forget(self) -> None:
        """Count no event that has been."""
        self._events.clear()

    def page(self) -> "Page":
        """Open a page of nothing."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.enable", session)
        return Page(self, session)

    def _next(self, wanted: Any) -> Any:
        deadline = time.monotonic() + SECONDS
        while said := self._read(deadline - time.monotonic()):
            if wanted(said):
                return said
            if "id" not in said:
                self._events.append(said)
        raise TimeoutError(f"Chromium said nothing of it for {SECONDS} s: {self._events[-5:]}")

    def _read(self, seconds: float) -> Any:
        """The next of what Chromium says; None if it says nothing for so long."""
        while b"\0" not in self._kept:
            if not select.select([self._out_of], [], [], max(seconds, 0))[0]:
                return None
            piece = os.read(self._out_of, 1 << 16)
            assert piece, "Chromium is gone"
            self._kept += piece
        said, _, self._kept = self._kept.partition(b"\0")
        return json.loads(said)


class Page:
    """A tab: shown addresses, scripts that are run in it, and what a user's hand does to forms."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session

    def ask(self, method: str, **params: Any) -> Any:
        """Call a method of DevTools for this page."""
        return self._browser.ask(method, self._session, **params)

    def show(self, url: str) -> "Page":
        """Go to an address and wait until it is loaded."""
        self._browser.forget()
        gone = self.ask("Page.navigate", url=url)
        if gone.get("errorText") == NETWORK_CHANGED:  # by a cloud of another test
            gone = self.ask("Page.navigate", url=url)
        assert not gone.get("errorText"), f"{url}: {gone['errorText']}"
        self._browser.wait(LOADED, self._session)
        return self

    def run(self, script: str) -> Any:
        """Run a script, as the body of an async function, and return what it returns."""
        body = f"(async () => {{ {script} }})()"
        done = self.ask(
            "Runtime.evaluate", expression=body, awaitPromise=True, returnByValue=True,
            userGesture=True,
        )  # fmt: skip
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def choose(self, selector: str, file: Path) -> None:
        """Choose a file for an input of a form."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.ask("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def click(self, selector: str) -> None:
        """Click at what leads to another page, and wait until that is loaded."""
        self._browser.forget()
        self.run(f"document.querySelector({json.dumps(selector)}).click()")
        self._browser.wait(LOADED, self._session)

    @property
    def url(self) -> str:
        """Where the page is, after all redirects."""
        return str(self.run("return location.href"))

    @property
    def text(self) -> str:
        """What a user reads."""
        return str(self.run("return document.documentElement.innerText.trim()"))

    @property
    def status(self) -> int:
        """The HTTP status with which the page came."""
        script = "return performance.getEntriesByType('navigation')[0].responseStatus"
        return int(self.run(script))


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are neither 3 nor 4, at which Chromium has its own."""
    ends = os.pipe()
    high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in ends]
    for each in ends:
        os.close(each)
    return high[0], high[1]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium with a profile of its own; at the end it and its profile are gone."""
    into, out_of = _pipe(), _pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # bash, as only it takes numbers of two digits; Chromium reads at 3 and writes at 4.
        line = f'exec chromium "$@" 3<&{into[0]} 4>&{out_of[1]}'
        process = subprocess.Popen(
            ["bash", "-c", line, "-", *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(into[0], out_of[1]), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(into[0])
        os.close(out_of[1])
        browser = Browser(into[1], out_of[0])
        try:
            yield browser
        finally:
            _end(browser, process)
            os.close(into[1])
            os.close(out_of[0])


def _end(browser: Browser, process: subprocess.Popen[bytes]) -> None:
    try:
        browser.ask("Browser.close")
        process.wait(SECONDS)
    except (AssertionError, OSError, TimeoutError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()
