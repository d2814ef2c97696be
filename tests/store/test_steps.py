"""A process dies before each of its changes to the disk in turn: a step is whole, or nothing."""

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eucabox.bucket import ObjectProperties, Store
from tests.store.conftest import OWNER, leftovers

pytestmark = pytest.mark.slow

KEY = "a/key"
CHANGES = ("rename", "link", "unlink", "fsync", "fdatasync", "mkdir", "rmdir", "setxattr")
DEAD = 9

State = list[str]  # of each version what is in it, "marker" for a delete marker; the newest first


def status(store: Store, word: str) -> None:
    store.set_bucket_setting("box", "versioning", {"status": word})


def put(store: Store, content: str) -> None:
    store.put(
        "box", KEY, io.BytesIO(content.encode()), ObjectProperties(metadata={"content": content})
    )


def remove(store: Store, at: int) -> None:
    found = store.versions("box").versions[at].object
    store.delete("box", KEY, version_id=found.version_id)


def hide(store: Store) -> None:
    store.delete("box", KEY)


def prepare(store: Store, word: str) -> None:
    """Make a key with versions: one letter for each, `n` null, `v` with an id, `-` a marker."""
    for number, letter in enumerate(word):
        status(store, "Suspended" if letter in "nN" else "Enabled")
        if letter in "-N":
            hide(store)
        else:
            put(store, f"{letter}{number}")
    status(store, "Enabled")


STEPS: dict[str, tuple[str, str, Callable[[Store], Any]]] = {
    "first version": ("", "Enabled", lambda store: put(store, "new")),
    "next version": ("v", "Enabled", lambda store: put(store, "new")),
    "version over null": ("nv", "Enabled", lambda store: put(store, "new")),
    "version over marker": ("v-", "Enabled", lambda store: put(store, "new")),
    "null over null": ("vn", "Suspended", lambda store: put(store, "new")),
    "null over version over null": ("nv", "Suspended", lambda store: put(store, "new")),
    "null over null marker": ("vN", "Suspended", lambda store: put(store, "new")),
    "marker": ("vv", "Enabled", hide),
    "marker over marker": ("v-", "Enabled", hide),
    "marker alone": ("", "Enabled", hide),
    "null marker over null": ("vn", "Suspended", hide),
    "null marker over version over null": ("nv", "Suspended", hide),
    "without current": ("vvv", "Enabled", lambda store: remove(store, 0)),
    "without current over marker": ("v-v", "Enabled", lambda store: remove(store, 0)),
    "without marker": ("vv-", "Enabled", lambda store: remove(store, 0)),
    "without marker over marker": ("v--", "Enabled", lambda store: remove(store, 0)),
    "without older": ("vvv", "Enabled", lambda store: remove(store, 1)),
    "without last": ("v", "Enabled", lambda store: remove(store, 0)),
    "without last marker": ("-", "Enabled", lambda store: remove(store, 0)),
}


def die(left: int) -> None:
    """Let the process end before the change to the disk that comes after so many others."""

    def counted(name: str) -> None:
        change = getattr(os, name)

        def maybe(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            if left == 0:
                os._exit(DEAD)
            left -= 1
            return change(*args, **kwargs)

        setattr(os, name, maybe)

    for name in CHANGES:
        counted(name)


def dies(root: Path, step: Callable[[Store], Any], left: int) -> bool:
    child = os.fork()
    if child == 0:
        try:
            store = Store(root)
            die(left)
            step(store)
        except BaseException:  # pytest's own must not go on in the child
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, DEAD)
    return code == DEAD


def state_of(root: Path) -> State:
    store = Store(root)
    assert leftovers(root) == []
    found = store.versions("box").versions
    assert [each.is_latest for each in found] == [number == 0 for number in range(len(found))]
    state = []
    for each in found:
        if each.is_marker:
            state.append("marker")
            continue
        with store.open("box", KEY, each.object.version_id) as opened:
            content = b"".join(opened.chunks()).decode()
            assert opened.object.properties.metadata == {"content": content}
            state.append(content)
    listed = [each.key for each in store.list("box").objects]
    assert listed == ([KEY] if state and state[0] != "marker" else [])
    assert (root / "box" / KEY).exists() == bool(listed)
    store.rescan("box")
    assert store.versions("box").versions == found
    store.close()
    return state


@pytest.mark.parametrize("name", STEPS)
def test_all_or_nothing(root: Path, tmp_path: Path, name: str) -> None:
    word, status_before, step = STEPS[name]
    store = Store(root)
    store.create_bucket("box", OWNER)
    prepare(store, word)
    status(store, status_before)
    store.close()
    before = state_of(root)
    outcomes = []
    for left in range(200):
        copy = tmp_path / f"copy{left}"
        shutil.copytree(root, copy)
        died = dies(copy, step, left)
        if left % 2:
            (copy / ".eucabox/index.db").unlink()  # and all is read again from the files
        outcomes.append(state_of(copy))
        shutil.rmtree(copy)
        if not died:
            break
    after = outcomes[-1]
    assert after != before
    assert all(each in (before, after) for each in outcomes), outcomes
