"""What each driver says that it can do, and that the documentation says the same."""

from pathlib import Path

import pytest

from eucabox import hypervisor
from eucabox.hypervisor import xen
from eucabox.hypervisor.capabilities import Capabilities

PAGE = Path(__file__).parents[2] / "docs" / "hypervisors.md"
NAMES = {"kvm": "KVM", "qemu": "QEMU", "xen": "Xen"}


def table() -> list[str]:
    columns = [dict(hypervisor.load(name).capabilities().rows()) for name in NAMES]
    lines = ["| | " + " | ".join(NAMES.values()) + " |", "|---" * (len(NAMES) + 1) + "|"]
    for row, _ in Capabilities().rows():
        cells = [f"no: {column[row]}" if column[row] else "yes" for column in columns]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return lines


def test_the_page_has_each_drivers_own_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(xen, "HYPERVISOR", tmp_path / "without-hvm")
    lines = PAGE.read_text().splitlines()
    start = lines.index(table()[0])
    assert lines[start : start + len(table())] == table()


def test_every_driver_has_a_column() -> None:
    assert set(NAMES) == set(hypervisor.DRIVERS)


@pytest.mark.parametrize(
    ("wanted", "lacking"),
    [
        ({}, ""),
        ({"uefi": True}, "bootMode uefi"),
        ({"seed_cdrom": True}, "seed on a CD-ROM"),
        ({"nic_model": "e1000"}, "nicModel e1000"),
        ({"bus": "ide"}, "diskBus ide"),
        ({"bus": "scsi"}, ""),
    ],
)
def test_the_setting_that_is_lacking_is_named(wanted: dict[str, object], lacking: str) -> None:
    usual = {"uefi": False, "seed_cdrom": False, "nic_model": "virtio", "bus": ""}
    assert xen.capabilities().find_lacking(**{**usual, **wanted}) == lacking  # type: ignore[arg-type]
    assert Capabilities().find_lacking(**{**usual, **wanted}) == ""  # type: ignore[arg-type]
