"""A store in a folder of its own, with attributes on the files and with attributes beside them."""

import errno
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eucabox.bucket import Object, ObjectProperties, Store
from eucabox.store.temp_file import ExpectedBody

OWNER = "111122223333"
FACTS = ObjectProperties(content_type="text/x-test", metadata={"color": "grün"}, owner=OWNER)
Put = Callable[..., Object]


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.ENOTSUP, "Operation not supported")


@pytest.fixture(params=["attributes", "sidecars"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on a file system that has extended attributes, and on one that has none."""
    if request.param == "sidecars":
        monkeypatch.setattr(os, "setxattr", refuse)
        monkeypatch.setattr(os, "getxattr", refuse)
        monkeypatch.setattr(os, "removexattr", refuse)
    return tmp_path / "buckets"


@pytest.fixture
def store(root: Path) -> Iterator[Store]:
    opened = Store(root)
    opened.create_bucket("box", OWNER)
    yield opened
    opened.close()


@pytest.fixture
def put(store: Store) -> Put:
    def put_text(key: str, content: bytes = b"content", **expected: Any) -> Object:
        return store.put("box", key, io.BytesIO(content), FACTS, ExpectedBody(**expected))

    return put_text


def content(store: Store, key: str, bucket: str = "box") -> bytes:
    with store.open(bucket, key) as found:
        return b"".join(found.chunks())


def keys(store: Store, bucket: str = "box") -> list[str]:
    """All keys, in pages of three so that paging is met everywhere."""
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = store.list(bucket, start_after=after, limit=3)
        found += [each.key for each in page.objects]
        after = page.next
    return found


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(each.name for each in folder.iterdir())


def leftovers(root: Path) -> list[Path]:
    """Whatever of unfinished work lies about in a store."""
    reserved = [root / ".eucabox/new", root / ".eucabox/gone", *root.glob("*/.eucabox/temporary")]
    return [path for folder in reserved if folder.exists() for path in folder.iterdir()]
