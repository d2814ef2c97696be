"""One instance: what it is, its console, tags, groups and role, and what can be done with it."""

import hashlib

from flask import Blueprint, Response, make_response, render_template, request

from eucabox.console import compute
from eucabox.console.answers import redirect_with_notice
from eucabox.console.compute import ShownInstance, offer
from eucabox.console.console_text import clean_console
from eucabox.console.guard import check_text
from eucabox.console.listed_instances import is_sick
from eucabox.console.pages.events import list_events
from eucabox.console.pages.instances import ACTS, choose_act
from eucabox.console.pages.usage import find_usage
from eucabox.console.ssh_line import write_ssh_line
from eucabox.console.visitor import perform
from eucabox.errors import Fault

pages = Blueprint("instance", __name__)
MOST_CONSOLE = 16 * 1024  # characters that the page shows; the file has all
MARK_DIGITS = 16
MOST_ID, MOST_NAME, MOST_KEY, MOST_VALUE, MOST_GROUPS = 64, 128, 128, 256, 100
GONE = "terminated"


@pages.get("/instances/<instance_id>")
def show(instance_id: str) -> str:
    """Show all of it."""
    instance = compute.get_instance(instance_id)
    user_data = offer(lambda: compute.read_user_data(instance_id))
    usage = offer(lambda: find_usage(instance_id))
    events = offer(lambda: list_events(instance_id))
    return render_template(
        "instance.html",
        has_usage=bool(usage),
        has_events=bool(events),
        **{**_summarize(instance), **_read_console(instance), **(usage or {}), **(events or {})},
        own_groups={each["group_id"] for each in instance["security_groups"]},
        groups=offer(compute.list_security_groups),
        profiles=offer(compute.list_instance_profiles),
        user_data=user_data,
        user_data_text=clean_console(user_data or b"", len(user_data or b"")),
        is_protected=offer(lambda: _is_protected(instance_id)),
    )


@pages.get("/instances/<instance_id>/summary")
def show_summary(instance_id: str) -> str:
    """Show its state alone, for a page that renews it."""
    return render_template("_instance.html", **_summarize(compute.get_instance(instance_id)))


@pages.get("/instances/<instance_id>/console")
def show_console(instance_id: str) -> Response:
    """Show the end of its console alone, for a page that follows it; 204 where it has seen it."""
    shown = _read_console(compute.get_instance(instance_id))
    if request.args.get("seen") == shown["mark"]:
        return make_response("", 204)
    return make_response(render_template("_instance_console.html", **shown))


@pages.get("/instances/<instance_id>/console.log")
def download_console(instance_id: str) -> Response:
    """Send what is kept of its console, as the guest wrote it."""
    output, _ = compute.read_console(instance_id)
    return _send_file(output, f"{instance_id}.log")


@pages.get("/instances/<instance_id>/user-data")
def download_user_data(instance_id: str) -> Response:
    """Send its user data."""
    return _send_file(compute.read_user_data(instance_id), f"{instance_id}-user-data")


@pages.get("/instances/<instance_id>/screen.png")
def show_screen(instance_id: str) -> Response:
    """Send a picture of its screen."""
    response = make_response(compute.read_screen(instance_id))
    response.content_type = "image/png"
    return response


@pages.post("/instances/<instance_id>/act")
def act(instance_id: str) -> Response:
    """Start, stop, reboot or terminate it."""
    choice = choose_act()
    return _try(
        instance_id, f"{choice.done.capitalize()}.", choice.verb, instance_ids=[instance_id]
    )


@pages.post("/instances/<instance_id>/tags")
def tag(instance_id: str) -> Response:
    """Give it a tag, or a tag another value."""
    new = {
        "key": check_text(request.form.get("key", ""), MOST_KEY, "The key"),
        "value": check_text(request.form.get("value", ""), MOST_VALUE, "The value"),
    }
    return _try(instance_id, "The tag is set.", "CreateTags", resources=[instance_id], tags=[new])


@pages.post("/instances/<instance_id>/tags/delete")
def untag(instance_id: str) -> Response:
    """Take a tag away."""
    tags = [{"key": request.form.get("key", "")}]
    return _try(instance_id, "The tag is gone.", "DeleteTags", resources=[instance_id], tags=tags)


@pages.post("/instances/<instance_id>/groups")
def change_groups(instance_id: str) -> Response:
    """Give it other security groups."""
    groups = [each[:MOST_ID] for each in request.form.getlist("group")][:MOST_GROUPS]
    if not groups:
        return _tell(instance_id, "An instance has at least one security group.", "bad")
    done = "The security groups are changed; they count at once."
    return _try(
        instance_id, done, "ModifyInstanceAttribute", instance_id=instance_id, groups=groups
    )


@pages.post("/instances/<instance_id>/role")
def change_role(instance_id: str) -> Response:
    """Give it another instance profile, or take the one that it has."""
    name = check_text(request.form.get("profile", ""), MOST_NAME, "The instance profile")
    try:
        _change_profile(instance_id, name)
    except Fault as fault:
        return _tell(instance_id, fault.message, "bad")
    return _tell(instance_id, "The role is changed." if name else "It has no role any more.")


@pages.post("/instances/<instance_id>/protection")
def change_protection(instance_id: str) -> Response:
    """Protect it from being terminated, or no more."""
    value = {"value": request.form.get("protected") == "yes"}
    done = "It can't be terminated now." if value["value"] else "It can be terminated now."
    members = {"instance_id": instance_id, "disable_api_termination": value}
    return _try(instance_id, done, "ModifyInstanceAttribute", **members)


def _change_profile(instance_id: str, name: str) -> None:
    present = compute.find_association(instance_id)
    profile = {"name": name}
    if present is None and name:
        members = {"instance_id": instance_id, "iam_instance_profile": profile}
        perform("ec2", "AssociateIamInstanceProfile", **members)
    elif present is not None and name:
        members = {
            "association_id": present["association_id"],
            "iam_instance_profile": profile,
        }
        perform("ec2", "ReplaceIamInstanceProfileAssociation", **members)
    elif present is not None:
        association_id = present["association_id"]
        perform("ec2", "DisassociateIamInstanceProfile", association_id=association_id)


def _try(instance_id: str, done: str, verb: str, /, **members: object) -> Response:
    try:
        perform("ec2", verb, **members)
    except Fault as fault:
        return _tell(instance_id, fault.message, "bad")
    return _tell(instance_id, done)


def _tell(instance_id: str, text: str, kind: str = "good") -> Response:
    return redirect_with_notice("instance.show", text, kind, instance_id=instance_id)


def _summarize(instance: ShownInstance) -> dict[str, object]:
    return {
        "instance": instance,
        "acts": ACTS,
        "name": compute.find_name(instance["tags"]),
        "ssh_line": write_ssh_line(instance),
        "health": offer(lambda: compute.get_health(instance["instance_id"])),
        "is_gone": instance["state"]["name"] == GONE,
        "is_sick": is_sick(instance),
    }


def _read_console(instance: ShownInstance) -> dict[str, object]:
    """What its console shows; `lines` is None where the visitor may not read it."""
    read = offer(lambda: compute.read_console(instance["instance_id"]))
    lines = clean_console(read[0], MOST_CONSOLE) if read else None
    is_gone = instance["state"]["name"] == GONE
    return {
        "instance_id": instance["instance_id"],
        "is_gone": is_gone,
        "lines": lines,
        "moment": read[1] if read else None,
        "mark": hashlib.sha256(f"{is_gone} {lines}".encode()).hexdigest()[:MARK_DIGITS],
    }


def _is_protected(instance_id: str) -> bool:
    value = compute.read_attribute(instance_id, "disableApiTermination", "disable_api_termination")
    return bool(value)


def _send_file(data: bytes, name: str) -> Response:
    response = make_response(data)
    response.content_type = "application/octet-stream"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response
