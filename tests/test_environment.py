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


def read_list(section: str, option: str) -> dict[str, str]:
    """The packages of a list in setup.cfg, each with its least version, if it has one."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    lines = [line.split() for line in parser[section][option].split("\n") if line]
    return {re.split(r"\[", words[0])[0]: (words[2] if words[2:] else "") for words in lines}


@pytest.mark.parametrize("name", read_list("options.extras_require", "test"))
def test_a_library_of_the_tests_is_the_environments_own(name: str) -> None:
    where = Path(str(metadata.distribution(name).locate_file("")))
    assert where.is_relative_to(sys.prefix)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_of_the_tests_is_the_environments_own(name: str) -> None:
    assert (BIN / name).exists()


def test_the_oldest_libraries_are_tested() -> None:
    lines = (ROOT / "setup" / "oldest.txt").read_text().splitlines()
    oldest = dict(line.split("==") for line in lines if "==" in line)
    for name, least in read_list("options", "install_requires").items():
        assert f"{oldest[name]}.".startswith(f"{least}."), name
