"""The program in docs/backup.md reads a backup without eucabox, and tar takes what it prints."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from eucabox.bucket import Store
from eucabox.operator.backup import places
from tests.operator.backup.conftest import PASSPHRASE, House, read_all

DOCS = (Path(__file__).parents[3] / "docs" / "backup.md").read_text()


@pytest.mark.not_fast
def test_a_backup_is_read_without_eucabox(full: House, tmp_path: Path) -> None:
    full.create()
    (program,) = re.findall(r"^```python\n(.*?)^```", DOCS, re.DOTALL | re.MULTILINE)
    assert "eucabox" not in program
    script, out = tmp_path / "read.py", tmp_path / "out"
    script.write_text(program)
    out.mkdir()
    reading = subprocess.run(
        [sys.executable, "-I", script, full.file],
        input=PASSPHRASE + b"\n", capture_output=True, check=True,
    )  # fmt: skip
    (order,) = re.findall(r"\| (tar -x [^`]*)`", DOCS)
    assert order == "tar -x --xattrs --xattrs-include='user.*'"
    subprocess.run(
        ["tar", "-x", "--xattrs", "--xattrs-include=user.*", "-C", out],
        input=reading.stdout, capture_output=True, check=True,
    )  # fmt: skip
    data = full.config.cloud.data_dir
    assert (out / "state" / "key").read_bytes() == (data / "key").read_bytes()
    assert json.loads((out / places.MANIFEST).read_text())["contents"]["uploads"] == 1
    for path in (data / "buckets" / "plain").glob("[!.]*/**/*"):
        if path.is_file() and "user.eucabox" in os.listxattr(path):
            twin = out / "buckets" / "plain" / path.relative_to(data / "buckets" / "plain")
            assert os.getxattr(twin, "user.eucabox") == os.getxattr(path, "user.eucabox")
            assert twin.stat().st_mtime_ns == path.stat().st_mtime_ns
    store, found = full.open(), Store(out / "buckets")
    before, after = (
        {key: value for key, value in read_all(each).items() if key[1] != "sealed"}
        for each in (store, found)
        if not _forget_sealed(each)
    )
    assert after.keys() == before.keys()
    assert [content for _, content in after.values()] == [content for _, content in before.values()]
    store.close()
    found.close()


def _forget_sealed(store: Store) -> bool:
    """Delete the one object whose key is elsewhere; False."""
    store.delete("plain", "sealed")
    return False


def test_the_table_of_names_is_that_of_the_program() -> None:
    names = re.findall(r"^\| `([^`]+)` \|", DOCS.partition("name in the tar")[2], re.MULTILINE)
    rooms = {name.partition("/")[0] for name in names}
    lines = [each for each in str(places.__doc__).splitlines() if re.match(r"\s*\S+[, ].*  ", each)]
    assert rooms == {each.split()[0].partition("/")[0] for each in lines}
