"""The clients and the checker notice a store that is broken in one way; a whole one passes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.s3.signing import Target
from eucabox.server.listener import Listener
from eucabox.store.index import Index
from eucabox.store.objects import Objects
from eucabox.store.version_changes import VersionChanges
from tests.fuzz.shop import open_shop
from tests.linear.rounds import Rounds

pytestmark = pytest.mark.slow

OPERATIONS = 200
MOST = 30  # rounds until a fault must have been noticed


@contextmanager
def open_rounds(folder: Path) -> Iterator[Rounds]:
    """Rounds of a cloud in this process, over real sockets."""
    with open_shop(folder) as shop:
        listener = Listener(("127.0.0.1", 0), shop.app, 4, ("api", "port"))
        listener.open()
        try:
            port = listener.bind_addr[1]
            target = Target("127.0.0.1", port, shop.owner.access, shop.owner.secret)
            yield Rounds(target, "1")
        finally:
            listener.shut()


def find_violation(folder: Path) -> str:
    with open_rounds(folder) as rounds:
        while not rounds.problems and rounds.number < MOST:
            rounds.run(OPERATIONS)
    return "\n".join(rounds.problems)


def test_a_whole_store_passes(tmp_path: Path) -> None:
    with open_rounds(tmp_path) as rounds:
        rounds.run(OPERATIONS)
        rounds.run(OPERATIONS)
    assert rounds.problems == []
    assert rounds.judged > OPERATIONS
    done = {"put: done", "get: done", "delete: done", "complete: done", "list: done"}
    assert done | {"put: PreconditionFailed"} <= rounds.counts.keys()


def test_conditions_that_nobody_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Objects, "_check_preconditions", lambda *_: None)
    assert "no order explains" in find_violation(tmp_path)


def test_puts_that_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Index, "add", lambda *_: None)
    assert "NOT POSSIBLE NEXT" in find_violation(tmp_path)


def test_versions_that_are_not_brought_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove(self: VersionChanges, folder: object, key: str, current: object, _: object) -> None:
        self.remove_current(folder, key)  # type: ignore[arg-type]

    monkeypatch.setattr(VersionChanges, "_delete_current", remove)
    assert "versioned" in find_violation(tmp_path)
