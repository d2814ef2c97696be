"""Keeps the consoles of guests whose hypervisor writes no file: reads each guest's stream into its
`console.log`, for as long as the guest is there. Never writes to a console."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eucabox.domains import serial
from eucabox.domains.connection import LibvirtConnection, error_text
from eucabox.domains.libvirt_binding import VirStream, libvirt
from eucabox.errors import LibvirtUnreachable

log = logging.getLogger("eucabox.node")
AT_ONCE = 2**16  # bytes
AGAIN = 1.0  # seconds until a console that closed is opened again: the guest may have rebooted


class ConsoleReaders:
    """A thread for each guest that is followed, with a connection to libvirt of its own.

    What a guest writes while nobody reads, its hypervisor keeps: Xen's console daemon 1 MiB.
    """

    def __init__(self, connection: LibvirtConnection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self._streams: dict[str, VirStream | None] = {}  # by instance id; None until it is open
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def follow(self, instance_id: str) -> None:
        """Begin to read a guest's console, unless it is being read already."""
        with self._lock:
            if instance_id in self._streams or self._stopping.is_set():
                return
            self._streams[instance_id] = None
        name = f"console {instance_id}"
        threading.Thread(target=self._follow, args=(instance_id,), name=name, daemon=True).start()

    def stop(self) -> None:
        """Close the consoles; the guests write on."""
        self._stopping.set()
        with self._lock:
            streams = [stream for stream in self._streams.values() if stream is not None]
        for stream in streams:
            with suppress(libvirt.libvirtError):
                stream.abort()

    def _follow(self, instance_id: str) -> None:
        try:
            while self._read(instance_id) and not self._stopping.wait(AGAIN):
                pass
        except OSError as problem:
            log.warning("role=node the console of %s is not kept: %s", instance_id, problem)
        finally:
            with self._lock:
                del self._streams[instance_id]

    def _read(self, instance_id: str) -> bool:
        """Read a console to its end; False if it could not be opened, so the guest is gone
        or another program has its console."""
        opened = False
        try:
            with self._open(instance_id) as receive:
                opened = True
                for data in iter(receive, b""):
                    serial.append(self._folder / instance_id / "console.log", data)
        except (libvirt.libvirtError, LibvirtUnreachable) as problem:
            log.debug("role=node the console of %s: %s", instance_id, error_text(problem))
        return opened

    @contextmanager
    def _open(self, instance_id: str) -> Iterator[Callable[[], bytes]]:
        virt = self._connection.open_another()
        try:
            stream = virt.newStream()
            virt.lookupByName(instance_id).openConsole(None, stream, 0)
            with self._lock:
                self._streams[instance_id] = stream
            try:
                yield lambda: stream.recv(AT_ONCE)
            finally:
                with self._lock:
                    self._streams[instance_id] = None
                with suppress(libvirt.libvirtError):
                    stream.abort()
        finally:
            with suppress(libvirt.libvirtError):
                virt.close()
