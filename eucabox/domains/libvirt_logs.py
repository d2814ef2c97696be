"""What libvirt wrote in a domain's log of how it ended: an event comes once, a log stays."""

import os
import re
from pathlib import Path

LOGS = Path("/var/log/libvirt/qemu")  # of the system's libvirt, on this host
TAIL = 2**18  # bytes; what QEMU writes after the line that counts is less
TURN = re.compile(rb"^[0-9:. +-]{20,40}: (?:starting up|shutting down, reason=(\w+))", re.MULTILINE)


def was_saved(instance_id: str) -> bool:
    """Tell whether libvirt last saved a domain or moved it away, and did not start it again."""
    turns = TURN.findall(_tail(LOGS / f"{instance_id}.log"))
    return bool(turns) and turns[-1] in (b"saved", b"migrated")


def _tail(file: Path) -> bytes:
    try:
        with file.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL))
            return log.read(TAIL)
    except OSError:
        return b""
