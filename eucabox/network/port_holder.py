"""Which program of this host listens on a TCP port; asks the kernel, changes nothing."""

from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
SOCKETS = ("net/tcp", "net/tcp6")
LISTENS = "0A"


def holder_of(port: int) -> str:
    """Return the program's name and process, or an empty string where none is to be seen."""
    inodes = {f"socket:[{inode}]" for each in SOCKETS for inode in _inodes(PROC / each, port)}
    for process in PROC.glob("[0-9]*") if inodes else ():
        with suppress(OSError):  # it ended while we looked, or is another user's
            if any(str(each.readlink()) in inodes for each in (process / "fd").iterdir()):
                name = (process / "comm").read_text("utf-8", "replace").strip()
                return f"{name} (process {process.name})"
    return ""


def _inodes(table: Path, port: int) -> list[str]:
    try:
        rows = [line.split() for line in table.read_text("ascii").splitlines()[1:]]
    except OSError:
        return []
    return [
        row[9] for row in rows if row[3] == LISTENS and int(row[1].rpartition(":")[2], 16) == port
    ]
