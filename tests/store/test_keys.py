"""Keys that are easily got wrong: alone, together, in every order, and against a plain dict."""

import io
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eucabox.bucket import ObjectProperties, Store
from eucabox.errors import InvalidKey, KeyTooLong, NoSuchKey
from tests.store.conftest import FACTS, OWNER, Put, content, keys, leftovers, names, refuse

AWKWARD = [
    "a",
    "a/b",
    "a/b/c",
    "dir/",
    "dir/x",
    "dir",
    "sl//y",
    "/lead",
    "//",
    "/",
    "../up",
    "..",
    ".",
    "./dot",
    "x/../y",
    "x/./y",
    "x/..",
    "é ü+&%20?#",
    "e\u0301",
    "s" * 255,
    "t" * 256,
    "u" * 255 + "/" + "v" * 255,
    "k" * 1024,
    "ä" * 512,
    "p" * 200 + "/" + "q" * 200,
    "d/" * 40 + "ee",
    "nl\ny",
    "nul\0",
    "\0",
    ".eucabox",
    ".eucabox/bucket.json",
    ".eucabox/objects/00/x",
    "x/.eucabox/y",
    "\U0010ffff",
    "\ufffe",
    "~",
    " ",
    "back\\slash",
    "bucket.json",
    "index.db",
    "lock",
    "new",
    "-",
    "*",
    "con:",
    "Trailing.",
    "\x7f\x01",
]


def sorted_keys(every: object) -> list[str]:
    return sorted(every, key=str.encode)  # type: ignore[call-overload, no-any-return]


@pytest.mark.not_fast
@pytest.mark.parametrize("key", AWKWARD, ids=range(len(AWKWARD)))
def test_each_key_alone(store: Store, put: Put, root: Path, key: str) -> None:
    made = put(key, key.encode())
    assert store.head("box", key) == made
    assert content(store, key) == key.encode()
    assert keys(store) == [key]
    assert put(key, b"again").size == 5
    assert content(store, key) == b"again"
    assert store.rescan("box") == 1
    assert keys(store) == [key]
    assert store.delete("box", key).removed
    assert not store.delete("box", key).removed
    assert keys(store) == []
    assert names(root / "box") == [".eucabox"]
    with pytest.raises(NoSuchKey):
        store.head("box", key)


@pytest.mark.slow
def test_all_keys_together(root: Path) -> None:
    order = AWKWARD.copy()
    random.Random(os.setxattr is refuse).shuffle(order)
    store = Store(root)
    store.create_bucket("box", OWNER)
    for key in order:
        store.put("box", key, io.BytesIO(key.encode()), FACTS)
    assert keys(store) == sorted_keys(AWKWARD)
    store.close()
    (root / ".eucabox/index.db").unlink()
    store = Store(root)
    assert keys(store) == sorted_keys(AWKWARD)
    for number, key in enumerate(reversed(order)):
        assert content(store, key) == key.encode()
        properties = store.head("box", key).properties
        assert replace(properties, checksums={}, checksum_type="") == FACTS
        assert store.delete("box", key).removed
        left = order[: len(order) - number - 1]
        assert keys(store) == sorted_keys(left)
    store.delete_bucket("box")
    assert leftovers(root) == []
    store.close()


def test_file_and_folder_of_one_name_in_both_orders(store: Store, put: Put, root: Path) -> None:
    put("a", b"1")
    put("a/b", b"2")
    put("x/y", b"3")
    put("x", b"4")
    assert (root / "box/a").read_bytes() == b"1"
    assert (root / "box/x/y").read_bytes() == b"3"
    assert [content(store, key) for key in ("a", "a/b", "x", "x/y")] == [b"1", b"2", b"4", b"3"]
    store.delete("box", "a")
    assert content(store, "a/b") == b"2"
    put("a/b", b"at home now")
    assert (root / "box/a/b").read_bytes() == b"at home now"
    store.delete("box", "x/y")
    assert content(store, "x") == b"4"
    put("x", b"at home too")
    assert (root / "box/x").read_bytes() == b"at home too"
    assert keys(store) == ["a/b", "x"]
    store.delete("box", "a/b")
    store.delete("box", "x")
    assert keys(store) == []
    assert not list((root / "box/.eucabox/objects").glob("*/*"))


def test_an_object_is_a_file_at_its_key(store: Store, put: Put, root: Path) -> None:
    put("a/b/c.txt", b"plain")
    assert (root / "box/a/b/c.txt").read_bytes() == b"plain"
    assert names(root / "box") == [".eucabox", "a"]


@pytest.mark.slow
def test_the_deepest_key(store: Store, put: Put, root: Path) -> None:
    key = "d/" * 511 + "ee"
    put(key)
    assert content(store, key) == b"content"
    assert store.rescan("box") == 1
    assert store.delete("box", key).removed
    assert names(root / "box") == [".eucabox"]


def test_impossible_keys(store: Store, put: Put) -> None:
    with pytest.raises(KeyTooLong):
        put("k" * 1025)
    with pytest.raises(KeyTooLong):
        put("ä" * 513)
    with pytest.raises(InvalidKey):
        put("")
    with pytest.raises(InvalidKey):
        put("\ud800")
    with pytest.raises(KeyTooLong):
        store.head("box", "k" * 1025)


def test_links_and_special_files_are_not_objects(store: Store, put: Put, root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "box/link").symlink_to(outside)
    (root / "box/file").symlink_to(outside / "secret")
    os.mkfifo(root / "box/fifo")
    for key in ("link/secret", "file", "fifo", "link"):
        with pytest.raises(NoSuchKey):
            store.open("box", key)
        assert not store.delete("box", key).removed
    assert store.rescan("box") == 0
    put("link/secret", b"mine")
    put("file", b"mine")
    assert content(store, "link/secret") == b"mine"
    assert content(store, "file") == b"mine"
    assert (outside / "secret").read_text() == "secret"
    assert names(outside) == ["secret"]
    assert store.rescan("box") == 2


NAMES = st.sampled_from(["a", "b", "", ".", "..", "x" * 255, "é", "\0", ".eucabox", "\n", "Z"])
KEYS = st.lists(NAMES, min_size=1, max_size=4).map("/".join).filter(bool)
STEPS = st.lists(st.tuples(st.sampled_from(["put", "delete", "scan"]), KEYS), max_size=25)


@pytest.mark.slow
@settings(
    max_examples=25,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_like_a_dict(store: Store, steps: list[tuple[str, str]]) -> None:
    store.create_bucket("model", OWNER)
    model: dict[str, bytes] = {}
    for number, (step, key) in enumerate(steps):
        if step == "put":
            model[key] = str(number).encode()
            store.put("model", key, io.BytesIO(model[key]), ObjectProperties())
        elif step == "delete":
            assert store.delete("model", key).removed == (model.pop(key, None) is not None)
        else:
            assert store.rescan("model") == len(model)
        assert keys(store, "model") == sorted_keys(model)
        assert {each: content(store, each, "model") for each in model} == model
    for key in model:
        store.delete("model", key)
    store.delete_bucket("model")
