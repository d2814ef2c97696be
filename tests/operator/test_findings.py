"""What `eucabox doctor` finds, remembered for a while, and never waited for twice."""

import sys
import threading
from pathlib import Path

import pytest

from eucabox.config import Config
from eucabox.operator import findings
from eucabox.operator.findings import Findings

TELL = """
import json, pathlib, sys
calls = pathlib.Path(sys.argv[1])
calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
found = {"what": "disk", "state": "FAIL", "detail": "full" * 1000, "fix": "make room", "more": 1}
print(json.dumps([found] * 300))
sys.exit(1)
"""


@pytest.fixture(name="calls")
def _calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A doctor of our own, which notes that it was called."""
    program = tmp_path / "doctor.py"
    program.write_text(TELL)
    calls = tmp_path / "calls"
    monkeypatch.setattr(findings, "COMMAND", (sys.executable, str(program), str(calls)))
    return calls


def test_findings_are_bounded_and_remembered(config: Config, calls: Path) -> None:
    doctor = Findings(lambda: config)
    found, checked = doctor.read(60)
    assert len(found) == findings.MOST
    assert set(found[0]) == set(findings.MEMBERS)
    assert len(found[0]["detail"]) == findings.LONGEST_TEXT
    assert doctor.read(60) == (found, checked)
    assert calls.read_text() == "x"
    doctor.read(0)
    assert calls.read_text() == "xx"


def test_who_asks_meanwhile_does_not_wait(config: Config, calls: Path) -> None:
    doctor = Findings(lambda: config)
    with doctor._checking:
        asked = threading.Thread(target=lambda: doctor.read(0))
        asked.start()
        asked.join(10)
        assert not asked.is_alive()
        assert doctor.read(0) == ([], "")
    assert not calls.exists()


def test_a_doctor_that_fails_is_a_finding(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "COMMAND", (sys.executable, "-c", "import sys; sys.exit('no')"))
    ((found,), _) = Findings(lambda: config).read(0)
    assert found["state"] == "FAIL"
    monkeypatch.setattr(findings, "COMMAND", (str(tmp_path / "none"),))
    ((found,), _) = Findings(lambda: config).read(0)
    assert "did not end well" in found["detail"]
