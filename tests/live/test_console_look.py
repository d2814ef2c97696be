"""How every page of the console is: for all eyes, any window, no mouse, and light to load."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.live import console_tour
from tests.live.console import Visit, choose_by_keys, press_tab_to, visiting
from tests.live.process import Running, running

OUTSIDE = (
    "/sign-in", "/sign-in?note=left", "/sign-up", "/sign-up/thanks", "/recover", "/recover/sent",
    "/recover?code=x", "/confirm?code=x", "/confirm", "/none",
)  # fmt: skip
MENU = ".links"  # the same on each page: the first one shows it


@pytest.fixture(name="cloud", scope="module")
def _cloud() -> Iterator[Running]:
    with running("[node]\nvirt_type = qemu\n") as cloud:
        console_tour.fill(cloud)
        yield cloud


@pytest.fixture(name="visit", scope="module")
def _visit(visit: Visit, cloud: Running, browser: Browser) -> Visit:
    """... beside which strangers have asked for accounts."""
    with visiting(browser, cloud) as stranger:
        console_tour.ask_for_accounts(stranger)
    return visit


@pytest.fixture(name="addresses", scope="module")
def _addresses(visit: Visit) -> list[str]:
    return console_tour.list_addresses(visit)


def test_all_that_the_menu_offers_is_looked_at(visit: Visit, addresses: list[str]) -> None:
    page = visit.open("/")
    links = page.locator(".links a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert len(links) > 4
    assert set(links) <= set(addresses)


def test_pages_are_light_and_fit_any_window_and_all_eyes(
    visit: Visit, addresses: list[str]
) -> None:
    visit.bring_axe()
    inside = [each for each in addresses if each not in OUTSIDE]
    found = {
        each: list(console_tour.find_page_faults(visit, each, MENU if number else ""))
        for number, each in enumerate(inside)
    }
    assert {address: faults for address, faults in found.items() if faults} == {}


def test_so_are_the_pages_for_strangers(cloud: Running, browser: Browser, visit: Visit) -> None:
    with visiting(browser, cloud) as stranger:
        stranger.bring_axe()
        found = {each: list(console_tour.find_page_faults(stranger, each)) for each in OUTSIDE}
    assert {address: faults for address, faults in found.items() if faults} == {}


def test_the_tab_key_reaches_everything(visit: Visit, addresses: list[str]) -> None:
    visit.page.set_viewport_size({"width": 1440, "height": 900})
    inside = [each for each in addresses if each not in OUTSIDE]
    found = {
        each: console_tour.list_unreached(visit, each, from_main=number > 0)
        for number, each in enumerate(inside)
    }
    assert {address: unreached for address, unreached in found.items() if unreached} == {}


def test_the_menu_opens_and_closes_by_keys_in_a_narrow_window(visit: Visit) -> None:
    page = visit.open("/credentials")
    page.set_viewport_size({"width": 360, "height": 740})
    link = page.get_by_role("link", name="Sessions", exact=True)
    expect(link).to_be_hidden()
    page.get_by_role("button", name="Menu").focus()
    page.keyboard.press("Enter")
    expect(link).to_be_visible()
    page.keyboard.press("Escape")
    expect(link).to_be_hidden()
    expect(page.get_by_role("button", name="Menu")).to_be_focused()
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(link).to_be_visible()


def test_the_menu_shows_which_page_it_is_however_far_down_that_stands(visit: Visit) -> None:
    page = visit.open("/faults")
    link = page.get_by_role("link", name="Faults", exact=True).first
    expect(link).to_be_in_viewport(ratio=1)
    page.set_viewport_size({"width": 360, "height": 740})
    visit.open("/faults").get_by_role("button", name="Menu").click()
    expect(link).to_be_in_viewport(ratio=1)
    page.set_viewport_size({"width": 1440, "height": 900})


def test_what_folds_open_over_a_narrow_page_fits_into_it(visit: Visit) -> None:
    page = visit.page
    page.set_viewport_size({"width": 360, "height": 740})
    for path, label in (
        ("/instances", "Columns"),
        ("/buckets/a-tour-of-the-console", "New folder"),
    ):
        visit.open(path).get_by_text(label, exact=True).click()
        expect(page.locator(".drop[open] > form")).to_be_in_viewport()
        assert visit.find_faults() == []
    page.set_viewport_size({"width": 1440, "height": 900})


def test_a_list_without_rows_has_no_acts_on_them(visit: Visit) -> None:
    page = visit.open("/buckets/a-tour-of-the-console")
    expect(page.locator("form.bulk")).to_be_visible()
    page = visit.open("/buckets/a-tour-of-the-console?q=none-is-called-so")
    expect(page.get_by_text("No name here begins with")).to_be_visible()
    expect(page.locator("form.bulk")).to_be_hidden()


def test_a_question_is_a_dialog_that_escape_ends(visit: Visit) -> None:
    page = visit.open("/credentials")
    before = page.locator("tr", has_text=re.compile("AKIA")).count()
    button = page.locator(".sure summary").first
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    assert visit.open("/credentials").locator("tr", has_text=re.compile("AKIA")).count() == before


def test_a_page_whose_session_is_over_leads_to_the_sign_in_by_itself(
    cloud: Running, browser: Browser, visit: Visit
) -> None:
    with visiting(browser, cloud) as other:
        page = other.sign_in("admin")
        expect(page.get_by_role("heading", name="Hello, admin")).to_be_visible()
        row = visit.open("/sessions").locator("tbody tr", has_not_text="This one").first
        row.get_by_role("button", name="End").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=15_000)
        expect(page.locator("form")).to_have_count(1)


def test_parts_of_a_page_renew_themselves_and_keep_the_focus(cloud: Running, visit: Visit) -> None:
    """Without the socket, which would not hear of rows that a test writes: the page asks itself."""
    visit.context.route_web_socket("**/nudges", lambda socket: socket.close())
    page = visit.open("/")
    part = page.locator("#home-instances")
    expect(part).to_contain_text("Nothing runs.")
    page.get_by_role("button", name="Copy").first.focus()
    console_tour.insert_instances(cloud, 1, "stopped")
    expect(part).to_contain_text("web-0", timeout=15_000)
    expect(page.get_by_role("button", name="Copy").first).to_be_focused()


def test_a_list_that_renews_itself_keeps_what_is_ticked_and_tells_when_it_is_old(
    cloud: Running, visit: Visit
) -> None:
    visit.context.route_web_socket("**/nudges", lambda socket: socket.close())
    page = visit.open("/instances")
    rows, stale = page.locator("#instances tbody tr"), page.locator("#stale")
    before = rows.count()
    ticked = rows.last.locator("input[name=chosen]").get_attribute("value")
    page.locator(f"input[value={ticked}]").check()
    console_tour.insert_instances(cloud, 1, "stopped")
    expect(rows).to_have_count(before + 1, timeout=15_000)
    expect(page.locator(f"input[value={ticked}]")).to_be_checked()
    expect(page.get_by_text("1 chosen")).to_be_visible()
    page.route("**/instances/list*", lambda route: route.abort())
    expect(stale).to_be_visible(timeout=15_000)
    page.unroute("**/instances/list*")
    expect(stale).to_be_hidden(timeout=15_000)
    page.get_by_text("Columns", exact=True).click()
    expect(page.get_by_role("button", name="Show these")).to_be_visible()


def test_from_the_sign_in_over_an_upload_and_a_link_to_the_sign_out_by_keys_alone(
    cloud: Running, browser: Browser, visit: Visit, tmp_path: Path
) -> None:
    file = tmp_path / "by-keys.txt"
    file.write_text("typed")
    with visiting(browser, cloud) as person:
        page = person.sign_in_by_keys("/buckets/a-tour-of-the-console")
        expect(page.get_by_role("heading", name="a-tour-of-the-console").first).to_be_visible()
        press_tab_to(page, page.locator("#files"))
        choose_by_keys(page, file)
        expect(page.locator("#upload-state")).to_contain_text("1 of 1", timeout=60_000)
        link = page.get_by_role("link", name=file.name)
        expect(link).to_be_visible(timeout=15_000)
        press_tab_to(page, link)
        page.keyboard.press("Enter")
        button = page.get_by_role("button", name="Make the link")
        expect(button).to_be_visible()
        press_tab_to(page, button)
        page.keyboard.press("Enter")
        expect(page.locator("#signed-link")).to_be_visible()
        press_tab_to(page, page.get_by_role("button", name="Sign out"))
        page.keyboard.press("Enter")
        expect(page.get_by_text("You are signed out.")).to_be_visible()
