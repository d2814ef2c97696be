"""A process that writes versions is killed at random; each key has what it had or what it got."""

import io
import random
from pathlib import Path

import pytest

from eucabox.bucket import ObjectProperties, Store, Version
from tests.store.conftest import OWNER, leftovers
from tests.store.test_crash import begin, body_of, killed, say, without_attributes

pytestmark = pytest.mark.slow

KEYS = ["a", "a/b", "x//y", "dir/", "p" * 300]
ROUNDS = 10
MOST = 6  # versions of a key before some are removed

State = list[tuple[int, bool]]  # of each version the seed of its body, 0 for a marker; is it null


def write_forever(root: Path, seed: int) -> None:
    """Change keys at random; say on stdout what begins and what is done, a line each."""
    store = Store(root)
    chance = random.Random(seed)
    while True:
        null = chance.random() < 0.3
        status = {"status": "Suspended" if null else "Enabled"}
        store.set_bucket_setting("box", "versioning", status)
        for _ in range(5):
            key, seed = chance.choice(KEYS), chance.randrange(1, 1 << 30)
            found = versions(store, key)
            steps = ["remove"] if len(found) > MOST else ["put", "put", "delete", "remove"]
            step = chance.choice(steps) if found else "put"
            at = chance.randrange(len(found)) if step == "remove" else 0
            say("begin", step, key, seed, at, null)
            do(store, step, key, seed, found[at].object.version_id if step == "remove" else "")
            say("done", step, key, seed, at, null)


def do(store: Store, step: str, key: str, seed: int, version_id: str) -> None:
    if step == "put":
        properties = ObjectProperties(metadata={"seed": str(seed)})
        store.put("box", key, io.BytesIO(body_of(seed)), properties)
    else:
        store.delete("box", key, version_id=version_id)


def versions(store: Store, key: str) -> list[Version]:
    return [each for each in store.versions("box", prefix=key).versions if each.object.key == key]


def after(state: State, step: str, seed: int, at: int, null: bool) -> State:
    """What a key has after a step."""
    if step == "remove":
        return [each for number, each in enumerate(state) if number != at]
    left = [each for each in state if not (null and each[1])]
    return [(seed if step == "put" else 0, null), *left]


def check(root: Path, may: dict[str, list[State]]) -> None:
    store = Store(root)
    assert leftovers(root) == []
    seen = store.versions("box").versions
    for key in KEYS:
        found = versions(store, key)
        state = [read(store, each) for each in found]
        assert state in may[key], (key, state, may[key])
        may[key] = [state]
        assert [each.is_latest for each in found] == [number == 0 for number in range(len(found))]
        listed = any(each.key == key for each in store.list("box").objects)
        assert listed == bool(state and state[0][0]), (key, state)
    store.rescan("box")
    assert store.versions("box").versions == seen
    store.close()


def read(store: Store, version: Version) -> tuple[int, bool]:
    found = version.object
    null = found.version_id == "null"
    if version.is_marker:
        return 0, null
    with store.open("box", found.key, found.version_id) as opened:
        seed = int(opened.object.properties.metadata["seed"])
        assert b"".join(opened.chunks()) == body_of(seed)
        assert (opened.object.e_tag, opened.object.version_key) == (found.e_tag, found.version_key)
    return seed, null


@pytest.mark.parametrize("mode", ["attributes", "sidecars"])
def test_killed_at_any_moment(tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if mode == "sidecars":
        without_attributes(monkeypatch.setattr)
    root = tmp_path / "buckets"
    store = Store(root)
    store.create_bucket("box", OWNER)
    store.close()
    may: dict[str, list[State]] = {key: [[]] for key in KEYS}
    chance = random.Random(11)
    for number in range(ROUNDS):
        output = killed("test_crash_versions", root, number, mode, chance.random() / 10)
        for word, step, key, seed, at, null in output:
            if word == "begin":
                before = may[key]
                may[key] = [*before, *(after(each, step, seed, at, null) for each in before)]
            else:
                may[key] = [after(each, step, seed, at, null) for each in before]
        check(root, may)
        if number == ROUNDS // 2:
            (root / ".eucabox/index.db").unlink()
            check(root, may)


if __name__ == "__main__":
    begin(write_forever)
