"""The commands on a Xen host ask Xen's libvirt and look at Xen's memory."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eucabox.cli import main
from eucabox.hypervisor import xen
from eucabox.state import State
from tests.hypervisor.dom0 import pretend_dom0


@pytest.fixture
def dom0(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return pretend_dom0(monkeypatch, tmp_path)


def config_file(tmp_path: Path, node: str = "") -> Path:
    file = tmp_path / "eucabox.conf"
    file.write_text(
        f"[cloud]\ndata_dir = {tmp_path}\n[node]\n{node}\n[network]\nown_bridge = eutx\n"
    )
    return file


def findings(file: Path) -> dict[str, Any]:
    done = CliRunner().invoke(main, ["-c", str(file), "doctor", "--json"])
    return {each["what"]: each for each in json.loads(done.output)}


@pytest.mark.parametrize("node", ["", "virt_type = xen"])
def test_doctor_asks_xens_libvirt(dom0: Path, tmp_path: Path, node: str) -> None:
    found = findings(config_file(tmp_path, node))
    assert found["hypervisor"]["detail"].startswith("xen: ")
    assert found["libvirt"]["detail"].startswith("xen:///system: ")
    assert "memory" not in found, "this Linux' own memory says nothing of guests"


def test_doctor_looks_at_the_memory_that_xen_has(dom0: Path, tmp_path: Path) -> None:
    found = findings(config_file(tmp_path, "libvirt_uri = test:///default"))["memory"]
    assert (found["state"], found["detail"]) == ("warn", "3 MiB free at test:///default")


def test_doctor_names_xens_packages_where_xen_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(xen, "HYPERVISOR", tmp_path / "none")
    found = findings(config_file(tmp_path, "virt_type = xen"))["hypervisor"]
    assert found["state"] == "FAIL"
    assert "xen-system-amd64" in found["fix"]


@pytest.mark.not_fast
def test_the_report_asks_xens_libvirt(dom0: Path, state: State, tmp_path: Path) -> None:
    archive = tmp_path / "out.tar.gz"
    file = config_file(tmp_path)
    done = CliRunner().invoke(main, ["-c", str(file), "report", "--out", str(archive)])
    assert done.exit_code == 0, done.output
    with tarfile.open(archive) as opened:
        name = next(each for each in opened.getnames() if each.endswith("missing/domains.txt"))
        content = opened.extractfile(name)
        assert content is not None
        # The usual address would have answered here.
        assert b"xen" in content.read().lower()
