"""How long ago something was, whatever becomes of the host's clock; says no time of day.

A moment is kept as the host's boot and the seconds since then, which go on while the host sleeps
and when this process is started again.
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
    """Return this moment, to be kept for `seconds_since`."""
    return f"{boot_id()} {uptime():.3f}"


def seconds_since(earlier: str, moment: str) -> float:
    """Return the seconds since a reading that was kept; never less than none.

    What was kept before the host's last start was that start ago at least, and that counts.
    `moment` is the time of day, for what was written by a version that kept no reading.
    """
    boot, _, then = earlier.partition(" ")
    if boot == boot_id():
        return max(0.0, uptime() - float(then))
    if boot:
        return uptime()
    return max(0.0, (datetime.now(UTC) - ids.parse_time(moment)).total_seconds())
