"""The node's queries on the instances table, and the changes of state that it writes."""

from typing import TypedDict

from eucabox import ids, instance_states, steady_clock
from eucabox.instance_states import (
    ALIVE,
    GUEST_SHUTDOWN,
    NO_REASON,
    SAVED_OUTSIDE,
    InstanceState,
    Reason,
    sql_list,
)
from eucabox.network import GuestAddress, InterfaceRow
from eucabox.schema import InstanceRow
from eucabox.state import State

TOKEN_LIFE = 24 * 3600  # seconds that a client token counts, even after its instances
NEW_DOMAIN = "reboot anew"  # what `wanted` says while a reboot makes the domain anew
LEFT = "left"  # the launch_state of a terminated instance whose clean-up is not done
_ENDED = f"state = 'terminated' and launch_state <> '{LEFT}'"


class StateTime(TypedDict):
    """When an instance's state began: by the steady clock, and for people."""

    state_clock: str
    state_time: str


class NodeRow(InterfaceRow):
    """What the node's loop reads of an instance's row."""

    account_id: str
    state: str
    state_reason_code: str
    launch_time: str
    state_time: str
    state_clock: str
    wanted: str
    launch_state: str
    domain_uuid: str
    request_id: str
    wanted_request_id: str


class _EndedRow(StateTime):
    instance_id: str


_COLUMNS = ", ".join(NodeRow.__annotations__)
_ALIVE = f"select {_COLUMNS} from instances where state in {sql_list(ALIVE)}"


class InstanceRows:
    """Instances as rows. A row that is not in the expected state is left unchanged."""

    def __init__(self, state: State) -> None:
        self._state = state

    def list_alive(self) -> list[NodeRow]:
        """Return the rows that have, will have, or may still have a guest; oldest first."""
        return self._state.select(NodeRow, f"{_ALIVE} order by launch_time")

    def list_stopped(self) -> list[NodeRow]:
        """Return the rows that are stopped."""
        sql = f"select {_COLUMNS} from instances where state = 'stopped'"
        return self._state.select(NodeRow, sql)

    def get(self, instance_id: str) -> InstanceRow | None:
        """Return a whole row."""
        sql = "select * from instances where instance_id = ?"
        return self._state.select_one(InstanceRow, sql, (instance_id,))

    def set_launch_step(self, instance_id: str, word: str) -> bool:
        """Store the step that a launch has reached; False if the launch was cancelled."""
        where = {"instance_id": instance_id, "state": "pending"}
        return bool(self._state.update("instances", where, launch_state=word))

    def mark_running(self, instance_id: str, lacking: Reason | None = None) -> bool:
        """Mark an instance running, with what it lacks; False if the launch was cancelled."""
        return instance_states.change(
            self._state,
            instance_id,
            InstanceState.PENDING,
            InstanceState.RUNNING,
            lacking or NO_REASON,
            launch_state="booted",
        )

    def mark_shutting_down(self, instance_id: str, reason: Reason) -> bool:
        """Begin the end of an instance that has not ended."""
        end = InstanceState.SHUTTING_DOWN
        before = instance_states.states_before(end)
        return instance_states.change_from_any(self._state, instance_id, before, end, reason)

    def fail(self, instance_id: str, reason: Reason) -> str:
        """Write that a guest failed or shut itself down; return the next state, or "".

        It is `stopping` where the disk is kept, else `shutting-down`.
        """
        with self._state.transaction():
            row = self.get(instance_id)
            if row is None or row["state"] not in (InstanceState.PENDING, InstanceState.RUNNING):
                return ""
            keeps_disk = _keeps_disk(row, reason)
            new = InstanceState.STOPPING if keeps_disk else InstanceState.SHUTTING_DOWN
            old = InstanceState(row["state"])
            instance_states.change(self._state, instance_id, old, new, reason)
            return new.value

    def mark_stopped(self, instance_id: str) -> bool:
        """Mark a stopping instance stopped: its guest is gone, its disk stays."""
        return instance_states.change(
            self._state,
            instance_id,
            InstanceState.STOPPING,
            InstanceState.STOPPED,
            wanted="",
            launch_state="",
            stopped_time=ids.now(),
        )

    def mark_terminated(self, row: NodeRow, reason: Reason) -> None:
        """Mark an instance terminated; `reason` is used if the row has none yet.

        The tags of its network interface are deleted, since it is no longer listed.
        """
        instance_id = row["instance_id"]
        with self._state.transaction() as database:
            if instance_states.change(
                self._state,
                instance_id,
                InstanceState.SHUTTING_DOWN,
                InstanceState.TERMINATED,
                None if row["state_reason_code"] else reason,
                terminated_time=ids.now(),
                wanted="",
            ):
                sql = "delete from tags where resource_id = 'eni-' || substr(?, 3)"
                database.conn.execute(sql, (instance_id,))

    def give_up(self, row: NodeRow, reason: Reason) -> None:
        """Mark an instance terminated although something of it may still be on the host.

        Its address stays reserved until `mark_cleaned`."""
        with self._state.transaction():
            where = {"instance_id": row["instance_id"], "state": "shutting-down"}
            self._state.update("instances", where, launch_state=LEFT)
            self.mark_terminated(row, reason)

    def list_uncleaned(self) -> list[NodeRow]:
        """Return the ended instances whose clean-up is not done."""
        sql = f"select {_COLUMNS} from instances where state = 'terminated' and launch_state = ?"
        return self._state.select(NodeRow, sql, (LEFT,))

    def mark_cleaned(self, instance_id: str) -> None:
        """Note that nothing is left of an instance that was given up."""
        where = {"instance_id": instance_id, "launch_state": LEFT}
        self._state.update("instances", where, launch_state="")

    def set_address(self, address: GuestAddress) -> bool:
        """Give an address to the living instance of its MAC, and take it from any other.

        False when there is no such instance, or it has the address already.
        """
        mac, ip, name = address.mac_address, address.private_ip_address, address.private_dns_name
        living = "state <> 'terminated' and"
        with self._state.transaction() as database:
            database.conn.execute(
                "update instances set private_ip_address = null, private_dns_name = null where"
                f" {living} private_ip_address = ? and mac_address <> ?",
                (ip, mac),
            )
            cursor = database.conn.execute(
                "update instances set private_ip_address = ?, private_dns_name = ? where"
                f" {living} mac_address = ? and private_ip_address is not ?",
                (ip, name, mac, ip),
            )
            sql = f"select account_id from instances where {living} mac_address = ?"
            for row in self._state.query(sql, (mac,)) if cursor.rowcount else ():
                self._state.announce(row["account_id"], "instances")
            return bool(cursor.rowcount)

    def announce_usage(self) -> None:
        """Tell that there is something new about what running instances use."""
        sql = "select distinct account_id from instances where state = 'running'"
        for row in self._state.query(sql):
            self._state.announce(row["account_id"], "usage")

    def mark_rebooted(self, instance_id: str) -> None:
        """Note that a requested reboot is done."""
        for wanted in ("reboot", NEW_DOMAIN):
            where = {"instance_id": instance_id, "wanted": wanted}
            self._state.update("instances", where, wanted="")

    def list_terminated(self) -> dict[str, float]:
        """Return the ids of terminated instances, and how many seconds ago they ended."""
        sql = f"select instance_id, state_clock, state_time from instances where {_ENDED}"
        return {
            row["instance_id"]: seconds_in_state(row) for row in self._state.select(_EndedRow, sql)
        }

    def mark_for_new_domain(self, instance_id: str, wanted: str = "reboot") -> bool:
        """Note that a reboot needs a new domain; False if something else is wanted by now."""
        where = {"instance_id": instance_id, "state": "running", "wanted": wanted}
        return bool(self._state.update("instances", where, wanted=NEW_DOMAIN))

    def mark_restored(self, instance_id: str) -> bool:
        """Mark an instance running whose domain was saved on the host and restored; else False."""
        with self._state.transaction():
            row = self.get(instance_id)
            if row is None or row["state_reason_message"] != SAVED_OUTSIDE.message:
                return False
            return instance_states.change(
                self._state,
                instance_id,
                InstanceState.STOPPED,
                InstanceState.RUNNING,
                NO_REASON,
                launch_state="booted",
            )

    def delete(self, instance_id: str) -> None:
        """Delete an instance's row, its tags, and the reservations that have no instance and whose
        client tokens have expired."""
        with self._state.transaction():
            self._state.delete("tags", {"resource_id": instance_id})
            self._state.delete("tags", {"resource_id": f"eni-{instance_id.removeprefix('i-')}"})
            self._state.delete("instance_groups", {"instance_id": instance_id})
            self._state.delete("instances", {"instance_id": instance_id})
            empty = """select reservation_id, created, created_clock from reservations
              where reservation_id not in (select reservation_id from instances)"""
            for row in self._state.query(empty):
                if steady_clock.seconds_since(row["created_clock"], row["created"]) > TOKEN_LIFE:
                    where = {"reservation_id": row["reservation_id"]}
                    self._state.delete("reservations", where)

    def get_setting(self, key: str, default: str) -> str:
        """Return a setting, which is `default` from now on if there was none."""
        with self._state.transaction() as database:
            database.conn.execute("insert or ignore into settings values (?, ?)", (key, default))
            row = self._state.one("select value from settings where key = ?", (key,))
        assert row is not None
        return str(row["value"])

    def set_setting(self, key: str, value: str) -> None:
        """Keep a setting."""
        with self._state.transaction() as database:
            database.conn.execute("insert or replace into settings values (?, ?)", (key, value))


def seconds_in_state(row: StateTime) -> float:
    """Return how long an instance has been in its state, independent of clock changes."""
    return steady_clock.seconds_since(row["state_clock"], row["state_time"])


def _keeps_disk(row: InstanceRow, reason: Reason) -> bool:
    """True if the instance becomes stopped (disk kept) rather than terminated.

    A first launch that failed has no disk worth keeping.
    """
    if reason == SAVED_OUTSIDE:
        return True
    if row["state"] == "pending":
        return row["stopped_time"] is not None
    stops = bool(row["shutdown_behavior"] == "stop")
    return stops or (reason != GUEST_SHUTDOWN and row["stopped_time"] is not None)
