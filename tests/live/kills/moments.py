"""When to kill: at a moment at random, or as soon as the log tells of a step."""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# What the client of instances does, and what the log tells of it until it is done.
STEPS: Mapping[str, Sequence[str]] = {
    "launch_some": (
        "action=RunInstances", ": launching", "the step: disk", "the step: plugged",
        "the step: booting", " runs",
    ),
    "end_some": ("action=TerminateInstances", "is terminated"),
    "stop_one": ("action=StopInstances", "is stopped"),
    "start_one": ("action=StartInstances", "the step: plugged", "the step: booting", " runs"),
}  # fmt: skip
LONGEST = 0.4  # seconds to a kill at random
PATIENCE = 2.5  # seconds for the step to come
AFTER = (0.0, 0.01, 0.05, 0.2)  # seconds from the step to the kill
LOOK = 0.01


@dataclass(frozen=True)
class Moment:
    """A word of the log, and the seconds from it to the kill; without one, from the beginning."""

    word: str
    after: float

    def wait(self, log: Path, offset: int) -> str:
        """Wait for the moment; return its name, which is another if it does not come."""
        deadline = time.monotonic() + PATIENCE
        with log.open("rb") as lines:
            lines.seek(offset)
            while self.word and self.word.encode() not in lines.read():
                if time.monotonic() > deadline:
                    return f"without {self.word}"
                time.sleep(LOOK)
        time.sleep(self.after)
        return self.word or "at random"


def choose(chance: random.Random, step: str) -> Moment:
    """Return a moment of what the client of instances does first."""
    if step not in STEPS or chance.random() < 0.15:
        return Moment("", chance.random() * LONGEST)
    return Moment(chance.choice(STEPS[step]), chance.choice(AFTER))
