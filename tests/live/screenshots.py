"""Writes a picture of every page of the console: python -m tests.live.screenshots FOLDER."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.live.console import PASSWORD, SIZES, Visit, chromium, visiting
from tests.live.process import running

OUTSIDE = (
    "/sign-in", "/sign-in?note=left", "/sign-up", "/sign-up/thanks", "/recover", "/recover/sent",
    "/recover?code=x", "/confirm?code=x", "/none",
)  # fmt: skip
INSIDE = (
    "/", "/images", "/images/upload", "/credentials", "/password", "/second-factor", "/sessions",
    "/sign-ups", "/none",
)  # fmt: skip
PEOPLE = (
    ("ann", "Ann Lee", "Institute of Applied Clouds", "Simulations of weather, in the evenings."),
    ("b.johansson-o-connor", "Bertil Johansson O'Connor", "Physics", "Two instances for a course."),
)


def take(visit: Visit, folder: Path, names: Sequence[str] = (), prefix: str = "") -> None:
    """Take the pages of these paths or, without any, the page as it is: wide and narrow, light
    and dark."""
    page = visit.page
    for path in names or ("",):
        if path:
            visit.open(path)
        word = "-".join(filter(None, path.replace("?", "/").replace("=", "-").split("/")))
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            for dark in (False, True):
                page.emulate_media(color_scheme="dark" if dark else "light")
                colours = "dark" if dark else "light"
                name = f"{prefix}{(word or 'home') if path else 'page'}-{size}-{colours}.png"
                page.screenshot(path=str(folder / name), full_page=True)


def ask_for_accounts(visit: Visit) -> None:
    for user_name, full_name, affiliation, description in PEOPLE:
        page = visit.open("/sign-up")
        page.get_by_label("User name").fill(user_name)
        page.get_by_label("Full name").fill(full_name)
        page.get_by_label("E-mail").fill(f"{user_name}@example.org")
        page.get_by_label("Affiliation").fill(affiliation)
        page.get_by_label("What do you need it for?").fill(description)
        page.locator("#password").fill(PASSWORD)
        page.locator("#again").fill(PASSWORD)
        visit.press("Send the request")


def take_inside(visit: Visit, folder: Path) -> None:
    take(visit, folder, INSIDE)
    for button in ("Approve", "Reject"):
        visit.open("/sign-ups").get_by_role("link", name=button).first.click()
        take(visit, folder, prefix=f"sign-ups-{button.lower()}-")
    visit.open("/credentials")
    visit.press("Create an access key")
    take(visit, folder, prefix="credentials-new-key-")
    visit.open("/credentials").get_by_text("Delete", exact=True).first.click()
    take(visit, folder, prefix="credentials-delete-")
    visit.page.set_viewport_size({"width": 360, "height": 740})
    visit.open("/").get_by_text("Menu", exact=True).click()
    take(visit, folder, prefix="menu-")


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
        ask_for_accounts(stranger)
        take(stranger, folder, OUTSIDE, "out-")
        stranger.sign_in("admin", "wrong")
        take(stranger, folder, prefix="out-sign-in-refused-")
        take_inside(visit, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
