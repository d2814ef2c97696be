"""What an operator is told of instances that are not well, and of a libvirt that is silent."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eucabox import config as configuration
from eucabox.cli import doctor, main
from eucabox.cloud import Cloud
from eucabox.domains import connection, health
from eucabox.domains.connection import SILENT, LibvirtConnection


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[str]:
    """Return the address of a libvirt that lets everybody in and says nothing."""
    path = tmp_path / "libvirt-sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        yield f"qemu+unix:///system?socket={path}"


def written(tmp_path: Path, settings: str = "") -> Path:
    file = tmp_path / "eucabox.conf"
    file.write_text(f"[cloud]\ndata_dir = {tmp_path}\n[node]\nvirt_type = qemu\n{settings}\n")
    return file


def asked(file: Path, command: str) -> Any:
    shown = CliRunner().invoke(main, ["-c", str(file), command, "--json"])
    return json.loads(shown.output)


@pytest.mark.not_fast
def test_status_and_doctor_name_an_instance_that_is_not_well(tmp_path: Path) -> None:
    file = written(tmp_path)
    cloud = Cloud(configuration.load(file))
    try:
        cloud.node._health.note("i-1", health.HUNG)
        assert asked(file, "status")["problems"] == [f"i-1: {health.HUNG}"]
        (found,) = [each for each in asked(file, "doctor") if each["what"] == "guests"]
        assert (found["state"], found["detail"]) == ("warn", f"i-1: {health.HUNG}")
        cloud.node._health.note("i-1", "")
        assert asked(file, "status")["problems"] == []
        assert [each for each in asked(file, "doctor") if each["what"] == "guests"] == []
    finally:
        cloud.close()


@pytest.mark.not_fast
def test_doctor_does_not_wait_for_a_libvirt_that_does_not_answer(
    tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "LIBVIRT", 0.3)
    file = written(tmp_path, f"libvirt_uri = {silent}")
    (found,) = [each for each in asked(file, "doctor") if each["what"] == "libvirt"]
    assert found["state"] == "FAIL"
    assert "no answer" in found["detail"]


def test_a_libvirt_that_does_not_answer_is_said_to_and_stops_nothing(
    silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_WAIT", 0.2)
    made = LibvirtConnection(silent, lambda *_: None, lambda: None)
    made.start()
    deadline = time.monotonic() + 10
    while made.problem != SILENT:
        assert time.monotonic() < deadline, made.problem
        time.sleep(0.01)
    began = time.monotonic()
    made.stop()
    assert time.monotonic() - began < 3
