"""An instance's states: codes, reasons and allowed changes. Every change is written here."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from eucabox import ids, steady_clock
from eucabox.state import State


class InstanceState(StrEnum):
    """EC2's instance states. The value is the API's name and the row's."""

    PENDING = "pending"
    RUNNING = "running"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"
    STOPPING = "stopping"
    STOPPED = "stopped"

    @property
    def code(self) -> int:
        """EC2's number of the state."""
        return _CODES[self]


_CODES = {
    InstanceState.PENDING: 0,
    InstanceState.RUNNING: 16,
    InstanceState.SHUTTING_DOWN: 32,
    InstanceState.TERMINATED: 48,
    InstanceState.STOPPING: 64,
    InstanceState.STOPPED: 80,
}
FIRST = InstanceState.PENDING
TRANSITIONS = {
    # A launch that fails ends the instance, or stops it again if it has a disk worth keeping.
    InstanceState.PENDING: {
        InstanceState.RUNNING,
        InstanceState.STOPPING,
        InstanceState.SHUTTING_DOWN,
    },
    InstanceState.RUNNING: {InstanceState.STOPPING, InstanceState.SHUTTING_DOWN},
    InstanceState.STOPPING: {InstanceState.STOPPED, InstanceState.SHUTTING_DOWN},
    # It runs at once if the administrator saved its domain on the host and now restores it.
    InstanceState.STOPPED: {
        InstanceState.PENDING,
        InstanceState.RUNNING,
        InstanceState.SHUTTING_DOWN,
    },
    InstanceState.SHUTTING_DOWN: {InstanceState.TERMINATED},
    InstanceState.TERMINATED: set(),
}
# The states with a domain, now or soon. A stopped instance has only its disk.
ALIVE = (
    InstanceState.PENDING,
    InstanceState.RUNNING,
    InstanceState.STOPPING,
    InstanceState.SHUTTING_DOWN,
)
ENDED = (InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED)
# The states that count against an account's limits.
COUNTED = (InstanceState.PENDING, InstanceState.RUNNING, InstanceState.STOPPING)


class TransitionNotAllowedError(Exception):
    """A caller wants a change of state that no instance makes: a mistake in this program."""


@dataclass(frozen=True)
class Reason:
    """A StateReason. As in AWS, the message begins with the code."""

    code: str
    text: str

    @property
    def message(self) -> str:
        """The message as EC2 shows it: one line of ASCII."""
        return f"{self.code}: {self.text}" if self.code else ""


def internal_error(text: str) -> Reason:
    """Return a reason for which this host is to blame, not the user."""
    return Reason("Server.InternalError", text)


NO_REASON = Reason("", "")
USER_SHUTDOWN = Reason("Client.UserInitiatedShutdown", "User initiated shutdown")
GUEST_SHUTDOWN = Reason("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
KERNEL_PANIC = internal_error("The guest's kernel panicked; the console output has its last words")
GUEST_CRASHED = internal_error("The guest crashed")
PROCESS_KILLED = internal_error(
    "The hypervisor's process ended unexpectedly (killed, or out of memory)"
)
STOPPED_OUTSIDE = internal_error("The instance was stopped on the host, not through this cloud")
ENDED_UNWATCHED = internal_error("The instance ended while eucabox or libvirt was not running")
SAVED_OUTSIDE = internal_error(
    "The instance was saved or moved away on the host, not through this cloud; its disk is kept"
)
DOMAIN_VANISHED = internal_error("The instance's domain disappeared from libvirt")
HOST_RESTARTED = internal_error("The host was restarted, which ends its instances")
PURGED = internal_error("The instances of this host were ended by its administrator")
RESTORED = internal_error(
    "The cloud was restored from a backup, which has no disk of this instance"
)
BUNDLING = internal_error("The instance is shut down to be bundled")

TOPICS = ("instances", "events")  # what others are told of a change
STATE_CHANGE = "InstanceStateChange"  # its name among the events
# The request that caused a change is the one that wanted it, or else the one of the launch.
_RECORD = f"""insert into events (time, account_id, user, service, action, resources, outcome,
  reason, request_id, source, refused)
  select state_time, account_id, '', 'node', '{STATE_CHANGE}', instance_id, state,
  state_reason_message,
  case when wanted_request_id <> '' then wanted_request_id else request_id end, '', 0
  from instances where instance_id = ?"""


def sql_list(states: Iterable[InstanceState]) -> str:
    """Return states as SQL has them after `in`: ('pending', 'running')."""
    return "(" + ", ".join(f"'{state}'" for state in states) + ")"


def states_before(new: InstanceState) -> tuple[InstanceState, ...]:
    """Return the states from which an instance may go to this one."""
    return tuple(old for old, allowed in TRANSITIONS.items() if new in allowed)


def first_columns(time: str, clock: str) -> dict[str, object]:
    """Return the columns of a new row's state, from this time on; `clock` is the steady one's."""
    return {
        "state": FIRST.value,
        "state_code": FIRST.code,
        "state_time": time,
        "state_clock": clock,
    }


def change(
    state: State,
    instance_id: str,
    old: InstanceState,
    new: InstanceState,
    reason: Reason | None = None,
    **columns: object,
) -> bool:
    """Bring a row from one state to the next; False, and nothing written, if it is not in `old`.

    Without a reason the row keeps the one that it has. Other columns are written with the state,
    and so is an event.
    An instance that ends loses the credentials of its role at once, and at last its profile.
    Raises TransitionNotAllowedError.
    """
    if new not in TRANSITIONS[old]:
        raise TransitionNotAllowedError(f"{instance_id} can't go from {old} to {new}.")
    if reason is not None:
        columns |= {"state_reason_code": reason.code, "state_reason_message": reason.message}
    columns |= {"state": new.value, "state_code": new.code}
    columns |= {"state_time": ids.now(), "state_clock": steady_clock.reading()}
    where = {"instance_id": instance_id, "state": old.value}
    with state.transaction() as database:
        changed = bool(state.update("instances", where, **columns))
        if changed:
            database.conn.execute(_RECORD, (instance_id,))
            _announce(state, instance_id)
        if changed and new in ENDED:
            state.delete("sessions", {"instance_id": instance_id})
        if changed and new is InstanceState.TERMINATED:
            state.delete("instance_profile_associations", {"instance_id": instance_id})
    return changed


def change_from_any(
    state: State,
    instance_id: str,
    old: Iterable[InstanceState],
    new: InstanceState,
    reason: Reason,
) -> bool:
    """Bring a row to the next state from whichever of these it is in; False if from none."""
    with state.transaction():
        return any(change(state, instance_id, each, new, reason) for each in old)


def _announce(state: State, instance_id: str) -> None:
    for row in state.query(
        "select account_id from instances where instance_id = ?", (instance_id,)
    ):
        for topic in TOPICS:
            state.announce(row["account_id"], topic)
