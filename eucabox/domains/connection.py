"""The one connection to libvirt: opens it again whenever it breaks; never acts on a guest."""

import logging
import re
import threading
import time
from collections.abc import Callable

from eucabox.domains.bounded_calls import Bounded, Overdue
from eucabox.domains.libvirt_binding import VirConnect, VirDomain, libvirt
from eucabox.errors import LibvirtUnreachable

log = logging.getLogger("eucabox.libvirt")
KEEPALIVE = (5, 3)  # seconds between probes, probes unanswered until the connection is given up
REBOOTED = -1  # our number for the event that libvirt tells apart from the lifecycle
FIRST_WAIT = 1.0  # seconds until another attempt to connect
LONGEST_WAIT = 10.0  # seconds between two attempts to connect; shorter than a launch waits
ANSWER_WAIT = 20.0  # seconds that libvirt has to let us in or out
SILENT = "libvirt does not answer"
MISSING = "the Python package libvirt is not installed (on Debian: python3-libvirt)"
NOISE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z\s|-[a-z]+ \{.*\}: ")
LONGEST = 400
OnEvent = Callable[[str, int, int], None]
_events = threading.Lock()
_events_run = False


class LibvirtConnection:
    """Holds libvirt open in the background.

    `on_event(name, event, detail)` is called for each lifecycle event of any domain, and with
    the event REBOOTED; `on_change()` after each connect and each loss. Both are called in
    libvirt's event thread or the connecting one, and must be short.
    """

    def __init__(self, uri: str, on_event: OnEvent, on_change: Callable[[], None]) -> None:
        self.uri = uri
        self.problem = "not connected yet"
        self._on_event = on_event
        self._on_change = on_change
        self._virt: VirConnect | None = None
        self._bounded = Bounded()
        self._lost = threading.Event()
        self._stopping = threading.Event()
        self._state = threading.Condition()
        self._thread = threading.Thread(target=self._keep_open, name="libvirt", daemon=True)

    def start(self) -> None:
        """Begin to connect; returns at once."""
        if libvirt is None:
            self.problem = MISSING
            return
        _run_events()
        self._thread.start()

    def stop(self) -> None:
        """Close the connection; guests are not touched."""
        self._stopping.set()
        self._lost.set()
        if self._thread.is_alive():
            self._thread.join(5)

    @property
    def alive(self) -> bool:
        """Whether libvirt answered the last call."""
        return self._virt is not None

    def get(self, timeout: float = 0) -> VirConnect:
        """Return the open virConnect, waiting up to `timeout` seconds for it.

        Raises LibvirtUnreachable with libvirt's own words.
        """
        with self._state:
            if self._thread.is_alive():
                self._state.wait_for(lambda: self._virt is not None, timeout)
            if self._virt is None:
                raise LibvirtUnreachable(uri=self.uri, reason=self.problem)
            return self._virt

    def open_another(self) -> VirConnect:
        """Open one more virConnect, for a caller that may wait on it; raises LibvirtUnreachable."""
        try:
            virt: VirConnect = libvirt.open(self.uri)
        except libvirt.libvirtError as problem:
            raise LibvirtUnreachable(uri=self.uri, reason=error_text(problem), lost=True) from None
        return virt

    def report_lost(self, virt: VirConnect, reason: str) -> None:
        """Report that this virConnect no longer answers: another is opened in its place."""
        with self._state:
            if self._virt is not virt:
                return  # that was seen to already
            self._virt, self.problem = None, reason
        self._lost.set()

    def _keep_open(self) -> None:
        wait = FIRST_WAIT
        while not self._stopping.is_set():
            began = time.monotonic()
            virt = self._open()
            if virt is not None:
                if not self._stopping.is_set():
                    self._lost.wait()
                self._close(virt)
                if time.monotonic() - began > LONGEST_WAIT:
                    wait = FIRST_WAIT
                    continue
            # A libvirt that lets us in and answers nothing is not asked a thousand times a second.
            self._stopping.wait(wait)
            wait = min(wait * 2, LONGEST_WAIT)

    def _open(self) -> VirConnect | None:
        self._lost.clear()
        try:
            virt = self._bounded.call("open", self._connect, ANSWER_WAIT)
        except (libvirt.libvirtError, Overdue) as problem:
            reason = SILENT if isinstance(problem, Overdue) else error_text(problem)
            if reason != self.problem:
                log.warning("role=node libvirt at %s can't be reached: %s", self.uri, reason)
            with self._state:
                self.problem = reason
            return None
        with self._state:
            self._virt, self.problem = virt, ""
            self._state.notify_all()
        log.info("role=node connected to libvirt at %s", self.uri)
        self._on_change()
        return virt

    def _connect(self) -> VirConnect:
        virt: VirConnect = libvirt.open(self.uri)
        self._listen(virt)
        return virt

    def _listen(self, virt: VirConnect) -> None:
        virt.registerCloseCallback(self._on_close, None)
        virt.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._event, None)
        virt.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, self._reboot, None)
        try:
            virt.setKeepAlive(*KEEPALIVE)
        except libvirt.libvirtError as problem:
            if problem.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
                raise

    def _close(self, virt: VirConnect) -> None:
        with self._state:
            self._virt = None
            self.problem = self.problem or "the connection was lost"
        if not self._stopping.is_set():
            log.warning("role=node lost libvirt at %s: %s", self.uri, self.problem)
            self._on_change()
        try:
            self._bounded.call("close", lambda: _disconnect(virt), 5.0)
        except (libvirt.libvirtError, Overdue) as problem:
            log.debug("role=node closing libvirt: %s", error_text(problem))

    def _on_close(self, virt: VirConnect, reason: int, opaque: object) -> None:
        self.report_lost(virt, "libvirt closed the connection")

    def _event(
        self, virt: VirConnect, domain: VirDomain, event: int, detail: int, opaque: object
    ) -> None:
        self._on_event(domain.name(), event, detail)

    def _reboot(self, virt: VirConnect, domain: VirDomain, opaque: object) -> None:
        self._on_event(domain.name(), REBOOTED, 0)


def _disconnect(virt: VirConnect) -> None:
    virt.unregisterCloseCallback()
    virt.close()


def error_text(problem: Exception) -> str:
    """Return the message of libvirt or QEMU as one line of ASCII, 400 characters at most.

    QEMU repeats the option that it fails on, in JSON, before it says why: that is left out.
    """
    message = " ".join(NOISE.sub("", str(problem)).split()) or type(problem).__name__
    plain = message.encode("ascii", "replace").decode("ascii")
    return plain if len(plain) <= LONGEST else f"{plain[:100]} ... {plain[105 - LONGEST :]}"


def _run_events() -> None:
    """Run libvirt's event loop in a thread of its own, once in a process, before any open()."""
    global _events_run
    with _events:
        if _events_run:
            return
        libvirt.registerErrorHandler(lambda context, problem: None, None)
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=_events_forever, name="libvirt-events", daemon=True).start()
        _events_run = True


def _events_forever() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
