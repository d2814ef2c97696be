"""Filters match as EC2's do, at a bounded price, and pages hold together."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from eucabox.ec2.filters import Columns, Filter, page, select, select_ids
from eucabox.errors import (
    FilterLimitExceeded,
    InvalidNextToken,
    InvalidParameterValue,
    MissingParameter,
)
from tests.growth import LINEAR, measure_growth

COLUMNS: Columns[Mapping[str, object]] = {
    "name": "name",
    "size": "size",
    "on": lambda row: row["on"],
    "never": None,
}
ROWS: list[dict[str, Any]] = [
    {"name": "web-1", "size": 1, "on": True, "tags": [{"key": "a", "value": "x"}]},
    {"name": "web-2", "size": 2, "on": False, "tags": []},
    {"name": "a*b", "size": None, "on": [], "tags": [{"key": "b", "value": "x"}]},
]


def found(name: str, *values: str) -> list[str]:
    rows = select(ROWS, [{"name": name, "values": list(values)}], COLUMNS)
    return [row["name"] for row in rows]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("name", ["web-1"], ["web-1"]),
        ("name", ["WEB-1"], []),
        ("name", ["web-?", "none"], ["web-1", "web-2"]),
        ("name", ["*"], ["web-1", "web-2", "a*b"]),
        ("name", ["a\\*b"], ["a*b"]),
        ("name", ["w\\*"], []),
        ("name", ["*eb*2"], ["web-2"]),
        ("name", ["web"], []),
        ("name", ["web-1\\"], []),
        ("name", ["web\\-?", "?\\*?"], ["web-1", "web-2", "a*b"]),
        ("size", ["1", "2"], ["web-1", "web-2"]),
        ("on", ["true"], ["web-1"]),
        ("on", ["false"], ["web-2"]),
        ("never", ["*"], []),
        ("tag:a", ["x"], ["web-1"]),
        ("tag:b", ["?"], ["a*b"]),
        ("tag-key", ["a", "b"], ["web-1", "a*b"]),
        ("tag-value", ["x"], ["web-1", "a*b"]),
    ],
)
def test_a_filter_matches_by_any_of_its_values(
    name: str, values: list[str], expected: list[str]
) -> None:
    assert found(name, *values) == expected


def test_all_filters_have_to_match() -> None:
    both: list[Filter] = [
        {"name": "name", "values": ["web*"]},
        {"name": "size", "values": ["2"]},
    ]
    assert [row["name"] for row in select(ROWS, both, COLUMNS)] == ["web-2"]


def test_an_unknown_filter_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidParameterValue, match="colour"):
        found("colour", "red")
    with pytest.raises(MissingParameter):
        found("name")
    with pytest.raises(MissingParameter):
        select(ROWS, [{"values": ["x"]}], COLUMNS)
    with pytest.raises(FilterLimitExceeded, match="200 values of a filter; 201"):
        found("name", *["x"] * 201)
    with pytest.raises(FilterLimitExceeded, match="50 filters; 51"):
        select([], [{"name": "tag:a", "values": ["b"]}] * 51, {})


@pytest.mark.not_fast
@given(some.text("ab*?", max_size=12), some.text("ab", max_size=12))
def test_wildcards_are_those_of_the_shell(pattern: str, text: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(each, each) for each in pattern)
    row = {"name": text, "tags": []}
    matched = select([row], [{"name": "name", "values": [pattern]}], COLUMNS)
    assert bool(matched) == bool(re.fullmatch(expression, text))


@pytest.mark.parametrize("pattern", ["*{0}b", "*a" * 500 + "{0}b", "*{0}?b*", "*?{0}b?{0}"])
def test_no_pattern_is_slow(pattern: str) -> None:
    def match(count: int) -> None:
        rows = [{"name": "a" * count}]
        wanted = pattern.format("a" * (count // 4))
        assert not select(rows, [{"name": "name", "values": [wanted] * 20}], COLUMNS)

    assert measure_growth(match, 1000) < LINEAR


def test_many_ids_are_looked_up_at_once() -> None:
    def choose(count: int) -> None:
        rows = [{"id": str(number)} for number in range(count)]
        assert len(select_ids(rows, "id", ["0"] * count, InvalidParameterValue)) == 1

    assert measure_growth(choose, 2000) < LINEAR


def pages(names: list[str], size: int) -> list[list[str]]:
    token, read = None, []
    while True:
        shown, token = page(names, str, size, token, least=1)
        read.append(shown)
        if token is None:
            return read


def test_pages_are_sorted_and_whole() -> None:
    assert pages(["c", "a", "b", "e", "d"], 2) == [["a", "b"], ["c", "d"], ["e"]]
    assert pages(["b", "a"], 2) == [["a", "b"]]
    assert pages([], 5) == [[]]


def test_without_a_size_there_is_one_page() -> None:
    assert page([str(number) for number in range(3000)], str, None, None)[1] is None


def test_a_page_goes_on_where_the_last_one_ended() -> None:
    _, token = page(["a", "b", "c"], str, 2, None, least=1)
    assert page(["a", "bb", "c"], str, 2, token, least=1)[0] == ["bb", "c"]


@pytest.mark.parametrize("token", ["x", "AAAA", "\u00e9", "YWZ0ZXI", "'", "a" * 5000])
def test_a_foreign_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidNextToken):
        page(["a"], str, 5, token)


def test_sizes_are_bounded() -> None:
    with pytest.raises(InvalidParameterValue, match="5 to 1000"):
        page(["a"], str, 4, None)
    assert len(page([str(number) for number in range(2000)], str, 5000, None)[0]) == 1000
