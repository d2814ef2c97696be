"""What happened in the account, or in the cloud: a list that follows what happens."""

from flask import Blueprint, render_template, request

from eucabox.actions import Result
from eucabox.console.guard import check_text
from eucabox.console.visitor import current_visitor, perform
from eucabox.errors import InvalidParameterValue, NoSuchEntity

pages = Blueprint("events", __name__)
ROWS = 50
LONGEST = 200  # characters of a filter
FILTERS = ("account_name", "user", "event_name", "resource", "outcome", "request_id", "since")


@pages.get("/events")
def show() -> str:
    """Show the newest events, or those that the filters choose."""
    return _show("events.html")


@pages.get("/events/list")
def show_list() -> str:
    """Show the list alone, for a page that follows it."""
    return _show("_events.html")


def list_events(resource: str) -> Result:
    """Return what `_events.html` shows of one resource, for a page about it: members for
    render_template."""
    return _find({"resource": resource})


def _show(template: str) -> str:
    chosen = {
        name: check_text(value, LONGEST, "A filter")
        for name in FILTERS
        if (value := request.args.get(name, ""))
    }
    caller = current_visitor().caller
    if caller is None or not caller.admin:
        chosen.pop("account_name", None)
    return render_template(template, **_find(chosen, request.args.get("next_token", "")))


def _find(chosen: dict[str, str], next_token: str = "") -> Result:
    problem = ""
    members = {**chosen, "next_token": next_token} if next_token else chosen
    try:
        answer = perform("bootstrap", "DescribeEvents", max_results=ROWS, **members)
    except (NoSuchEntity, InvalidParameterValue) as fault:  # of a filter that was typed
        if fault.facts.get("parameter") == "NextToken":
            raise
        answer, problem = {"events": []}, fault.message
    return {
        "events": answer["events"],
        "events_chosen": chosen,
        "events_next": answer.get("next_token", ""),
        "events_token": next_token,
        "events_problem": problem,
    }
