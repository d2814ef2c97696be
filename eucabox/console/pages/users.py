"""The users of an account: made, looked at, changed, deleted with all that they have."""

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
    may_perform,
    read_field,
    read_list,
    take,
    take_tag,
    take_tag_key,
    try_list,
)
from eucabox.console.listing import PagedList, show_listing
from eucabox.console.visitor import perform
from eucabox.errors import Fault, NoSuchEntity

pages = Blueprint("users", __name__)
COLUMNS = (
    make_column("name", "User", "user_name", is_fixed=True, style="name"),
    make_column("path", "Path", "path"),
    make_column("created", "Created", "create_date"),
    make_column("signed-in", "Last signed in", "password_last_used"),
)


def _take_password() -> dict[str, object]:
    must_change = request.form.get("must_change") == "yes"
    return {"password": request.form.get("password", ""), "password_reset_required": must_change}


CHANGES = {
    "set-password": Change("CreateLoginProfile", "The password is set.", _take_password),
    "new-password": Change("UpdateLoginProfile", "The password is another one.", _take_password),
    "drop-password": Change("DeleteLoginProfile", "The password is gone: no sign-in any more."),
    "key": Change("UpdateAccessKey", "The key is changed.", take("access_key_id", "status")),
    "drop-key": Change("DeleteAccessKey", "The key is deleted.", take("access_key_id")),
    "certificate": Change(
        "UpdateSigningCertificate", "The certificate is changed.", take("certificate_id", "status")
    ),
    "drop-certificate": Change(
        "DeleteSigningCertificate", "The certificate is deleted.", take("certificate_id")
    ),
    "join": Change("AddUserToGroup", "The user is in the group.", take("group_name")),
    "leave": Change("RemoveUserFromGroup", "The user left the group.", take("group_name")),
    "attach": Change("AttachUserPolicy", "The policy is attached.", take("policy_arn")),
    "detach": Change("DetachUserPolicy", "The policy is detached.", take("policy_arn")),
    "drop-policy": Change("DeleteUserPolicy", "The policy is deleted.", take("policy_name")),
    "bound": Change(
        "PutUserPermissionsBoundary", "The boundary is set.", take("permissions_boundary")
    ),
    "unbound": Change("DeleteUserPermissionsBoundary", "There is no boundary any more."),
    "tag": Change("TagUser", "The tag is set.", take_tag),
    "untag": Change("UntagUser", "The tag is gone.", take_tag_key),
    "rename": Change("UpdateUser", "The user is renamed.", take("new_user_name", "new_path")),
}
LIST_NOTES = {"deleted": "The user is deleted.", "created": "The user is created."}


@pages.get("/users")
def show_list() -> Response:
    """List them."""
    return _show_list(note=LIST_NOTES.get(request.args.get("note", ""), ""))


@pages.get("/users/list")
def show_rows() -> str:
    """Return the list alone, to take the place of an older one."""
    return render_template("_users.html", listing=_list_users())


@pages.post("/users")
def create() -> Response:
    """Create a user and, where a password is given, let it sign in."""
    name, password = read_field("user_name"), request.form.get("password", "")
    try:
        perform("iam", "CreateUser", user_name=name, path=read_field("path") or "/")
        if password:
            perform("iam", "CreateLoginProfile", user_name=name, **_take_password())
        if group := read_field("group_name"):
            perform("iam", "AddUserToGroup", user_name=name, group_name=group)
        if arn := read_field("policy_arn"):
            perform("iam", "AttachUserPolicy", user_name=name, policy_arn=arn)
    except Fault as fault:
        return _show_list(get_status(fault), problem=_tell_half_made(name, fault))
    return make_response(redirect(url_for("users.show", user_name=name, note="created"), 303))


@pages.get("/users/<user_name>")
def show(user_name: str) -> Response:
    """Show a user."""
    note = LIST_NOTES["created"] if request.args.get("note") == "created" else get_note(CHANGES)
    return _show_user(user_name, note=note)


@pages.post("/users/<user_name>")
def change(user_name: str) -> Response:
    """Change a user as the form has it in `do`."""
    do = request.form.get("do", "")
    try:
        if do == "create-key":
            made = perform("iam", "CreateAccessKey", user_name=user_name)["access_key"]
            return _show_user(user_name, made_key=made)
        if do == "delete":
            for verb, members in list_steps_before_end(user_name):
                perform("iam", verb, user_name=user_name, **members)
            perform("iam", "DeleteUser", user_name=user_name)
            return make_response(redirect(url_for("users.show_list", note="deleted"), 303))
        carry_out(CHANGES, user_name=user_name)
    except Fault as fault:
        return _show_user(user_name, get_status(fault), problem=fault.message)
    name = read_field("new_user_name") or user_name if do == "rename" else user_name
    return make_response(redirect(url_for("users.show", user_name=name, note=do), 303))


def list_steps_before_end(user_name: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the verbs, with their members, that take from a user what it must not have at its end.

    Raises the Fault that a client would get which may not see what there is.
    """
    of_user = {"user_name": user_name}
    try:
        perform("iam", "GetLoginProfile", **of_user)
        yield "DeleteLoginProfile", {}
    except NoSuchEntity:
        pass
    for verb, lists, member, name in (
        ("DeleteAccessKey", "ListAccessKeys", "access_key_metadata", "access_key_id"),
        ("DeleteSigningCertificate", "ListSigningCertificates", "certificates", "certificate_id"),
        ("RemoveUserFromGroup", "ListGroupsForUser", "groups", "group_name"),
        ("DetachUserPolicy", "ListAttachedUserPolicies", "attached_policies", "policy_arn"),
        ("DeactivateMFADevice", "ListMFADevices", "mfa_devices", "serial_number"),
    ):
        for each in read_list(lists, member, **of_user):
            yield verb, {name: each[name]}
    for policy_name in read_list("ListUserPolicies", "policy_names", **of_user):
        yield "DeleteUserPolicy", {"policy_name": policy_name}


def _tell_half_made(name: str, fault: Fault) -> str:
    try:
        perform("iam", "GetUser", user_name=name)
    except Fault:
        return fault.message
    if fault.code == "EntityAlreadyExists":
        return fault.message
    return f"The user {name} is created, but not all of it: {fault.message}"


def _list_users() -> PagedList[Item]:
    rows, text = read_list("ListUsers", "users"), join_members("user_name", "path")
    return show_listing("users", "users.show_list", COLUMNS, rows, text)


def _show_list(status: int = 200, problem: str = "", note: str = "") -> Response:
    page = render_template(
        "users.html",
        listing=_list_users(),
        groups=try_list("ListGroups", "groups") or [],
        policies=iam_pages.list_policy_choices(),
        sent=request.form,
        problem=problem,
        note=note,
    )
    return make_response(page, status)


def _show_user(
    user_name: str,
    status: int = 200,
    *,
    problem: str = "",
    note: str = "",
    made_key: object = None,
) -> Response:
    of_user = {"user_name": user_name}
    user = perform("iam", "GetUser", **of_user)["user"]
    groups = try_list("ListGroupsForUser", "groups", **of_user)
    page = render_template(
        "user.html",
        shown=user,
        login=_read_login(user_name),
        keys=_list_keys(user_name),
        certificates=try_list("ListSigningCertificates", "certificates", **of_user),
        groups=groups,
        other_groups=_list_other_groups(groups or []),
        attached=try_list("ListAttachedUserPolicies", "attached_policies", **of_user),
        inline=try_list("ListUserPolicies", "policy_names", **of_user),
        policies=iam_pages.list_policy_choices(),
        problem=problem,
        note=note,
        made_key=made_key,
    )
    return make_response(page, status)


def _read_login(user_name: str) -> Item | None:
    """Return a user's login profile: an empty one where there is none, None where it may not be
    seen."""
    if not may_perform("iam", "GetLoginProfile"):
        return None
    try:
        profile = perform("iam", "GetLoginProfile", user_name=user_name)["login_profile"]
    except NoSuchEntity:
        return {}
    except Fault:
        return None
    assert isinstance(profile, dict)
    return profile


def _list_keys(user_name: str) -> list[Item] | None:
    keys = try_list("ListAccessKeys", "access_key_metadata", user_name=user_name)
    return None if keys is None else [{**each, "last_used": _read_use(each)} for each in keys]


def _read_use(key: Item) -> object:
    if not may_perform("iam", "GetAccessKeyLastUsed"):
        return {}
    try:
        used = perform("iam", "GetAccessKeyLastUsed", access_key_id=key["access_key_id"])
    except Fault:
        return {}
    return used["access_key_last_used"]


def _list_other_groups(groups: list[Item]) -> list[Item]:
    inside = {each["group_name"] for each in groups}
    every = try_list("ListGroups", "groups") or []
    return [each for each in every if each["group_name"] not in inside]
