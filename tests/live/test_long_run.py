"""A short form of `make test-hours`: the load works, and nothing that it does fails."""

from pathlib import Path

from eucabox.image.tiny_guest import TinyGuest
from tests.long_run.__main__ import run

SECONDS = 20


def test_the_load_of_hours_works(tmp_path: Path, tiny_guest: TinyGuest) -> None:
    verdicts, tally = run(SECONDS, 1, 1, tmp_path / "measures.csv", lambda text: None)
    assert tally.problems == []
    assert tally.counts["Objects put"] > 5
    assert {"Guests launch", "Pages show", "Compute group", "People user"} <= tally.counts.keys()
    assert len((tmp_path / "measures.csv").read_text().splitlines()) > SECONDS / 2
    assert verdicts
