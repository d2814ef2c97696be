"""An app that shows codes by the clock, and a clock that a test sets."""

from dataclasses import dataclass

import pytest

from eucabox.iam import mfa_codes


@dataclass
class Clock:
    """The number of the step that it is now for the cloud; apps go by it too."""

    step: int

    def show(self, seed: str, late: int = 0) -> str:
        """The code of now or, with `late`, of so many steps before."""
        return mfa_codes.show_code(seed, self.step - late)

    def show_pair(self, seed: str, late: int = 0) -> tuple[str, str]:
        """The codes of the step before and of now."""
        return self.show(seed, late + 1), self.show(seed, late)


def set_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Hold the cloud's clock, so that a test turns it."""
    clock = Clock(mfa_codes.read_step())
    monkeypatch.setattr(mfa_codes, "read_step", lambda: clock.step)
    return clock
