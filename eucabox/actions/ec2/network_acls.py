"""The network ACL and the DHCP options of the default VPC; both are read-only."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.ec2 import default_vpc, tags
from eucabox.ec2.filters import Columns, Filter, page, select, select_ids
from eucabox.errors import DhcpOptionsNotFound, NetworkAclNotFound
from eucabox.network.address_pool import domain_name

LAST = 32767  # the number of the last rule
ACL_FILTERS: Columns[Result] = {
    "network-acl-id": "network_acl_id",
    "vpc-id": "vpc_id",
    "owner-id": "owner_id",
    "default": "is_default",
    "association.association-id": "associations.network_acl_association_id",
    "association.network-acl-id": "associations.network_acl_id",
    "association.subnet-id": "associations.subnet_id",
    "entry.cidr": "entries.cidr_block",
    "entry.egress": "entries.egress",
    "entry.protocol": "entries.protocol",
    "entry.rule-action": "entries.rule_action",
    "entry.rule-number": "entries.rule_number",
    **dict.fromkeys(
        f"entry.{each}"
        for each in ("icmp.code", "icmp.type", "ipv6-cidr", "port-range.from", "port-range.to")
    ),
}
DHCP_FILTERS: Columns[Result] = {
    "dhcp-options-id": "dhcp_options_id",
    "owner-id": "owner_id",
    "key": "dhcp_configurations.key",
    "value": "dhcp_configurations.values.value",
}


@action()
def describe_network_acls(
    call: Call,
    *,
    network_acl_ids: Sequence[str] = (),
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List the account's one network ACL, which allows everything."""
    rows = select_ids([_acl_to_api(call)], "network_acl_id", network_acl_ids, NetworkAclNotFound)
    rows = select(rows, filters, ACL_FILTERS)
    page_rows, token = page(rows, lambda each: str(each["network_acl_id"]), max_results, next_token)
    return {"network_acls": page_rows, "next_token": token}


@action()
def describe_dhcp_options(
    call: Call,
    *,
    dhcp_options_ids: Sequence[str] = (),
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List the account's one set of DHCP options, as eucabox's own DHCP server gives them."""
    rows = select_ids(
        [_options_to_api(call)], "dhcp_options_id", dhcp_options_ids, DhcpOptionsNotFound
    )
    rows = select(rows, filters, DHCP_FILTERS)
    page_rows, token = page(
        rows, lambda each: str(each["dhcp_options_id"]), max_results, next_token
    )
    return {"dhcp_options": page_rows, "next_token": token}


def _acl_to_api(call: Call) -> Result:
    acl_id = default_vpc.part_id("acl", call.account_id)
    association = {
        "network_acl_association_id": default_vpc.part_id("aclassoc", call.account_id),
        "network_acl_id": acl_id,
        "subnet_id": default_vpc.subnet_id(call.account_id),
    }
    return {
        "network_acl_id": acl_id,
        "vpc_id": default_vpc.vpc_id(call.account_id),
        "owner_id": call.account_id,
        "is_default": True,
        "associations": [association],
        "entries": [
            {
                "cidr_block": default_vpc.EVERYWHERE,
                "egress": egress,
                "protocol": "-1",
                "rule_action": verdict,
                "rule_number": number,
            }
            for egress in (True, False)
            for number, verdict in ((100, "allow"), (LAST, "deny"))
        ],
        "tags": tags.tags_of(call.cloud.state, [acl_id]).get(acl_id, []),
    }


def _options_to_api(call: Call) -> Result:
    options_id = default_vpc.part_id("dopt", call.account_id)
    config = call.cloud.config
    servers = config.network.dns.replace(",", " ").split() or ["AmazonProvidedDNS"]
    options = {"domain-name": [domain_name(config)], "domain-name-servers": servers}
    return {
        "dhcp_options_id": options_id,
        "owner_id": call.account_id,
        "dhcp_configurations": [
            {"key": key, "values": [{"value": value} for value in values]}
            for key, values in options.items()
        ],
        "tags": tags.tags_of(call.cloud.state, [options_id]).get(options_id, []),
    }
