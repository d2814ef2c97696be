"""The log: what every line has, that nothing forges one, its files, and `eucabox logs`."""

import contextlib
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from eucabox import ids, logs
from eucabox.cli import logs as logs_command
from eucabox.cli import main
from eucabox.config import CloudSection, Config
from eucabox.domains.worker_pool import WorkerPool
from eucabox.errors import LogFileUnusable
from eucabox.state import State
from tests.domains.house import House
from tests.test_node import house

__all__ = ["house"]
INSTANCE = "i-0123456789abcdef0"
node, cloud = logging.getLogger("eucabox.node"), logging.getLogger("eucabox.server")


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    found = logging.getLogger()
    before, level = list(found.handlers), logging.getLogger("eucabox").level
    yield found
    for handler in set(found.handlers) - set(before):
        found.removeHandler(handler)
        with contextlib.suppress(OSError):
            handler.close()
    logging.getLogger("eucabox").setLevel(level)


def test_a_line_says_when_who_and_what(lines: list[str]) -> None:
    cloud.info("ready: http://%s:%d", "127.0.0.1", 8773)
    fields = logs.parse(lines[0])
    assert list(fields) == ["time", "level", "role", "message"]
    assert abs(ids.parse_time(fields["time"]) - datetime.now(UTC)) < timedelta(seconds=5)
    assert (fields["level"], fields["role"]) == ("info", "cloud")
    assert fields["message"] == "ready: http://127.0.0.1:8773"


def test_a_message_may_say_its_role_and_its_instance(lines: list[str]) -> None:
    cloud.warning("role=cluster no metadata for %s", INSTANCE)
    node.info("hello")
    first, second = map(logs.parse, lines)
    assert (first["role"], first["instance"]) == ("cluster", INSTANCE)
    assert first["message"] == f"no metadata for {INSTANCE}"
    assert (second["role"], "instance" in second) == ("node", False)


@pytest.mark.parametrize("service", ["s3", "s3control", "website"])
def test_whatever_the_buckets_answer_is_of_one_role(service: str, lines: list[str]) -> None:
    logs.say(cloud, service=service)
    assert logs.parse(lines[0])["role"] == "walrus"


def test_every_message_names_a_role_that_there_is() -> None:
    sources = Path(logs.__file__).parent.rglob("*.py")
    roles = re.findall(
        r'log[.][a-z]+\(\s*f?"role=([a-z]+)', "".join(f.read_text() for f in sources)
    )
    assert roles
    assert set(roles) <= set(logs.ROLES)


def test_an_argument_does_not_say_the_role(lines: list[str]) -> None:
    cloud.info("%s", "role=walrus level=error")
    assert logs.parse(lines[0])["role"] == "cloud"
    assert logs.parse(lines[0])["message"] == "role=walrus level=error"


def test_what_a_block_is_about_goes_with_its_lines_and_its_work(lines: list[str]) -> None:
    done = threading.Event()
    crew = WorkerPool("test", 1, done.set)
    with logs.about(instance=INSTANCE, request_id="r-1", role=""):
        crew.submit(INSTANCE, lambda: node.info("working"))
        node.info("here")
    assert done.wait(5)
    crew.stop(1)
    node.info("outside")
    records = sorted(map(logs.parse, lines), key=lambda each: each["message"])
    assert [each.get("request_id") for each in records] == ["r-1", None, "r-1"]
    assert [each.get("instance") for each in records] == [INSTANCE, None, INSTANCE]


def test_an_inner_block_that_says_nothing_takes_nothing_away(lines: list[str]) -> None:
    with logs.about(request_id="r-1"), logs.about(request_id="", instance=INSTANCE):
        node.info("here")
    fields = logs.parse(lines[0])
    assert (fields["request_id"], fields["instance"]) == ("r-1", INSTANCE)


def test_a_trace_is_in_the_line(lines: list[str]) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        node.exception("it failed")
    (line,) = lines
    assert "\n" not in line
    assert "ValueError: two\nlines" in logs.parse(line)["trace"]


@given(st.text(), st.text())
def test_no_input_forges_a_line(message: str, value: str) -> None:
    record = logging.LogRecord("eucabox.x", 20, "", 0, "%s", (message,), None)
    record.facts = {"user": value}
    line = logs.Format().format(record)
    assert line.isascii()
    assert line.isprintable()
    fields = logs.parse(line)
    assert list(fields)[:3] == ["time", "level", "role"]
    assert fields["user"] == value[: logs.LONGEST]
    assert fields.get("message", "") == message[: logs.LONGEST]


def test_a_value_has_an_end(lines: list[str]) -> None:
    cloud.info("%s", "x" * 10**6)
    assert len(lines[0]) < logs.LONGEST + 200


@pytest.mark.not_fast
def test_the_file_is_bounded_and_for_its_group(tmp_path: Path, root: logging.Logger) -> None:
    logs.open_file(Config(cloud=CloudSection(data_dir=tmp_path, log_mb=1)))
    logs.set_level(Config())
    cloud.info("the first")
    for _ in range(8 * 2**20 // 2000):
        cloud.info("%s", "x" * 1900)
    found = sorted((tmp_path / "log").iterdir())
    assert [each.name for each in found] == [
        "eucabox.log",
        *(f"eucabox.log.{n}" for n in range(1, 6)),
    ]
    assert all(each.stat().st_mode & 0o777 == 0o640 for each in found)
    assert all(each.stat().st_size <= 2**20 + logs.LONGEST + 200 for each in found)
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o750


def test_a_log_that_can_not_be_opened_names_the_key(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "log"
    with pytest.raises(LogFileUnusable) as caught:
        logs.open_file(Config(cloud=CloudSection(log_file=str(file))))
    assert f"{file}: No such file or directory. Set [cloud] log_file" in caught.value.message


def test_a_full_disk_ends_nothing(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logs.open_file(Config(cloud=CloudSection(log_file="/dev/full")))
    logs.set_level(Config())
    cloud.info("one")
    cloud.info("two")
    assert capsys.readouterr().err.count("No space left on device") == 1


def test_a_full_disk_that_has_standard_error_too_ends_nothing(
    root: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.open_file(Config(cloud=CloudSection(log_file="/dev/full")))
    logs.set_level(Config())
    full = os.open("/dev/full", os.O_WRONLY)
    with os.fdopen(full, "w", buffering=1) as stderr, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        cloud.info("one")
        cloud.info("two")
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, full)  # where what is buffered can go
        os.close(null)


WRITE = """\
import logging, sys
from pathlib import Path
from eucabox import logs
from eucabox.config import CloudSection, Config
config = Config(cloud=CloudSection(data_dir=Path(sys.argv[1]), log_file=sys.argv[2]))
logs.open_stderr()
logs.open_file(config)
ours = logging.getLogger("eucabox.server")
ours.setLevel("DEBUG")
for level in ("error", "warning", "info", "debug"):
    getattr(ours, level)("")
logs.write_error("it failed")
"""


def write_lines(tmp_path: Path, journal: str, log_file: str = "") -> list[str]:
    """Log to standard error and the file in a process, whose journal is `journal` or, for "yes",
    its standard error; return what standard error got."""
    with (tmp_path / "stderr").open("w+") as stderr:
        status = os.fstat(stderr.fileno())
        stream = f"{status.st_dev}:{status.st_ino}" if journal == "yes" else journal
        subprocess.run(
            [sys.executable, "-c", WRITE, str(tmp_path), log_file], stderr=stderr, check=True,
            env={**os.environ, "JOURNAL_STREAM": stream},
        )  # fmt: skip
        stderr.seek(0)
        return stderr.read().splitlines()


def test_the_journal_gets_each_line_with_its_priority_and_no_file_is_written(
    tmp_path: Path,
) -> None:
    assert write_lines(tmp_path, "yes") == [
        "<3>level=error role=cloud",
        "<4>level=warning role=cloud",
        "<6>level=info role=cloud",
        "<7>level=debug role=cloud",
        "<3>eucabox: it failed",
    ]
    assert [each.name for each in tmp_path.iterdir()] == ["stderr"]


def test_a_file_that_was_asked_for_is_written_beside_the_journal(tmp_path: Path) -> None:
    file = tmp_path / "asked.log"
    assert len(write_lines(tmp_path, "yes", str(file))) == 5
    assert [logs.parse(line)["level"] for line in file.read_text().splitlines()] == [
        "error", "warning", "info", "debug",
    ]  # fmt: skip


@pytest.mark.parametrize("journal", ["", "8:12345"])
def test_standard_error_that_was_sent_elsewhere_is_no_journal(tmp_path: Path, journal: str) -> None:
    assert write_lines(tmp_path, journal) == ["eucabox: it failed"]
    assert len((tmp_path / "log" / "eucabox.log").read_text().splitlines()) == 4


@pytest.fixture
def journalctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journalctl that prints what is in a file, and keeps its arguments: there is no systemd."""
    entries = tmp_path / "entries"
    program = tmp_path / "bin" / "journalctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat {entries}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(logs_command, "is_unit_installed", lambda: True)
    return entries


def test_eucabox_logs_reads_the_journal_of_the_unit(journalctl: Path, tmp_path: Path) -> None:
    line = f"level=info role=node instance={INSTANCE} message=runs"
    entries = [
        {"__REALTIME_TIMESTAMP": "1700000000123456", "MESSAGE": line},
        {
            "__REALTIME_TIMESTAMP": "1700000001000000",
            "MESSAGE": list("dnsmasq \xff".encode("latin-1")),
        },
        {"__REALTIME_TIMESTAMP": "1700000002000000", "MESSAGE": None},
    ]
    journalctl.write_text("".join(f"{json.dumps(each)}\n" for each in entries))
    file = tmp_path / "eucabox.conf"
    file.write_text(f"[cloud]\ndata_dir = {tmp_path}/data\n")
    lines = shown(file)
    assert lines[0] == f"time=2023-11-14T22:13:20.123Z {line}"
    assert lines[1] == "time=2023-11-14T22:13:21.000Z dnsmasq \ufffd"
    assert len(lines) == 3
    assert shown(file, "--instance", INSTANCE) == lines[:1]
    arguments = (tmp_path / "arguments").read_text().split()
    assert {"_SYSTEMD_UNIT=eucabox.service", "--output=json"} <= set(arguments)


def test_a_file_of_the_log_comes_before_the_journal(journalctl: Path, file: Path) -> None:
    journalctl.write_text("")
    assert len(shown(file)) == 4


def test_the_nodes_lines_name_the_request_that_caused_them(
    house: House, lines: list[str], state: State
) -> None:
    with house.node() as started:
        instance_id = house.launch(started)
    state.update("instances", {"instance_id": instance_id}, request_id="req-run")
    with house.node() as started:
        wanted = {"wanted": "terminate", "wanted_request_id": "req-end"}
        house.wait(lambda: any("taken back" in each for each in lines))
        state.update("instances", {"instance_id": instance_id}, **wanted)
        started.wake()
        house.becomes(instance_id, "terminated")
    records = [each for each in map(logs.parse, lines) if each.get("instance") == instance_id]
    assert all(each["role"] == "node" for each in records)
    of = {each["message"].split(" ", 1)[1]: each.get("request_id") for each in records}
    assert of["is taken back, running"] == "req-run"
    assert of["is terminated"] == "req-end"
    reason = next(each for each in of if each.startswith("is shutting-down: "))
    assert "Client.UserInitiatedShutdown" in reason
    assert of[reason] == "req-end"


# --- eucabox logs --------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "eucabox.conf"
    made.write_text(f"[cloud]\ndata_dir = {tmp_path}\n")
    log = tmp_path / "log"
    log.mkdir()
    now = datetime.now(UTC)
    times = [ids.time_text(now - timedelta(minutes=ago)) for ago in (60, 30, 1)]
    first = f"time={times[0]} level=info role=cloud request_id=r1 service=ec2 action=RunInstances"
    (log / "eucabox.log.1").write_text(
        f"{first} user=123456789012/alice status=200 ms=1.5 instances={INSTANCE}\n"
    )
    (log / "eucabox.log").write_text(
        f"time={times[1]} level=info role=node request_id=r1 instance={INSTANCE}"
        ' message="it runs"\n'
        f"time={times[2]} level=info role=walrus request_id=r2 service=s3 user=123456789012/bob\n"
        "what is not ours\n"
    )
    return made


def shown(file: Path, *argv: str) -> list[str]:
    done = CliRunner().invoke(main, ["-c", str(file), "logs", *argv])
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


@pytest.mark.parametrize(
    ("argv", "count"),
    [
        ((), 4),
        (("--instance", INSTANCE), 2),
        (("--request", "r1"), 2),
        (("--user", "alice"), 1),
        (("--user", "123456789012"), 2),
        (("--user", "123456789012/bob"), 1),
        (("--role", "node"), 1),
        (("--since", "45m"), 2),
        (("--since", "2h"), 3),
        (("--since", "2020-01-01"), 3),
        (("--request", "r1", "--role", "cloud"), 1),
        (("--user", "nobody"), 0),
    ],
)
def test_lines_are_chosen(file: Path, argv: tuple[str, ...], count: int) -> None:
    assert len(shown(file, *argv)) == count


def test_json_has_an_object_a_line(file: Path) -> None:
    records = [json.loads(line) for line in shown(file, "--json")]
    assert (records[0]["status"], records[0]["ms"]) == (200, 1.5)
    assert records[1]["message"] == "it runs"
    assert records[3] == {"message": "what is not ours"}


@pytest.mark.parametrize("since", ["yesterday", "5y", "2026-13-01"])
def test_a_wrong_time_is_refused(file: Path, since: str) -> None:
    done = CliRunner().invoke(main, ["-c", str(file), "logs", "--since", since])
    assert done.exit_code == 2
    assert since in done.output


def test_a_log_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "eucabox.conf"
    file.write_text(f"[cloud]\ndata_dir = {tmp_path}\n")
    done = CliRunner().invoke(main, ["-c", str(file), "logs"])
    assert done.exit_code == 1
    assert "no eucabox has written it yet" in done.output


@pytest.mark.not_fast
def test_follow_goes_on_over_a_rotation(file: Path) -> None:
    log = file.parent / "log" / "eucabox.log"
    reader = subprocess.Popen(
        [sys.executable, "-m", "eucabox", "-c", str(file), "logs", "-f", "--role", "node"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert reader.stdout is not None
    try:
        assert "it runs" in reader.stdout.readline()
        with log.open("a") as opened:
            opened.write("role=node message=ha")
            opened.flush()
            time.sleep(0.5)
            opened.write("lf\nrole=cloud message=other\n")
        assert reader.stdout.readline() == "role=node message=half\n"
        log.rename(log.with_name("eucabox.log.1"))
        log.write_text("role=node message=new\n")
        assert reader.stdout.readline() == "role=node message=new\n"
    finally:
        reader.kill()
        reader.communicate()
