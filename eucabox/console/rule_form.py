"""A rule of a security group as a visitor writes it, and the members that it makes."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from eucabox.console.compute import ShownRule
from eucabox.console.guard import check_text
from eucabox.ec2 import security_groups
from eucabox.errors import InvalidParameterValue

MOST_TEXT = 300
PORTS = re.compile(r"(\d{1,5})(?:\s*-\s*(\d{1,5}))?", re.ASCII)
ICMP = re.compile(r"(-1|\d{1,3})(?:\s*/\s*(-1|\d{1,3}))?", re.ASCII)
PROTOCOLS = {"tcp": "TCP", "udp": "UDP", "icmp": "ICMP", "-1": "Everything"}
# What people call a port; offered while they type.
COMMON_PORTS = {
    "22": "SSH",
    "80": "HTTP",
    "443": "HTTPS",
    "3389": "RDP",
    "5432": "PostgreSQL",
    "3306": "MySQL",
}
EVERY_PORT = (0, 65535)


@dataclass(frozen=True)
class RuleForm:
    """The fields. `peer` is a network, one address, or a group by its id or name; `ports` is a
    port, a range as 8000-8080, or empty for all; of ICMP TYPE or TYPE/CODE."""

    is_egress: bool
    protocol: str = "tcp"
    ports: str = ""
    peer: str = ""
    description: str = ""

    def to_permission(self) -> dict[str, object]:
        """Return it as one of the API's IpPermissions; raises InvalidParameterValue."""
        return {"ip_protocol": self.protocol, **self._read_ports(), **self._read_peer()}

    def _read_ports(self) -> dict[str, object]:
        if self.protocol in ("tcp", "udp"):
            low, high = _read_range(self.ports)
            return {"from_port": low, "to_port": high}
        if self.protocol == "icmp" and self.ports:
            found = ICMP.fullmatch(self.ports)
            if not found:
                _refuse("Ports", self.ports, "Of ICMP give a type, or TYPE/CODE.")
            return {"from_port": int(found[1]), "to_port": int(found[2] or -1)}
        return {}

    def _read_peer(self) -> dict[str, object]:
        described = {"description": self.description} if self.description else {}
        network = _read_network(self.peer)
        if network is None:
            is_id = security_groups.ID.fullmatch(self.peer)
            named = {"group_id" if is_id else "group_name": self.peer}
            return {"user_id_group_pairs": [{**named, **described}]}
        if network.version == 4:
            return {"ip_ranges": [{"cidr_ip": str(network), **described}]}
        return {"ipv6_ranges": [{"cidr_ipv6": str(network), **described}]}


def read_rule_form(form: Mapping[str, str]) -> RuleForm:
    """Return what was sent; raises BadRequest for fields that are too long."""
    protocol = form.get("protocol", "")
    return RuleForm(
        is_egress=form.get("direction") == "out",
        protocol=protocol if protocol in PROTOCOLS else "tcp",
        ports=check_text(form.get("ports", ""), MOST_TEXT, "The port"),
        peer=check_text(form.get("peer", ""), MOST_TEXT, "The source"),
        description=check_text(form.get("description", ""), MOST_TEXT, "The description"),
    )


def show_protocol(rule: ShownRule) -> str:
    """Return a rule's protocol in words."""
    return PROTOCOLS.get(rule["ip_protocol"], rule["ip_protocol"])


def show_ports(rule: ShownRule) -> str:
    """Return the ports of a rule, such as 22 (SSH), 8000-8080 or all."""
    low, high = rule["from_port"], rule["to_port"]
    if rule["ip_protocol"] not in ("tcp", "udp"):
        return "all" if low == -1 else f"type {low}" + ("" if high == -1 else f", code {high}")
    if (low, high) == EVERY_PORT:
        return "all"
    if low != high:
        return f"{low}-{high}"
    word = COMMON_PORTS.get(str(low), "")
    return f"{low} ({word})" if word else str(low)


def _read_range(text: str) -> tuple[int, int]:
    if not text:
        return EVERY_PORT
    found = PORTS.fullmatch(text)
    if not found:
        _refuse("Ports", text, "Give a port such as 22, or a range such as 8000-8080.")
    return int(found[1]), int(found[2] or found[1])


def _read_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network of a text, of one address too; None where it is neither."""
    if not text:
        _refuse("Source", text, "Give a network such as 10.1.0.0/16, an address, or a group.")
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        pass
    if "/" in text:
        _refuse("Source", text, "Give a network with its prefix length, such as 10.1.0.0/16.")
    return None


def _refuse(parameter: str, value: str, reason: str) -> NoReturn:
    raise InvalidParameterValue(parameter=parameter, value=value[:60], reason=reason)
