"""Arguments have the shape of an action's type hints, or the caller is told which has not."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict

import pytest

from eucabox.errors import InvalidParameterValue, UnsupportedParameter
from eucabox.validation import check_text, type_hints, validate


class Inner(TypedDict, total=False):
    """A structure."""

    host_id: str
    counts: Sequence[int]


GOOD: list[tuple[Any, Any]] = [
    ("x", str),
    (1, int),
    (1, float),
    (True, bool),
    (b"x", bytes),
    (datetime.now(UTC), datetime),
    (None, str | None),
    ("x", str | None),
    (["x"], Sequence[str]),
    (("x",), list[str]),
    ({"host_id": "h", "counts": [1]}, Inner),
    ([{"counts": []}], Sequence[Inner]),
    (object(), Any),
    (object(), dict[str, str]),
]
BAD: list[tuple[Any, Any, str]] = [
    (1, str, "M "),
    ("1", int, "M "),
    (True, int, "M "),
    (1, bool, "M "),
    ("x", bytes, "M "),
    (2**63, int, "64 bits"),
    ("\ud800", str, "UTF-8"),
    (None, str, "M "),
    (5, str | None, "M "),
    ("x", Sequence[str], "a list"),
    (["x", 1], Sequence[str], "M.2"),
    ([], Inner, "a structure"),
    ({"host_id": 5}, Inner, "M.HostId"),
    ([{"counts": [1, "2"]}], Sequence[Inner], "M.1.Counts.2"),
]


@pytest.mark.parametrize(("value", "hint"), GOOD)
def test_a_fitting_value_passes(value: Any, hint: Any) -> None:
    validate("DoIt", "M", value, hint)


@pytest.mark.parametrize(("value", "hint", "word"), BAD)
def test_a_value_of_another_shape_is_named(value: Any, hint: Any, word: str) -> None:
    with pytest.raises(InvalidParameterValue) as caught:
        validate("DoIt", "M", value, hint)
    assert word in caught.value.message.replace("parameter M is", "parameter M  is")


def test_a_member_that_is_not_honoured_is_refused_by_its_path() -> None:
    with pytest.raises(UnsupportedParameter, match=r"M\.1\.CpuCount of DoIt"):
        validate("DoIt", "M", [{"cpu_count": 1}], Sequence[Inner])


def test_hints_that_cannot_be_resolved_check_nothing() -> None:
    def function(call: "NoSuchType", *, name: str) -> None:  # type: ignore[name-defined]  # noqa: F821
        """Do nothing."""

    assert type_hints(function) == {}


@pytest.mark.parametrize("text", ["", "x" * 11, "a\nb", "a\0", "\x85", "\ufffe"])
def test_text_that_xml_or_a_line_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameterValue, match="Name"):
        check_text("Name", text, 10)


def test_valid_text_is_returned() -> None:
    assert check_text("Name", "caf\u00e9 \U0001f600", 10) == "caf\u00e9 \U0001f600"
