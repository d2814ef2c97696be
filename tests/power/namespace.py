"""A place of this process's own to mount things in, which no other process of the host sees.

Without it a container that another program makes meanwhile would take our mounts along, and a disk
would still be written after it was unmounted here.
"""

import ctypes
import os
import tempfile
import uuid
from pathlib import Path

from tests.power.disks import Unfit, call

NEW_MOUNTS = 0x20000  # CLONE_NEWNS
BOOT_ID = "/proc/sys/kernel/random/boot_id"


def enter() -> None:
    """Part this process, and what it starts, from the host's mounts; its boot id is ours to say."""
    if os.geteuid():
        raise Unfit("only root mounts file systems: run it as root")
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_MOUNTS):
        raise Unfit(f"this host gives no mounts of our own: {os.strerror(ctypes.get_errno())}")
    call("mount", "--make-rprivate", "/")
    with tempfile.NamedTemporaryFile() as file:
        call("mount", "--bind", file.name, BOOT_ID)
    boot()


def boot() -> None:
    """Let the host seem to have booted now."""
    Path(BOOT_ID).write_text(f"{uuid.uuid4()}\n")
