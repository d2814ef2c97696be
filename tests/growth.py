"""How the work on an input grows with its size, whatever the machine and its load."""

import time
from collections.abc import Callable

TIMES = 3  # of which the quickest counts
LEAST = 0.001  # seconds; less is measured badly
LINEAR = 9.0  # what grows linearly comes to about 4, and what grows by its square to 16


def measure_growth(work: Callable[[int], object], count: int) -> float:
    """Return how many times the CPU time of `work(count)` that of `work(4 * count)` is."""
    return _measure(work, 4 * count) / max(_measure(work, count), LEAST)


def _measure(work: Callable[[int], object], count: int) -> float:
    spent = []
    for _ in range(TIMES):
        began = time.process_time()
        work(count)
        spent.append(time.process_time() - began)
    return min(spent)
