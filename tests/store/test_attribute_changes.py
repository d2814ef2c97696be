"""Attributes that change on an object that is there: a loss of power in the middle takes none."""

import contextlib
import io
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from eucabox.bucket import ObjectProperties, Store
from eucabox.store import attributes, buckets
from eucabox.store.fsync import COMMIT, RELAXED

OLD = ObjectProperties(metadata={"label": "old"})


class PowerLost(Exception):
    """The machine is off."""


@pytest.mark.parametrize("durability", [COMMIT, RELAXED])
@pytest.mark.parametrize("moment", ["taken off", "put on"])
def test_attributes_are_kept_beside_the_file_while_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: str, moment: str
) -> None:
    monkeypatch.setattr(buckets, "is_ordered", lambda _: False)
    write = attributes.write

    def lose_power(descriptor: int, raw: bytes) -> bool:
        os.removexattr(descriptor, attributes.NAME)  # as XFS does
        if moment == "put on":
            write(descriptor, raw)
        shutil.copytree(tmp_path / "disk", tmp_path / "later", symlinks=True)
        raise PowerLost

    with contextlib.closing(Store(tmp_path / "disk", durability=durability)) as store:
        store.create_bucket("bench", "111122223333")
        store.put("bench", "key", io.BytesIO(b"content"), OLD)
        monkeypatch.setattr(attributes, "write", lose_power)
        with pytest.raises(PowerLost):
            store.change_object("bench", "key", lambda old: replace(old, tags={"a": "b"}))
        monkeypatch.undo()
    with contextlib.closing(Store(tmp_path / "later", durability=durability)) as store:
        found = store.head("bench", "key").properties
        assert (found.metadata, found.tags) == ({"label": "old"}, {"a": "b"})
        left = [each for each in (tmp_path / "later").rglob("attributes/*/*") if each.is_file()]
        assert bool(left) == (moment == "taken off"), "one that is not needed is removed"


def test_ext4_with_a_journal_changes_them_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "is_ordered", lambda _: True)
    with contextlib.closing(Store(tmp_path)) as store:
        store.create_bucket("bench", "111122223333")
        store.put("bench", "key", io.BytesIO(b"content"), OLD)
        store.change_object("bench", "key", lambda old: replace(old, tags={"a": "b"}))
        assert not list(tmp_path.rglob("attributes/*/*"))
        assert store.head("bench", "key").properties.tags == {"a": "b"}
