"""Chooses lines of the log, and reads the newest of those that are chosen; writes none."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from eucabox import ids, logs
from eucabox.config import Config

Facts = dict[str, str]
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
AGE = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
MOST_BYTES = 4 << 20  # of the log that are read for one answer


@dataclass(frozen=True)
class LogChoice:
    """Which lines are wanted; "" chooses all. `since` is a time as the log writes it."""

    instance: str = ""
    request: str = ""
    user: str = ""  # a user, an account, or ACCOUNT/USER
    role: str = ""
    since: str = ""

    def fits(self, facts: Facts) -> bool:
        """Whether a line with these facts is wanted."""
        instances = (facts.get("instance", ""), *facts.get("instances", "").split(","))
        user = facts.get("user", "")
        return (
            (not self.instance or self.instance in instances)
            and (not self.request or facts.get("request_id") == self.request)
            and (not self.user or self.user in (user, *user.split("/")))
            and (not self.role or facts.get("role") == self.role)
            and (not self.since or facts.get("time", "") >= self.since)
        )

    def may_fit(self, line: str) -> bool:
        """Whether a line may be wanted, before it is read; all of these are plain words there."""
        wanted = (self.instance, self.request, self.user)
        return all(each in line for each in wanted if logs.BARE.fullmatch(each))


@dataclass(frozen=True)
class ChosenLines:
    """The newest lines that were chosen, the newest first; `is_cut` where there may be older."""

    lines: list[Facts]
    is_cut: bool


def parse_since(text: str) -> str:
    """Return a time of the log from an age such as 10m or a time; raises ValueError."""
    try:
        if age := AGE.fullmatch(text):
            span = timedelta(**{UNITS[age[2]]: int(age[1])})
            return ids.time_text(datetime.now(UTC) - span)
        given = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return ids.time_text(given if given.tzinfo else given.replace(tzinfo=UTC))
    except OverflowError as problem:  # before the year 1, or after 9999, in UTC
        raise ValueError(str(problem)) from None


def read_newest(config: Config, choice: LogChoice, most: int) -> ChosenLines:
    """Return the newest `most` lines that fit, from the last megabytes of the log alone."""
    chosen: list[Facts] = []
    for line in _read_backwards(config):
        if not choice.may_fit(line):
            continue
        facts = logs.parse(line)
        if choice.since and facts.get("time", choice.since) < choice.since:
            return ChosenLines(chosen, is_cut=False)
        if choice.fits(facts):
            if len(chosen) >= most:
                return ChosenLines(chosen, is_cut=True)
            chosen.append(facts)
    return ChosenLines(chosen, is_cut=False)


def _read_backwards(config: Config) -> Iterator[str]:
    if logs.describe_place(config) == logs.JOURNAL:
        yield from reversed(list(logs.recent_lines))
        return
    left = MOST_BYTES
    for file in reversed(logs.files(config.log_path)):
        if left <= 0:
            return
        content = _read_end(file, left)
        left -= len(content)
        for line in reversed(content.split(b"\n")):
            if line:
                yield line.decode("ascii", "replace")


def _read_end(file: Path, most: int) -> bytes:
    """Return the whole lines of the last bytes of a file."""
    with file.open("rb") as opened:
        size = opened.seek(0, 2)
        opened.seek(max(0, size - most))
        content = opened.read(most)
    return content if size <= most else content.partition(b"\n")[2]
