"""Pages of IAM's lists."""

import pytest

from eucabox.errors import Fault
from eucabox.iam.paging import cut_page

NAMES = ["ann", "bob", "cat", "dog", "eve"]


def read_all(names: list[str], size: int) -> list[str]:
    read: list[str] = []
    marker = ""
    while True:
        page, members = cut_page(names, str, size, marker)
        assert len(page) <= size
        read += page
        if not members["is_truncated"]:
            assert "marker" not in members
            return read
        marker = str(members["marker"])


@pytest.mark.parametrize("size", [1, 2, 4, 5, 6, 1000])
def test_pages_hold_each_item_once(size: int) -> None:
    assert read_all(NAMES, size) == NAMES


def test_what_goes_between_two_pages_lets_nothing_be_missed() -> None:
    page, members = cut_page(NAMES, str, 2, "")
    assert page == ["ann", "bob"]
    left = [each for each in NAMES if each != "bob"]
    assert cut_page(left, str, 2, str(members["marker"]))[0] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("size", "marker"), [(0, ""), (1001, ""), (10, "no marker"), (10, "a" * 1100), (10, "_w==")]
)
def test_odd_sizes_and_markers_are_refused(size: int, marker: str) -> None:
    with pytest.raises(Fault) as caught:
        cut_page(NAMES, str, size, marker)
    assert caught.value.code == "ValidationError"
