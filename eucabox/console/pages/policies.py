"""Managed policies: made, looked at with their versions, put in force, deleted."""

from collections.abc import Iterator

from flask import Blueprint, Response, make_response, render_template, request

from eucabox.console.answers import get_status, redirect_with_notice
from eucabox.console.iam_pages import (
    Change,
    Item,
    Step,
    carry_out,
    delete_after,
    join_members,
    make_column,
    may_perform,
    read_field,
    read_list,
    read_text,
    take,
    take_tag,
    take_tag_key,
    try_list,
)
from eucabox.console.listing import PagedList, show_listing
from eucabox.console.policy_editor import (
    STARTS,
    Editor,
    check_editor,
    edit_again,
    indent_document,
    start_editor,
)
from eucabox.console.visitor import perform
from eucabox.errors import Fault, NoSuchEntity

pages = Blueprint("policies", __name__)
COLUMNS = (
    make_column("name", "Policy", "policy_name", is_fixed=True, style="name"),
    make_column("used", "Used", "attachment_count"),
    make_column("version", "In force", "default_version_id"),
    make_column("changed", "Changed", "update_date"),
)
CHANGES = {
    "default": Change("SetDefaultPolicyVersion", "This version is in force.", take("version_id")),
    "drop-version": Change("DeletePolicyVersion", "The version is deleted.", take("version_id")),
    "tag": Change("TagPolicy", "The tag is set.", take_tag),
    "untag": Change("UntagPolicy", "The tag is gone.", take_tag_key),
    "save": Change(
        "CreatePolicyVersion",
        "The new version is in force.",
        lambda: {"policy_document": read_text("policy_document"), "set_as_default": True},
    ),
}
DETACH = {
    "policy_users": ("DetachUserPolicy", "user_name"),
    "policy_groups": ("DetachGroupPolicy", "group_name"),
    "policy_roles": ("DetachRolePolicy", "role_name"),
}


@pages.get("/policies")
def show_list() -> Response:
    """List them."""
    is_started = "start" in request.args
    return _show_list(editor=start_editor() if is_started else None)


@pages.post("/policies")
def create() -> Response:
    """Create a policy, or look at its document."""
    if request.form.get("do") == "check":
        return _show_list(editor=check_editor("managed"))
    try:
        made = perform(
            "iam",
            "CreatePolicy",
            policy_name=read_field("policy_name"),
            path=read_field("path") or "/",
            description=read_text("description"),
            policy_document=read_text("policy_document"),
        )["policy"]
    except Fault as fault:
        editor = edit_again("managed", fault)
        return _show_list(get_status(fault), problem=fault.message, editor=editor)
    assert isinstance(made, dict)
    return redirect_with_notice("policies.show", "The policy is created.", arn=made["arn"])


@pages.get("/policies/one")
def show() -> Response:
    """Show the policy of an ARN, with the version that the address names or the one in force."""
    arn = request.args.get("arn", "")
    if not arn.startswith("arn:"):
        reason = "This address names no policy; the list of policies leads to each of them."
        raise NoSuchEntity(reason=reason)
    return _show_policy(arn)


@pages.post("/policies/one")
def change() -> Response:
    """Change a policy as the form has it in `do`."""
    do, arn = request.form.get("do", ""), read_field("arn")
    if do == "check":
        return _show_policy(arn, editor=check_editor("managed"))
    try:
        if do == "delete":
            delete_after(_list_steps_before_end(arn), "DeletePolicy", policy_arn=arn)
            return redirect_with_notice("policies.show_list", "The policy is deleted.")
        note = carry_out(CHANGES, policy_arn=arn)
    except Fault as fault:
        editor = edit_again("managed", fault) if do == "save" else None
        return _show_policy(arn, get_status(fault), problem=fault.message, editor=editor)
    return redirect_with_notice("policies.show", note, arn=arn)


def _list_steps_before_end(arn: str) -> Iterator[Step]:
    """Yield the verbs, with their members, that take a policy from who has it, and its versions
    from it; a boundary stays."""
    holders = perform("iam", "ListEntitiesForPolicy", policy_arn=arn, max_items=1000,
                      policy_usage_filter="PermissionsPolicy")  # fmt: skip
    for member, (verb, name) in DETACH.items():
        entities = holders[member]
        assert isinstance(entities, list)
        for each in entities:
            yield verb, {name: each[name]}
    for each in read_list("ListPolicyVersions", "versions", policy_arn=arn):
        if not each["is_default_version"]:
            yield "DeletePolicyVersion", {"version_id": each["version_id"]}


def _show_list(status: int = 200, problem: str = "", editor: Editor | None = None) -> Response:
    page = render_template(
        "policies.html",
        listing=_list_policies(),
        editor=editor or start_editor(),
        is_open=editor is not None,
        starts=STARTS,
        sent=request.form,
        problem=problem,
    )
    return make_response(page, status)


def _list_policies() -> PagedList[Item]:
    scope = "aws" if request.args.get("scope") == "aws" else ""
    rows = read_list("ListPolicies", "policies", scope="AWS" if scope else "Local")
    text, choices = join_members("policy_name", "path"), {"scope": scope}
    endpoint = "policies.show_list"
    return show_listing("policies", endpoint, COLUMNS, rows, text, choices=choices)


def _show_policy(
    arn: str, status: int = 200, *, problem: str = "", editor: Editor | None = None
) -> Response:
    policy = perform("iam", "GetPolicy", policy_arn=arn)["policy"]
    assert isinstance(policy, dict)
    wanted = request.args.get("version", "") or policy["default_version_id"]
    version = perform("iam", "GetPolicyVersion", policy_arn=arn, version_id=wanted)
    shown = version["policy_version"]
    assert isinstance(shown, dict)
    page = render_template(
        "policy.html",
        shown=policy,
        is_of_aws=arn.startswith("arn:aws:iam::aws:"),
        version=shown,
        document=indent_document(shown["document"]),
        editor=editor or Editor(indent_document(shown["document"])),
        is_open=editor is not None,
        versions=try_list("ListPolicyVersions", "versions", policy_arn=arn),
        holders=_list_holders(arn),
        problem=problem,
    )
    return make_response(page, status)


def _list_holders(arn: str) -> list[Item] | None:
    """Return who has the policy, each with `kind` and `name`; None where that may not be seen."""
    if not may_perform("iam", "ListEntitiesForPolicy"):
        return None
    try:
        answer = perform("iam", "ListEntitiesForPolicy", policy_arn=arn, max_items=1000)
    except Fault:
        return None
    holders: list[Item] = []
    for member, (_, name) in DETACH.items():
        entities = answer[member]
        assert isinstance(entities, list)
        kind = name.removesuffix("_name")
        holders += [{"kind": kind, "name": each[name]} for each in entities]
    return holders
