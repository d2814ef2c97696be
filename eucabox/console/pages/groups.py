"""The groups of an account: their members, and the policies that these have by them."""

from collections.abc import Iterator

from flask import Blueprint, Response, make_response, render_template, request

from eucabox.console import iam_pages
from eucabox.console.answers import get_status, redirect_with_notice
from eucabox.console.iam_pages import (
    Change,
    Item,
    Step,
    carry_out,
    delete_after,
    join_members,
    list_others,
    make_column,
    read_field,
    read_list,
    take,
    try_list,
)
from eucabox.console.listing import show_listing
from eucabox.console.visitor import perform
from eucabox.errors import Fault

pages = Blueprint("groups", __name__)
COLUMNS = (
    make_column("name", "Group", "group_name", is_fixed=True, style="name"),
    make_column("path", "Path", "path"),
    make_column("created", "Created", "create_date"),
)
CHANGES = {
    "add": Change("AddUserToGroup", "The user is in the group.", take("user_name")),
    "remove": Change("RemoveUserFromGroup", "The user left the group.", take("user_name")),
    "attach": Change("AttachGroupPolicy", "The policy is attached.", take("policy_arn")),
    "detach": Change("DetachGroupPolicy", "The policy is detached.", take("policy_arn")),
    "drop-policy": Change("DeleteGroupPolicy", "The policy is deleted.", take("policy_name")),
    "rename": Change("UpdateGroup", "The group is renamed.", take("new_group_name", "new_path")),
}


@pages.get("/groups")
def show_list() -> Response:
    """List them."""
    return _show_list()


@pages.post("/groups")
def create() -> Response:
    """Create a group."""
    name = read_field("group_name")
    try:
        perform("iam", "CreateGroup", group_name=name, path=read_field("path") or "/")
    except Fault as fault:
        return _show_list(get_status(fault), problem=fault.message)
    return redirect_with_notice("groups.show", "The group is created.", group_name=name)


@pages.get("/groups/<group_name>")
def show(group_name: str) -> Response:
    """Show a group."""
    return _show_group(group_name)


@pages.post("/groups/<group_name>")
def change(group_name: str) -> Response:
    """Change a group as the form has it in `do`."""
    do = request.form.get("do", "")
    try:
        if do == "delete":
            steps = list_steps_before_end(group_name)
            delete_after(steps, "DeleteGroup", group_name=group_name)
            return redirect_with_notice("groups.show_list", "The group is deleted.")
        note = carry_out(CHANGES, group_name=group_name)
    except Fault as fault:
        return _show_group(group_name, get_status(fault), problem=fault.message)
    name = read_field("new_group_name") or group_name if do == "rename" else group_name
    return redirect_with_notice("groups.show", note, group_name=name)


def list_steps_before_end(group_name: str) -> Iterator[Step]:
    """Yield the verbs, with their members, that take from a group what it must not have at its
    end."""
    for user in read_list("GetGroup", "users", group_name=group_name):
        yield "RemoveUserFromGroup", {"user_name": user["user_name"]}
    attached = read_list("ListAttachedGroupPolicies", "attached_policies", group_name=group_name)
    for each in attached:
        yield "DetachGroupPolicy", {"policy_arn": each["policy_arn"]}
    for name in read_list("ListGroupPolicies", "policy_names", group_name=group_name):
        yield "DeleteGroupPolicy", {"policy_name": name}


def _show_list(status: int = 200, problem: str = "") -> Response:
    rows, text = read_list("ListGroups", "groups"), join_members("group_name", "path")
    listing = show_listing("groups", "groups.show_list", COLUMNS, rows, text)
    page = render_template("groups.html", listing=listing, sent=request.form, problem=problem)
    return make_response(page, status)


def _show_group(group_name: str, status: int = 200, problem: str = "") -> Response:
    of_group = {"group_name": group_name}
    group = perform("iam", "GetGroup", **of_group)["group"]
    members = read_list("GetGroup", "users", **of_group)
    page = render_template(
        "group.html",
        shown=group,
        members=members,
        others=_list_others(members),
        attached=try_list("ListAttachedGroupPolicies", "attached_policies", **of_group),
        inline=try_list("ListGroupPolicies", "policy_names", **of_group),
        policies=iam_pages.list_policy_choices(),
        problem=problem,
    )
    return make_response(page, status)


def _list_others(members: list[Item]) -> list[Item]:
    others = list_others("ListUsers", "users", "user_name", members)
    return others if len(others) <= iam_pages.MOST_CHOICES else []
