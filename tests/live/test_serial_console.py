"""Consoles of a real guest in a real browser: several look on, and a restart takes nothing away."""

import base64
import contextlib
import socket
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from eucabox.console.visitor import LOGIN_COOKIE
from eucabox.image.tiny_guest import TinyGuest
from tests.console.socket_client import SocketClient
from tests.live import guests
from tests.live.console import Visit, press_tab_to, visiting
from tests.live.process import Running

PATIENCE = 240_000  # milliseconds; the guest is emulated
PIXELS = """async (png) => {
  const picture = new Image();
  picture.src = "data:image/png;base64," + png;
  await picture.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height];
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let bright = 0;
  for (let at = 0; at < data.length; at += 4) {
    bright += data[at] + data[at + 1] + data[at + 2] > 380;
  }
  return bright;
}"""


@pytest.fixture(name="instance_id", scope="module")
def _instance_id(cloud: Running, tiny_guest: TinyGuest) -> str:
    ec2 = cloud.client("ec2")
    row = guests.run(ec2, guests.install(cloud, tiny_guest))
    ec2.close()
    return str(row["InstanceId"])


@pytest.fixture(name="other")
def _other(cloud: Running, browser: Browser, visit: Visit) -> Iterator[Visit]:
    with visiting(browser, cloud) as other:
        other.sign_in("admin")
        expect(other.page.get_by_role("heading", name="Hello, admin")).to_be_visible()
        yield other
        other.check()


def open_terminal(visit: Visit, instance_id: str) -> Locator:
    """Open the page and wait for the prompt; return the terminal's rows."""
    page = visit.open(f"/instances/{instance_id}/serial")
    rows = page.locator(".xterm-rows")
    expect(rows).to_contain_text("login:", timeout=PATIENCE)
    return rows


def wait_until_open(page: Page) -> None:
    expect(page.locator("#terminal")).to_have_attribute("data-status", "open", timeout=60_000)


def count_bright(visit: Visit, place: Locator) -> int:
    """How many pixels of a picture are bright; another page looks at it, without our policy."""
    picture = place.screenshot()
    page = visit.context.new_page()
    with contextlib.closing(page):
        return int(page.evaluate(PIXELS, base64.b64encode(picture).decode()))


def test_two_browsers_see_what_one_types_and_it_is_to_be_seen(
    visit: Visit, other: Visit, instance_id: str
) -> None:
    rows, others = open_terminal(visit, instance_id), open_terminal(other, instance_id)
    wait_until_open(visit.page)
    visit.page.keyboard.type("seenbyboth")
    expect(rows).to_contain_text("seenbyboth", timeout=20_000)
    expect(others).to_contain_text("seenbyboth", timeout=20_000)
    assert count_bright(visit, visit.page.locator("#terminal")) > 200, "black on black"
    visit.page.keyboard.press("Control+u")  # the name is taken back


def test_the_keyboard_leaves_the_terminal_and_comes_back(visit: Visit, instance_id: str) -> None:
    open_terminal(visit, instance_id)
    wait_until_open(visit.page)
    visit.page.keyboard.press("Tab")  # the guest's
    expect(visit.page.locator(".xterm-helper-textarea")).to_be_focused()
    visit.page.keyboard.press("Control+]")
    expect(visit.page.locator("#after")).to_be_focused()
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator(".xterm-helper-textarea")).to_be_focused()
    visit.page.keyboard.press("Control+u")


def test_from_the_sign_in_over_a_launch_and_its_serial_console_to_the_sign_out_by_keys_alone(
    cloud: Running, browser: Browser, visit: Visit, instance_id: str
) -> None:
    with visiting(browser, cloud) as person:
        page = person.sign_in_by_keys("/instances/launch")
        expect(page.get_by_role("heading", name="Launch instances")).to_be_visible()
        press_tab_to(page, page.get_by_label("Name", exact=False).first)
        page.keyboard.type("by keys")
        press_tab_to(page, page.get_by_label("Type"))
        page.keyboard.type("m1.tiny")
        press_tab_to(page, page.get_by_role("button", name="Launch", exact=True))
        page.keyboard.press("Enter")
        link = page.locator(".note.good a").or_(page.get_by_role("link", name="by keys"))
        expect(link.first).to_be_visible()
        press_tab_to(page, link.first)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="by keys")).to_be_visible()
        press_tab_to(page, page.get_by_role("link", name="Serial console"))
        page.keyboard.press("Enter")
        rows = page.locator(".xterm-rows")
        expect(rows).to_contain_text("login:", timeout=PATIENCE)
        wait_until_open(page)
        page.keyboard.type("typedbykeys")
        expect(rows).to_contain_text("typedbykeys", timeout=20_000)
        page.keyboard.press("Control+]")
        expect(page.locator("#after")).to_be_focused()
        press_tab_to(page, page.get_by_role("button", name="Sign out"))
        page.keyboard.press("Enter")
        expect(page.get_by_text("You are signed out.")).to_be_visible()


def test_after_a_restart_of_eucabox_the_page_goes_on_and_has_the_text(
    visit: Visit, cloud: Running, instance_id: str
) -> None:
    rows = open_terminal(visit, instance_id)
    wait_until_open(visit.page)
    visit.page.keyboard.type("before")
    expect(rows).to_contain_text("before", timeout=20_000)
    cloud.stop()
    expect(visit.page.locator("#terminal")).to_have_attribute("data-status", "lost")
    cloud.start()
    wait_until_open(visit.page)
    expect(rows).to_contain_text("before", timeout=20_000)
    visit.page.keyboard.type("after")
    expect(rows).to_contain_text("beforeafter", timeout=20_000)
    visit.page.keyboard.press("Control+u")


def test_signing_out_elsewhere_ends_it_and_the_text_stays(
    visit: Visit, other: Visit, instance_id: str
) -> None:
    rows = open_terminal(other, instance_id)
    window = other.context.new_page()
    window.goto(f"{other.cloud.console}/")
    window.get_by_role("button", name="Sign out").first.click()
    expect(other.page.locator("#status")).to_contain_text("You are signed out")
    expect(rows).to_contain_text("login:")


def test_the_screen_is_shown_after_a_click_and_has_a_picture(
    visit: Visit, instance_id: str
) -> None:
    page = visit.open(f"/instances/{instance_id}/screen")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    expect(page.locator("#screen canvas")).to_have_count(0)
    assert not [each for each in asked if "novnc" in each]
    visit.press("Show the screen")
    expect(page.locator("#screen")).to_have_attribute("data-status", "open", timeout=60_000)
    until = time.monotonic() + 60
    while count_bright(visit, page.locator("#screen canvas")) < 100:
        assert time.monotonic() < until, "the screen stays black"
    page.keyboard.press("Control+]")
    expect(page.locator("#after")).to_be_focused()


def test_a_screen_whose_program_does_not_load_is_tried_again(
    visit: Visit, instance_id: str
) -> None:
    page = visit.open(f"/instances/{instance_id}/screen")
    failed: list[str] = []

    def fail(route: Route) -> None:
        failed.append(route.request.url)
        route.abort("failed")

    page.route("**/novnc/core/rfb.js?*", fail)
    visit.press("Show the screen")
    expect(page.locator("#status")).to_contain_text("can't be loaded", timeout=60_000)
    assert len(set(failed)) == 4, "each attempt has an address of its own"
    page.unroute("**/novnc/core/rfb.js?*")
    page.route("**/novnc/core/rfb.js?*", fail, times=1)
    visit.press("Show the screen")
    expect(page.locator("#screen")).to_have_attribute("data-status", "open", timeout=60_000)
    assert len(failed) == 5


def test_a_terminal_whose_program_does_not_load_at_once_comes_later(
    visit: Visit, instance_id: str
) -> None:
    failed: list[str] = []

    def fail(route: Route) -> None:
        failed.append(route.request.url)
        route.abort("failed")

    for name in ("xterm.mjs", "addon-fit.mjs"):
        visit.page.route(f"**/{name}?*", fail, times=1)
    open_terminal(visit, instance_id)
    assert len(failed) == 2


def test_forty_consoles_and_the_first_page_still_comes(
    visit: Visit, cloud: Running, instance_id: str
) -> None:
    cookies = visit.context.cookies(cloud.console)
    token = next(each.get("value", "") for each in cookies if each.get("name") == LOGIN_COOKIE)
    headers = {"Origin": cloud.console, "Cookie": f"{LOGIN_COOKIE}={token}"}
    host = cloud.console.removeprefix("http://")
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(40):
            client = SocketClient(connect(cloud, stack))
            client.shake_hands(f"/instances/{instance_id}/serial/socket", host, **headers)
            opened.append(client)
        for each in opened:
            each.until(lambda each=each: b"login:" in each.data)
        assert visit.request("GET", "/") == 200
        for _ in range(200):
            connect(cloud, stack).sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert visit.request("GET", "/") == 200


def connect(cloud: Running, stack: contextlib.ExitStack) -> socket.socket:
    return stack.enter_context(socket.create_connection(("127.0.0.1", cloud.console_port), 10))


def test_a_page_is_nudged_and_does_not_poll(visit: Visit, cloud: Running) -> None:
    page = visit.open("/events")
    expect(page.locator("html")).to_have_attribute("data-nudges", "open", timeout=20_000)
    assert page.evaluate("() => window.eucabox.polls") is False
    ec2 = cloud.client("ec2")
    ec2.create_key_pair(KeyName="nudged")
    ec2.close()
    expect(page.get_by_text("nudged").first).to_be_visible(timeout=4_000)
