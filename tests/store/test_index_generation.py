"""An index, or a bucket's folder, that comes back from a backup of another time."""

import io
import shutil
from pathlib import Path

import pytest

from eucabox.bucket import Store
from tests.store.conftest import FACTS, content, keys


def save(root: Path, where: Path) -> None:
    where.mkdir()
    for file in (root / ".eucabox").glob("index.db*"):
        shutil.copy2(file, where)


def bring_back(root: Path, where: Path) -> None:
    for file in (root / ".eucabox").glob("index.db*"):
        file.unlink()
    for file in where.iterdir():
        shutil.copy2(file, root / ".eucabox")


def put(store: Store, key: str) -> None:
    store.put("box", key, io.BytesIO(key.encode()), FACTS)


@pytest.mark.parametrize("running", [False, True])
def test_an_index_from_a_backup_is_rebuilt(
    store: Store, root: Path, tmp_path: Path, running: bool
) -> None:
    put(store, "old")
    put(store, "kept")
    if running:
        assert keys(store) == ["kept", "old"]
        save(root, tmp_path / "backup")
    else:
        store.close()
        save(root, tmp_path / "backup")
        store = Store(root)
    put(store, "new")
    store.delete("box", "old")
    store.close()
    bring_back(root, tmp_path / "backup")
    again = Store(root)
    assert keys(again) == ["kept", "new"]
    assert content(again, "new") == b"new"
    again.close()


@pytest.mark.parametrize("running", [False, True])
def test_a_folder_from_a_backup_is_read_again(
    store: Store, root: Path, tmp_path: Path, running: bool
) -> None:
    put(store, "old")
    if not running:
        store.close()
    shutil.copytree(root / "box", tmp_path / "backup")
    if not running:
        store = Store(root)
    put(store, "new")
    store.delete("box", "old")
    store.close()
    shutil.rmtree(root / "box")
    shutil.copytree(tmp_path / "backup", root / "box")
    again = Store(root)
    assert keys(again) == ["old"]
    again.close()


def test_an_unchanged_bucket_is_not_read_again(store: Store, root: Path) -> None:
    put(store, "a")
    store.create_bucket("empty", "1")
    store.close()
    Store(root).close()  # a start that changes nothing
    (root / "box/by-hand").write_bytes(b"x")
    again = Store(root)
    assert keys(again) == ["a"]
    again.close()
