"""A short form of `make test-linear`: tests/linear/ shows that it would notice a fault."""

from tests.linear.__main__ import DURABILITIES, run

OPERATIONS = 300  # for each durability, with a kill


def test_what_clients_are_told_has_one_order() -> None:
    runs = [run(OPERATIONS, 1, each, between_kills=OPERATIONS) for each in DURABILITIES]
    for rounds in runs:
        assert rounds.problems == []
        assert rounds.judged >= OPERATIONS
        assert rounds.counts["kills"] == 1
    counts = runs[0].counts + runs[1].counts
    done = {"put", "delete", "delete version", "complete", "get", "head", "list"}
    assert {"put: PreconditionFailed", *(f"{verb}: done" for verb in done)} <= counts.keys()
