"""StateReasons: AWS's codes, and the cause in one line of ASCII."""

import libvirt
import pytest

from eucabox import instance_states
from eucabox.domains import state_reasons
from eucabox.domains.connection import error_text
from eucabox.errors import DomainFailed, InvalidParameterValue, LibvirtUnreachable

SHUTDOWN_BY_GUEST = (
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN,
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST,
)
STOPPED = libvirt.VIR_DOMAIN_EVENT_STOPPED


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (
            DomainFailed(action="start", id="i-1", reason="could not load kernel"),
            "Server.InternalError",
            "could not load kernel",
        ),
        (
            DomainFailed(action="start", id="i-1", reason="Cannot allocate memory"),
            "Server.InsufficientInstanceCapacity",
            "Cannot allocate memory",
        ),
        (
            InvalidParameterValue(parameter="ImageId", value="emi-1", reason="No kernel."),
            "Client.InvalidParameterValue",
            "No kernel.",
        ),
        (LibvirtUnreachable(uri="qemu:///x", reason="gone"), "Server.InternalError", "gone"),
        (OSError("caf\xe9\nis closed"), "Server.InternalError", "OSError: caf? is closed"),
    ],
)
def test_a_fault_becomes_a_reason(fault: Exception, code: str, words: str) -> None:
    reason = state_reasons.reason_of_fault(fault)
    assert reason.code == code
    assert words in reason.text
    assert reason.message == f"{code}: {reason.text}"
    assert reason.message.isascii()


def test_the_cause_is_not_lost_behind_qemus_options() -> None:
    message = """internal error: process exited while connecting to monitor: 2026-11-23T01:23:51.2Z
    qemu-system-x86_64: -blockdev {"file":"x","cache":{"direct":false}}: Could not open 'x': No"""
    assert error_text(OSError(message)).endswith(
        "monitor: qemu-system-x86_64: Could not open 'x': No"
    )


def test_a_long_cause_keeps_its_end() -> None:
    message = error_text(OSError("begins " + "x" * 1000 + " ends"))
    assert len(message) == 400
    assert message.startswith("begins x")
    assert message.endswith("x ends")


def test_the_guests_own_end_counts_before_its_clean_up() -> None:
    stopped = (STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
    assert (
        state_reasons.reason_of_events([SHUTDOWN_BY_GUEST, stopped])
        is instance_states.GUEST_SHUTDOWN
    )


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ((libvirt.VIR_DOMAIN_EVENT_CRASHED, 0), instance_states.KERNEL_PANIC),
        ((libvirt.VIR_DOMAIN_EVENT_SHUTDOWN, 2), instance_states.STOPPED_OUTSIDE),
        ((STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED), instance_states.STOPPED_OUTSIDE),
        ((STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED), instance_states.PROCESS_KILLED),
        ((STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED), instance_states.GUEST_CRASHED),
    ],
)
def test_each_end_has_its_reason(event: tuple[int, int], reason: instance_states.Reason) -> None:
    assert state_reasons.reason_of_events([event]) is reason


def test_events_that_say_nothing_give_no_reason() -> None:
    assert state_reasons.reason_of_events([(libvirt.VIR_DOMAIN_EVENT_SUSPENDED, 0)]) is None
