"""The newest lines of the log that were chosen, from wherever the log is."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eucabox import ids, logs
from eucabox.config import Config
from eucabox.operator import log_lines
from eucabox.operator.log_lines import LogChoice, parse_since, read_newest

INSTANCE = "i-0123456789abcdef0"
LINES = (
    "time=2026-11-23T01:00:00.000Z level=info role=cloud request_id=r1 user=123/ann outcome=ok",
    f"time=2026-11-23T01:00:01.000Z level=info role=node request_id=r1 instance={INSTANCE}",
    "time=2026-11-23T01:00:02.000Z level=error role=cloud user=123/bob instances=i-1,"
    f"{INSTANCE} outcome=X",
    'time=2026-11-23T01:00:03.000Z level=info role=walrus user=456/ann message="\\u003cb> x"',
)


@pytest.fixture(name="written")
def _written(config: Config, tmp_path: Path) -> Config:
    file = tmp_path / "eucabox.log"
    file.with_name("eucabox.log.1").write_text("\n".join(LINES[:2]) + "\n")
    file.write_text("\n".join(LINES[2:]) + "\n")
    return replace(config, cloud=replace(config.cloud, log_file=str(file)))


def read_times(config: Config, most: int = 10, **choice: str) -> list[int]:
    """Return the seconds of the lines that are chosen."""
    lines = read_newest(config, LogChoice(**choice), most).lines
    return [int(each["time"][17:19]) for each in lines]


def test_lines_are_chosen_as_the_command_chooses_them(written: Config) -> None:
    assert read_times(written) == [3, 2, 1, 0]
    assert read_times(written, instance=INSTANCE) == [2, 1]
    assert read_times(written, instance="i-1") == [2]
    assert read_times(written, request="r1") == [1, 0]
    assert read_times(written, user="ann") == [3, 0]
    assert read_times(written, user="123/ann") == [0]
    assert read_times(written, user="123") == [2, 0]
    assert read_times(written, role="walrus") == [3]
    assert read_times(written, since="2026-11-23T01:00:02.000Z") == [3, 2]
    assert read_times(written, user="ann", role="cloud") == [0]
    assert read_times(written, user='"') == []


def test_as_many_as_are_wanted_and_no_more_bytes_than_allowed(
    written: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = read_newest(written, LogChoice(), 2)
    assert ([each["role"] for each in two.lines], two.is_cut) == (["walrus", "cloud"], True)
    assert not read_newest(written, LogChoice(), 4).is_cut
    monkeypatch.setattr(log_lines, "MOST_BYTES", len(LINES[3]) + 20)
    assert read_times(written) == [3], "the line that is cut is left out"


def test_a_service_remembers_what_it_gave_to_the_journal(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "has_journal", lambda: True)
    monkeypatch.setattr(logs, "recent_lines", type(logs.recent_lines)(maxlen=2))
    record = logging.makeLogRecord({"name": "eucabox.node", "levelno": 30, "levelname": "WARNING"})
    for number in range(3):
        record.msg = f"{INSTANCE}: number {number}"
        assert logs.JournalFormat().format(record).startswith("<4>level=warning")
    lines = read_newest(config, LogChoice(), 10).lines
    assert [each["message"][-1] for each in lines] == ["2", "1"]
    assert abs(ids.parse_time(lines[0]["time"]) - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "text",
    [
        *("", "10", "x", "9999999d", "999999d", "2026-13-01", "10m "),
        *("0001-01-01T00:00+23:00", "9999-12-31T23:59-23:00"),
    ],
)
def test_what_is_neither_age_nor_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid|month|date|range"):
        parse_since(text)


def test_ages_and_times_are_read() -> None:
    assert parse_since("2026-11-23T01:02") == "2026-11-23T01:02:00.000Z"
    assert parse_since("2h") < ids.now()
