"""Reads the log's lines from systemd's journal, in the form of the log's file; writes nothing."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from eucabox import ids
from eucabox.run import stream

UNIT = "eucabox.service"


def read_lines(follow: bool = False, last: int = 0) -> Iterator[str]:
    """Yield the lines that the unit's processes wrote, the oldest first, or only the `last`."""
    options = (["--follow", "--no-tail"] if follow else []) + ([f"--lines={last}"] if last else [])
    argv = ("journalctl", "--quiet", "--no-pager", "--all", "--output=json", *options)
    for line in stream(*argv, f"_SYSTEMD_UNIT={UNIT}", "SYSLOG_IDENTIFIER=eucabox"):
        if line.startswith(b"{"):
            yield describe_entry(json.loads(line))


def describe_entry(entry: dict[str, Any]) -> str:
    """Return an entry of the journal with its time, as a line of the file."""
    message = entry.get("MESSAGE")  # a list of bytes where it is no text
    text = bytes(message).decode("utf-8", "replace") if isinstance(message, list) else message
    moment = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1e6, UTC)
    return f"time={ids.time_text(moment)} {text or ''}"
