"""Stops, starts and monitors instances: writes rows, which the reconciler carries out."""

from collections.abc import Sequence

from eucabox import ids, instance_states
from eucabox.actions import Call, Result, action
from eucabox.domains import capacity
from eucabox.ec2 import bundle_tasks, instances
from eucabox.ec2.listed_instance import ListedInstance
from eucabox.errors import (
    IncorrectInstanceState,
    InsufficientCapacityToStart,
    MissingParameter,
    NotStoppable,
    StopProtected,
    UnsupportedOperation,
)
from eucabox.iam import account_limits
from eucabox.instance_states import NO_REASON, USER_SHUTDOWN, InstanceState, Reason


@action(ignored=["skip_os_shutdown"])
def stop_instances(
    call: Call, *, instance_ids: Sequence[str], force: bool = False, hibernate: bool = False
) -> Result:
    """Shut these instances down and keep their disks, where the administrator allows it."""
    if hibernate:
        raise UnsupportedOperation(what="Hibernate: instances can't be hibernated here.")
    with call.cloud.state.transaction():
        rows = _get_named(call, instance_ids)
        for row in rows:
            _check_stoppable(call, row)
        changes = [_stop(call, row, force) for row in rows]
    call.cloud.node.wake()
    return {"stopping_instances": changes}


@action(ignored=["additional_info"])
def start_instances(call: Call, *, instance_ids: Sequence[str]) -> Result:
    """Launch these stopped instances again, each with its disk and its address."""
    with call.cloud.state.transaction():
        rows = _get_named(call, instance_ids)
        for row in rows:
            if row["state"] not in ("stopped", "pending", "running"):
                raise _wrong_state(row, "StartInstances", "stopped")
        changes = [_start(call, row) for row in rows]
    call.cloud.node.wake()
    return {"starting_instances": changes}


@action()
def monitor_instances(call: Call, *, instance_ids: Sequence[str]) -> Result:
    """Note that these instances are monitored in detail."""
    return _monitor(call, instance_ids, True)


@action()
def unmonitor_instances(call: Call, *, instance_ids: Sequence[str]) -> Result:
    """Note that these instances are not monitored in detail."""
    return _monitor(call, instance_ids, False)


def _check_stoppable(call: Call, row: ListedInstance) -> None:
    if not call.cloud.config.node.stop_keeps_disk:
        raise NotStoppable(id=row["instance_id"])
    if row["state"] not in ("running", "stopping", "stopped"):
        raise _wrong_state(row, "StopInstances", "running")
    if row["disable_api_stop"] and row["state"] == "running":
        raise StopProtected(id=row["instance_id"])


def _stop(call: Call, row: ListedInstance, force: bool) -> Result:
    wanted = "stop-by-force" if force else "stop"
    if row["state"] == "running":
        facts = {"wanted": wanted, "wanted_request_id": call.request_id}
        return _change(call, row, InstanceState.STOPPING, USER_SHUTDOWN, **facts)
    if row["state"] == "stopping" and force:
        call.cloud.state.update("instances", {"instance_id": row["instance_id"]}, wanted=wanted)
    return instances.state_change(row, InstanceState(row["state"]))


def _start(call: Call, row: ListedInstance) -> Result:
    if row["state"] != "stopped":
        return instances.state_change(row, InstanceState(row["state"]))
    if task := bundle_tasks.find_open_task(call.cloud.state, row["instance_id"]):
        raise bundle_tasks.bundling_in_progress(row["instance_id"], task)
    state, most = call.cloud.state, call.cloud.config.limits
    capacity.count_allowed(
        state,
        account_limits.read_limits(state, most, row["account_id"]),
        row["account_id"],
        vcpus=row["vcpus"],
        least=1,
        most=1,
    )
    if not call.cloud.capacity.fits_again(row["vcpus"], row["memory_mb"]):
        raise InsufficientCapacityToStart(id=row["instance_id"], type=row["instance_type"])
    # It is launched like the first time, with the disk and address that it has.
    columns = {"wanted": "", "launch_time": ids.now(), "request_id": call.request_id}
    return _change(call, row, InstanceState.PENDING, NO_REASON, **columns)


def _change(
    call: Call, row: ListedInstance, new: InstanceState, reason: Reason, **columns: object
) -> Result:
    old = InstanceState(row["state"])
    instance_states.change(call.cloud.state, row["instance_id"], old, new, reason, **columns)
    return instances.state_change(row, new)


def _monitor(call: Call, instance_ids: Sequence[str], enabled: bool) -> Result:
    state = "enabled" if enabled else "disabled"
    with call.cloud.state.transaction():
        rows = _get_named(call, instance_ids)
        for row in rows:
            where = {"instance_id": row["instance_id"]}
            call.cloud.state.update("instances", where, monitoring=int(enabled))
    monitorings = [
        {"instance_id": row["instance_id"], "monitoring": {"state": state}} for row in rows
    ]
    return {"instance_monitorings": monitorings}


def _get_named(call: Call, instance_ids: Sequence[str]) -> list[ListedInstance]:
    if not instance_ids:
        raise MissingParameter(parameter="InstanceId")
    return instances.get_many(call.cloud.state, call.user, instance_ids)


def _wrong_state(row: ListedInstance, name: str, needed: str) -> IncorrectInstanceState:
    facts = {"id": row["instance_id"], "state": row["state"], "action": name}
    return IncorrectInstanceState(**facts, needed=needed)
