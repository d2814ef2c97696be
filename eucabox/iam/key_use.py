"""Writes when, and for which service, an access key was last used, and when a role was, behind
requests."""

import logging
import queue
import sqlite3
import threading

from eucabox import ids
from eucabox.state import State

log = logging.getLogger("eucabox.iam")
NOBODY = ""
ROLE = "AROA"  # how the unique ids of roles begin


class KeyUse:
    """The use of access keys and roles, told by requests and written by a thread of its own.

    Each write makes all threads read the keys anew, and it waits for the disk.
    """

    def __init__(self, state: State, region: str) -> None:
        self._state = state
        self._region = region
        self._waiting: queue.SimpleQueue[tuple[str, str, str]] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """Write what waits, and end."""
        if self._thread is not None:
            self._waiting.put((NOBODY, "", ""))
            self._thread.join()
            self._thread = None

    def write(self, credential_id: str, service: str) -> None:
        """Have it written that an access key is used now, or a session of the role of that id."""
        if credential_id:
            self._waiting.put((credential_id, service, ids.now()))
            self._ensure_thread()

    def _ensure_thread(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_all, name="key-use", daemon=True)
                self._thread.start()

    def _write_all(self) -> None:
        while True:
            credential_id, service, moment = self._waiting.get()
            if credential_id == NOBODY:
                return
            try:
                self._save(credential_id, service, moment)
            except sqlite3.Error as problem:  # a full disk stops no request
                log.warning("role=cloud the use of %s is not written: %s", credential_id, problem)

    def _save(self, credential_id: str, service: str, moment: str) -> None:
        columns = {"last_used": moment, "last_used_region": self._region}
        if credential_id.startswith(ROLE):
            self._state.update("roles", {"role_id": credential_id}, **columns)
        else:
            columns["last_used_service"] = service
            self._state.update("access_keys", {"access_key_id": credential_id}, **columns)
