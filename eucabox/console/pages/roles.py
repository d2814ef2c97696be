"""The roles of an account: who may assume each, what it may do, and which instances get it."""

from collections.abc import Iterator

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from eucabox.console import iam_pages
from eucabox.console.answers import get_status
from eucabox.console.iam_pages import (
    Change,
    Item,
    carry_out,
    get_note,
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
from eucabox.console.policy_editor import TRUST_EC2, Editor, check_editor, indent_document
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
NOTES = {
    "deleted": "The role is deleted.",
    "created": "The role is created.",
    "profile": "The instance profile is created, and hands out the role.",
}


@pages.get("/roles")
def show_list() -> Response:
    """List them."""
    return _show_list(note=NOTES.get(request.args.get("note", ""), ""))


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
        editor = _look_again(fault)
        return _show_list(get_status(fault), problem=fault.message, editor=editor)
    return make_response(redirect(url_for("roles.show", role_name=name, note="created"), 303))


@pages.get("/roles/<role_name>")
def show(role_name: str) -> Response:
    """Show a role."""
    return _show_role(
        role_name, note=NOTES.get(request.args.get("note", ""), "") or get_note(CHANGES)
    )


@pages.post("/roles/<role_name>")
def change(role_name: str) -> Response:
    """Change a role as the form has it in `do`."""
    do, note = request.form.get("do", ""), request.form.get("do", "")
    if do == "check":
        return _show_role(role_name, editor=check_editor("trust"))
    try:
        if do == "delete":
            for verb, members in list_steps_before_end(role_name):
                perform("iam", verb, role_name=role_name, **members)
            perform("iam", "DeleteRole", role_name=role_name)
            return make_response(redirect(url_for("roles.show_list", note="deleted"), 303))
        if do == "create-profile":
            profile = {"instance_profile_name": read_field("instance_profile_name")}
            perform("iam", "CreateInstanceProfile", **profile)
            perform("iam", "AddRoleToInstanceProfile", role_name=role_name, **profile)
            note = "profile"
        elif do == "drop-profile":
            name = read_field("instance_profile_name")
            perform("iam", "DeleteInstanceProfile", instance_profile_name=name)
        else:
            carry_out(CHANGES, role_name=role_name)
    except Fault as fault:
        editor = _look_again(fault) if do == "trust" else None
        return _show_role(role_name, get_status(fault), problem=fault.message, editor=editor)
    return make_response(redirect(url_for("roles.show", role_name=role_name, note=note), 303))


def list_steps_before_end(role_name: str) -> Iterator[tuple[str, dict[str, object]]]:
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


def _look_again(fault: Fault) -> Editor:
    """Return the editor with the form's document; where that is what is wrong, with its line."""
    if fault.code != "MalformedPolicyDocument":
        return Editor(read_text("policy_document"))
    return check_editor("trust")


def _show_list(
    status: int = 200, problem: str = "", note: str = "", editor: Editor | None = None
) -> Response:
    rows, text = read_list("ListRoles", "roles"), join_members("role_name", "path", "description")
    page = render_template(
        "roles.html",
        listing=show_listing("roles", "roles.show_list", COLUMNS, rows, text),
        editor=editor or Editor(TRUST_EC2),
        is_open=editor is not None,
        sent=request.form,
        problem=problem,
        note=note,
    )
    return make_response(page, status)


def _show_role(
    role_name: str,
    status: int = 200,
    *,
    problem: str = "",
    note: str = "",
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
        note=note,
    )
    return make_response(page, status)


def _list_free_profiles() -> list[Item]:
    every = try_list("ListInstanceProfiles", "instance_profiles") or []
    return [each for each in every if not each["roles"]]
