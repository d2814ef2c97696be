"""What a hypervisor can do, as its driver says: callers read this, never a hypervisor's name."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields


def _row(words: str) -> str:
    """Return a field that is empty by default; `words` are its row in docs/hypervisors.md."""
    text: str = field(default="", metadata={"row": words})
    return text


@dataclass(frozen=True)
class Capabilities:
    """A field is empty if the hypervisor can do it; else it says why not, or what happens."""

    whole_disks: str = _row("images that are a whole disk (virtualization type hvm)")
    uefi: str = _row("`bootMode` uefi")
    seed_cdrom: str = _row("`seed` nocloud and both: a CD-ROM")
    nic_models: str = _row("`nicModel` e1000 and rtl8139")
    ide_disks: str = _row("`diskBus` ide")
    partition_table: str = _row("sda1, sda2 and sda3 are parts of one disk")
    screenshots: str = _row("GetConsoleScreenshot")
    screen: str = _row("the console shows the screen, over VNC without a port")
    serial_console: str = _row("the console has a serial line to type at")
    console_file: str = _row("libvirt writes the console's output into a file")
    reboot_in_place: str = _row("a reboot keeps the domain, and a deaf guest is reset in it")
    pause_when_full: str = _row("a guest stands still while the host's disk is full")
    block_statistics: str = _row("libvirt counts what a guest reads and writes on its disk")
    hardware_speed: str = _row("guests run on the processor itself")
    memory_of_host: str = _row("guests' memory is the memory that this host's Linux sees")

    def find_lacking(self, *, uefi: bool, seed_cdrom: bool, nic_model: str, bus: str) -> str:
        """Return the first of an image's settings that is not available, or ""."""
        wanted = (
            ("bootMode uefi", uefi, self.uefi),
            ("seed on a CD-ROM", seed_cdrom, self.seed_cdrom),
            (f"nicModel {nic_model}", nic_model != "virtio", self.nic_models),
            (f"diskBus {bus}", bus == "ide", self.ide_disks),
        )
        return next((name for name, is_wanted, reason in wanted if is_wanted and reason), "")

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield each capability's name in the docs, and why it is missing or ""."""
        for each in fields(self):
            yield each.metadata["row"], getattr(self, each.name)
