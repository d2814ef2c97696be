"""Why an instance is in its state, in AWS's codes and plain words; decides nothing."""

from collections.abc import Iterable
from dataclasses import dataclass

from eucabox.domains.connection import words
from eucabox.domains.libvirt_binding import libvirt
from eucabox.errors import Fault

NO_ROOM = ("Cannot allocate memory", "No space left on device", "cannot set up guest memory")


@dataclass(frozen=True)
class Reason:
    """A StateReason: AWS repeats the code in front of the message, and so do we."""

    code: str
    text: str

    @property
    def message(self) -> str:
        """The message as EC2 shows it: one line of ASCII."""
        return f"{self.code}: {self.text}"


def internal_error(text: str) -> Reason:
    """Return a reason that is this host's and not the user's."""
    return Reason("Server.InternalError", text)


USER = Reason("Client.UserInitiatedShutdown", "User initiated shutdown")
GUEST = Reason("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
PANIC = internal_error("The guest's kernel panicked; the console output has its last words")
CRASHED = internal_error("The guest crashed")
KILLED = internal_error("The hypervisor's process ended unexpectedly (killed, or out of memory)")
OUTSIDE = internal_error("The instance was stopped on the host, not through this cloud")
UNWATCHED = internal_error("The instance ended while eucabox or libvirt was not running")
SAVED = internal_error(
    "The instance was saved or moved away on the host, not through this cloud; its disk is kept"
)
VANISHED = internal_error("The instance's domain disappeared from libvirt")
HOST = internal_error("The host was restarted, which ends its instances")
PURGED = internal_error("The instances of this host were ended by its administrator")


def no_metadata(problem: str) -> Reason:
    """Return the reason of an instance that runs and gets no metadata: no key, no user data."""
    return Reason("Server.MetadataUnavailable", problem)


def reason_of_fault(fault: Exception) -> Reason:
    """Return the reason for a launch that failed with this fault."""
    if not isinstance(fault, Fault):
        return internal_error(f"{type(fault).__name__}: {words(fault)}")
    if fault.code.startswith("Insufficient") or any(word in fault.message for word in NO_ROOM):
        return Reason("Server.InsufficientInstanceCapacity", words(fault))
    side = "Client" if fault.code.startswith("Invalid") else "Server"
    return Reason(f"{side}.{fault.code}", words(fault))


def reason_of_events(events: Iterable[tuple[int, int]]) -> Reason | None:
    """Return why a domain ended, from libvirt's (event, detail) pairs; None if none of them says.

    The first that fits counts: a guest's own power-off is followed by events of its clean-up.
    """
    seen = set(events)
    return next((reason for event, reason in _endings() if event in seen), None)


def _endings() -> tuple[tuple[tuple[int, int], Reason], ...]:
    stopped = libvirt.VIR_DOMAIN_EVENT_STOPPED
    shutdown = libvirt.VIR_DOMAIN_EVENT_SHUTDOWN
    crashed = libvirt.VIR_DOMAIN_EVENT_CRASHED
    return (
        ((crashed, libvirt.VIR_DOMAIN_EVENT_CRASHED_PANICKED), PANIC),
        ((shutdown, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_HOST), OUTSIDE),
        ((shutdown, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST), GUEST),
        ((shutdown, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_FINISHED), GUEST),
        ((stopped, libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED), CRASHED),
        ((stopped, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED), KILLED),
        ((stopped, libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED), SAVED),
        ((stopped, libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED), SAVED),
        ((stopped, libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED), OUTSIDE),
        ((stopped, libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN), GUEST),
    )
