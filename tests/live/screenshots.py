"""Writes a picture of every page of the console: python -m tests.live.screenshots FOLDER."""

import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from tests.live import console_tour
from tests.live.console import SIZES, Visit, chromium, visiting
from tests.live.process import running

OUTSIDE = (
    "/sign-in", "/sign-in?note=left", "/sign-up", "/sign-up/thanks", "/recover", "/recover/sent",
    "/recover?code=x", "/confirm?code=x", "/none",
)  # fmt: skip
TOUR = "/buckets/a-tour-of-the-console"
OTHER_VIEWS = (  # of pages that are taken anyway, by their query alone
    f"{TOUR}?versions=yes", f"{TOUR}?prefix=a folder/", f"{TOUR}/object?key=notes.txt",
    "/buckets?q=nothing", "/policies?scope=aws", "/instances?state=terminated&order=-name",
    "/events?outcome=refused", "/instances/launch?like=none",
    "/images/upload?location=tour-images/disk.img",
)  # fmt: skip
MOST_NAME = 80  # characters of a picture's name
MOST_HEIGHT = 4000  # pixels of a page


def take(visit: Visit, folder: Path, addresses: Sequence[str], prefix: str = "") -> None:
    """Take the pages of these addresses: wide and narrow, light and dark."""
    for address in addresses:
        visit.page.set_viewport_size({"width": 1440, "height": 900})  # as it is opened, not resized
        visit.open(address)
        visit.page.wait_for_load_state("networkidle")
        take_page(visit, folder, prefix + name_picture(address))


def name_picture(address: str) -> str:
    """Return a name for the picture of an address: its letters, digits and hyphens."""
    text = "".join(each if each.isalnum() else "-" for each in unquote(address).strip("/"))
    return "-".join(filter(None, text.split("-")))[:MOST_NAME] or "home"


def take_page(visit: Visit, folder: Path, name: str) -> None:
    """Take the page as it is."""
    page = visit.page
    for size, (width, window) in SIZES.items():
        page.set_viewport_size({"width": width, "height": window})
        for dark in (False, True):
            page.emulate_media(color_scheme="dark" if dark else "light")
            colours = "dark" if dark else "light"
            height = min(MOST_HEIGHT, page.evaluate("document.documentElement.scrollHeight"))
            page.screenshot(
                path=str(folder / f"{name}-{size}-{colours}.png"),
                full_page=True,
                clip={"x": 0, "y": 0, "width": width, "height": height},
            )


def take_moments(visit: Visit, folder: Path) -> None:
    """Take what is seen only after a click."""
    page = visit.page
    for button in ("Approve", "Reject"):
        visit.open("/sign-ups").get_by_role("link", name=button).first.click()
        take_page(visit, folder, f"sign-ups-{button.lower()}")
    visit.open("/credentials")
    visit.press("Create an access key")
    take_page(visit, folder, "credentials-new-key")
    visit.open("/credentials").get_by_text("Delete", exact=True).first.click()
    take_page(visit, folder, "credentials-delete")
    for label, name in (("Create a user", "users"), ("Create a role", "roles")):
        visit.open(f"/{name}").get_by_text(label, exact=True).first.click()
        take_page(visit, folder, f"{name}-create")
    page.set_viewport_size({"width": 360, "height": 740})
    visit.open("/").get_by_role("button", name="Menu").click()
    page.screenshot(path=str(folder / "menu-narrow-dark.png"))
    for path, label in (
        ("/instances", "Columns"),
        (TOUR, "New folder"),
    ):
        visit.open(path).get_by_text(label, exact=True).click()
        page.screenshot(path=str(folder / f"{label.lower().replace(' ', '-')}-narrow-dark.png"))


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        running("[node]\nvirt_type = qemu\n") as cloud,
        chromium() as browser,
        visiting(browser, cloud) as visit,
        visiting(browser, cloud) as stranger,
    ):
        take(visit, folder, ["/first-run"])
        visit.set_first_password()
        console_tour.ask_for_accounts(stranger)
        console_tour.fill(cloud)
        take(stranger, folder, OUTSIDE, "out-")
        stranger.sign_in("admin", "wrong")
        take_page(stranger, folder, "out-sign-in-refused")
        take(visit, folder, [*console_tour.list_addresses(visit), *OTHER_VIEWS])
        take_moments(visit, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
