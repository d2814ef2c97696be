"""Backups while threads change keys in every way: each key is restored in a state that it had.

Keys stand in each other's way, so that files move between their path and their hash; buckets have
versions, none, or had them once; attributes are changed in place, some too long for the file.
"""

import hashlib
import io
import random
import shutil
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from eucabox.bucket import Store
from eucabox.errors import Fault
from tests.operator.backup.conftest import LONG, OWNER, PROPERTIES, House

SECONDS = 8.0
KEYS = ["a", "a/b", "a/b/c", "../x", "p" * 300]
BUCKETS = {
    "plain": {},
    "suspended": {"versioning": {"status": "Suspended"}},
    "enabled": {"versioning": {"status": "Enabled"}},
}
KeyState = tuple[tuple[str, str, int], ...]  # version id, MD5 and length of metadata of each


def look(store: Store, bucket: str, key: str) -> KeyState:
    rows = []
    for each in store.versions(bucket, key).versions:
        obj = each.object
        if obj.key == key and each.is_marker:
            rows.append((obj.version_id, "marker", 0))
        elif obj.key == key:
            with store.open(bucket, key, obj.version_id) as opened:
                md5 = hashlib.md5(b"".join(opened.chunks())).hexdigest()
                rows.append((obj.version_id, md5, len(str(opened.object.properties.metadata))))
    return tuple(rows)


@dataclass
class Change:
    """What a key was from some moment between two times on."""

    began: float
    ended: float
    state: KeyState


@dataclass
class Changer(threading.Thread):
    """Changes the keys of one bucket, one after the other."""

    store: Store
    bucket: str
    stopping: threading.Event
    histories: dict[str, list[Change]] = field(default_factory=dict)
    problem: BaseException | None = None

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self.histories = {key: [Change(0, 0, ())] for key in KEYS}
        self.chance = random.Random(self.bucket)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                key, began = self.chance.choice(KEYS), time.monotonic()
                self.change(key, self.histories[key][-1].state)
                state = look(self.store, self.bucket, key)
                self.histories[key].append(Change(began, time.monotonic(), state))
        except BaseException as problem:
            self.problem = problem

    def change(self, key: str, state: KeyState) -> None:
        step, properties = self.chance.random(), self.chance.choice([PROPERTIES, LONG])
        if step < 0.55:
            body = self.chance.randbytes(self.chance.choice([5, 3000, 100_000]))
            self.store.put(self.bucket, key, io.BytesIO(body), properties)
        elif step < 0.75:
            self.store.delete(self.bucket, key, owner=OWNER)
        elif step < 0.87 and state:
            self.store.delete(self.bucket, key, version_id=self.chance.choice(state)[0])
        elif state and state[0][1] != "marker":
            changed = properties.metadata
            self.store.change_object(self.bucket, key, lambda old: replace(old, metadata=changed))

    def could_be(self, key: str, state: KeyState, first: float, last: float) -> bool:
        """Whether a key was so at some moment between two times."""
        history = self.histories[key]
        ends = [*(each.ended for each in history[1:]), float("inf")]
        return any(
            each.state == state and each.began <= last and end >= first
            for each, end in zip(history, ends, strict=True)
        )


@pytest.mark.slow
def test_every_key_is_restored_in_a_state_that_it_had(house: House) -> None:
    store, stopping = Store(house.config.bucket_root, durability="relaxed"), threading.Event()
    for name, settings in BUCKETS.items():
        store.create_bucket(name, OWNER, settings=dict(settings))
    changers = [Changer(store, name, stopping) for name in BUCKETS]
    taken: list[tuple[Path, float, float]] = []
    for each in changers:
        each.start()
    try:
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            first = time.monotonic()
            house.create()
            taken.append((house.file.rename(f"{house.file}-{len(taken)}"), first, time.monotonic()))
            time.sleep(0.3)
    finally:
        stopping.set()
        for each in changers:
            each.join()
        store.close()
    assert [each.problem for each in changers] == [None] * len(BUCKETS)
    assert len(taken) > 2
    assert min(len(history) for each in changers for history in each.histories.values()) > 10
    for file, first, last in taken:
        compare(house, file, changers, first, last)


def compare(house: House, file: Path, changers: list[Changer], first: float, last: float) -> None:
    file.rename(house.file)
    shutil.rmtree(house.other.cloud.data_dir, ignore_errors=True)
    house.restore()
    restored = Store(house.other.bucket_root, durability="relaxed")
    try:
        for changer in changers:
            for key in KEYS:
                try:
                    state = look(restored, changer.bucket, key)
                except Fault as fault:
                    raise AssertionError((file, changer.bucket, key, fault.message)) from fault
                found = changer.could_be(key, state, first, last)
                assert found, (file, changer.bucket, key, state)
    finally:
        restored.close()
    house.file.unlink()
