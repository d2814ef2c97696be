"""Consoles of guests that print on and on, or say back what is typed: real libvirt and QEMU."""

import contextlib
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
from eucabox.domains.serial_line import GONE, OPEN, SETTLE, TAKEN
from eucabox.domains.serial_lines import SerialLines

pytestmark = pytest.mark.live
URI = "qemu:///system"
# mov dx,3F8h; again: mov al,'x'; out dx,al; sti; hlt; jmp again: 18 letters a second, at once.
PRINTS = bytes.fromhex("baf803b078eefbf4ebf9").ljust(510, b"\0") + b"\x55\xaa"
# mov dx,3FDh; again: in al,dx; test al,1; jz again; mov dx,3F8h; in al,dx; out dx,al; jmp: an echo.
ECHOES = bytes.fromhex("bafd03eca80174fbbaf803eceeebf1").ljust(510, b"\0") + b"\x55\xaa"
# cli; hlt: it takes nothing of what is typed.
DEAF = bytes.fromhex("faf4ebfd").ljust(510, b"\0") + b"\x55\xaa"
XML = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os><on_reboot>restart</on_reboot>
<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{disk}'/>
<target dev='hda' bus='ide'/></disk><serial type='pty'>{log}<target port='0'/></serial>
<console type='pty'><target type='serial' port='0'/></console></devices></domain>"""


class Guest:
    """A guest that can be started and ended, and the file that its console is kept in."""

    def __init__(self, folder: Path, program: bytes = PRINTS, logs: bool = False) -> None:
        self.virt = libvirt.open(URI)
        self.name = "i-" + secrets.token_hex(8)
        self.console = folder / self.name / "console.log"
        self.disk = folder / "disk.img"
        self.disk.write_bytes(program.ljust(2**20, b"\0"))
        self.log = f"<log file='{self.console}' append='on'/>" if logs else ""
        serial.create(self.console)

    def start(self) -> libvirt.virDomain:
        return self.virt.createXML(XML.format(name=self.name, disk=self.disk, log=self.log), 0)

    def grows(self) -> None:
        """Wait until more of the console is kept than now."""
        before = self.size()
        wait_for(lambda: self.size() > before + 20)

    def size(self) -> int:
        return self.console.read_bytes().count(b"x")


def make_lines(connection: LibvirtConnection, guest: Guest) -> SerialLines:
    folder = guest.console.parent.parent
    return SerialLines(connection, folder, lambda virt, name: virt.lookupByName(name))


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
def lines(guest: Guest, connection: LibvirtConnection) -> Iterator[SerialLines]:
    made = make_lines(connection, guest)
    yield made
    made.stop()


def count_threads(guest: Guest) -> int:
    return [each.name for each in threading.enumerate()].count(f"console {guest.name}")


def test_it_is_kept_while_the_guest_lives_and_read_once(guest: Guest, lines: SerialLines) -> None:
    for _ in range(5):
        lines.follow(guest.name)
    guest.grows()
    assert count_threads(guest) == 1
    assert guest.console.stat().st_mode & 0o777 == 0o600
    guest.virt.lookupByName(guest.name).destroy()
    wait_for(lambda: count_threads(guest) == 0)


def test_a_new_domain_of_the_guest_is_read_on_into_the_same_file(
    guest: Guest, lines: SerialLines
) -> None:
    lines.follow(guest.name)
    guest.grows()
    before = guest.console.read_bytes()
    guest.virt.lookupByName(guest.name).destroy()
    guest.start()
    lines.follow(guest.name)
    wait_for(lambda: guest.size() > before.count(b"x") + 20)
    assert guest.console.read_bytes().startswith(before)


def test_the_next_eucabox_reads_on(
    guest: Guest, lines: SerialLines, connection: LibvirtConnection
) -> None:
    lines.follow(guest.name)
    guest.grows()
    lines.stop()
    wait_for(lambda: count_threads(guest) == 0)
    lines.follow(guest.name)
    assert count_threads(guest) == 0, "one that was stopped follows no guest"
    following = make_lines(connection, guest)
    following.follow(guest.name)
    guest.grows()
    following.stop()


def test_a_console_that_an_administrator_holds_is_left_to_them(
    guest: Guest, lines: SerialLines
) -> None:
    stream = guest.virt.newStream()
    guest.virt.lookupByName(guest.name).openConsole(None, stream, 0)
    lines.follow(guest.name)
    wait_for(lambda: count_threads(guest) == 0)
    assert guest.console.read_bytes() == b""
    assert stream.recv(1)
    stream.abort()
    lines.follow(guest.name)
    guest.grows()


def test_a_folder_that_is_gone_ends_the_reading_and_says_so(
    guest: Guest, lines: SerialLines, caplog: pytest.LogCaptureFixture
) -> None:
    lines.follow(guest.name)
    guest.grows()
    guest.console.unlink()
    guest.console.parent.rmdir()
    wait_for(lambda: count_threads(guest) == 0)
    assert f"the console of {guest.name} is not kept" in caplog.text


# --- those who look on ---------------------------------------------------------------------------


class Viewer:
    """One who looks on, and counts how often it was woken."""

    def __init__(self, lines: SerialLines, guest: Guest) -> None:
        self.woken = 0
        self.line = lines.attach(guest.name, self, self.wake)
        self.place = self.line.find_start()
        self.seen = b""

    def wake(self) -> None:
        self.woken += 1

    def look(self) -> bytes:
        data, self.place = self.line.read(self.place, 2**20)
        self.seen += data
        return self.seen

    def sees(self, text: bytes) -> None:
        wait_for(lambda: text in self.look())

    def is_at(self, status: str) -> None:
        wait_for(lambda: self.line.status == status)


@pytest.fixture(name="folder")
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="eucabox-test-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextlib.contextmanager
def starting(folder: Path, program: bytes, logs: bool = False) -> Iterator[Guest]:
    made = Guest(folder, program, logs)
    domain = made.start()
    try:
        yield made
    finally:
        with contextlib.suppress(libvirt.libvirtError):
            domain.destroy()
        made.virt.close()


def test_all_who_look_on_see_what_one_types_and_the_last_to_leave_closes_it(
    folder: Path, connection: LibvirtConnection
) -> None:
    with starting(folder, ECHOES) as guest:
        lines = make_lines(connection, guest)
        first, second = Viewer(lines, guest), Viewer(lines, guest)
        first.is_at(OPEN)
        time.sleep(SETTLE)  # until QEMU has seen that somebody listens
        first.line.write(b"hello")
        first.sees(b"hello")
        second.sees(b"hello")
        assert count_threads(guest) == 1
        late = Viewer(lines, guest)
        assert b"hello" in late.look(), "what was written is kept for who comes later"
        for each in (first, second, late):
            each.line.detach(each)
        wait_for(lambda: count_threads(guest) == 0)
        stream = guest.virt.newStream()
        guest.virt.lookupByName(guest.name).openConsole(None, stream, 0)
        stream.abort()


def test_one_that_another_program_has_is_waited_for(
    guest: Guest, connection: LibvirtConnection
) -> None:
    stream = guest.virt.newStream()
    guest.virt.lookupByName(guest.name).openConsole(None, stream, 0)
    viewer = Viewer(make_lines(connection, guest), guest)
    viewer.is_at(TAKEN)
    stream.abort()
    viewer.is_at(OPEN)
    viewer.sees(b"xx")
    viewer.line.detach(viewer)


def test_the_text_stays_when_the_guest_ends_and_goes_on_with_the_next(
    guest: Guest, connection: LibvirtConnection
) -> None:
    viewer = Viewer(make_lines(connection, guest), guest)
    viewer.sees(b"xxxx")
    guest.virt.lookupByName(guest.name).destroy()
    viewer.is_at(GONE)
    before = len(viewer.look())
    viewer.line.write(b"nobody hears this")
    guest.start()
    viewer.is_at(OPEN)
    wait_for(lambda: len(viewer.look()) > before + 20)
    viewer.line.detach(viewer)


def test_a_file_that_libvirt_writes_comes_first_and_nothing_twice(
    folder: Path, connection: LibvirtConnection
) -> None:
    """What the guest wrote before, and while its line was just opening, only the file has."""
    with starting(folder, PRINTS, logs=True) as guest:
        guest.grows()
        viewer = Viewer(make_lines(connection, guest), guest)
        viewer.is_at(OPEN)
        time.sleep(2 * SETTLE)
        seen, kept = viewer.look().count(b"x"), guest.size()
        assert kept - 12 <= seen <= kept + 12  # they are written eighteen a second, not at once
        viewer.line.detach(viewer)


def test_a_guest_that_takes_nothing_holds_up_nobody_else(
    folder: Path, connection: LibvirtConnection
) -> None:
    with starting(folder, DEAF) as guest:
        viewer = Viewer(make_lines(connection, guest), guest)
        viewer.is_at(OPEN)
        sent = 0
        while viewer.line.has_room and sent < 64 * 2**20:
            viewer.line.write(bytes(2**14))
            sent += 2**14
            time.sleep(0.001)
        assert sent < 8 * 2**20, "typing goes on without end"
        started = time.monotonic()
        connection.get(5).listAllDomains(0)
        assert time.monotonic() - started < 5
        viewer.line.detach(viewer)
