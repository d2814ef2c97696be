"""The uploads in parts that a mirror has not completed: a small file of the operator's own, so that
the next run goes on with them. All else that a mirror knows is in the destination's metadata."""

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import TypedDict

import click

from eucabox.atomic_files import write_atomic
from eucabox.cli.mirror.destination import MirrorPlace
from eucabox.process_lock import ProcessLock


class UploadRecord(TypedDict):
    """An upload that was begun: its id, and what it is of."""

    upload_id: str
    token: str
    part_size: int


class OpenUploads:
    """The file of one bucket and destination; another mirror of the same two is refused."""

    def __init__(self, bucket: str, place: MirrorPlace) -> None:
        folder = _find_folder()
        name = hashlib.sha256(f"{bucket}\n{place.endpoint}\n{place}".encode()).hexdigest()[:24]
        self._file = folder / f"{name}.json"
        self._process = ProcessLock(folder / f"{name}.lock")
        self._lock = threading.Lock()
        self._known: dict[str, UploadRecord] = {}

    def open(self) -> None:
        """Read the file; raises ClickException if another process mirrors the same."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._process.acquire():
            pid = self._process.holder()
            raise click.ClickException(f"The process {pid} mirrors the same bucket to there.")
        try:
            self._known = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            self._known = {}

    def close(self) -> None:
        """Let another process mirror the same."""
        self._process.release()

    def find(self, key: str) -> UploadRecord | None:
        """Return the upload that was begun for a key."""
        return self._known.get(key)

    def note(self, key: str, record: UploadRecord | None) -> None:
        """Keep an upload that was begun, or forget one that is over."""
        with self._lock:
            if record:
                self._known[key] = record
            else:
                self._known.pop(key, None)
            write_atomic(self._file, json.dumps(self._known).encode(), 0o600)

    def list_keys(self) -> list[str]:
        """Return the keys of all uploads that are not over."""
        return list(self._known)


def _find_folder() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "eucabox" / "mirrors"
