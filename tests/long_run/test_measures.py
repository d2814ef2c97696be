"""That the long run notices growth, and takes neither a saw nor what fills at the start for it."""

import pytest

from tests.long_run.measures import BOUNDS, MIB, Measure, judge

HOURS = 2


def run(**slopes: int) -> dict[str, bool]:
    """Which measures of a run are flat that rise by so much an hour; all make a saw's teeth."""
    measures = []
    for number in range(HOURS * 360):
        hours = number / 360
        full = min(1.0, hours * 5)  # caches fill in the first twelve minutes
        tooth = (number % 12) / 12
        values = {
            name: int(1000 + 50 * MIB * full + tooth * bound + slopes.get(name, 0) * hours)
            for name, bound in BOUNDS.items()
        }
        measures.append(Measure(seconds=number * 10.0, **values))
    return {verdict.name: verdict.is_flat for verdict in judge(measures)}


def test_what_fills_and_then_stays_is_flat() -> None:
    assert run() == dict.fromkeys(BOUNDS, True)


@pytest.mark.parametrize("name", BOUNDS)
def test_what_rises_by_more_than_its_bound_grows(name: str) -> None:
    expected = {each: each != name for each in BOUNDS}
    assert run(**{name: int(BOUNDS[name] * 1.5) + 1}) == expected
