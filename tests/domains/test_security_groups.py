"""The network is handed the rules of the living, whenever a row changed, and again if it fails."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from eucabox import ids
from eucabox.domains import security_groups as rooms
from eucabox.domains.security_groups import SecurityGroupFilters
from eucabox.ec2 import security_groups
from eucabox.errors import NetworkUnusable
from eucabox.network import FilteredGuest, FirewallRule
from eucabox.state import State
from tests.domains.rows import ACCOUNT, add_instance

BRIDGE = "br0"


class Network:
    """Keeps what it was handed; fails as often as it is told to."""

    bridge = BRIDGE

    def __init__(self) -> None:
        self.guests: dict[str, FilteredGuest] = {}
        self.rules: Mapping[str, Sequence[FirewallRule]] = {}
        self.times = 0
        self.failures: list[Exception] = []

    def filter(
        self, guests: Sequence[FilteredGuest], rules: Mapping[str, Sequence[FirewallRule]]
    ) -> None:
        self.times += 1
        if self.failures:
            raise self.failures.pop()
        self.guests, self.rules = {each.tap: each for each in guests}, rules


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def filters(state: State, network: Network) -> Iterator[SecurityGroupFilters]:
    made = SecurityGroupFilters(state, network)
    yield made
    made.stop(5)


def member(state: State, group_id: str, /, **columns: str) -> str:
    instance_id = add_instance(state, **columns)
    with state.transaction() as database:
        database.conn.execute("insert into instance_groups values (?, ?)", (instance_id, group_id))
    return instance_id


def test_the_living_are_handed_over_with_their_rules(
    state: State, network: Network, filters: SecurityGroupFilters
) -> None:
    web = security_groups.create(state, ACCOUNT, "web", "d")["group_id"]
    other = security_groups.create(state, ACCOUNT, "other", "d")["group_id"]
    security_groups.add_rule(state, web, is_egress=False, referenced_group_id=other)
    for column in ({"cidr_ipv4": "10.0.0.0/8"}, {"cidr_ipv6": "::/0"}):
        security_groups.add_rule(
            state, web, is_egress=False, ip_protocol="tcp", from_port=1, to_port=2, **column
        )
    pending = member(state, web)
    ending = member(state, web, state="shutting-down", private_ip_address="172.30.64.10")
    member(state, web, state="terminated")
    add_instance(state, mac_address=None)
    filters.apply()
    taps = [ids.tap(each, BRIDGE) for each in (pending, ending)]
    assert sorted(network.guests) == sorted(taps)
    assert network.guests[taps[1]].private_ip_address == "172.30.64.10"
    assert network.guests[taps[0]].groups == (web,)
    assert network.rules == {
        web: [
            FirewallRule(True, "-1", cidr="0.0.0.0/0"),
            FirewallRule(False, "-1", group_id=other),
            FirewallRule(False, "tcp", 1, 2, cidr="10.0.0.0/8"),
            FirewallRule(False, "tcp", 1, 2),
        ]
    }


def soon(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_failure_is_tried_again(
    state: State, network: Network, filters: SecurityGroupFilters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "RETRY", 0.01)
    unusable = NetworkUnusable(reason="no")
    network.failures = [unusable, RuntimeError("broken"), unusable]
    filters.start()
    soon(lambda: network.times == 4)
    add_instance(state)
    filters.wake()
    soon(lambda: len(network.guests) == 1)


def test_rules_are_looked_after_while_there_are_guests(
    state: State, network: Network, filters: SecurityGroupFilters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "CHECK", 0.01)
    add_instance(state)
    filters.start()
    soon(lambda: network.times > 3)


def test_a_tap_has_a_name_that_fits_and_is_the_bridges() -> None:
    name = ids.tap("i-0123456789abcdef0", "eucabr0")
    assert len(name) == 15
    assert name.startswith(ids.tap_prefix("eucabr0"))
    assert ids.tap_prefix("eucabr0") != ids.tap_prefix("eucabr1")


STRANGER = "999999999999"


def test_a_strangers_group_is_found_by_owner_and_name_or_id_and_by_nothing_else(
    state: State, network: Network, filters: SecurityGroupFilters
) -> None:
    web = security_groups.create(state, ACCOUNT, "web", "d")["group_id"]
    member(state, web)
    app = security_groups.create(state, STRANGER, "app", "d")["group_id"]
    for owner, columns in (
        (STRANGER, {"referenced_name": "app"}),
        (STRANGER, {"referenced_group_id": app}),
        (STRANGER, {"referenced_name": "lost"}),
        (STRANGER, {"referenced_group_id": "sg-00000000000000000"}),
        (ACCOUNT, {"referenced_name": "app"}),
        ("111111111111", {"referenced_group_id": app}),
    ):
        security_groups.add_rule(
            state,
            web,
            is_egress=False,
            referenced_user_id=owner,
            referenced_name=columns.get("referenced_name"),
            referenced_group_id=columns.get("referenced_group_id"),
        )
    filters.apply()
    nothing = FirewallRule(False, "-1")  # no network and no group: no packet is meant
    named = [FirewallRule(False, "-1", group_id=app)] * 2
    assert network.rules[web][1:] == [*named, *[nothing] * 4]
    with state.transaction() as database:
        database.conn.execute("delete from security_groups where group_id = ?", (app,))
    filters.apply()
    assert network.rules[web][1:] == [nothing] * 6
