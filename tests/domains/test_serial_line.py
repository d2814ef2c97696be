"""What a line keeps of a guest's words, and how the file's and libvirt's are put together."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest

from eucabox.domains.serial_line import KEPT, SerialLine, find_overlap


@pytest.mark.parametrize(
    ("missed", "live", "whole"),
    [
        (b"", b"live", b"live"),
        (b"missed", b"", b"missed"),
        (b"missed, ", b"live", b"missed, live"),
        (b"missed, li", b"live", b"missed, live"),
        (b"missed, live", b"live", b"missed, live"),
        (b"missed, live, mo", b"live, more", b"missed, live, more"),
        (b"missed, live, more", b"live", b"missed, live"),  # the rest comes as live words too
        (b"l l li", b"live", b"l l live"),
        (b"x" * 50, b"x" * 20, b"x" * 20),  # all the same: no letter is there twice
        (b"a" + b"x" * 50 + b"y", b"x" * 40 + b"yz", b"a" + b"x" * 50 + b"yz"),
    ],
)
def test_words_that_both_have_are_there_once(missed: bytes, live: bytes, whole: bytes) -> None:
    assert missed[: find_overlap(missed, live)] + live == whole


def test_a_search_among_words_that_are_much_the_same_has_an_end() -> None:
    missed = (b"x" * 40 + b"y") * 3000
    assert find_overlap(missed, b"x" * 5000) == len(missed)


def test_it_keeps_the_last_words_and_begins_with_a_whole_line(tmp_path: Path) -> None:
    line = SerialLine("i-1", tmp_path / "console.log", lambda: nullcontext(cast(Any, None)), bool)
    for number in range(5000):
        line._keep(b"%060d\r\n" % number)
    start = line.find_start()
    kept, end = line.read(start, 2 * KEPT)
    assert end == line.end == 5000 * 62
    assert KEPT * 0.9 < len(kept) <= KEPT * 1.25
    assert kept[:60].isdigit()
    assert kept.endswith(b"4999\r\n")
    assert line.read(0, 10)[1] > 10, "what is not kept any more is left out"


def test_what_is_typed_goes_nowhere_while_no_guest_is_there(tmp_path: Path) -> None:
    line = SerialLine("i-1", tmp_path / "console.log", lambda: nullcontext(cast(Any, None)), bool)
    line.write(b"rm -rf /")
    assert line.has_room
    assert not line._input
