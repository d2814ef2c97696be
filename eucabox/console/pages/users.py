"""The users of an account: made, looked at, changed, deleted with all that they have."""

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
    list_access_keys,
    list_others,
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
from eucabox.console.undoable_steps import UndoableSteps
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


@pages.get("/users")
def show_list() -> Response:
    """List them."""
    return _show_list()


@pages.get("/users/list")
def show_rows() -> str:
    """Return the list alone, to take the place of an older one."""
    return render_template("_users.html", listing=_list_users())


@pages.post("/users")
def create() -> Response:
    """Create a user and, where a password is given, let it sign in."""
    name, steps = read_field("user_name"), UndoableSteps()
    try:
        with steps:
            _create(steps, name)
    except Fault as fault:
        return _show_list(get_status(fault), problem=steps.tell(f"The user {name}", fault))
    return redirect_with_notice("users.show", "The user is created.", user_name=name)


def _create(steps: UndoableSteps, name: str) -> None:
    steps.perform("CreateUser", "DeleteUser", user_name=name, path=read_field("path") or "/")
    if request.form.get("password", ""):
        steps.perform(
            "CreateLoginProfile", "DeleteLoginProfile", user_name=name, **_take_password()
        )
    if group := read_field("group_name"):
        steps.perform("AddUserToGroup", "RemoveUserFromGroup", user_name=name, group_name=group)
    if arn := read_field("policy_arn"):
        steps.perform("AttachUserPolicy", "DetachUserPolicy", user_name=name, policy_arn=arn)


@pages.get("/users/<user_name>")
def show(user_name: str) -> Response:
    """Show a user."""
    return _show_user(user_name)


@pages.post("/users/<user_name>")
def change(user_name: str) -> Response:
    """Change a user as the form has it in `do`."""
    do = request.form.get("do", "")
    try:
        if do == "create-key":
            made = perform("iam", "CreateAccessKey", user_name=user_name)["access_key"]
            return _show_user(user_name, made_key=made)
        if do == "delete":
            steps = list_steps_before_end(user_name)
            delete_after(steps, "DeleteUser", user_name=user_name)
            return redirect_with_notice("users.show_list", "The user is deleted.")
        note = carry_out(CHANGES, user_name=user_name)
    except Fault as fault:
        return _show_user(user_name, get_status(fault), problem=fault.message)
    name = read_field("new_user_name") or user_name if do == "rename" else user_name
    return redirect_with_notice("users.show", note, user_name=name)


def list_steps_before_end(user_name: str) -> Iterator[Step]:
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


def _list_users() -> PagedList[Item]:
    rows, text = read_list("ListUsers", "users"), join_members("user_name", "path")
    return show_listing("users", "users.show_list", COLUMNS, rows, text)


def _show_list(status: int = 200, problem: str = "") -> Response:
    page = render_template(
        "users.html",
        listing=_list_users(),
        groups=try_list("ListGroups", "groups") or [],
        policies=iam_pages.list_policy_choices(),
        sent=request.form,
        problem=problem,
    )
    return make_response(page, status)


def _show_user(
    user_name: str,
    status: int = 200,
    *,
    problem: str = "",
    made_key: object = None,
) -> Response:
    of_user = {"user_name": user_name}
    user = perform("iam", "GetUser", **of_user)["user"]
    groups = try_list("ListGroupsForUser", "groups", **of_user)
    page = render_template(
        "user.html",
        shown=user,
        login=_read_login(user_name),
        keys=list_access_keys(**of_user),
        certificates=try_list("ListSigningCertificates", "certificates", **of_user),
        groups=groups,
        other_groups=list_others("ListGroups", "groups", "group_name", groups or []),
        attached=try_list("ListAttachedUserPolicies", "attached_policies", **of_user),
        inline=try_list("ListUserPolicies", "policy_names", **of_user),
        policies=iam_pages.list_policy_choices(),
        problem=problem,
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
