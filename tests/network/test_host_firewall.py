"""What is read of other programs' rules, as nft 1.0.6 lists them."""

import json
from typing import Any

import pytest

from eucabox.network.host_firewall import blocks
from tests.network.conftest import FakeHost

ACCEPT: dict[str, Any] = {"accept": None}
FROM_BRIDGE = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "br0"}}
OTHER_BRIDGE = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}
DHCP = {
    "match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 67}
}
ADDRTYPE = {"xt": {"type": "match", "name": "addrtype"}}


def have(fake: FakeHost, policy: str, *rules: tuple[str, list[dict[str, Any]]]) -> None:
    """A host whose table ip filter has these rules, each of a chain."""
    fake.add_tables(("ip", "filter"), ("bridge", "other"), ("ip", "eucabox-br0"))
    base = {"name": "INPUT", "type": "filter", "hook": "input", "policy": policy}
    listed: list[dict[str, Any]] = [{"chain": base}, {"chain": {"name": "guests"}}]
    listed += [{"rule": {"chain": chain, "expr": expr}} for chain, expr in rules]
    fake.answers["nft -j -t list table ip filter"] = json.dumps({"nftables": listed})


@pytest.mark.parametrize(
    ("policy", "rules", "stopped"),
    [
        ("accept", [], ""),
        ("drop", [], "DHCP and metadata"),
        ("drop", [("INPUT", [FROM_BRIDGE, {"counter": {}}, ACCEPT])], ""),
        ("drop", [("INPUT", [OTHER_BRIDGE, ACCEPT])], "DHCP and metadata"),
        ("drop", [("INPUT", [FROM_BRIDGE, DHCP, ACCEPT])], "metadata"),
        ("drop", [("INPUT", [ADDRTYPE, ACCEPT])], "DHCP and metadata"),
        ("accept", [("INPUT", [{"reject": {}}])], "DHCP and metadata"),
        (
            "drop",
            [("INPUT", [{"jump": {"target": "guests"}}]), ("guests", [FROM_BRIDGE, ACCEPT])],
            "",
        ),
        (
            "accept",
            [
                ("INPUT", [{"jump": {"target": "guests"}}]),
                ("guests", [ADDRTYPE, {"return": None}]),
                ("guests", [{"drop": None}]),
            ],
            "",
        ),
    ],
)
def test_what_stops_guests_is_found(
    fake: FakeHost, policy: str, rules: list[tuple[str, list[dict[str, Any]]]], stopped: str
) -> None:
    have(fake, policy, *rules)
    found = blocks("br0", 8775)
    assert [each.purpose for each in found] == ([stopped] if stopped else [])
    for each in found:
        assert each.command == "nft insert rule ip filter INPUT iifname br0 accept"


def test_rules_that_jump_in_a_circle_end(fake: FakeHost) -> None:
    have(fake, "drop", ("INPUT", [{"jump": {"target": "INPUT"}}]))
    assert [each.table for each in blocks("br0", 8775)] == ["ip filter"]
