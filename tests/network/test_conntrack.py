from typing import Any

from eucabox.network import FilteredGuest, FirewallRule
from eucabox.network.conntrack import permits, select_ended

TAP = "eu1234aaaaaaaaa"
GUEST = FilteredGuest(TAP, "d0:0d:ac:1e:40:04", "172.30.64.4", ("sg-1",))
PEER = FilteredGuest("eu1234bbbbbbbbb", "d0:0d:ac:1e:40:05", "172.30.64.5", ("sg-2",))


def note(peer: str, protocol: str, far: int, near: int) -> dict[str, Any]:
    return {"elem": {"val": {"concat": [peer, protocol, far, near]}, "expires": 9}}


def gone(rules: list[FirewallRule], *services: FirewallRule, **notes: Any) -> list[tuple[str, str]]:
    allowed = permits([GUEST, PEER], {"sg-1": rules}, services)[TAP]
    return list(select_ended(TAP, allowed, {f"{way}-{TAP}": [each] for way, each in notes.items()}))


SSH = note("10.0.0.9", "tcp", 40000, 22)  # a peer's connection to port 22 here
WEB = note("10.0.0.9", "tcp", 80, 40000)  # ours to a peer's port 80


def test_what_a_rule_permits_goes_on() -> None:
    assert not gone([FirewallRule(False, "tcp", 22, 22, "10.0.0.0/8")], **{"in": SSH})
    assert not gone([FirewallRule(True, "tcp", 80, 80, "10.0.0.0/8")], out=WEB)
    assert not gone([FirewallRule(True, "-1", cidr="0.0.0.0/0")], out=WEB)
    assert not gone([FirewallRule(True, "6", cidr="0.0.0.0/0")], out=WEB)
    assert not gone([], FirewallRule(True, "tcp", 80, 80, "10.0.0.9/32"), out=WEB)


def test_what_no_rule_permits_ends() -> None:
    for rule in (
        FirewallRule(False, "tcp", 23, 99, "10.0.0.0/8"),
        FirewallRule(False, "udp", 22, 22, "10.0.0.0/8"),
        FirewallRule(False, "tcp", 22, 22, "10.1.0.0/16"),
        FirewallRule(True, "-1", cidr="0.0.0.0/0"),
        FirewallRule(False, "-1", group_id="sg-2"),
        FirewallRule(False, "-1"),
    ):
        assert gone([rule], **{"in": SSH}) == [("in", "10.0.0.9 . tcp . 40000 . 22")], rule
    assert gone([FirewallRule(False, "-1", cidr="0.0.0.0/0")], out=WEB)


def test_a_group_permits_its_members_of_now() -> None:
    theirs = note("172.30.64.5", "udp", 5, 53)
    assert not gone([FirewallRule(False, "udp", 53, 53, group_id="sg-2")], **{"in": theirs})
    assert gone([FirewallRule(False, "udp", 53, 53, group_id="sg-1")], **{"in": theirs})
