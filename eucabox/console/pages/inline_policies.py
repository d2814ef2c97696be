"""The policies of a user's, a group's or a role's own: one editor for all three."""

from functools import partial

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from eucabox.console.answers import get_status
from eucabox.console.iam_pages import read_field, read_text
from eucabox.console.policy_editor import (
    STARTS,
    Editor,
    check_editor,
    edit_again,
    indent_document,
    start_editor,
)
from eucabox.console.visitor import perform
from eucabox.errors import Fault

pages = Blueprint("inline_policies", __name__)
KINDS = ("user", "group", "role")


def begin(kind: str, owner: str) -> Response:
    """Show the editor of a new policy."""
    return _show_editor(kind, owner, "", start_editor())


def show(kind: str, owner: str, policy_name: str) -> Response:
    """Show the editor of a policy that is there."""
    members = {f"{kind}_name": owner, "policy_name": policy_name}
    answer = perform("iam", f"Get{kind.capitalize()}Policy", **members)
    editor = Editor(indent_document(answer["policy_document"]))
    return _show_editor(kind, owner, policy_name, editor)


def save(kind: str, owner: str) -> Response:
    """Store a policy, or look at its document and store nothing."""
    name, document = read_field("policy_name"), read_text("policy_document")
    if request.form.get("do") == "check":
        return _show_editor(kind, owner, name, check_editor(kind))
    members = {f"{kind}_name": owner, "policy_name": name, "policy_document": document}
    try:
        perform("iam", f"Put{kind.capitalize()}Policy", **members)
    except Fault as fault:
        editor = edit_again(kind, fault)
        return _show_editor(kind, owner, name, editor, get_status(fault), fault.message)
    return make_response(redirect(_find_page(kind, owner), 303))


def _find_page(kind: str, owner: str) -> str:
    if kind == "user":
        return url_for("users.show", user_name=owner)
    if kind == "group":
        return url_for("groups.show", group_name=owner)
    return url_for("roles.show", role_name=owner)


def _show_editor(
    kind: str, owner: str, name: str, editor: Editor, status: int = 200, problem: str = ""
) -> Response:
    page = render_template(
        "inline_policy.html",
        kind=kind,
        owner=owner,
        name=name,
        owner_page=_find_page(kind, owner),
        editor=editor,
        starts=STARTS,
        problem=problem,
    )
    return make_response(page, status)


for _kind in KINDS:
    _path = f"/{_kind}s/<owner>/policies"
    pages.add_url_rule(_path, f"begin_{_kind}", partial(begin, _kind), methods=["GET"])
    pages.add_url_rule(_path, f"save_{_kind}", partial(save, _kind), methods=["POST"])
    pages.add_url_rule(
        f"{_path}/<policy_name>", f"show_{_kind}", partial(show, _kind), methods=["GET"]
    )
