"""Cuts IAM's lists into pages; a marker is a place in a list and no secret."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from eucabox.errors import ValidationError
from eucabox.iam.constraints import check_number

MOST_ITEMS, DEFAULT_ITEMS = 1000, 100
LONGEST_MARKER = 1024

Item = TypeVar("Item")


def cut_page(
    items: Sequence[Item], key: Callable[[Item], str], max_items: int, marker: str
) -> tuple[list[Item], dict[str, object]]:
    """Return a page of items with the members is_truncated and, of a page that is not the last,
    marker.

    `items` have to be sorted by their `key`, which is theirs alone: an item that comes or goes
    between two pages lets no other one be missed. Raises ValidationError.
    """
    check_number("maxItems", max_items, 1, MOST_ITEMS)
    after = _read_marker(marker)
    left = [each for each in items if key(each) > after] if marker else list(items)
    page = left[:max_items]
    if len(left) <= max_items:
        return page, {"is_truncated": False}
    return page, {"is_truncated": True, "marker": _write_marker(key(page[-1]))}


def _write_marker(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _read_marker(marker: str) -> str:
    try:
        if len(marker) > LONGEST_MARKER:
            raise ValueError
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        reason = "Invalid Marker. Send that of the last answer as it is."
        raise ValidationError(reason=reason) from None
