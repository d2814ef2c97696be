"""Durations that do not depend on the host's clock being right; knows no time of day.

A moment is stored as the host's boot id and its uptime, which goes on while the host sleeps and
over restarts of this process.
"""

import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from eucabox import ids

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot_id() -> str:
    """Return the name of this run of the host."""
    return BOOT_ID.read_text("ascii").strip()


def uptime() -> float:
    """Return the seconds since the host was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def reading() -> str:
    """Return this moment, to be stored for `seconds_since`."""
    return f"{boot_id()} {uptime():.3f}"


def seconds_since(earlier: str, moment: str) -> float:
    """Return the seconds since an earlier reading; never less than 0.

    For a reading from before the host's last boot it is the uptime, the least that it can be.
    `moment` is the time of day, for rows of a version that stored no reading.

    """
    boot, _, then = earlier.partition(" ")
    if boot == boot_id():
        return max(0.0, uptime() - float(then))
    if boot:
        return uptime()
    return max(0.0, (datetime.now(UTC) - ids.parse_time(moment)).total_seconds())
