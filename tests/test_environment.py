"""The tests' clients and checkers are those of their own environment, whatever the host has."""

import configparser
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
PROGRAMS = ("aws", "eucabox", "moto_server", "mypy", "pytest", "ruff", "s3cmd", "s5cmd")


def list_requirements() -> list[str]:
    """The names of what `make setup-test` installs."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    lines = parser["options.extras_require"]["test"].split("\n")
    return [re.split(r"[\[ >=]", line)[0] for line in lines if line]


@pytest.mark.parametrize("name", list_requirements())
def test_a_library_of_the_tests_is_the_environments_own(name: str) -> None:
    where = Path(str(metadata.distribution(name).locate_file("")))
    assert where.is_relative_to(sys.prefix)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_of_the_tests_is_the_environments_own(name: str) -> None:
    assert (BIN / name).exists()
