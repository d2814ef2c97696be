"""Hands the network the rules of all living instances whenever one changes; filters nothing."""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypedDict

from eucabox import ids
from eucabox.errors import Fault
from eucabox.instance_states import ALIVE, sql_list
from eucabox.network import FilteredGuest, FirewallRule
from eucabox.schema import SecurityGroupRuleRow
from eucabox.state import State


class _GuestRow(TypedDict):
    """An instance with its groups, as JSON."""

    instance_id: str
    mac_address: str
    private_ip_address: str | None
    groups: str


class _RuleRow(SecurityGroupRuleRow):
    """A rule with the id of the group that it refers to, if that exists."""

    peer_id: str | None


log = logging.getLogger("eucabox.node")
RETRY = 5.0  # seconds until rules that could not be put in force are tried again
CHECK = 5.0  # seconds between two looks at whether they still are, while there are guests
_GUESTS = f"""select instance_id, mac_address, private_ip_address,
    (select json_group_array(group_id) from
      (select group_id from instance_groups g where g.instance_id = i.instance_id order by 1)
    ) as groups
  from instances i where (state in {sql_list(ALIVE)}
    or state = 'terminated' and launch_state = 'left')  -- its guest could not be ended yet
  and mac_address is not null order by launch_time, instance_id"""
# A group of another account may be gone by now, or not be there yet: then a rule matches nothing.
_RULES = """select r.*, coalesce(
      p.group_id, case when r.referenced_user_id is null then r.referenced_group_id end) as peer_id
  from security_group_rules r left join security_groups p on p.account_id = r.referenced_user_id
    and (p.group_id = r.referenced_group_id or p.group_name = r.referenced_name)
  order by r.rowid"""


class FilteringNetwork(Protocol):
    """What is needed of the network."""

    @property
    def bridge(self) -> str:
        """The bridge that guests are on."""

    def filter(
        self, guests: Sequence[FilteredGuest], rules: Mapping[str, Sequence[FirewallRule]]
    ) -> None:
        """Let pass what the guests' groups allow."""


class SecurityGroupFilters:
    """Keeps packet filters as the rows say, in a thread of its own: libvirt, which the node's
    loop waits for now and then, must not keep a revoked rule in force."""

    def __init__(self, state: State, network: FilteringNetwork) -> None:
        self._state = state
        self._network = network
        self._lock = threading.Lock()
        self._called = threading.Event()
        self.wake: Callable[[], None] = self._called.set  # a row changed
        self._stopping = False
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name="filters", daemon=True)

    def start(self) -> None:
        """Put the rules in force, and from now on each time they change."""
        self._called.set()
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End the thread; the rules stay in force."""
        self._stopping = True
        self._called.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def apply(self) -> int:
        """Put the rules in force now; return for how many guests. Raises what the network does."""
        with self._lock:  # or an older view of the rows could come last
            guests, rules = self._facts()
            self._network.filter(guests, rules)
        return len(guests)

    def _run(self) -> None:
        wait: float | None = None
        while not self._stopping:
            self._called.wait(wait)
            self._called.clear()
            if not self._stopping:
                wait = self._try()

    def _try(self) -> float | None:
        try:
            guests = self.apply()
        except Fault as fault:
            if fault.message != self._problem:
                log.error("role=node security groups are not in force: %s", fault.message)
            self._problem = fault.message
            return RETRY
        except Exception:  # the thread outlives every fault
            log.exception("role=node security groups are not in force")
            return RETRY
        if self._problem:
            log.info("role=node security groups are in force again")
        self._problem = ""
        return CHECK if guests else None

    def _facts(self) -> tuple[list[FilteredGuest], dict[str, list[FirewallRule]]]:
        guests = [
            FilteredGuest(
                tap=ids.tap(row["instance_id"], self._network.bridge),
                mac_address=row["mac_address"].lower(),
                private_ip_address=row["private_ip_address"],
                groups=tuple(json.loads(row["groups"])),
            )
            for row in self._state.select(_GuestRow, _GUESTS)
        ]
        rules: dict[str, list[FirewallRule]] = {
            each: [] for guest in guests for each in guest.groups
        }
        for rule_row in self._state.select(_RuleRow, _RULES):
            if rule_row["group_id"] in rules:
                rule = FirewallRule(
                    is_egress=bool(rule_row["is_egress"]),
                    protocol=rule_row["ip_protocol"],
                    from_port=rule_row["from_port"],
                    to_port=rule_row["to_port"],
                    cidr=rule_row["cidr_ipv4"],
                    group_id=rule_row["peer_id"],
                )
                rules[rule_row["group_id"]].append(rule)
        return guests, rules
