"""Writes when, and for which service, an access key was last used, and when a role was: rarely, and
behind requests."""

import logging
import queue
import sqlite3
import threading
import time

from eucabox import ids
from eucabox.state import State

log = logging.getLogger("eucabox.iam")
SECONDS = 3600  # in which a key's use of a service is written once
MOST_NOTED = 10_000
NOBODY = ""
ROLE = "AROA"  # how the unique ids of roles begin


class KeyUse:
    """The use of access keys and roles, noted by requests and written by a thread of its own.

    Each write makes all threads read the keys anew, and it waits for the disk.
    """

    def __init__(self, state: State, region: str) -> None:
        self._state = state
        self._region = region
        self._noted: dict[tuple[str, str], float] = {}
        self._waiting: queue.SimpleQueue[tuple[str, str, str]] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """Write what waits, and end."""
        if self._thread is not None:
            self._waiting.put((NOBODY, "", ""))
            self._thread.join()
            self._thread = None

    def note(self, credential_id: str, service: str) -> None:
        """Note that a key, or a session of a role, is used now; takes a microsecond where that was
        noted within the hour. "" is nothing to note."""
        if credential_id.startswith(ROLE):
            service = ""  # which is not told of a role
        use, now = (credential_id, service), time.monotonic()
        noted = self._noted.get(use)
        if noted is not None and now - noted < SECONDS:
            return
        if len(self._noted) >= MOST_NOTED:
            self._noted.clear()
        self._noted[use] = now
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
                self._write(credential_id, service, moment)
            except sqlite3.Error as problem:  # a full disk stops no request
                log.warning("role=cloud the use of %s is not written: %s", credential_id, problem)

    def _write(self, credential_id: str, service: str, moment: str) -> None:
        columns = {"last_used": moment, "last_used_region": self._region}
        if credential_id.startswith(ROLE):
            self._state.update("roles", {"role_id": credential_id}, **columns)
        else:
            columns["last_used_service"] = service
            self._state.update("access_keys", {"access_key_id": credential_id}, **columns)
