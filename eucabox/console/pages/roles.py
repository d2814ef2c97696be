"""The roles of an account: who may assume each, what it may do, and which instances get it."""

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
    make_column,
    read_field,
    read_list,
    read_text,
    take,
    take_tag,
    take_tag_key,
    try_list,
)
from eucabox.console.listing import show_listing
from eucabox.console.policy_editor import (
    TRUST_EC2,
    Editor,
    check_editor,
    edit_again,
    indent_document,
)
from eucabox.console.undoable_steps import UndoableSteps
from eucabox.console.visitor import perform
from eucabox.errors import Fault, InvalidParameterValue

pages = Blueprint("roles", __name__)
COLUMNS = (
    make_column("name", "Role", "role_name", is_fixed=True, style="name"),
    make_column("description", "Description", "description"),
    make_column("session", "Longest session", "max_session_duration"),
    make_column("created", "Created", "create_date"),
)
HOURS = range(1, 13)


def _take_length() -> dict[str, object]:
    hours = read_field("hours")
    if not (hours.isascii() and hours.isdecimal() and int(hours) in HOURS):
        reason = f"Give hours from {HOURS[0]} to {HOURS[-1]}."
        raise InvalidParameterValue(parameter="MaxSessionDuration", value=hours[:20], reason=reason)
    seconds = int(hours) * 3600
    return {"max_session_duration": seconds, "description": read_text("description")}


CHANGES = {
    "edit": Change("UpdateRole", "The role is changed.", _take_length),
    "attach": Change("AttachRolePolicy", "The policy is attached.", take("policy_arn")),
    "detach": Change("DetachRolePolicy", "The policy is detached.", take("policy_arn")),
    "drop-policy": Change("DeleteRolePolicy", "The policy is deleted.", take("policy_name")),
    "bound": Change(
        "PutRolePermissionsBoundary", "The boundary is set.", take("permissions_boundary")
    ),
    "unbound": Change("DeleteRolePermissionsBoundary", "There is no boundary any more."),
    "tag": Change("TagRole", "The tag is set.", take_tag),
    "untag": Change("UntagRole", "The tag is gone.", take_tag_key),
    "add-profile": Change(
        "AddRoleToInstanceProfile", "The profile hands out the role.", take("instance_profile_name")
    ),
    "remove-profile": Change(
        "RemoveRoleFromInstanceProfile",
        "The profile is without a role.",
        take("instance_profile_name"),
    ),
    "trust": Change(
        "UpdateAssumeRolePolicy",
        "Who may assume the role is changed.",
        lambda: {"policy_document": read_text("policy_document")},
    ),
}


@pages.get("/roles")
def show_list() -> Response:
    """List them."""
    return _show_list()


@pages.post("/roles")
def create() -> Response:
    """Create a role, or look at the document of who may assume it."""
    name, document = read_field("role_name"), read_text("policy_document")
    if request.form.get("do") == "check":
        return _show_list(editor=check_editor("trust"))
    try:
        perform(
            "iam",
            "CreateRole",
            role_name=name,
            path=read_field("path") or "/",
            description=read_text("description"),
            assume_role_policy_document=document,
        )
    except Fault as fault:
        editor = edit_again("trust", fault)
        return _show_list(get_status(fault), problem=fault.message, editor=editor)
    return redirect_with_notice("roles.show", "The role is created.", role_name=name)


@pages.get("/roles/<role_name>")
def show(role_name: str) -> Response:
    """Show a role."""
    return _show_role(role_name)


@pages.post("/roles/<role_name>")
def change(role_name: str) -> Response:
    """Change a role as the form has it in `do`."""
    do = request.form.get("do", "")
    if do == "check":
        return _show_role(role_name, editor=check_editor("trust"))
    try:
        if do == "delete":
            steps = list_steps_before_end(role_name)
            delete_after(steps, "DeleteRole", role_name=role_name)
            return redirect_with_notice("roles.show_list", "The role is deleted.")
        if do == "create-profile":
            _create_profile(role_name, read_field("instance_profile_name"))
            note = "The instance profile is created, and hands out the role."
        elif do == "drop-profile":
            name = read_field("instance_profile_name")
            perform("iam", "DeleteInstanceProfile", instance_profile_name=name)
            note = "The instance profile is deleted."
        else:
            note = carry_out(CHANGES, role_name=role_name)
    except Fault as fault:
        editor = edit_again("trust", fault) if do == "trust" else None
        return _show_role(role_name, get_status(fault), problem=fault.message, editor=editor)
    return redirect_with_notice("roles.show", note, role_name=role_name)


def _create_profile(role_name: str, name: str) -> None:
    with UndoableSteps() as steps:
        profile = {"instance_profile_name": name}
        steps.perform("CreateInstanceProfile", "DeleteInstanceProfile", **profile)
        perform("iam", "AddRoleToInstanceProfile", role_name=role_name, **profile)


def list_steps_before_end(role_name: str) -> Iterator[Step]:
    """Yield the verbs, with their members, that take from a role what it must not have at its
    end."""
    of_role = {"role_name": role_name}
    for each in read_list("ListInstanceProfilesForRole", "instance_profiles", **of_role):
        name = each["instance_profile_name"]
        yield "RemoveRoleFromInstanceProfile", {"instance_profile_name": name}
    for each in read_list("ListAttachedRolePolicies", "attached_policies", **of_role):
        yield "DetachRolePolicy", {"policy_arn": each["policy_arn"]}
    for name in read_list("ListRolePolicies", "policy_names", **of_role):
        yield "DeleteRolePolicy", {"policy_name": name}


def _show_list(status: int = 200, problem: str = "", editor: Editor | None = None) -> Response:
    rows, text = read_list("ListRoles", "roles"), join_members("role_name", "path", "description")
    page = render_template(
        "roles.html",
        listing=show_listing("roles", "roles.show_list", COLUMNS, rows, text),
        editor=editor or Editor(TRUST_EC2),
        is_open=editor is not None,
        sent=request.form,
        problem=problem,
    )
    return make_response(page, status)


def _show_role(
    role_name: str,
    status: int = 200,
    *,
    problem: str = "",
    editor: Editor | None = None,
) -> Response:
    of_role = {"role_name": role_name}
    role = perform("iam", "GetRole", **of_role)["role"]
    assert isinstance(role, dict)
    profiles = try_list("ListInstanceProfilesForRole", "instance_profiles", **of_role)
    page = render_template(
        "role.html",
        shown=role,
        trust=editor or Editor(indent_document(role["assume_role_policy_document"])),
        is_open=editor is not None,
        hours=HOURS,
        profiles=profiles,
        free_profiles=_list_free_profiles(),
        attached=try_list("ListAttachedRolePolicies", "attached_policies", **of_role),
        inline=try_list("ListRolePolicies", "policy_names", **of_role),
        policies=iam_pages.list_policy_choices(),
        problem=problem,
    )
    return make_response(page, status)


def _list_free_profiles() -> list[Item]:
    every = try_list("ListInstanceProfiles", "instance_profiles") or []
    return [each for each in every if not each["roles"]]
