"""Security groups and their rules."""

import ipaddress
from collections import Counter
from dataclasses import replace

from flask import Blueprint, Response, make_response, render_template, request

from eucabox.console import compute
from eucabox.console.answers import get_status, redirect_with_notice
from eucabox.console.bulk import perform_each, read_chosen, show_outcomes
from eucabox.console.compute import ShownRule, ShownSecurityGroup, offer
from eucabox.console.guard import check_text
from eucabox.console.listing import Column, PagedList, show_listing
from eucabox.console.rule_form import (
    COMMON_PORTS,
    PROTOCOLS,
    RuleForm,
    read_rule_form,
    show_ports,
    show_protocol,
)
from eucabox.console.site import current_console
from eucabox.console.visitor import perform
from eucabox.errors import Fault

pages = Blueprint("security_groups", __name__)
MOST_NAME = 255
WAYS = {"in": "Ingress", "out": "Egress"}
COLUMNS: tuple[Column[ShownSecurityGroup], ...] = (
    Column("name", "Name", lambda row: row["group_name"].casefold(), is_fixed=True, style="name"),
    Column("description", "Description", lambda row: row["description"].casefold()),
    Column("rules", "Rules"),
    Column("id", "ID", lambda row: row["group_id"]),
    Column("tags", "Tags", is_shown=False),
)


@pages.get("/security-groups")
def show() -> Response:
    """List them."""
    return _show_page()


@pages.get("/security-groups/list")
def show_list() -> str:
    """Show the list alone, for a page that renews it."""
    return render_template("_security_groups.html", **_read_list())


@pages.post("/security-groups/new/create")
def create() -> Response:
    """Make one, and go on to its rules."""
    name = check_text(request.form.get("name", ""), MOST_NAME, "The name")
    text = check_text(request.form.get("description", ""), MOST_NAME, "The description")
    try:
        made = perform("ec2", "CreateSecurityGroup", group_name=name, description=text or name)
    except Fault as fault:
        return _show_page(get_status(fault), fault.message)
    return _tell(str(made["group_id"]), f"{name} is made. It lets nothing in yet.")


@pages.post("/security-groups/chosen/delete")
def delete() -> Response:
    """Delete those that were chosen."""
    names = {each["group_id"]: each["group_name"] for each in compute.list_security_groups()}
    outcomes = perform_each(
        read_chosen(), lambda group_id: perform("ec2", "DeleteSecurityGroup", group_id=group_id)
    )
    named = tuple(replace(each, name=names.get(each.name, each.name)) for each in outcomes)
    return show_outcomes("security_groups.show", "deleted", named)


@pages.get("/security-groups/<group_id>")
def show_group(group_id: str) -> Response:
    """Show the rules of one."""
    return _show_group(group_id, RuleForm(is_egress=False))


@pages.get("/security-groups/<group_id>/rules")
def show_rules(group_id: str) -> str:
    """Show its rules alone, for a page that renews them."""
    return render_template("_rules.html", **_read_rules(group_id))


@pages.post("/security-groups/<group_id>/rules/add")
def add_rule(group_id: str) -> Response:
    """Let some packets pass."""
    form = read_rule_form(request.form)
    verb = f"AuthorizeSecurityGroup{WAYS['out' if form.is_egress else 'in']}"
    try:
        permissions = [form.to_permission()]
        perform("ec2", verb, group_id=group_id, ip_permissions=permissions)
    except Fault as fault:
        return _show_group(group_id, form, get_status(fault), fault.message)
    return _tell(group_id, "The rule counts from now on.")


@pages.post("/security-groups/<group_id>/rules/revoke")
def revoke_rule(group_id: str) -> Response:
    """Let those packets pass no more that the chosen rules are about."""
    verb = f"RevokeSecurityGroup{WAYS.get(request.form.get('direction', ''), WAYS['in'])}"
    outcomes = perform_each(
        read_chosen(),
        lambda rule_id: perform("ec2", verb, group_id=group_id, security_group_rule_ids=[rule_id]),
    )
    return show_outcomes("security_groups.show_group", "revoked", outcomes, group_id=group_id)


def find_own_network() -> str:
    """Return the network of the visitor alone, as guests see it: of one address.

    A browser on this host comes to guests from the host's address on their bridge.
    """
    address = ipaddress.ip_address(request.remote_addr or "127.0.0.1")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_loopback:
        own = current_console().cloud.network.api_address
        address = ipaddress.ip_address(own) if own else address
    return str(ipaddress.ip_network(address))


def _tell(group_id: str, text: str, kind: str = "good") -> Response:
    return redirect_with_notice("security_groups.show_group", text, kind, group_id=group_id)


def _show_page(status: int = 200, problem: str = "") -> Response:
    page = render_template(
        "security_groups.html", problem=problem, sent=request.form, **_read_list()
    )
    return make_response(page, status)


def _read_list() -> dict[str, object]:
    rules = offer(compute.list_rules)
    listing: PagedList[ShownSecurityGroup] = show_listing(
        "security-groups",
        "security_groups.show",
        COLUMNS,
        compute.list_security_groups(),
        lambda row: f"{row['group_name']} {row['group_id']} {row['description']}",
        lambda row: {each["key"]: each["value"] for each in row["tags"]},
    )
    counts = Counter((each["group_id"], each["is_egress"]) for each in rules or [])
    return {"listing": listing, "counts": None if rules is None else counts}


def _show_group(group_id: str, form: RuleForm, status: int = 200, problem: str = "") -> Response:
    page = render_template(
        "security_group.html",
        form=form,
        problem=problem,
        own_network=find_own_network(),
        protocols=PROTOCOLS,
        common_ports=COMMON_PORTS,
        **_read_rules(group_id),
    )
    return make_response(page, status)


def _read_rules(group_id: str) -> dict[str, object]:
    group = compute.get_security_group(group_id)
    rules = offer(lambda: compute.list_rules(group_id))
    groups = offer(compute.list_security_groups) or []
    names = {each["group_id"]: each["group_name"] for each in groups}

    def show_peer(rule: ShownRule) -> str:
        peer = rule.get("cidr_ipv4") or rule.get("cidr_ipv6") or ""
        about = rule.get("referenced_group_info")
        if not about:
            return peer
        peer = about["group_id"] or "a group"
        name = names.get(peer)
        return f"{name} ({peer})" if name else f"{peer} of {about['user_id']}"

    return {
        "group": group,
        "groups": groups,
        "rules": rules,
        "show_peer": show_peer,
        "show_ports": show_ports,
        "show_protocol": show_protocol,
    }
