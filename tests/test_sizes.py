"""A function is read at one look, a file in one sitting."""

import ast
from pathlib import Path

import pytest

import eucabox
from tests.test_floors import parse

MODULES = sorted(Path(eucabox.__file__).parent.rglob("*.py"))
MOST_LINES_OF_A_FILE = 500
MOST_LINES_OF_A_FUNCTION = 60


def test_no_file_is_longer_than_500_lines() -> None:
    sizes = {str(path): path.read_text().count("\n") for path in MODULES}
    assert {path: lines for path, lines in sizes.items() if lines > MOST_LINES_OF_A_FILE} == {}


@pytest.mark.not_fast
def test_no_function_is_longer_than_60_lines() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path in MODULES
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= MOST_LINES_OF_A_FUNCTION
    ]
    assert long == []
