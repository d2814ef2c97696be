"""The RPM's files agree with the program and with each other, as far as no RPM is needed for it."""

import re
from pathlib import Path

import pytest

from eucabox import __version__

ROOT = Path(__file__).parent.parent
RPM = ROOT / "packaging" / "rpm"
SPEC = (RPM / "eucabox.spec").read_text()
FALLBACK = (RPM / "fallback.macros").read_text()


def test_the_spec_is_of_this_version() -> None:
    assert re.findall(r"^Version: +(.*)$", SPEC, re.M) == [__version__]
    assert f"- {__version__}-1\n" in SPEC.partition("%changelog")[2]


def test_the_spec_knows_nothing_of_the_fallback() -> None:
    assert "fallback" not in SPEC.lower()
    assert "debian" not in SPEC.lower()


@pytest.mark.parametrize("name", re.findall(r"^%([a-z_0-9]+)", FALLBACK, re.M))
def test_each_fallback_stands_in_for_a_macro_that_is_used(name: str) -> None:
    others = re.sub(rf"^%{name}\b", "", FALLBACK, flags=re.M)
    implied = {"debug_package"}  # by rpmbuild, at the end of every spec
    assert name in implied or re.search(rf"%\{{?{name}\b", SPEC + others)


def test_guests_of_fedora_give_their_disks_to_its_own_group() -> None:
    sysusers = (ROOT / "systemd" / "eucabox.sysusers").read_text()
    assert re.search(r"^m +eucabox +libvirt-qemu$", sysusers, re.M)
    assert r"s/\blibvirt-qemu\b/qemu/" in SPEC


def test_labels_are_for_what_guests_boot_from_and_for_nothing_secret() -> None:
    lines = (RPM / "selinux" / "eucabox.fc").read_text().splitlines()
    paths = [line.split()[0] for line in lines if line and not line.startswith("#")]
    assert paths == ["/var/lib/eucabox/cache(/.*)?", "/var/lib/eucabox/instances(/.*)?"]
