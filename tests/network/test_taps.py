import logging

import pytest

from eucabox.errors import ProgramFailed
from eucabox.network import host, taps
from eucabox.network.taps import Taps


@pytest.fixture
def off_the_bridge(monkeypatch: pytest.MonkeyPatch) -> Taps:
    """Return the devices of a bridge that one, tap1, has just left and can't join again."""

    def refuse(*argv: str) -> bytes:
        raise ProgramFailed(program="ip", status=1, reason="no such device")

    ports = iter([{"tap1"}, set()])
    monkeypatch.setattr(host, "is_bridge", lambda name: True)
    monkeypatch.setattr(host, "ports", lambda name: next(ports))
    monkeypatch.setattr(host, "exists", lambda name: True)
    monkeypatch.setattr(taps, "run", refuse)
    found = Taps("br0")
    found.put_back(["tap1"])
    return found


def test_a_device_that_cannot_be_put_back_is_in_the_log(
    off_the_bridge: Taps, caplog: pytest.LogCaptureFixture
) -> None:
    off_the_bridge.put_back(["tap1"])
    assert [each.levelno for each in caplog.records] == [logging.ERROR]
    assert "tap1 is not on br0" in caplog.text


def test_a_device_that_ends_with_its_instance_is_no_error(
    off_the_bridge: Taps, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers = iter([True, False])  # there when it is looked at, gone when it is put back
    monkeypatch.setattr(host, "exists", lambda name: next(answers))
    off_the_bridge.put_back(["tap1"])
    assert not caplog.records
