"""The empty folders that a restore fills, and the mark that keeps eucabox out until it is done."""

import contextlib
import ctypes
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from eucabox.atomic_files import make_folder, sync_folder, write_atomic
from eucabox.config import Config
from eucabox.errors import DataFolderInUse, FolderNotEmpty, OtherBucketFolder, RestoreUnfinished
from eucabox.process_lock import ProcessLock

MARK = "restore-unfinished"  # in the data directory; JSON with the folder of the buckets
SPARED = ("lost+found",)
DATA_MODE, RUN_MODE, BUCKETS_MODE = 0o751, 0o755, 0o750


def refuse_unfinished(data_dir: Path) -> None:
    """Raise RestoreUnfinished while a data directory holds half a restore."""
    if (data_dir / MARK).exists():
        raise RestoreUnfinished(folder=data_dir)


@contextlib.contextmanager
def claim_folders(config: Config, *, with_buckets: bool) -> Iterator[None]:
    """Hold the data directory, and the buckets' folder, empty but for what the block puts there.

    After the block all of it is on the disk and eucabox may start; after an exception it may not,
    and the next claim begins anew. Raises FolderNotEmpty, DataFolderInUse, OtherBucketFolder.
    """
    data, root = config.cloud.data_dir, config.bucket_root
    make_folder(data, DATA_MODE)
    if not (data / MARK).exists():
        _check_empty(config, with_buckets=with_buckets)
    make_folder(data / "run", RUN_MODE)
    lock = ProcessLock(data / "run" / "lock")
    if not lock.acquire():
        raise DataFolderInUse(folder=data, pid=lock.holder())
    try:
        _clear_unfinished(config)
        _check_empty(config, with_buckets=with_buckets)
        mark = {"buckets": str(root) if with_buckets else ""}
        write_atomic(data / MARK, json.dumps(mark).encode(), 0o600)
        if with_buckets:
            make_folder(root, BUCKETS_MODE)
        yield
        for folder in (data, root) if with_buckets else (data,):
            _flush_file_system(folder)
        (data / MARK).unlink()
        sync_folder(data)
    finally:
        lock.release()


def _check_empty(config: Config, *, with_buckets: bool) -> None:
    data, root = config.cloud.data_dir, config.bucket_root
    if with_buckets:
        _refuse_files(root, (), "[buckets] path")
    own = (root.relative_to(data).parts[0],) if root.is_relative_to(data) else ()
    _refuse_files(data, ("run", MARK, *own), "[cloud] data_dir")


def _refuse_files(folder: Path, allowed: tuple[str, ...], setting: str) -> None:
    names = sorted(each.name for each in folder.iterdir()) if folder.exists() else []
    for name in names:
        if name not in (*SPARED, *allowed):
            raise FolderNotEmpty(folder=folder, name=name, setting=setting)


def _clear_unfinished(config: Config) -> None:
    """Remove what a restore put here that was killed or failed."""
    data, root = config.cloud.data_dir, config.bucket_root
    try:
        before = str(json.loads((data / MARK).read_bytes())["buckets"])
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        before = ""
    if before and before != str(root):
        raise OtherBucketFolder(before=before, now=root, folder=data)
    own = root.relative_to(data).parts[0] if root.is_relative_to(data) else ""
    if before and root.exists():
        _clear(root, SPARED)
    _clear(data, (*SPARED, "run", MARK, own))


def _clear(folder: Path, spared: tuple[str, ...]) -> None:
    for path in folder.iterdir():
        if path.name in spared:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _flush_file_system(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        function: Callable[[int], int] | None = getattr(
            ctypes.CDLL(None, use_errno=True), "syncfs", None
        )
        if function is None:
            os.sync()
        elif function(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)
