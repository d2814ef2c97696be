"""The reason of a state, from libvirt's events and from faults; decides nothing."""

from collections.abc import Iterable

from eucabox.domains.connection import error_text
from eucabox.domains.libvirt_binding import libvirt
from eucabox.errors import Fault
from eucabox.instance_states import (
    GUEST_CRASHED,
    GUEST_SHUTDOWN,
    KERNEL_PANIC,
    PROCESS_KILLED,
    SAVED_OUTSIDE,
    STOPPED_OUTSIDE,
    Reason,
    internal_error,
)

NO_ROOM = ("Cannot allocate memory", "No space left on device", "cannot set up guest memory")


def no_metadata(problem: str) -> Reason:
    """Return the reason of an instance that runs and gets no metadata: no key, no user data."""
    return Reason("Server.MetadataUnavailable", problem)


def reason_of_fault(fault: Exception) -> Reason:
    """Return the reason for a launch that failed with this fault."""
    if not isinstance(fault, Fault):
        return internal_error(f"{type(fault).__name__}: {error_text(fault)}")
    if fault.code.startswith("Insufficient") or any(word in fault.message for word in NO_ROOM):
        return Reason("Server.InsufficientInstanceCapacity", error_text(fault))
    side = "Client" if fault.code.startswith("Invalid") else "Server"
    return Reason(f"{side}.{fault.code}", error_text(fault))


def reason_of_events(events: Iterable[tuple[int, int]]) -> Reason | None:
    """Return why a domain ended, from libvirt's (event, detail) pairs; None if none of them says.

    The first that fits counts: a guest's own power-off is followed by events of its clean-up.
    """
    seen = set(events)
    return next((reason for event, reason in _reasons_by_event() if event in seen), None)


def _reasons_by_event() -> tuple[tuple[tuple[int, int], Reason], ...]:
    stopped = libvirt.VIR_DOMAIN_EVENT_STOPPED
    shutdown = libvirt.VIR_DOMAIN_EVENT_SHUTDOWN
    crashed = libvirt.VIR_DOMAIN_EVENT_CRASHED
    return (
        ((crashed, libvirt.VIR_DOMAIN_EVENT_CRASHED_PANICKED), KERNEL_PANIC),
        ((shutdown, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_HOST), STOPPED_OUTSIDE),
        ((shutdown, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST), GUEST_SHUTDOWN),
        ((shutdown, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_FINISHED), GUEST_SHUTDOWN),
        ((stopped, libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED), GUEST_CRASHED),
        ((stopped, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED), PROCESS_KILLED),
        ((stopped, libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED), SAVED_OUTSIDE),
        ((stopped, libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED), SAVED_OUTSIDE),
        ((stopped, libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED), STOPPED_OUTSIDE),
        ((stopped, libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN), GUEST_SHUTDOWN),
    )
