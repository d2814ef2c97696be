"""Chooses a hypervisor driver by its configured name; the differences live in the drivers."""

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from eucabox.errors import HypervisorUnusable
from eucabox.hypervisor import kvm, qemu, xen
from eucabox.hypervisor.capabilities import Capabilities
from eucabox.hypervisor.domain import Domain

log = logging.getLogger("eucabox.hypervisor")


class Hypervisor(Protocol):
    """What a driver file offers: its name, libvirt's usual address for it, the packages that it
    needs, and three functions."""

    NAME: str
    URI: str
    PACKAGE: str

    def probe(self, folder: Path) -> str:
        """Return why it can't be used on this host, or an empty string."""

    def capabilities(self) -> Capabilities:
        """Return what the hypervisor can do on this host."""

    def domain_xml(self, domain: Domain) -> str:
        """Return libvirt's domain XML for a guest."""


@dataclass(frozen=True)
class Choice:
    """A driver and why it was chosen, in words for people."""

    driver: Hypervisor
    reason: str

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the driver can do on this host."""
        return self.driver.capabilities()


DRIVERS: dict[str, Hypervisor] = {driver.NAME: driver for driver in (kvm, qemu, xen)}


def load(name: str) -> Hypervisor:
    """Return the driver of a name in DRIVERS."""
    return DRIVERS[name]


def find_libvirt(virt_type: str) -> Hypervisor:
    """Return a driver that has the right libvirt; it runs no guest to tell KVM from QEMU, which
    have the same libvirt."""
    if virt_type != "auto":
        return load(virt_type)
    return DRIVERS[qemu.NAME] if xen.probe(Path()) else DRIVERS[xen.NAME]


def find_uri(virt_type: str, libvirt_uri: str = "") -> str:
    """Return libvirt's address: the configured one, or that of the driver."""
    return libvirt_uri or find_libvirt(virt_type).URI


def choose(virt_type: str, folder: Path) -> Choice:
    """Return the driver for a configured `virt_type`; `auto` is Xen in a dom0, else KVM where it
    works, else QEMU.

    `folder` keeps what was found out about this host. Raises HypervisorUnusable when a driver
    was asked for by name that this host can't run.
    """
    if virt_type != "auto":
        driver = load(virt_type)
        # A KVM that an administrator insists on is not probed: the probe is ours to be wrong.
        reason = "" if virt_type == "kvm" else driver.probe(folder)
        if reason:
            raise HypervisorUnusable(name=virt_type, reason=reason)
        return Choice(driver, f"virt_type = {virt_type} is configured")
    if not xen.probe(folder):
        return Choice(xen, "this host is Xen's dom0")
    why_not = kvm.probe(folder)
    if not why_not:
        return Choice(kvm, "KVM ran a boot sector")
    reason = qemu.probe(folder)
    if reason:
        raise HypervisorUnusable(name="qemu", reason=reason)
    log.warning("role=node guests run without KVM, ten times slower and more: %s", why_not)
    return Choice(qemu, f"KVM is not usable: {why_not}")
