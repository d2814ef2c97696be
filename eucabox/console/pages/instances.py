"""The list of instances, and what is done with several of them at once."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from werkzeug.exceptions import BadRequest

from eucabox.console import compute
from eucabox.console.bulk import perform_each, read_chosen, show_outcomes
from eucabox.console.compute import ListedLine, ShownUsage, offer
from eucabox.console.listed_instances import ListedInstances, make_row
from eucabox.console.listing import PER_PAGE, Column, PagedList, list_shown, show_listing
from eucabox.console.visitor import current_visitor, perform
from eucabox.instance_states import InstanceState

pages = Blueprint("instances", __name__)
STATES = tuple(each.value for each in InstanceState)
ALL_ACCOUNTS = "all"
ALL = 1_000_000  # instances, where each has to be looked at
KEPT = ("q", "tag", "state", "accounts", "order")  # of the list's address, when something was done


@dataclass(frozen=True)
class InstanceAct:
    """A verb for an instance, its button, what is told once it was accepted, and the states that
    it is for."""

    verb: str
    label: str
    done: str
    states: tuple[str, ...]


ACTS = {
    "start": InstanceAct("StartInstances", "Start", "starting", ("stopped",)),
    "stop": InstanceAct("StopInstances", "Stop", "stopping", ("running",)),
    "reboot": InstanceAct("RebootInstances", "Reboot", "rebooting", ("running",)),
    "terminate": InstanceAct("TerminateInstances", "Terminate", "terminating", STATES),
}


def _name(row: ListedLine) -> str:
    return compute.find_name(row["tags"]).casefold() or row["instance_id"]


COLUMNS: tuple[Column[ListedLine], ...] = (
    Column("name", "Name", _name, is_fixed=True, style="name"),
    Column("state", "State", lambda row: row["state"]["name"], is_fixed=True, style="tagged"),
    Column("type", "Type", lambda row: row["instance_type"], style="short"),
    Column("address", "Address", lambda row: row["private_ip_address"] or "", style="address"),
    Column("usage", "CPU, memory"),
    Column("launched", "Launched", lambda row: row["launch_time"].timestamp(), style="short"),
    Column("key", "Key pair", lambda row: row["key_name"] or "", is_shown=False),
    Column("image", "Image", lambda row: row["image_id"], is_shown=False),
    Column("groups", "Security groups", is_shown=False),
    Column("role", "Role", is_shown=False),
    Column("tags", "Tags", is_shown=False),
    Column("owner", "Account", lambda row: row["owner_id"], is_shown=False),
)


@pages.get("/instances")
def show() -> str:
    """Show the list."""
    shown = _read_list()
    return render_template(
        "instances.html",
        acts=ACTS,
        states=STATES,
        bulk_address=url_for("instances.act", **_keep_view()),
        **shown,
    )


@pages.get("/instances/list")
def show_list() -> str:
    """Show the list alone, for a page that renews it."""
    return render_template("_instances.html", **_read_list())


@pages.post("/instances/chosen/act")
def act() -> Response:
    """Start, stop, reboot or terminate what was chosen, and tell of each what came of it."""
    chosen, choice = read_chosen(), choose_act()
    outcomes = perform_each(
        chosen, lambda instance_id: perform("ec2", choice.verb, instance_ids=[instance_id])
    )
    return show_outcomes("instances.show", choice.done, outcomes, **_keep_view())


def choose_act() -> InstanceAct:
    """Return what a form's button is for; raises BadRequest."""
    choice = ACTS.get(request.form.get("act", ""))
    if choice is None:
        raise BadRequest("Start, stop, reboot or terminate: one of these is done.")
    return choice


def _keep_view() -> dict[str, Any]:
    """What of this address the list has when something was done with its rows."""
    return {name: request.args[name] for name in KEPT if request.args.get(name)}


def _read_list() -> dict[str, object]:
    caller = current_visitor().caller
    state, accounts = request.args.get("state", ""), request.args.get("accounts", "")
    state = state if state in STATES else ""
    every = bool(caller and caller.admin) and accounts == ALL_ACCOUNTS
    shows_groups = any(each.name == "groups" for each in list_shown("instances", COLUMNS))
    narrowed = any(request.args.get(each) for each in ("q", "tag", "order"))
    lines = ListedInstances(
        every_account=every,
        with_groups=shows_groups or bool(request.args.get("q")),
        state_name=state,
        at_once=ALL if narrowed else PER_PAGE,
    )
    listing: PagedList[ListedLine] = show_listing(
        "instances",
        "instances.show",
        COLUMNS,
        lines,
        _read_text,
        lambda row: {each["key"]: each["value"] for each in row["tags"]},
        {"state": state, "accounts": ALL_ACCOUNTS if every else ""},
    )
    usage = _find_usage(listing)
    rows = [make_row(each, usage.get(each["instance_id"])) for each in listing.rows]
    return {"listing": listing, "rows": rows, "every_account": every}


def _find_usage(listing: PagedList[ListedLine]) -> dict[str, ShownUsage]:
    """What the running instances of a page use, if that is shown."""
    if not any(each.name == "usage" for each in listing.shown):
        return {}
    running = [each["instance_id"] for each in listing.rows if each["state"]["name"] == "running"]
    found = offer(lambda: compute.list_usage(running)) if running else None
    return found or {}


def _read_text(row: ListedLine) -> str:
    """What of an instance is searched."""
    tags = " ".join(f"{each['key']}={each['value']}" for each in row["tags"])
    groups = " ".join(f"{each['group_name']} {each['group_id']}" for each in row["security_groups"])
    addresses = f"{row['public_ip_address'] or ''} {row['private_ip_address'] or ''}"
    words = (row["instance_id"], row["instance_type"], row["image_id"], row["key_name"] or "")
    return " ".join((*words, row["state"]["name"], addresses, groups, tags))
