"""A cloud's data with buckets of every kind, and a backup's file whose scrypt is quick."""

import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from eucabox.bucket import ObjectProperties, Store
from eucabox.config import CloudSection, Config
from eucabox.operator.backup import sealed_form
from eucabox.operator.backup.create import write_backup
from eucabox.operator.backup.members import Sink
from eucabox.operator.backup.restore import Restored, restore_backup
from eucabox.operator.backup.sealed_file import SealedReader, SealedWriter
from eucabox.operator.backup.verify import verify_backup
from eucabox.store import keyring

PASSPHRASE = b"a cat on the keyboard"
OWNER = "111122223333"
ODD = ["a", "a/b", "b", "../x", ".eucabox/y", "s" * 300, "é/ü", "nl\ny", "z" * 1024, "dir/", "//"]
PROPERTIES = ObjectProperties(owner=OWNER, metadata={"color": "grün"}, tags={"a": "1"})
LONG = replace(PROPERTIES, metadata={"long": "x" * 6000})  # too long for an ext4 attribute


def quiet(*_: Any) -> None:
    """Show nothing."""


@pytest.fixture(autouse=True)
def _quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_form, "COST", {"n": 1 << 4, "r": 8, "p": 1})


@dataclass
class House:
    """Two data directories: one with a cloud, one to restore to."""

    folder: Path
    config: Config
    other: Config

    @property
    def file(self) -> Path:
        return self.folder / "cloud.backup"

    def open(self, config: Config | None = None) -> Store:
        chosen = config or self.config
        keys = keyring.open_keyring(lambda: chosen, OWNER)
        return Store(chosen.bucket_root, keys, "relaxed")

    def create(self, *, with_buckets: bool = True, anew: bool = False) -> None:
        with SealedWriter(self.file, PASSPHRASE, anew=anew) as sink:
            write_backup(self.config, sink, with_buckets=with_buckets, step=quiet, share=quiet)
            sink.finish()

    def verify(self) -> Any:
        with self.file.open("rb") as opened:
            return verify_backup(SealedReader(opened.fileno(), self.file, PASSPHRASE), quiet)

    def restore(self, config: Config | None = None) -> Restored:
        with self.file.open("rb") as opened:
            reader = SealedReader(opened.fileno(), self.file, PASSPHRASE)
            return restore_backup(config or self.other, reader, quiet)

    def forge(self, write: Callable[[Sink], None]) -> None:
        """Write a backup that a stranger made: well sealed, and with whatever members."""
        with SealedWriter(self.file, PASSPHRASE) as sink:
            write(sink)
            sink.finish()


@pytest.fixture
def house(tmp_path: Path, first_start: Path) -> House:
    """A first start's data, without a bucket."""
    data = tmp_path / "data"
    shutil.copytree(first_start, data)
    other = Config(cloud=CloudSection(data_dir=tmp_path / "other"))
    return House(tmp_path, Config(cloud=CloudSection(data_dir=data)), other)


@pytest.fixture
def full(house: House) -> House:
    """The same with buckets of every kind."""
    store = house.open()
    store.create_bucket("plain", OWNER, settings={"policy": "x"})
    store.create_bucket("empty", OWNER)
    store.create_bucket("Old_Name", OWNER, settings={"versioning": {"status": "Enabled"}})
    for number, key in enumerate(ODD):
        store.put("plain", key, io.BytesIO(key.encode() * 50), LONG if number % 2 else PROPERTIES)
        for again in range(3):
            store.put("Old_Name", key, io.BytesIO(f"{again}{key}".encode()), PROPERTIES)
    store.delete("Old_Name", "a", owner=OWNER)
    store.put("plain", "zeros", io.BytesIO(bytes(3 << 20) + b"end"), PROPERTIES)
    secret = store.keys.sse_s3()
    store.put("plain", "sealed", io.BytesIO(os.urandom(200_000)), PROPERTIES, encryption=secret)
    upload = store.create_upload("plain", "parts", LONG)
    store.put_part("plain", "parts", upload, 1, io.BytesIO(b"p" * 70_000))
    store.close()
    return house


def read_all(store: Store) -> dict[tuple[str, str, str], Any]:
    """Everything that clients can see of the objects and versions of a store."""
    found: dict[tuple[str, str, str], Any] = {}
    for bucket in store.buckets():
        for each in store.versions(bucket.name).versions:
            version = each.object.version_id
            content = b""
            if not each.is_marker:
                with store.open(bucket.name, each.object.key, version) as opened:
                    if opened.object.sealed:
                        opened.unlock(None)
                    content = b"".join(opened.chunks())
                    found[bucket.name, each.object.key, version] = opened.object, content
            else:
                found[bucket.name, each.object.key, version] = each, content
    return found
