"""Every complaint of docs/complaints.md names tests that are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
ROWS = ROW.findall((ROOT / "docs" / "complaints.md").read_text())


def test_the_table_is_read() -> None:
    assert len(ROWS) > 20
    assert [int(number) for number, *_ in ROWS] == sorted({int(number) for number, *_ in ROWS})


@pytest.mark.not_fast
@pytest.mark.parametrize(("number", "complaint", "tests"), ROWS)
def test_the_tests_of_a_complaint_exist(number: str, complaint: str, tests: str) -> None:
    named = TEST.findall(tests)
    assert len(named) == len(tests.split(",")), tests
    for file, name in named:
        found = ast.walk(ast.parse((ROOT / file).read_text()))
        assert name in {each.name for each in found if isinstance(each, ast.FunctionDef)}, name
