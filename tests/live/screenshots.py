"""Writes a picture of every page of the console: python -m tests.live.screenshots FOLDER."""

import sys
from pathlib import Path

from playwright.sync_api import Page

from tests.live.console import COLOURS, SIZES, Visit, chromium, visiting
from tests.live.process import running

BEFORE = ("/first-run", "/nowhere")  # while the administrator has no password
OUTSIDE = ("/sign-in", "/sign-in?note=left", "/none")
INSIDE = ("/", "/credentials", "/password", "/sessions", "/none")


def take(page: Page, folder: Path, name: str) -> None:
    page.screenshot(path=str(folder / f"{name}.png"), full_page=True)


def name_file(path: str, size: str, colours: str) -> str:
    word = path.strip("/").replace("/", "-").replace("?", "-").replace("=", "-") or "home"
    return f"{word}-{size}-{colours}"


def take_all(visit: Visit, folder: Path, paths: tuple[str, ...], prefix: str = "") -> None:
    for colours in COLOURS:
        visit.page.emulate_media(color_scheme="dark" if colours == "dark" else "light")
        for size, (width, height) in SIZES.items():
            visit.page.set_viewport_size({"width": width, "height": height})
            for path in paths:
                take(visit.open(path), folder, prefix + name_file(path, size, colours))


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with running("[node]\nvirt_type = qemu\n") as cloud, chromium() as browser:
        with visiting(browser, cloud) as visit:
            take_all(visit, folder, BEFORE)
            visit.set_first_password()
            take_all(visit, folder, INSIDE)
        with visiting(browser, cloud) as visit:
            take_all(visit, folder, OUTSIDE, "out-")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
