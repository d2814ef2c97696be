"""`eucabox events`: what it prints, in which order, and how it follows."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from eucabox.cli import main
from eucabox.config import Config
from eucabox.events import Event, EventLog
from eucabox.iam.accounts import Accounts
from eucabox.state import State


def record(state: State, *numbers: int, **members: object) -> None:
    log = EventLog(state)
    for number in numbers:
        known = {"account_id": "1", "user": "ann/ann", "service": "ec2", "action": "RunInstances"}
        known |= {"time": f"2026-11-30T12:00:{number:02}.000Z", "request_id": str(number)}
        log.record(Event(**{**known, "resources": ["i-1", "i-2"], **members}))  # type: ignore[arg-type]
    log.close()


@pytest.fixture(name="file")
def _file(config: Config, accounts: Accounts, tmp_path: Path) -> Path:
    file = tmp_path / "eucabox.conf"
    file.write_text(f"[cloud]\ndata_dir = {config.cloud.data_dir}\n")
    return file


def show(file: Path, *options: str) -> list[str]:
    shown = CliRunner().invoke(main, ["-c", str(file), "events", *options])
    assert shown.exit_code == 0, shown.output
    return shown.output.splitlines()


def test_the_newest_come_last(file: Path, state: State) -> None:
    assert show(file) == []
    record(state, 1, 2, 3)
    record(state, 4, user="", action="InstanceStateChange", outcome="stopped", reason="Why not.")
    assert show(file, "--last", "2") == [
        "2026-11-30T12:00:03.000Z  ann/ann  RunInstances  i-1,i-2  ok",
        "2026-11-30T12:00:04.000Z  eucabox  InstanceStateChange  i-1,i-2  stopped  Why not.",
    ]
    (line,) = show(file, "--json", "--request", "2")
    found = json.loads(line)
    assert (found["resources"], found["refused"], found["account_id"]) == (
        ["i-1", "i-2"],
        False,
        "1",
    )
    assert len(show(file, "--since", "2026-11-30T12:00:03", "--user", "ann")) == 1
    assert len(show(file, "--resource", "i-2", "--outcome", "ok")) == 3
    assert show(file, "--account", "eucalyptus") == []


def test_an_account_that_is_not_there_is_one_line(file: Path) -> None:
    shown = CliRunner().invoke(main, ["-c", str(file), "events", "--account", "nobody"])
    assert shown.exit_code == 1
    assert "cannot be found" in shown.output


def test_more_than_a_page_is_printed_whole_and_once(
    file: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eucabox.cli.events.PAGE", 3)
    record(state, *range(10))
    assert [line[17:19] for line in show(file, "--last", "8")] == [f"{n:02}" for n in range(2, 10)]
    assert len(show(file, "--last", "100")) == 10


@pytest.mark.not_fast
def test_it_goes_on_with_what_comes(file: Path, state: State) -> None:
    record(state, 1)
    argv = [sys.executable, "-m", "eucabox", "-c", str(file), "events", "--follow", "-n", "1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout
        timer = threading.Timer(30, follower.kill)
        timer.start()
        try:
            assert "12:00:01" in follower.stdout.readline()
            record(state, 2, 3)
            assert "12:00:02" in follower.stdout.readline()
            assert "12:00:03" in follower.stdout.readline()
        finally:
            timer.cancel()
            follower.kill()
