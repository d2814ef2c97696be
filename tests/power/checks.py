"""What must hold once a cloud starts on a disk that lost its power: nobody writes, all is read."""

import time
from typing import Any

from tests.live.kills import checks
from tests.live.kills.history import NOTHING
from tests.power.cloud import DiskCloud
from tests.power.rows import Kind
from tests.power.world import PowerWorld


def look(view: PowerWorld, cloud: DiskCloud, s3: Any, kinds: list[Kind]) -> None:
    """Note in the view whatever it does not allow."""
    checks.whole(view, s3, cloud.data / "buckets", pruned=False)
    for kind in kinds:
        _rows(view, kind)
    for line in cloud.log.read_text(errors="replace").splitlines():
        if "trace=" in line:
            view.problem(line[:2000])


def _rows(view: PowerWorld, kind: Kind) -> None:
    found, now = kind.read(), time.monotonic()
    known = {name: each for (title, name), each in view.rows.items() if title == kind.title}
    for name in found.keys() - known.keys():
        view.problem(f"{kind.title} {name} is there and was never asked for")
    for name, register in known.items():
        value = found.get(name, NOTHING)
        if not register.allows(value, now, now):
            view.problem(f"{kind.title} {name} is {value!r}; writes: {register.writes}")
