import dataclasses
import json

import pytest

from eucabox.errors import ProgramFailed
from eucabox.network import FilteredGuest, FirewallRule
from eucabox.network.firewall import Firewall
from eucabox.network.nft_rules import AlwaysAllowed
from tests.network.conftest import FakeHost

TABLE = "eucabox_groups-br0"
GUEST = FilteredGuest("eu58daaaaaaaaaa", "d0:0d:ac:1e:40:04", "172.30.64.4", ("sg-1",))
SSH = FirewallRule(False, "tcp", 22, 22, "0.0.0.0/0")


@pytest.fixture
def groups(fake: FakeHost) -> Firewall:
    return Firewall("br0")


def exists(fake: FakeHost, *entries: dict[str, object]) -> None:
    fake.add_tables(("bridge", TABLE))
    fake.answers[f"nft -j -t list table bridge {TABLE}"] = json.dumps({"nftables": entries})


def test_the_same_again_changes_nothing(groups: Firewall, fake: FakeHost) -> None:
    groups.apply([GUEST], {"sg-1": [SSH]}, AlwaysAllowed())
    exists(fake)
    groups.apply([GUEST], {"sg-1": [SSH]}, AlwaysAllowed())
    assert len(fake.inputs) == 1


def test_only_what_differs_is_written(groups: Firewall, fake: FakeHost) -> None:
    rules = {"sg-1": [SSH, FirewallRule(False, "-1", group_id="sg-1")]}
    groups.apply([GUEST], rules, AlwaysAllowed())
    exists(fake)
    more = {"sg-1": [*rules["sg-1"], FirewallRule(False, "47", cidr="10.0.0.0/8")]}
    groups.apply([GUEST], more, AlwaysAllowed())
    # Another group whose rules are the same changes no line.
    twin = dataclasses.replace(GUEST, groups=("sg-1", "sg-2"))
    groups.apply([twin], {**more, "sg-2": [SSH]}, AlwaysAllowed())
    assert len(fake.inputs) == 2
    lines = fake.inputs[1].splitlines()
    assert [line for line in lines if line.startswith(("flush", "delete", "chain", "set"))] == [
        f"flush chain bridge {TABLE} to-{GUEST.tap}",
        f"chain to-{GUEST.tap} {{",
    ]


def test_a_table_that_is_gone_is_made_again(groups: Firewall, fake: FakeHost) -> None:
    groups.apply([GUEST], {"sg-1": [SSH]}, AlwaysAllowed())
    fake.tables.clear()
    groups.apply([GUEST], {"sg-1": [SSH]}, AlwaysAllowed())
    assert len(fake.inputs) == 2
    assert fake.inputs[1] == fake.inputs[0]


def test_a_change_is_one_transaction_that_keeps_what_was_seen(
    groups: Firewall, fake: FakeHost
) -> None:
    exists(
        fake,
        {"chain": {"name": "prerouting"}},
        {"chain": {"name": "to-gone"}},
        {"set": {"name": f"out-{GUEST.tap}"}},
        {"set": {"name": "out-gone"}},
        {"set": {"name": "sg-2"}},
    )
    groups.apply([GUEST], {"sg-1": [FirewallRule(False, "-1", group_id="sg-2")]}, AlwaysAllowed())
    (text,) = fake.inputs
    lines = text.splitlines()
    assert f"flush chain bridge {TABLE} prerouting" in lines
    assert [line for line in lines if line.startswith("delete")] == [
        f"delete chain bridge {TABLE} to-gone",
        f"delete set bridge {TABLE} out-gone",
    ]
    assert f"flush set bridge {TABLE} sg-2" in lines
    assert "set sg-2 { type ipv4_addr; }" in lines


def test_what_can_not_be_changed_is_replaced_at_once(groups: Firewall, fake: FakeHost) -> None:
    fake.failures["nft -f"] = "Error: Could not process rule: File exists"
    with pytest.raises(ProgramFailed, match="File exists"):
        groups.apply([GUEST], {}, AlwaysAllowed())
    assert f"delete table bridge {TABLE}\n" in fake.inputs[-1]
    fake.failures.clear()
    groups.apply([GUEST], {}, AlwaysAllowed())
    assert len(fake.inputs) == 3, "what failed is not taken for done"


def test_only_who_lost_a_rule_is_looked_through(groups: Firewall, fake: FakeHost) -> None:
    command = "nft -j list sets"
    groups.apply([GUEST], {"sg-1": [SSH]}, AlwaysAllowed())
    first = len(fake.did(command))
    groups.apply(
        [GUEST], {"sg-1": [SSH, FirewallRule(False, "-1", cidr="10.0.0.0/8")]}, AlwaysAllowed()
    )
    assert len(fake.did(command)) == first
    note = {"elem": {"val": {"concat": ["1.2.3.4", "tcp", 5000, 22]}}}
    mine = {"name": f"in-{GUEST.tap}", "table": TABLE, "elem": [note]}
    listed = {"nftables": [{"set": mine}, {"set": {**mine, "table": "another"}}]}
    fake.answers[f"{command} bridge"] = json.dumps(listed)
    groups.apply([GUEST], {"sg-1": []}, AlwaysAllowed())
    flow = f"{GUEST.tap} {{ 1.2.3.4 . tcp . 5000 . 22 }}"
    verbs = (("add", "in-barred"), ("add", "in"), ("delete", "in"))
    lines = [f"{verb} element bridge {TABLE} {name}-{flow}" for verb, name in verbs]
    assert fake.inputs[-1].splitlines() == lines


def test_remove_takes_the_table_alone(groups: Firewall, fake: FakeHost) -> None:
    groups.remove()
    assert fake.did("nft delete") == []
    exists(fake)
    groups.remove()
    assert fake.did("nft delete") == [f"nft delete table bridge {TABLE}"]
