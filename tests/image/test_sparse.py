import hashlib
import os
from pathlib import Path

import pytest

from eucabox.image import sparse

MIB = 2**20
CONTENT = bytes(3 * MIB) + b"x" + bytes(5000) + os.urandom(9000) + bytes(2 * MIB + 1) + b"end"


@pytest.mark.not_fast
@pytest.mark.parametrize("piece", [1000, 4096, MIB, 10 * MIB])
def test_zeros_become_holes(tmp_path: Path, piece: int) -> None:
    with (tmp_path / "out").open("w+b") as file:
        writer = sparse.SparseWriter(file)
        for start in range(0, len(CONTENT), piece):
            writer.write(CONTENT[start : start + piece])
        digest = writer.finish()
    assert digest == hashlib.sha256(CONTENT).hexdigest()
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert sparse.disk_bytes(tmp_path / "out") <= 64 * 1024
    assert writer.written == len(CONTENT)


@pytest.mark.parametrize("content", [b"", b"a", bytes(10), bytes(3 * MIB)])
def test_small_and_empty_files(tmp_path: Path, content: bytes) -> None:
    with (tmp_path / "out").open("w+b") as file:
        writer = sparse.SparseWriter(file)
        writer.write(content)
        assert writer.finish() == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "out").read_bytes() == content


def test_a_copy_keeps_the_holes(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("w+b") as file:
        sparse_writer = sparse.SparseWriter(file)
        sparse_writer.write(CONTENT)
        sparse_writer.finish()
    with source.open("rb") as reading, target.open("w+b") as writing:
        writing.truncate(10 * MIB)
        sparse.copy(reading, writing, MIB)
    assert target.read_bytes()[MIB : MIB + len(CONTENT)] == CONTENT
    assert sparse.disk_bytes(target) <= 64 * 1024


def test_data_runs_of_a_file_of_holes(tmp_path: Path) -> None:
    path = tmp_path / "holes"
    with path.open("w+b") as file:
        file.truncate(MIB)
        assert list(sparse.data_runs(file, MIB)) == []
        assert list(sparse.data_runs(file, 0)) == []
