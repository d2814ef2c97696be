"""The console's list of instances: the server's time for it, and how soon a browser shows it beside
a bare static page of the same rows."""

import contextlib
import http.client
import re
import statistics
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from playwright.sync_api import Page

from bench.process import read_cpu
from tests.live.console import Visit, chromium, visiting
from tests.live.console_tour import MOST_BYTES, insert_instances, weighing
from tests.live.process import running

ROWS, MORE_ROWS = 100, 1000  # a page of a list, and what has many
ROUNDS, REQUESTS, LOADS = 9, 20, 15
LIST, FRAME = "/instances", "/password"
PAINT = """() => new Promise((done) => new PerformanceObserver((list) =>
  list.getEntriesByName("first-contentful-paint").forEach((each) => done(each.startTime)))
  .observe({type: "paint", buffered: true}))"""


def measure_cpu(visit: Visit, *paths: str) -> list[float]:
    """Return the milliseconds of CPU time that the server takes for each page: medians of rounds in
    which the pages take turns, so that whatever else the host does meets all of them."""
    assert visit.cloud.process
    cookies = visit.context.cookies(visit.cloud.console)
    pairs = "; ".join(f"{each.get('name')}={each.get('value')}" for each in cookies)
    headers = {"Host": visit.cloud.console.removeprefix("http://"), "Cookie": pairs}
    client = http.client.HTTPConnection("127.0.0.1", visit.cloud.console_port, timeout=60)
    taken: dict[str, list[float]] = {path: [] for path in paths}
    with contextlib.closing(client):
        for number in range(ROUNDS + 1):  # the first one imports and compiles
            for path in paths:
                began = read_cpu(visit.cloud.process.pid)
                for _ in range(REQUESTS):
                    client.request("GET", path, headers=headers)
                    answer = client.getresponse()
                    answer.read()
                    assert answer.status == 200
                if number:
                    spent = read_cpu(visit.cloud.process.pid) - began
                    taken[path].append(spent / REQUESTS * 1000)
    return [statistics.median(each) for each in taken.values()]


def make_bare(text: str) -> bytes:
    """Return a static page with the rows of a page, and nothing else."""
    rows = re.findall(r"<tr>.*?</tr>", text, re.DOTALL)
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]
    plain = [[re.sub(r"<[^>]*>", "", each).strip() for each in row] for row in cells]
    lines = ("<tr>" + "".join(f"<td>{each}</td>" for each in row) + "</tr>" for row in plain)
    table = "\n".join(lines)
    return f"<!doctype html><title>bare</title><table>{table}</table>".encode()


@contextlib.contextmanager
def serve(body: bytes) -> Iterator[str]:
    """Serve one page."""

    class Bare(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body at once: else the kernel holds the body back for 40 ms

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bare)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def paint(page: Page, url: str) -> float:
    """Load a page and return when its first content was painted, in milliseconds."""
    page.goto(url)
    return float(page.evaluate(PAINT))


def compare_paint(visit: Visit, bare: str) -> tuple[float, float]:
    """Return the medians of both pages, loaded in turn with nothing kept by the browser."""
    page, ours, theirs = visit.page, [], []
    page.context.new_cdp_session(page).send("Network.setCacheDisabled", {"cacheDisabled": True})
    for _ in range(LOADS):
        theirs.append(paint(page, bare))
        ours.append(paint(page, visit.cloud.console + LIST))
    return statistics.median(ours), statistics.median(theirs)


def main() -> None:
    with (
        running("[node]\nvirt_type = qemu\n") as cloud,
        chromium() as browser,
        visiting(browser, cloud, checks=False) as visit,
    ):
        visit.set_first_password()
        insert_instances(cloud, ROWS)
        frame, few = measure_cpu(visit, FRAME, LIST)
        with weighing(visit.page) as weighed:
            visit.open(LIST).wait_for_load_state("networkidle")
        with serve(make_bare(visit.page.content())) as bare:
            ours, theirs = compare_paint(visit, bare)
        insert_instances(cloud, MORE_ROWS - ROWS)
        frame_again, many = measure_cpu(visit, FRAME, LIST)
    print("                                       ms   ratio   at most")
    print(f"first paint, {ROWS} rows, bare page {theirs:6.1f}       1")
    print(f"first paint, {ROWS} rows            {ours:6.1f}   {ours / theirs:5.2f}       2.0")
    print(f"server's CPU, no row               {frame:6.1f}       1")
    print(f"server's CPU, {ROWS} rows           {few:6.1f}   {few / frame:5.2f}      10.0 ms")
    print(f"server's CPU, no row               {frame_again:6.1f}       1")
    print(f"... and of {MORE_ROWS} to {ROWS}        {many:6.1f}   {many / few:5.2f}       3.0")
    print(f"the page of {ROWS} rows weighs {weighed.sum_up():,} bytes of at most {MOST_BYTES:,}")
