"""A listing shows one moment, which is never older than what a reader has seen before it."""

import io
import threading
from collections.abc import Callable
from typing import Any

import pytest

from eucabox.bucket import Store
from eucabox.errors import NoSuchKey, NoSuchUpload
from eucabox.store import journal, version_files
from eucabox.store.index import Index
from tests.store.conftest import FACTS, Put, content

PATIENCE = 20  # seconds for what must end
SHORT = 0.3  # seconds for what must not


class Beside:
    """A thread that lists, changes or completes while this one stands still within a change."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self._answer: list[Any] = []
        self.thread = threading.Thread(target=lambda: self._answer.append(ask()))

    def start(self) -> None:
        """Begin, and wait a moment for an end that must not come."""
        if not self.thread.ident:
            self.thread.start()
            self.thread.join(SHORT)

    def end(self) -> Any:
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        return self._answer[0]


def keep_versions(store: Store) -> None:
    store.set_bucket_setting("box", "versioning", {"status": "Enabled"})


def show_versions(store: Store) -> list[str]:
    return [each.object.version_id for each in store.versions("box").versions]


def call_before(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, what: Any) -> None:
    """Let `what` happen each time before a function is called."""
    before = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        what()
        return before(*args, **kwargs)

    monkeypatch.setattr(owner, name, call)


@pytest.mark.not_fast
def test_what_was_read_is_listed(store: Store, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("key", b"old")
    seen: list[bytes] = []
    listing = Beside(lambda: store.list("box").objects)

    def read_and_list() -> None:  # the file is the new one, and the index has the old
        seen.append(content(store, "key"))
        listing.start()

    call_before(monkeypatch, Index, "add", read_and_list)
    put("key", b"longer")
    assert seen == [b"longer"]
    assert [each.size for each in listing.end()] == [6]


def test_a_listing_does_not_wait_for_other_keys(
    store: Store, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("here/key")
    listed: list[Any] = []
    store.create_bucket("other", "111122223333")

    def list_others() -> None:
        listed.append(store.list("box", prefix="here/").objects)
        listed.append(store.list("other").objects)

    monkeypatch.setattr(journal, "PATIENCE", PATIENCE)
    call_before(monkeypatch, Index, "add", list_others)
    put("there/key")
    assert [len(each) for each in listed] == [1, 0]


def test_a_change_that_hangs_does_not_stop_listings(
    store: Store, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("key", b"old")
    listed: list[int] = []
    monkeypatch.setattr(journal, "PATIENCE", 0.1)
    call_before(monkeypatch, Index, "add", lambda: listed.append(store.list("box").objects[0].size))
    put("key", b"longer")
    assert listed == [3]


def test_a_change_that_failed_holds_no_listing_up(
    store: Store, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("key", b"old")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("on purpose")

    with monkeypatch.context() as patched:
        patched.setattr(Index, "add", fail)  # reading the key again fails too
        with pytest.raises(RuntimeError):
            put("key", b"longer")
    listing = Beside(lambda: store.list("box").objects)
    listing.start()
    assert not listing.thread.is_alive()


def test_a_version_is_never_listed_twice(
    store: Store, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A put and a listing between the look at the current objects and the one at the versions."""
    keep_versions(store)
    old = put("key").version_id
    listed: list[list[str]] = []

    def put_once() -> None:
        if not listed:
            listed.append([])
            beside = Beside(lambda: (put("key"), show_versions(store)))
            beside.start()
            listed[0] = beside.end()[1]

    with monkeypatch.context() as patched:
        call_before(patched, Index, "version_rows", put_once)
        assert show_versions(store) == [old]
    assert len(listed[0]) == 2
    assert show_versions(store) == listed[0]


def test_a_part_of_a_change_is_never_listed(store: Store, put: Put) -> None:
    index = store._index
    keep_versions(store)
    old = put("key")
    (version,) = store.versions("box").versions
    with index.change_at_once():
        index.drop("box", "key")
        before = Beside(lambda: show_versions(store))
        before.start()
        with index.change_at_once():  # a step of the larger change
            index.add_version(version)
        between = Beside(lambda: show_versions(store))
        between.start()
    assert before.end() == between.end() == [old.version_id]
    assert show_versions(store) == [old.version_id]


@pytest.mark.not_fast
def test_a_completed_upload_is_found_while_it_is_brought_back(
    store: Store, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_versions(store)
    upload = store.create_upload("box", "key", FACTS)
    with pytest.raises(NoSuchUpload):
        store.upload("box", "other", upload)
    parts = _put_part(store, upload)
    done = store.complete_upload("box", "key", upload, parts)
    newer = put("key").version_id
    deletion = Beside(lambda: store.delete("box", "key", version_id=newer))
    with monkeypatch.context() as patched:
        call_before(patched, version_files, "list_entries", deletion.start)
        assert store.complete_upload("box", "key", upload, parts).version_id == done.version_id
    deletion.end()
    assert show_versions(store) == [done.version_id]


def _put_part(store: Store, upload: str) -> list[Any]:
    part = store.put_part("box", "key", upload, 1, io.BytesIO(b"part"))
    return [(1, part.e_tag, {})]


@pytest.mark.not_fast
def test_a_miss_names_the_marker_of_its_moment(
    store: Store, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marker is removed while a reader looks for it."""
    keep_versions(store)
    old = put("key").version_id
    marker = store.delete("box", "key").version_id
    removal = Beside(lambda: store.delete("box", "key", version_id=marker))
    with monkeypatch.context() as patched:
        call_before(patched, version_files, "list_entries", removal.start)
        with pytest.raises(NoSuchKey) as caught:
            store.head("box", "key")
    assert caught.value.facts.get("delete_marker") == marker
    removal.end()
    assert store.head("box", "key").version_id == old
