"""A writing process is killed at random: what it reported is done, and nothing is half done."""

import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eucabox.bucket import ObjectProperties, Store
from eucabox.seal import Seal
from eucabox.store import upload_parts
from eucabox.store.keyring import Keyring, KmsSettings
from tests.store.conftest import OWNER, leftovers, refuse

pytestmark = pytest.mark.slow

KEYS = ["a", "a/b", "a/b/c", "x//y", "dir/", "deep/er/still", "p" * 300]
ROUNDS = 24


def opened(root: Path) -> Store:
    """A store with keys; one that was killed while it made them has them, or none yet."""
    seal, witness = Seal(root.with_name("key")), root / ".eucabox/master-key"
    return Store(root, Keyring(root.with_name("keys"), seal, witness, KmsSettings))


def body_of(seed: int) -> bytes:
    return random.Random(seed).randbytes(1 + seed * 7919 % 300_000)


def write_forever(root: Path, seed: int) -> None:
    """Change keys at random; say on stdout what begins and what is done, a line each."""
    upload_parts.SMALLEST = 1
    store = opened(root)
    chance = random.Random(seed)
    while True:
        key, seed = chance.choice(KEYS), chance.randrange(1 << 30)
        step = chance.choice(["put", "put", "delete", "copy", "parts"])
        source = chance.choice(KEYS)
        say("begin", step, key, seed, source)
        try:
            say("done", step, key, do(store, step, key, seed, source), source)
        except LookupError:
            say("done", "nothing", key, 0, source)


def do(store: Store, step: str, key: str, seed: int, source: str) -> int:
    body, properties = body_of(seed), ObjectProperties(metadata={"seed": str(seed)})
    encryption = store.keys.sse_s3() if seed % 2 else None
    if step == "put":
        store.put("box", key, io.BytesIO(body), properties, encryption=encryption)
    elif step == "delete":
        store.delete("box", key)
    elif step == "copy":
        if not any(each.key == source for each in store.list("box").objects):
            raise LookupError
        return int(
            store.copy("box", source, "box", key, encryption=encryption).properties.metadata["seed"]
        )
    else:
        upload_id = store.create_upload("box", key, properties, encryption=encryption)
        half = len(body) // 2
        parts = [
            store.put_part("box", key, upload_id, number, io.BytesIO(piece))
            for number, piece in ((1, body[:half]), (2, body[half:]))
        ]
        wanted = [(each.number, each.e_tag, each.checksums) for each in parts]
        store.complete_upload("box", key, upload_id, wanted)
    return seed


def say(*what: object) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def killed(module: str, root: Path, seed: int, mode: str, delay: float) -> list[list[Any]]:
    """Let a module's process write for a while, kill it, and return what it said."""
    command = [sys.executable, "-m", f"tests.store.{module}", str(root), str(seed), mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        lines = [first, *process.stdout.read().splitlines()]
    return [json.loads(line) for line in lines if line.rstrip().endswith(b"]")]


class Expected:
    """What each key may be now: seeds of its body, 0 for no object."""

    def __init__(self) -> None:
        self.may: dict[str, set[int]] = {key: {0} for key in KEYS}

    def hear(self, lines: list[list[Any]]) -> None:
        for word, step, key, seed, source in lines:
            if word == "begin":
                self.may[key] = self.may[key] | self._outcome(step, seed, source)
                before = self.may[key]
            elif step == "nothing":
                self.may[key] = before
            else:
                self.may[key] = {0} if step == "delete" else {seed}

    def _outcome(self, step: str, seed: int, source: str) -> set[int]:
        if step == "copy":
            return self.may[source] - {0}
        return {0} if step == "delete" else {seed}


def check(root: Path, expected: Expected) -> None:
    store = opened(root)
    assert leftovers(root) == []
    listed = {each.key: each for each in store.list("box").objects}
    assert listed.keys() <= set(KEYS)
    for key in KEYS:
        if key not in listed:
            assert 0 in expected.may[key], key
            expected.may[key] = {0}
            continue
        with store.open("box", key) as found:
            body = b"".join(found.chunks())
        seed = int(found.object.properties.metadata["seed"])
        assert seed in expected.may[key], (key, seed, expected.may[key])
        assert body == body_of(seed)
        assert "-" in found.object.e_tag or found.object.e_tag == hashlib.md5(body).hexdigest()
        assert (listed[key].size, listed[key].e_tag) == (len(body), found.object.e_tag)
        expected.may[key] = {seed}
    before = store.list("box")
    assert store.rescan("box") == len(listed)
    assert store.list("box") == before
    assert len(list(root.glob("box/.eucabox/objects/*/*"))) % 2 == 0
    store.close()


@pytest.mark.parametrize("mode", ["attributes", "sidecars"])
def test_killed_at_any_moment(tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if mode == "sidecars":
        without_attributes(monkeypatch.setattr)
    root = tmp_path / "buckets"
    store = opened(root)
    store.create_bucket("box", OWNER)
    store.close()
    expected, chance = Expected(), random.Random(7)
    for number in range(ROUNDS // 2):
        expected.hear(killed("test_crash", root, number, mode, chance.random() / 20))
        check(root, expected)
        if number == 3:
            (root / ".eucabox/index.db").unlink()
            check(root, expected)


def without_attributes(replace: Any) -> None:
    for name in ("setxattr", "getxattr", "removexattr"):
        replace(os, name, refuse)


def begin(write_forever: Callable[[Path, int], None]) -> None:
    """Be the process that is killed, as `killed` has started it."""
    if sys.argv[3] == "sidecars":
        without_attributes(setattr)
    write_forever(Path(sys.argv[1]), int(sys.argv[2]))


if __name__ == "__main__":
    begin(write_forever)
