"""How values look on a page."""

from datetime import UTC, datetime, timedelta

import pytest

from eucabox.console.formats import show_age


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=61), "a minute ago"),
        (timedelta(minutes=3), "3 minutes ago"),
        (timedelta(hours=47), "47 hours ago"),
        (timedelta(days=59), "59 days ago"),
        (timedelta(days=100), "3 months ago"),
        (timedelta(days=4315), "11 years ago"),
    ],
)
def test_an_age_is_told_in_the_largest_unit_of_which_there_are_two(
    age: timedelta, text: str
) -> None:
    assert show_age(datetime.now(UTC) - age) == text
