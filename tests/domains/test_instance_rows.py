"""Addresses that were learnt, in the rows."""

import pytest

from eucabox.domains.instance_rows import InstanceRows
from eucabox.instance_states import GUEST_SHUTDOWN
from eucabox.network import GuestAddress
from eucabox.state import State
from tests.domains.rows import add_instance, row_of

FIVE = GuestAddress("d0:0d:00:00:00:0a", "192.168.1.5", "ip-192-168-1-5.eucabox.internal")


@pytest.fixture
def rows(state: State) -> InstanceRows:
    return InstanceRows(state)


def test_an_address_is_learnt_once(state: State, rows: InstanceRows) -> None:
    mac = FIVE.mac_address
    mine = add_instance(state, mac_address=mac, private_ip_address=None, state="running")
    old = add_instance(state, mac_address=mac, private_ip_address=None, state="terminated")
    assert rows.set_address(FIVE)
    assert not rows.set_address(FIVE)
    row = row_of(state, mine)
    assert row["private_ip_address"] == FIVE.private_ip_address
    assert row["private_dns_name"] == FIVE.private_dns_name
    assert row_of(state, old)["private_ip_address"] is None


def test_an_address_is_taken_from_who_had_it(state: State, rows: InstanceRows) -> None:
    ip = FIVE.private_ip_address
    before = add_instance(state, private_ip_address=ip, state="running")
    ended = add_instance(state, private_ip_address=ip, state="terminated")
    mine = add_instance(state, mac_address=FIVE.mac_address, private_ip_address="192.168.1.4")
    assert rows.set_address(FIVE)
    assert row_of(state, before)["private_ip_address"] is None
    assert row_of(state, before)["private_dns_name"] is None
    assert row_of(state, ended)["private_ip_address"] == ip, "history stays"
    assert row_of(state, mine)["private_ip_address"] == ip


def test_a_stranger_has_no_row(state: State, rows: InstanceRows) -> None:
    other = add_instance(state)
    assert not rows.set_address(FIVE)
    assert row_of(state, other)["private_ip_address"] == "172.30.64.9"


def test_the_tags_of_an_interface_end_with_its_instance(state: State, rows: InstanceRows) -> None:
    ended, runs = add_instance(state, state="shutting-down"), add_instance(state, state="running")
    tagged = [each.replace("i-", prefix) for each in (ended, runs) for prefix in ("i-", "eni-")]
    for resource_id in tagged:
        tag = {"resource_id": resource_id, "account_id": "1", "resource_type": "instance"}
        state.insert("tags", {**tag, "key": "a", "value": "b"})
    rows.mark_terminated(row_of(state, ended), GUEST_SHUTDOWN)
    assert row_of(state, ended)["state"] == "terminated"
    left = [row["resource_id"] for row in state.query("select resource_id from tags")]
    assert sorted(left) == sorted(each for each in tagged if each != ended.replace("i-", "eni-"))
