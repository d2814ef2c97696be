"""How values look on a page: moments, browsers; filters of the templates."""

from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime

from eucabox import ids

BROWSERS = (
    ("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"),
    ("Safari/", "Safari"), ("curl/", "curl"),
)  # fmt: skip
SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
    ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip
DAY, MONTH, YEAR = 86400, 2_629_800, 31_557_600  # seconds
STEPS = (
    (2 * YEAR, YEAR, "years"), (2 * MONTH, MONTH, "months"), (2 * DAY, DAY, "days"),
    (3600 * 2, 3600, "hours"), (120, 60, "minutes"),
)  # fmt: skip

MOODS = {
    "good": ("running", "available", "active", "Active", "attached", "complete", "ok"),
    "warn": ("pending", "stopping", "shutting-down", "waiting", "transient"),
    "bad": ("failed", "error", "invalid", "impaired"),
}
MOOD_BY_STATE = {state: mood for mood, states in MOODS.items() for state in states}


def register(filters: MutableMapping[str, Callable[..., object]]) -> None:
    """Give the templates these filters."""
    filters["moment"] = show_moment
    filters["age"] = show_age
    filters["browser"] = name_browser
    filters["mood"] = find_mood
    filters["number"] = show_number
    filters["size"] = show_size
    filters["visible"] = show_visible


def to_datetime(value: object) -> datetime | None:
    """Return a moment that a verb gave, or the database; None for none."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return ids.parse_time(value) if isinstance(value, str) and value else None


def show_moment(value: object) -> str:
    """Return a moment as 2026-11-30 12:05 UTC."""
    moment = to_datetime(value)
    return moment.strftime("%Y-%m-%d %H:%M UTC") if moment else "never"


def show_age(value: object) -> str:
    """Return how long ago a moment was, such as 3 hours ago."""
    moment = to_datetime(value)
    if moment is None:
        return "never"
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for least, unit, word in STEPS:
        if seconds >= least:
            return f"{int(seconds // unit)} {word} ago"
    return "just now" if seconds < 60 else "a minute ago"


def name_browser(agent: str) -> str:
    """Return what a browser calls itself, in two words."""
    browser = next((name for mark, name in BROWSERS if mark in agent), "Another program")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    return f"{browser} on {system}" if system else browser


def find_mood(state: str) -> str:
    """Return how a state looks: good, warn, bad, or "" for neither."""
    return MOOD_BY_STATE.get(state, "")


def show_number(value: float) -> str:
    """Return a number as 12,345."""
    return f"{value:,}"


def show_size(size: float) -> str:
    """Return a size in bytes as 12 B, 3.4 KiB, 56 GiB."""
    units = iter(("B", "KiB", "MiB", "GiB", "TiB"))
    unit = next(units)
    while size >= 1024 and unit != "TiB":
        size, unit = size / 1024, next(units)
    return f"{size:.1f} {unit}" if unit != "B" and size < 10 else f"{size:,.0f} {unit}"


def show_visible(text: str) -> str:
    """Return a text with each control character as its picture, so that it can be seen."""
    return "".join(_show_character(each) for each in text)


def _show_character(each: str) -> str:
    if each == "\x7f":
        return "\u2421"
    return chr(0x2400 + ord(each)) if each < " " else each
