import pytest

from eucabox.network import FilteredGuest, FirewallRule
from eucabox.network.nft_rules import AlwaysAllowed, Ruleset, render

TAP, MAC, IP = "eu1234aaaaaaaaa", "d0:0d:ac:1e:40:04", "172.30.64.4"
GUEST = FilteredGuest(TAP, MAC, IP, ("sg-1",))
IN, OUT = f"goto kept-to-{TAP}", f"goto kept-from-{TAP}"


def rendered(
    *rules: FirewallRule, guest: FilteredGuest = GUEST, ground: AlwaysAllowed | None = None
) -> Ruleset:
    return render("eu1234", [guest], {"sg-1": rules}, ground or AlwaysAllowed())


def noted(found: Ruleset, way: str) -> list[str]:
    """The rules of one direction that let something begin."""
    return [line for line in found.chains[f"{way}-{TAP}"] if "goto kept-" in line]


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (FirewallRule(False, "-1", cidr="0.0.0.0/0"), IN),
        (FirewallRule(False, "tcp", 22, 22, "0.0.0.0/0"), f"tcp dport 22 {IN}"),
        (FirewallRule(False, "udp", 1, 9, "10.0.0.0/8"), f"ip saddr 10.0.0.0/8 udp dport 1-9 {IN}"),
        (FirewallRule(False, "tcp", 0, 65535, "0.0.0.0/0"), f"meta l4proto tcp {IN}"),
        (FirewallRule(False, "icmp", -1, -1, "0.0.0.0/0"), f"meta l4proto icmp {IN}"),
        (FirewallRule(False, "icmp", 8, -1, "0.0.0.0/0"), f"icmp type 8 {IN}"),
        (FirewallRule(False, "icmp", 3, 4, "0.0.0.0/0"), f"icmp type 3 icmp code 4 {IN}"),
        (
            FirewallRule(False, "47", cidr="10.1.2.3/32"),
            f"ip saddr 10.1.2.3/32 meta l4proto 47 {IN}",
        ),
        (FirewallRule(False, "tcp", 22, 22, group_id="sg-2"), f"ip saddr @sg-2 tcp dport 22 {IN}"),
        (FirewallRule(True, "-1", cidr="0.0.0.0/0"), OUT),
        (
            FirewallRule(True, "tcp", 80, 80, "10.0.0.0/8"),
            f"ip daddr 10.0.0.0/8 tcp dport 80 {OUT}",
        ),
    ],
)
def test_a_rule_is_a_line(rule: FirewallRule, line: str) -> None:
    found = rendered(rule)
    way, other = ("from", "to") if rule.is_egress else ("to", "from")
    assert [" ".join(each.split()) for each in noted(found, way)] == [line]
    assert noted(found, other) == []


def test_rules_for_ipv6_match_nothing() -> None:
    found = rendered(FirewallRule(False, "icmpv6", -1, -1, "0.0.0.0/0"), FirewallRule(False, "-1"))
    assert noted(found, "to") == []


def test_a_rule_of_two_groups_is_written_once() -> None:
    rule = FirewallRule(False, "tcp", 22, 22, "0.0.0.0/0")
    assert len(noted(rendered(rule, rule), "to")) == 1


def test_a_group_is_a_set_of_its_members() -> None:
    guests = [
        FilteredGuest("eu1234aaaaaaaaa", MAC, "10.0.0.9", ("sg-1",)),
        FilteredGuest("eu1234bbbbbbbbb", MAC, "10.0.0.10", ("sg-1", "sg-2")),
        FilteredGuest("eu1234ccccccccc", MAC, None, ("sg-1",)),
    ]
    rules = {
        "sg-1": [
            FirewallRule(False, "-1", group_id="sg-1"),
            FirewallRule(False, "-1", group_id="sg-3"),
        ]
    }
    found = render("eu1234", guests, rules, AlwaysAllowed())
    assert found.members == {
        "sg-1": "type ipv4_addr; elements = { 10.0.0.10, 10.0.0.9 };",
        "sg-3": "type ipv4_addr;",
    }


def test_services_of_every_instance_come_first() -> None:
    service = FirewallRule(True, "tcp", 80, 80, "169.254.169.254/32")
    found = rendered(ground=AlwaysAllowed((service,), ("172.30.64.1",)))
    assert noted(found, "from") == [f"ip daddr 169.254.169.254/32 tcp dport 80 {OUT}"]
    answers = "ip saddr { 172.30.64.1 } udp sport 67 udp dport 68 accept"
    own = "@th,288,48 0xd00dac1e4004"
    asks = f"ip daddr {{ 255.255.255.255, 172.30.64.1 }} udp sport 68 udp dport 67 {own} accept"
    assert f"ip saddr {{ 0.0.0.0, {IP} }} {asks}" in found.chains[f"from-{TAP}"]
    assert answers in found.chains[f"to-{TAP}"]


def test_without_a_known_server_anybody_answers_dhcp() -> None:
    assert "udp sport 67 udp dport 68 accept" in rendered().chains[f"to-{TAP}"]


def test_every_chain_of_a_tap_ends_in_a_drop() -> None:
    found = rendered(FirewallRule(False, "tcp", 22, 22, "0.0.0.0/0"))
    assert found.chains[f"to-{TAP}"][-1] == found.chains[f"from-{TAP}"][-1] == "drop"
    assert found.chains["prerouting"][-1] == 'iifname "eu1234*" drop'
    assert found.chains["postrouting"][-1] == 'oifname "eu1234*" drop'


def test_an_unknown_address_may_only_be_asked_for() -> None:
    rule = FirewallRule(False, "-1", cidr="0.0.0.0/0")
    found = rendered(rule, guest=FilteredGuest(TAP, MAC, None, ("sg-1",)))
    assert found.chains[f"from-{TAP}"] == [
        f"ether saddr != {MAC} drop",
        f"ether type arp arp saddr ether {MAC} arp saddr ip 0.0.0.0 accept",
        "ether type != ip drop",
        "ip saddr 0.0.0.0 udp sport 68 udp dport 67 @th,288,48 0xd00dac1e4004 accept",
        "udp dport 67 drop",
        "udp sport 67 udp dport 68 drop",
        "drop",
    ]
    assert noted(found, "to") == []


def test_no_guest_still_shuts_the_taps() -> None:
    found = render("eu1234", [], {}, AlwaysAllowed())
    assert found.chains["prerouting"][2:] == ['iifname "eu1234*" drop']
