"""A short form of `make fuzz`; a case that once went wrong is tried again by its name."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import names, one, run
from tests.fuzz.shop import Problem, open_shop

pytestmark = pytest.mark.slow

CASES = 4000


def test_odd_requests_are_refused(tmp_path: Path) -> None:
    with open_shop(tmp_path) as shop:
        problems = run(shop, names(1, CASES))
        assert problems == []
        assert sum(shop.seen.values()) == CASES
        assert shop.seen["200"] > CASES / 20


def test_it_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("on purpose")

    with open_shop(tmp_path) as shop:
        monkeypatch.setattr("eucabox.store.index.Index.rows", fail)
        with pytest.raises(Problem, match="on purpose"):
            for number in range(1000):
                one(shop, f"1.keys.{number}")
