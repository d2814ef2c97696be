"""The thread sweeps after each midnight, once, and makes up for one that it slept through."""

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from eucabox.bucket import ObjectProperties, Store
from eucabox.config import BucketsSection, Config
from eucabox.s3.lifecycle import Lifecycle, configuration

OWNER = "111122223333"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "buckets")
    opened.create_bucket("box", OWNER)
    opened.create_bucket("none", OWNER)
    rule: configuration.RuleMembers = {
        "id": "r",
        "prefix": "",
        "status": "Enabled",
        "expiration": {"days": 1},
    }
    opened.set_bucket_setting(
        "box", configuration.SETTING, configuration.validate({"rules": [rule]})
    )
    yield opened
    opened.close()


def put(store: Store) -> None:
    store.put("box", "k", io.BytesIO(b"x"), ObjectProperties(owner=OWNER))


def gone(store: Store, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while store.list("box").objects:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.slow
def test_it_runs_by_itself_and_again_after_a_restart(config: Config, store: Store) -> None:
    short = replace(config, buckets=BucketsSection(lifecycle_day_seconds=1))
    for _ in range(2):
        put(store)
        engine = Lifecycle(short, store)
        engine.start()
        assert gone(store, 5)
        engine.close()
    assert (config.cloud.data_dir / "lifecycle").read_text().isdigit()


@pytest.mark.not_fast
def test_a_day_is_swept_once(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    sweeps: list[int] = []
    real = Lifecycle.sweep

    def counted(self: Lifecycle, now: int) -> None:
        sweeps.append(now)
        real(self, now)

    monkeypatch.setattr(Lifecycle, "sweep", counted)
    for number in range(3):
        engine = Lifecycle(config, store)
        engine.start()
        deadline = time.monotonic() + 5
        file = config.cloud.data_dir / "lifecycle"
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2 if number else 0)  # what one that begins again would need
        engine.close()
    assert len(sweeps) in (1, 2)  # midnight may be just now
    said_of = [each for each in caplog.records if "bucket=box" in each.getMessage()]
    assert len(said_of) <= len(sweeps)


def test_a_fault_of_one_day_does_not_end_it(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "buckets", lambda: 1 // 0)
    engine = Lifecycle(config, store)
    engine.start()
    deadline = time.monotonic() + 5
    while "ZeroDivisionError" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.01)
    assert engine._thread.is_alive()
    engine.close()
    assert "ZeroDivisionError" in caplog.text


def test_closing_before_the_start_is_harmless(config: Config, store: Store) -> None:
    Lifecycle(config, store).close()
