"""The times that signatures carry."""

from datetime import UTC, datetime

import pytest

from eucabox.wire.sign import dates

WHEN = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "20261123T010203Z",
        "2026-11-23T01:02:03Z",
        "2026-11-23T01:02:03",
        "2026-11-23T03:02:03+02:00",
        "Mon, 23 Nov 2026 01:02:03 GMT",
        "Mon, 23 Nov 2026 01:02:03 -0000",
        "Sun, 22 Nov 2026 20:02:03 -0500",
    ],
)
def test_any_form(text: str) -> None:
    assert dates.parse(text) == WHEN


@pytest.mark.parametrize(
    "text",
    ["", "20261123", "20261323T010203Z", "20261123T250203Z", "2026-11-23", "soon", "1", "\u0661"],
)
def test_no_time(text: str) -> None:
    assert dates.parse(text) is None


def test_texts() -> None:
    assert dates.basic_text(WHEN) == "20261123T010203Z"
    assert dates.render(WHEN) == "2026-11-23T01:02:03Z"
