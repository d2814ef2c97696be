"""A console that eucabox reads itself, of a guest that prints on and on: real libvirt and QEMU."""

import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import libvirt
import pytest

from eucabox.domains import serial
from eucabox.domains.connection import LibvirtConnection
from eucabox.domains.console_readers import ConsoleReaders

pytestmark = pytest.mark.live
URI = "qemu:///system"
# mov dx,3F8h; again: mov al,'x'; out dx,al; sti; hlt; jmp again: 18 letters a second, at once.
PRINTS = bytes.fromhex("baf803b078eefbf4ebf9").ljust(510, b"\0") + b"\x55\xaa"
XML = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os><on_reboot>restart</on_reboot>
<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{disk}'/>
<target dev='hda' bus='ide'/></disk><serial type='pty'><target port='0'/></serial>
<console type='pty'><target type='serial' port='0'/></console></devices></domain>"""


class Guest:
    """A guest that can be started and ended, and the file that its console is kept in."""

    def __init__(self, folder: Path) -> None:
        self.virt = libvirt.open(URI)
        self.name = "i-" + secrets.token_hex(8)
        self.console = folder / self.name / "console.log"
        self.disk = folder / "disk.img"
        self.disk.write_bytes(PRINTS.ljust(2**20, b"\0"))
        serial.create(self.console)

    def start(self) -> libvirt.virDomain:
        return self.virt.createXML(XML.format(name=self.name, disk=self.disk), 0)

    def grows(self) -> None:
        """Wait until more of the console is kept than now."""
        before = self.size()
        wait_for(lambda: self.size() > before + 20)

    def size(self) -> int:
        return self.console.read_bytes().count(b"x")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def guest() -> Iterator[Guest]:
    # The hypervisor's user has to pass through the folder, so it can't be pytest's private one.
    with tempfile.TemporaryDirectory(prefix="eucabox-test-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        made = Guest(Path(folder))
        made.start()
        yield made
        for domain in made.virt.listAllDomains():
            if domain.name() == made.name:
                domain.destroy()
        made.virt.close()


@pytest.fixture
def connection() -> Iterator[LibvirtConnection]:
    made = LibvirtConnection(URI, lambda name, event, detail: None, lambda: None)
    made.start()
    made.get(20)
    yield made
    made.stop()


@pytest.fixture
def readers(guest: Guest, connection: LibvirtConnection) -> Iterator[ConsoleReaders]:
    made = ConsoleReaders(connection, guest.console.parent.parent)
    yield made
    made.stop()


def count_threads(guest: Guest) -> int:
    return [each.name for each in threading.enumerate()].count(f"console {guest.name}")


def test_it_is_kept_while_the_guest_lives_and_read_once(
    guest: Guest, readers: ConsoleReaders
) -> None:
    for _ in range(5):
        readers.follow(guest.name)
    guest.grows()
    assert count_threads(guest) == 1
    assert guest.console.stat().st_mode & 0o777 == 0o600
    guest.virt.lookupByName(guest.name).destroy()
    wait_for(lambda: count_threads(guest) == 0)


def test_a_new_domain_of_the_guest_is_read_on_into_the_same_file(
    guest: Guest, readers: ConsoleReaders
) -> None:
    readers.follow(guest.name)
    guest.grows()
    before = guest.console.read_bytes()
    guest.virt.lookupByName(guest.name).destroy()
    guest.start()
    readers.follow(guest.name)
    wait_for(lambda: guest.size() > before.count(b"x") + 20)
    assert guest.console.read_bytes().startswith(before)


def test_the_next_eucabox_reads_on(
    guest: Guest, readers: ConsoleReaders, connection: LibvirtConnection
) -> None:
    readers.follow(guest.name)
    guest.grows()
    readers.stop()
    wait_for(lambda: count_threads(guest) == 0)
    readers.follow(guest.name)
    assert count_threads(guest) == 0, "one that was stopped follows no guest"
    following = ConsoleReaders(connection, guest.console.parent.parent)
    following.follow(guest.name)
    guest.grows()
    following.stop()


def test_a_console_that_an_administrator_holds_is_left_to_them(
    guest: Guest, readers: ConsoleReaders
) -> None:
    stream = guest.virt.newStream()
    guest.virt.lookupByName(guest.name).openConsole(None, stream, 0)
    readers.follow(guest.name)
    wait_for(lambda: count_threads(guest) == 0)
    assert guest.console.read_bytes() == b""
    assert stream.recv(1)
    stream.abort()
    readers.follow(guest.name)
    guest.grows()


def test_a_folder_that_is_gone_ends_the_reading_and_says_so(
    guest: Guest, readers: ConsoleReaders, caplog: pytest.LogCaptureFixture
) -> None:
    readers.follow(guest.name)
    guest.grows()
    guest.console.unlink()
    guest.console.parent.rmdir()
    wait_for(lambda: count_threads(guest) == 0)
    assert f"the console of {guest.name} is not kept" in caplog.text
