"""Packet filters of one bridge's instances, as one nft table; touches no other table.

The table outlives eucabox and is brought in line by one transaction: no packet ever meets half
of it, and a killed eucabox leaves the old rules or the new ones. What is in it and why this
family of nft is explained in nft_rules.py.
"""

import logging
import threading
from collections.abc import Mapping, Sequence

from eucabox import ids
from eucabox.errors import ProgramFailed
from eucabox.network import FilteredGuest, FirewallRule, conntrack, host
from eucabox.network.nft_rules import AlwaysAllowed, Ruleset, render
from eucabox.run import run

log = logging.getLogger("eucabox.network")
TABLE = "eucabox_groups-"  # and the bridge's name; the bridge's own rules are in eucabox-BRIDGE
NOTHING = Ruleset({}, {}, {})
NEWLINE = "\n"


class Firewall:
    """The table of security groups of one bridge."""

    def __init__(self, bridge: str) -> None:
        self._table = TABLE + bridge
        self._prefix = ids.tap_prefix(bridge)
        self._lock = threading.Lock()
        self._now: Ruleset | None = None  # what is in force, as far as we did it
        self._listed = b""  # as nft listed it once it was written
        self._permits: dict[str, frozenset[conntrack.Permit]] = {}

    def apply(
        self,
        guests: Sequence[FilteredGuest],
        rules: Mapping[str, Sequence[FirewallRule]],
        ground: AlwaysAllowed,
    ) -> None:
        """Put these rules in force, unless they are; conversations they allow go on.

        Restarting a host's firewall may flush every table, so whether ours is there is looked at.
        """
        wanted = render(self._prefix, guests, rules, ground)
        permits = conntrack.permits(guests, rules, ground.services)
        with self._lock:
            listed = host.listing("bridge", self._table)
            if self._now is not None and listed != self._listed:
                log.warning("role=cluster another program changed %s; making it again", self._table)
                self._now = None
            if wanted != self._now:
                self._write(wanted, bool(listed))
                self._now, self._listed = wanted, host.listing("bridge", self._table)
            self._end_conversations(permits)
            self._permits = permits

    def remove(self) -> None:
        """Take the table away."""
        with self._lock:
            if host.listing("bridge", self._table):
                run("nft", "delete", "table", "bridge", self._table)
            self._now, self._permits = None, {}

    def _write(self, wanted: Ruleset, there: bool) -> None:
        try:
            self._nft(_change(self._table, self._read_in_force(there), wanted))
        except ProgramFailed:
            # Made by another release, in a form that can't be changed: all of it anew, at once.
            gone = f"{_empty(self._table)}delete table bridge {self._table}\n"
            self._nft(gone + _change(self._table, NOTHING, wanted))

    def _read_in_force(self, there: bool) -> Ruleset:
        """Return what is in force; of another process' table only the names are known."""
        if not there:
            return NOTHING
        if self._now is not None:
            return self._now
        listed = host.table("bridge", self._table)
        chains: dict[str, Sequence[str]] = {
            each["chain"]["name"]: () for each in listed if "chain" in each
        }
        return Ruleset(chains, {each["set"]["name"]: "" for each in listed if "set" in each}, {})

    def _end_conversations(self, permits: Mapping[str, frozenset[conntrack.Permit]]) -> None:
        """End tracked connections that a guest's rules no longer allow."""
        narrowed = [
            tap
            for tap, now in permits.items()
            if tap not in self._permits or not self._permits[tap] <= now
        ]
        listed = host.elements("bridge", self._table) if narrowed else {}
        for tap in narrowed:
            lines = [
                f"{verb} element bridge {self._table} {way}{name}-{tap} {{ {flow} }}\n"
                for way, flow in conntrack.select_ended(tap, permits[tap], listed)
                # One that timed out just now can't be deleted, so each is there first.
                for verb, name in (("add", "-barred"), ("add", ""), ("delete", ""))
            ]
            if lines:
                self._nft("".join(lines))

    def _nft(self, text: str) -> None:
        run("nft", "-f", "-", input=text.encode())


def _change(table: str, before: Ruleset, wanted: Ruleset) -> str:
    """Return one transaction from what is in force to what is wanted; what was seen is kept."""
    sets = {**wanted.seen, **wanted.members}
    sets_before = {**before.seen, **before.members}
    chains_new = _changed_names(wanted.chains, before.chains)
    sets_new = _changed_names(sets, sets_before)
    orders = [("flush chain", name) for name in _changed_names(before.chains, wanted.chains)]
    orders += [("delete chain", name) for name in before.chains if name not in wanted.chains]
    orders += [("delete set", name) for name in sets_before if name not in sets]
    orders += [
        ("flush set", name) for name in wanted.members if name in sets_new and name in sets_before
    ]
    commands = "".join(f"{order} bridge {table} {name}\n" for order, name in orders)
    body = [f"set {name} {{ {sets[name]} }}" for name in sets_new]
    for name in chains_new:
        rules = "\n  ".join(wanted.chains[name])
        body.append(f"chain {name} {{\n  {rules}\n}}")
    return f"{_empty(table)}{commands}table bridge {table} {{\n{NEWLINE.join(body)}\n}}\n"


def _changed_names(these: Mapping[str, object], those: Mapping[str, object]) -> list[str]:
    return [name for name, content in these.items() if those.get(name) != content]


def _empty(table: str) -> str:
    return f"table bridge {table} {{\n}}\n"
