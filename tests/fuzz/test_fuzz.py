"""A short form of `make fuzz`; a case that once went wrong is tried again by its name."""

import time
from collections import Counter
from pathlib import Path

import pytest

from eucabox.server.listener import Listener
from tests.fuzz import lines
from tests.fuzz.__main__ import names, one, run
from tests.fuzz.case import Case
from tests.fuzz.kinds import KINDS
from tests.fuzz.odd import Chance
from tests.fuzz.shop import Problem, open_shop

pytestmark = pytest.mark.slow

CASES = 4000
SENT = 600


def test_odd_requests_are_refused(tmp_path: Path) -> None:
    with open_shop(tmp_path) as shop:
        problems = run(shop, names(1, CASES))
        assert problems == []
        assert sum(shop.seen.values()) == CASES
        assert shop.seen["200"] > CASES / 20


def test_odd_requests_over_real_sockets(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    with open_shop(tmp_path) as shop:
        shop.ask(Case("GET", "/"), Chance("0"))  # so that there is what is asked for
        listener = Listener(("127.0.0.1", 0), shop.app, 4, ("api", "port"))
        listener.open()
        try:
            for name in names(3, SENT):
                chance = Chance(name)
                case = KINDS[name.split(".")[1]][0](chance, shop)
                seen[lines.one(shop, listener, case, chance)] += 1
        finally:
            listener.shut()
    assert seen["200"] > SENT / 40


def test_it_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("on purpose")

    with open_shop(tmp_path) as shop:
        monkeypatch.setattr("eucabox.store.index.Index.rows", fail)
        with pytest.raises(Problem, match="on purpose"):
            for number in range(1000):
                one(shop, f"1.keys.{number}")


@pytest.mark.parametrize("name", ["2026.headers.11423", "2026.headers.29697"])
def test_a_long_authorization_is_read_at_once(tmp_path: Path, name: str) -> None:
    began = time.monotonic()
    with open_shop(tmp_path) as shop:
        one(shop, name)
    assert time.monotonic() - began < 10
