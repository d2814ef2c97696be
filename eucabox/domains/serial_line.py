"""The serial console of one guest, opened once at libvirt and shared by all who look on.

What the guest writes is kept to its last bytes, for who comes later; what they type goes to it in
turn. Where a file has the guest's words from before, as virtlogd writes it, they come first. Knows
no browser.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from eucabox.domains import serial
from eucabox.domains.connection import error_text
from eucabox.domains.libvirt_binding import VirLiveStream, libvirt
from eucabox.domains.serial import LogMark
from eucabox.errors import DomainNotOurs, LibvirtUnreachable

log = logging.getLogger("eucabox.node")
KEPT = 2**17  # bytes of what a guest wrote last
MOST_INPUT = 2**16  # bytes that wait for the guest to take them
AT_ONCE = 2**16  # bytes
TURNS = 4  # of receiving, before libvirt's other events get one
AGAIN = 1.0  # seconds until a console that closed is opened again: the guest may have rebooted
# A guest's words reach a console that was just opened after a second, as QEMU looks whether
# anything listens; until then the file alone has them.
SETTLE = 1.2
PAUSE = 0.1  # seconds from the first words until the file is looked at, which gets them later
CERTAIN = 256  # bytes that are the same in two places only where they are the same words
ANCHOR = 32  # the same, of a search
MOST_TRIES = 1000
OPENING, OPEN, GONE, TAKEN, AWAY = "opening", "open", "gone", "taken", "away"
OpenStream = Callable[[], AbstractContextManager[VirLiveStream]]


class SerialLine:
    """A guest's console. `status` is OPEN while the guest is connected, else why it is not:
    OPENING, GONE (no guest), TAKEN (by another program) or AWAY (libvirt is).

    It has a thread while there is one who looks on, or where we have to write the `file` ourselves
    (`writes_file`); `is_unused` is asked before that ends.
    """

    def __init__(
        self, instance_id: str, file: Path, open_stream: OpenStream, is_unused: Callable[[], bool]
    ) -> None:
        self.status = OPENING
        self.writes_file = False
        self._instance_id = instance_id
        self._file = file
        self._open_stream = open_stream
        self._is_unused = is_unused
        self._changed = threading.Condition()
        self._kept = bytearray()
        self._begin = 0  # how many bytes were before those that are kept
        self._written = 0  # how many of all are in the file
        self._held: bytearray | None = None  # what came before the file was looked at
        self._settled_at = 0.0
        self._mark = LogMark(0, 0)
        self._input = bytearray()
        self._viewers: dict[object, Callable[[], None]] = {}
        self._has_ended = self._is_stopping = self._is_throttled = False

    # --- who looks on ---------------------------------------------------------------------------

    def attach(self, viewer: object, wake: Callable[[], None]) -> None:
        """Let one look on; `wake` is called, and must not wait, when there is something new."""
        with self._changed:
            self._viewers[viewer] = wake
            self._changed.notify_all()

    def detach(self, viewer: object) -> None:
        """Let one go."""
        with self._changed:
            self._viewers.pop(viewer, None)
            self._changed.notify_all()

    @property
    def is_wanted(self) -> bool:
        """Whether it is to be open."""
        return not self._is_stopping and (self.writes_file or bool(self._viewers))

    @property
    def has_room(self) -> bool:
        """Whether more may be typed now."""
        return len(self._input) < MOST_INPUT

    def write(self, data: bytes) -> None:
        """Send something to the guest, if it is connected."""
        with self._changed:
            if self.status == OPEN:
                self._input += data
                self._changed.notify_all()

    def find_start(self) -> int:
        """Return from where on to read all that is kept, in whole lines."""
        with self._changed:
            line = self._kept.find(b"\n", 0, AT_ONCE) if self._begin else -1
            return self._begin + line + 1

    @property
    def end(self) -> int:
        """How much the guest has written, in bytes; places are counted so."""
        return self._begin + len(self._kept)

    def read(self, place: int, most: int) -> tuple[bytes, int]:
        """Return at most `most` bytes from a place on, and the place where they end.

        Who is too slow misses what is not kept any more.
        """
        with self._changed:
            start = max(place, self._begin) - self._begin
            data = bytes(self._kept[start : start + most])
            return data, self._begin + start + len(data)

    # --- its thread -----------------------------------------------------------------------------

    def run(self) -> None:
        """Keep it open while it is wanted; ends once nobody wants it."""
        while not (self._stop_if_unwanted() and self._is_unused()):
            was_open = self._open_once()
            if self.writes_file and not was_open:
                self.writes_file = False  # the guest is gone, or another program has its console
                continue
            with self._changed:
                self._changed.wait_for(lambda: not self.is_wanted, AGAIN)

    def stop(self) -> None:
        """Close it for good; the guest writes on."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()

    def _stop_if_unwanted(self) -> bool:
        with self._changed:
            return not self.is_wanted

    def _open_once(self) -> bool:
        """Serve a console to its end; whether it could be opened."""
        opened = False
        try:
            self._recall()
            with self._open_stream() as stream:
                opened = True
                self._serve(stream)
        except (libvirt.libvirtError, LibvirtUnreachable, DomainNotOurs) as problem:
            log.debug("role=node the console of %s: %s", self._instance_id, error_text(problem))
            self._set_status(AWAY if opened else _name_problem(problem))
        except OSError as problem:
            log.warning("role=node the console of %s is not kept: %s", self._instance_id, problem)
            return False
        else:
            self._set_status(OPENING)
        return opened

    def _serve(self, stream: VirLiveStream) -> None:
        with self._changed:
            self._has_ended = self._is_throttled = False
            self._held = None if self.writes_file else bytearray()
            self._settled_at = time.monotonic() + SETTLE
            self._input.clear()
        stream.eventAddCallback(_events(), self._receive, None)
        self._set_status(OPEN)
        while self._wait_for_work():
            self._send(stream)
            if self._held is not None and time.monotonic() >= self._settled_at:
                self._join()
            self._write_file(stream)
        if self._held is not None:
            self._join()
        self._write_file(None)

    def _wait_for_work(self) -> bool:
        """Wait until there is something to do; False once the console has ended."""
        with self._changed:
            limit = None
            if self._held is not None:
                limit = max(0.0, self._settled_at - time.monotonic())
            self._changed.wait_for(self._has_work, limit)
            return self.is_wanted and not self._has_ended

    def _has_work(self) -> bool:
        if self._has_ended or not self.is_wanted or self._input:
            return True
        if self._held is not None:
            return time.monotonic() >= self._settled_at
        return self.writes_file and self._written < self.end

    def _send(self, stream: VirLiveStream) -> None:
        """Send what was typed; a guest that does not take it keeps only this thread waiting."""
        with self._changed:
            data, was_full = bytes(self._input), not self.has_room
            self._input.clear()
        while data and not self._has_ended and self.is_wanted:
            sent = stream.send(data)
            if sent < 0:
                time.sleep(PAUSE)
            data = data[max(sent, 0) :]
        if was_full:
            self._wake()  # there is room again

    def _write_file(self, stream: VirLiveStream | None) -> None:
        """Append what is new to the file, where libvirt writes none; raises OSError."""
        if not self.writes_file:
            return
        data, self._written = self.read(self._written, 2 * KEPT)
        if data:
            serial.append(self._file, data)
        if self._is_throttled and stream is not None:
            self._is_throttled = False
            stream.eventUpdateCallback(_events())

    # --- what the guest writes ------------------------------------------------------------------

    def _receive(self, stream: VirLiveStream, events: int, opaque: object) -> None:
        """Take what has come; libvirt's event thread calls it."""
        pieces: list[bytes] = []
        ended = False
        try:
            for _ in range(TURNS):
                piece = stream.recv(AT_ONCE)
                if isinstance(piece, int):
                    break
                ended = not piece
                if ended:
                    break
                pieces.append(piece)
        except libvirt.libvirtError:
            ended = True
        if ended:
            with suppress(libvirt.libvirtError):
                stream.eventRemoveCallback()
        self._note(stream, b"".join(pieces), ended)

    def _note(self, stream: VirLiveStream, data: bytes, ended: bool) -> None:
        with self._changed:
            if self._held is None:
                self._keep(data)
            else:
                if data and not self._held:
                    self._settled_at = min(self._settled_at, time.monotonic() + PAUSE)
                self._held += data[: max(0, KEPT - len(self._held))]
                if len(self._held) > KEPT // 2:
                    self._settled_at = 0.0
            self._has_ended = self._has_ended or ended
            behind = self.writes_file and self.end - self._written > KEPT // 2
            if behind and not self._is_throttled and not ended:
                self._is_throttled = True  # nothing is lost: libvirt and the guest wait
                stream.eventUpdateCallback(_events() & ~libvirt.VIR_STREAM_EVENT_READABLE)
            self._changed.notify_all()
        if data:
            self._wake()

    def _keep(self, data: bytes) -> None:
        self._kept += data
        over = len(self._kept) - KEPT
        if over > KEPT // 4:
            del self._kept[:over]
            self._begin += over

    def _recall(self) -> None:
        """Begin with what the file has, or find the place in it up to which all was seen."""
        content, mark = serial.read_marked(self._file, KEPT)
        with self._changed:
            if not self.end:
                self._keep(content)
                self._written, self._mark = self.end, mark
                return
            last = bytes(self._kept[-CERTAIN:])
            found = content.rfind(last)
            self._mark = mark if found < 0 else mark.go_back(len(content) - found - len(last))

    def _join(self) -> None:
        """Put in what the guest wrote before its words reached us: the file has it."""
        missed = serial.read_since(self._file, self._mark, KEPT)
        with self._changed:
            live = bytes(self._held or b"")
            self._held = None
            self._keep(missed[: find_overlap(missed, live)] + live)
        self._wake()

    def _set_status(self, status: str) -> None:
        self.status = status
        self._wake()

    def _wake(self) -> None:
        with self._changed:
            every = list(self._viewers.values())
        for wake in every:
            wake()


def find_overlap(missed: bytes, live: bytes) -> int:
    """Return from where on `missed` has the same as `live`, which may go on, or begin earlier to
    end; its length if it nowhere has."""
    place = 0
    for _ in range(MOST_TRIES):
        place = missed.find(live[:ANCHOR], place) if live else -1
        if place < 0:
            break
        if _agree(missed[place:], live):
            return place
        place += 1
    ends = range(max(0, len(missed) - ANCHOR), len(missed))
    return next((place for place in ends if _agree(missed[place:], live)), len(missed))


def _agree(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one) if other else False


def _events() -> int:
    readable: int = libvirt.VIR_STREAM_EVENT_READABLE
    return readable | int(libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP)


def _name_problem(problem: Exception) -> str:
    """Return the status of a console that can't be opened."""
    if not isinstance(problem, libvirt.libvirtError):
        return AWAY
    gone = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID)
    if problem.get_error_code() in gone:
        return GONE
    return TAKEN if problem.get_error_code() == libvirt.VIR_ERR_OPERATION_FAILED else AWAY
