"""A browser with a window that nobody sees, led by Playwright, for the console's pages."""

import contextlib
import http.client
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as NothingHappened

from tests.live.process import Running

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
AXE = Path(sys.prefix) / "axe" / "axe.min.js"
SIZES = {"wide": (1440, 900), "narrow": (360, 740)}
COLOURS = ("light", "dark")
PASSWORD = "a long enough password"
TABS = 150  # more than any page has before what is looked for
LOOK = """async ([place, options]) => {
  const found = await axe.run(place.exclude ? place : document, options);
  return found.violations.map((each) => ({...each, html: each.nodes[0].html, nodes: []}));
}"""
OVERHANG = """() => {
  const page = document.documentElement, over = page.scrollWidth - page.clientWidth;
  const right = (each) => each.getBoundingClientRect().right;
  const places = [...document.querySelectorAll(".card, td")].filter((place) =>
    [...place.children].some((each) => right(each) > right(place) + 1));
  const texts = places.map((each) => `out of its place: ${each.textContent.trim().slice(0, 50)}`);
  return over > 0 ? [`${over} pixels too wide`, ...texts] : texts;
}"""
REPORT = """document.addEventListener("securitypolicyviolation", (event) =>
  window.reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));"""


@dataclass
class Visit:
    """A browser's window, with what must not happen in it."""

    context: BrowserContext
    page: Page
    cloud: Running
    violations: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.page.goto(self.cloud.console + path)
        return self.page

    def sign_in(self, user: str, password: str = PASSWORD, account: str = "") -> Page:
        page = self.open("/sign-in")
        page.get_by_label("User name").fill(user)
        page.get_by_label("Password").first.fill(password)
        if account:
            page.get_by_label("Account").fill(account)
        page.get_by_role("button", name="Sign in").click()
        return page

    def sign_in_by_keys(self, path: str) -> Page:
        """Open a page as one who has to sign in first, and do so by the keyboard alone."""
        page = self.open(path)
        expect(page.get_by_label("User name")).to_be_focused()
        page.keyboard.type("admin")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/sign-in" not in url)  # and all of it is there
        return page

    def set_first_password(self) -> Page:
        code = (self.cloud.data / "first-run-code").read_text().strip()
        page = self.open("/")
        page.get_by_label("Code").fill(code)
        page.locator("#password").fill(PASSWORD)
        page.locator("#again").fill(PASSWORD)
        page.get_by_role("button", name="Set the password").click()
        return page

    def request(self, method: str, path: str) -> int:
        """Ask with this window's cookies and no browser; return the status."""
        cookies = self.context.cookies(self.cloud.console)
        pairs = "; ".join(f"{each.get('name')}={each.get('value')}" for each in cookies)
        headers = {"Host": self.cloud.console.removeprefix("http://"), "Cookie": pairs}
        client = http.client.HTTPConnection("127.0.0.1", self.cloud.console_port, timeout=30)
        with contextlib.closing(client):
            client.request(method, path, headers=headers)
            return client.getresponse().status

    def note_violation(self, text: str) -> None:
        self.violations.append(text)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def check(self) -> None:
        """Nothing went wrong so far that no test looks at itself."""
        problems = self.take_problems()
        assert problems == [], problems

    def take_problems(self) -> list[str]:
        """What went wrong since the last look that no test looks at itself."""
        problems = [*self.violations, *self.elsewhere, *self.errors]
        for each in (self.violations, self.elsewhere, self.errors):
            each.clear()
        return problems

    def bring_axe(self) -> None:
        """Have axe on each page that is opened from now on, which is quicker than one by one."""
        self.context.add_init_script(AXE.read_text())

    def find_faults(self, rules: str = "", known: str = "") -> list[str]:
        """What axe calls serious or critical on the page as it is, by all rules or the one that is
        named, and what is too wide; without what `known` selects."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(AXE.read_text())
        options = {"resultTypes": ["violations"], **({"runOnly": [rules]} if rules else {})}
        place = {"exclude": [known]} if known else {}
        found = self.page.evaluate(LOOK, [place, options])
        faults = [
            f"{each['id']}: {each['html'][:200]}"
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
        return [*faults, *self.find_overhang()]

    def find_overhang(self) -> list[str]:
        """What is too wide: the page, or what stands in a card or a cell of a table."""
        return [str(each) for each in self.page.evaluate(OVERHANG)]


def press_tab_to(page: Page, target: Locator) -> None:
    """Press Tab until something has the focus."""
    for _ in range(TABS):
        page.keyboard.press("Tab")
        if target.evaluate("each => each === document.activeElement"):
            return
    raise AssertionError(f"the Tab key never reaches {target}")


def choose_by_keys(page: Page, file: Path) -> None:
    """Press Space on the field that has the focus and choose a file. A busy Chromium opens no
    window at times, and a person presses again."""
    for seconds in (5, 10, 30):
        try:
            with page.expect_file_chooser(timeout=seconds * 1000) as opened:
                page.keyboard.press("Space")
        except NothingHappened:
            continue
        opened.value.set_files(file)
        return
    raise AssertionError("Space opens no window to choose a file")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def visiting(
    browser: Browser,
    cloud: Running,
    size: str = "wide",
    colours: str = "light",
    checks: bool = True,
) -> Iterator[Visit]:
    """A window of its own, with no cookie of another; at its end nothing may have gone wrong that
    no test looks at itself, unless it is for pages of others."""
    width, height = SIZES[size]
    options: Any = {
        "viewport": {"width": width, "height": height}, "color_scheme": colours,
        "reduced_motion": "reduce",  # or axe would see a colour half changed
    }  # fmt: skip
    context = browser.new_context(**options)
    visit = Visit(context, context.new_page(), cloud)
    context.expose_function("reportViolation", visit.note_violation)
    context.add_init_script(REPORT)
    visit.page.on("request", lambda request: _note_elsewhere(visit, request.url))
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    try:
        yield visit
        if checks:
            visit.check()
    finally:
        context.close()


@contextlib.contextmanager
def open_first_window(browser: Browser, cloud: Running) -> Iterator[Visit]:
    """The administrator's window, with the first password set."""
    with visiting(browser, cloud) as visit:
        visit.set_first_password()
        expect(visit.page.get_by_role("heading", name="Hello, admin")).to_be_visible()
        yield visit


def _note_elsewhere(visit: Visit, url: str) -> None:
    if not url.startswith((visit.cloud.console, "data:", "blob:", "about:")):
        visit.elsewhere.append(url)
