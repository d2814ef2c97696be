"""What a restored database and restored disks need before a cloud starts with them."""

import contextlib
import sqlite3
from pathlib import Path

from eucabox import instance_states
from eucabox.domains.instance_rows import InstanceRows
from eucabox.errors import Fault
from eucabox.image import formats, moved_disks
from eucabox.image.instance_disks import NOTE
from eucabox.operator.backup import places
from eucabox.operator.backup.facts import KeptDisk
from eucabox.schema import MIGRATIONS
from eucabox.state import State

STOPPED = "select instance_id, state_clock from instances where state = 'stopped'"
PROGRAMS = "select sql from sqlite_master where type not in ('table', 'index')"
SIGN_INS = "delete from login_sessions"  # one that was ended since the backup must not come back


def check_database(file: Path) -> str:
    """Return what is wrong with a database, or ""."""
    try:
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            (answer,) = database.execute("PRAGMA quick_check(1)").fetchone()
            (schema,) = database.execute("PRAGMA user_version").fetchone()
            strange = set(database.execute(PROGRAMS)) - _list_programs(schema)
    except sqlite3.Error as problem:
        return str(problem)
    if strange:
        return "it has triggers or views that no eucabox makes"
    return "" if answer == "ok" else str(answer)


def _list_programs(schema: int) -> set[tuple[str]]:
    """Return the triggers that a database of that schema has."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        for statements in MIGRATIONS[:schema]:
            database.executescript(statements)
        return set(database.execute(PROGRAMS))


def settle_instances(data: Path, kept: dict[str, KeptDisk]) -> list[str]:
    """Bring the database up to date, and end every instance but those with a disk of the backup;
    return the ids of these. Raises StateTooNew."""
    with contextlib.closing(State(data / places.DATABASE)) as state:
        clocks = dict(tuple(row.values()) for row in state.query(STOPPED))
        stay = {
            instance_id
            for instance_id, each in kept.items()
            if clocks.get(instance_id) == each.clock and _settle_disk(data, instance_id, each)
        }
        rows = InstanceRows(state)
        for row in [*rows.list_alive(), *rows.list_stopped()]:
            if row["instance_id"] not in stay:
                rows.mark_shutting_down(row["instance_id"], instance_states.RESTORED)
                rows.mark_terminated(row, instance_states.RESTORED)
        with state.transaction() as database:
            database.conn.execute(SIGN_INS)
    return sorted(stay)


def _settle_disk(data: Path, instance_id: str, kept: KeptDisk) -> bool:
    """Have a disk lie over the cache's files here; False if it can't be used."""
    cache, folder = data / "cache", data / "instances" / instance_id
    try:
        note = folder / NOTE
        note.write_bytes(moved_disks.add_folders(note.read_bytes(), cache, folder))
        for name in places.INSTANCE_FILES:
            if name.endswith(".qcow2") and (folder / name).exists():
                moved_disks.lay_over(folder / name, cache / _check_base(kept.bases.get(name, "")))
    except (OSError, ValueError, Fault):
        return False
    return True


def _check_base(name: str) -> str:
    place = places.parse_name(f"images/{name}")
    if place is None:
        raise ValueError("not the name of a file of the cache")
    return place.name


def check_image(file: Path) -> None:
    """Refuse a restored file of the cache that names another file; DiskImageRefused."""
    if file.suffix == ".qcow2":
        formats.check_restored(file, file.name, is_overlay=False)
