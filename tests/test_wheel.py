"""sdist and wheel: what git has, complete, and taken by twine."""

import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with sdist and wheel of HEAD, which twine has checked."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([ROOT / "setup" / "wheel.sh", sys.executable, folder], check=True)
    return folder


@pytest.fixture
def wheel(made: Path) -> zipfile.ZipFile:
    (file,) = made.glob("*.whl")
    return zipfile.ZipFile(file)


def list_committed(*folders: str) -> set[str]:
    argv = ["git", "ls-tree", "-r", "--name-only", "HEAD", *folders]
    done = subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines())


def read_metadata(wheel: zipfile.ZipFile, name: str) -> Message:
    (file,) = [each for each in wheel.namelist() if each.endswith(f".dist-info/{name}")]
    return message_from_bytes(wheel.read(file))


def test_the_wheel_has_every_file_of_the_program_but_the_one_in_c(wheel: zipfile.ZipFile) -> None:
    own = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert own == list_committed("eucabox") - {"eucabox/store/_crc64.c"}
    assert any(name.endswith("/LICENSE") for name in wheel.namelist())


def test_the_wheel_is_for_every_machine(wheel: zipfile.ZipFile) -> None:
    facts = read_metadata(wheel, "WHEEL")
    assert (facts["Tag"], facts["Root-Is-Purelib"]) == ("py3-none-any", "true")


def test_the_metadata_is_complete(wheel: zipfile.ZipFile) -> None:
    facts = read_metadata(wheel, "METADATA")
    assert (facts["Name"], facts["License"], facts["Requires-Python"]) == (
        "eucabox", "Apache-2.0", ">=3.11",
    )  # fmt: skip
    assert facts["Summary"]
    assert facts["Description-Content-Type"] == "text/markdown"
    assert str(facts.get_payload()).strip() == (ROOT / "README.md").read_text().strip()


def test_the_sdist_has_what_git_has(made: Path) -> None:
    (file,) = made.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {each.name.partition("/")[2] for each in archive if each.isfile()}
    hidden = {name for name in list_committed() if name.startswith(".")}
    assert names >= list_committed() - hidden
    added = {name for name in names - list_committed() if not name.startswith("eucabox.egg-info/")}
    assert added == {"PKG-INFO"}
