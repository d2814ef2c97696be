"""The serial consoles of all guests that people look on, or whose hypervisor writes no file."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import cast

from eucabox.domains.connection import MISSING, LibvirtConnection
from eucabox.domains.libvirt_binding import VirConnect, VirDomain, VirLiveStream, libvirt
from eucabox.domains.serial_line import SerialLine
from eucabox.errors import LibvirtUnreachable

LookUp = Callable[[VirConnect, str], VirDomain]
# Lets a viewer, any object, look on; what it gives along is called when there is something new.
AttachSerial = Callable[[object, Callable[[], None]], SerialLine]


class SerialLines:
    """One line a guest, with a thread and a connection to libvirt of its own while it is wanted.

    `look_up` finds a guest's domain and refuses strangers. What a guest writes while nobody reads,
    its hypervisor keeps where it writes no file: Xen's console daemon 1 MiB.
    """

    def __init__(self, connection: LibvirtConnection, folder: Path, look_up: LookUp) -> None:
        self._connection = connection
        self._folder = folder
        self._look_up = look_up
        self._lines: dict[str, SerialLine] = {}
        self._lock = threading.Lock()
        self._is_stopping = False

    def follow(self, instance_id: str) -> None:
        """Begin to write a guest's console into its file, unless that is done already."""
        with self._lock:
            line = self._lines.get(instance_id)
            if self._is_stopping or (line and line.writes_file):
                return
            self._find(instance_id, writes_file=True)

    def attach(self, instance_id: str, viewer: object, wake: Callable[[], None]) -> SerialLine:
        """Let one look on at a guest's console, until it is detached from it.

        Raises LibvirtUnreachable on a host that lacks libvirt's binding.
        """
        if libvirt is None:
            raise LibvirtUnreachable(uri=self._connection.uri, reason=MISSING)
        with self._lock:
            return self._find(instance_id, viewer=viewer, wake=wake)

    def stop(self) -> None:
        """Close the consoles; the guests write on."""
        with self._lock:
            self._is_stopping = True
            lines = list(self._lines.values())
        for line in lines:
            line.stop()

    def _find(
        self,
        instance_id: str,
        writes_file: bool = False,
        viewer: object = None,
        wake: Callable[[], None] = lambda: None,
    ) -> SerialLine:
        """Return a guest's line with what is new about it; it has its thread."""
        line = self._lines.get(instance_id)
        is_new = line is None
        if line is None:
            file = self._folder / instance_id / "console.log"
            opening = partial(self._open, instance_id)
            line = SerialLine(instance_id, file, opening, partial(self._forget, instance_id))
        if writes_file:
            line.writes_file = True
        if viewer is not None:
            line.attach(viewer, wake)
        if is_new and not self._is_stopping:
            self._lines[instance_id] = line
            name = f"console {instance_id}"
            threading.Thread(target=line.run, name=name, daemon=True).start()
        return line

    def _forget(self, instance_id: str) -> bool:
        """Forget a line that is not wanted; False if it is again."""
        with self._lock:
            if self._lines[instance_id].is_wanted:
                return False
            del self._lines[instance_id]
            return True

    @contextmanager
    def _open(self, instance_id: str) -> Iterator[VirLiveStream]:
        virt = self._connection.open_another()
        try:
            stream = cast(VirLiveStream, virt.newStream(libvirt.VIR_STREAM_NONBLOCK))
            self._look_up(virt, instance_id).openConsole(None, stream, 0)
            try:
                yield stream
            finally:
                for end in (stream.eventRemoveCallback, stream.abort):
                    with suppress(libvirt.libvirtError):
                        end()
        finally:
            with suppress(libvirt.libvirtError):
                virt.close()
