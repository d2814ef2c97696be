"""What `eucabox doctor` finds on this host: run as a program, one at a time, and remembered."""

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from eucabox import ids
from eucabox.config import Config
from eucabox.errors import Fault
from eucabox.run import run

LONGEST = 60.0  # seconds that it may take
MOST, LONGEST_TEXT = 200, 2000  # findings, and characters of each text
MEMBERS = ("what", "state", "detail", "fix")
FAILED = 1  # its exit status where something keeps instances from running
# -P: Python imports nothing from the current folder, which may belong to any user.
COMMAND = (sys.executable, "-P", "-m", "eucabox")

FindingText = Mapping[str, str]


class Findings:
    """The findings of the last check, and when it was."""

    def __init__(self, get_config: Callable[[], Config]) -> None:
        self._get_config = get_config
        self._checking = threading.Lock()
        self._last: list[FindingText] = []
        self._checked = ""
        self._clock = float("-inf")

    def read(self, max_age: float) -> tuple[list[FindingText], str]:
        """Return the findings and the time of the check, not older than these seconds.

        Who asks while another's check is under way gets the last one's, "" for none yet.
        """
        if time.monotonic() - self._clock > max_age and self._checking.acquire(blocking=False):
            try:
                self._last = _check(self._get_config())
                self._checked, self._clock = ids.time_text(datetime.now(UTC)), time.monotonic()
            finally:
                self._checking.release()
        return self._last, self._checked


def _check(config: Config) -> list[FindingText]:
    where = ("--config", str(config.file)) if config.file else ()
    try:
        output = run(*COMMAND, *where, "doctor", "--json", timeout=LONGEST, accepts=(0, FAILED))
        found = json.loads(output)
    except (Fault, ValueError) as problem:
        fix = "type `eucabox doctor` on the host: its error says more"
        text = f"the check did not end well: {problem}"
        return [{"what": "doctor", "state": "FAIL", "detail": text[:LONGEST_TEXT], "fix": fix}]
    return [
        {name: str(each.get(name, ""))[:LONGEST_TEXT] for name in MEMBERS} for each in found[:MOST]
    ]
