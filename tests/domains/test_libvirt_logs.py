"""How a domain ended, as libvirt 9.0 writes it in the domain's log."""

from pathlib import Path

import pytest

from eucabox.domains import libvirt_logs

STARTED = "2026-11-30 03:59:11.394+0000: starting up libvirt version: 9.0.0, package: 9.0.0-4\n"
ENDED = "2026-11-30 03:59:17.158+0000: shutting down, reason={}\n"
QEMU = "2026-11-30T03:59:17.163107Z qemu-system-x86_64: terminating on signal 15 from pid 12\n"
SAVED = ENDED.format("saved")


@pytest.mark.parametrize(
    ("log", "saved"),
    [
        (STARTED + SAVED + QEMU, True),
        (STARTED + ENDED.format("migrated") + QEMU, True),
        (STARTED + SAVED + QEMU + STARTED, False),
        (STARTED + SAVED + STARTED + ENDED.format("destroyed"), False),
        (STARTED + ENDED.format("shutdown"), False),
        (STARTED + "qemu: shutting down, reason=saved\n", False),
        ("", False),
        (STARTED + "x" * 2**20 + "\n" + SAVED + QEMU, True),
    ],
)
def test_only_a_domain_that_was_saved_last_counts_as_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str, saved: bool
) -> None:
    monkeypatch.setattr(libvirt_logs, "LOGS", tmp_path)
    (tmp_path / "i-1.log").write_text(log)
    assert libvirt_logs.was_saved("i-1") is saved
    assert not libvirt_logs.was_saved("i-2"), "it has no log"
