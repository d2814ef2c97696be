"""A host that looks like Xen's dom0; libvirt serves no Xen here."""

from pathlib import Path

import pytest

from eucabox.hypervisor import xen


def pretend_dom0(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder that stands for /sys/hypervisor, with what every dom0 has."""
    folder = tmp_path / "hypervisor"
    (folder / "properties").mkdir(parents=True)
    (folder / "type").write_text("xen\n")
    (folder / "properties/features").write_text("00002efd\n")
    monkeypatch.setattr(xen, "HYPERVISOR", folder)
    return folder
