"""Launching instances: a form that can make or import a key pair as well."""

import base64
import secrets
from dataclasses import replace

from flask import Blueprint, Response, make_response, render_template, request

from eucabox.console import compute
from eucabox.console.answers import get_status, redirect_with_notice
from eucabox.console.compute import ShownInstance, offer
from eucabox.console.guard import check_text
from eucabox.console.launch_form import (
    IMPORTED_KEY,
    MOST_ID,
    NEW_KEY,
    OLD_KEY,
    LaunchForm,
    copy_launch,
    list_user_data_faults,
    read_launch_form,
)
from eucabox.console.ssh_line import name_key_file
from eucabox.console.visitor import perform
from eucabox.errors import Fault

pages = Blueprint("launch", __name__)
MOST_TOKEN = 64
DEFAULT_GROUP = "default"


@pages.get("/instances/launch")
def show() -> Response:
    """Show the form: empty, with an image, or as another instance was launched."""
    image_id = check_text(request.args.get("image_id", ""), MOST_ID, "The image")
    like = check_text(request.args.get("like", ""), MOST_ID, "The instance")
    form = _copy(like) if like else LaunchForm(image_id=image_id)
    faults = list_user_data_faults(form)
    return _show_form(form, problem=" ".join(faults), kind="warn")


@pages.post("/instances/launch")
def enter() -> Response:
    """Make the key pair that is wanted, and launch."""
    token = check_text(request.form.get("token", ""), MOST_TOKEN, "The token")
    form = read_launch_form(request.form, request.files, token)
    private_key = ""
    try:
        members = form.to_members()  # before a key pair is made in vain
        if form.key == NEW_KEY:
            made = perform("ec2", "CreateKeyPair", key_name=form.key_name, key_type="ed25519")
            private_key = str(made["key_material"])
        elif form.key == IMPORTED_KEY:
            public_key = form.public_key.encode()
            perform("ec2", "ImportKeyPair", key_name=form.key_name, public_key_material=public_key)
        if form.key in (NEW_KEY, IMPORTED_KEY):
            form = form.choose_old_key(form.key_name)
            members["key_name"] = form.old_key_name
        made = perform("ec2", "RunInstances", **members)
    except Fault as fault:
        renewed = replace(form, token="")
        return _show_form(renewed, get_status(fault), fault.message, private_key=private_key)
    return _tell_launched(form, _list_ids(made), private_key)


def _tell_launched(form: LaunchForm, instance_ids: list[str], private_key: str) -> Response:
    names = ", ".join(instance_ids)
    if not private_key:
        return redirect_with_notice("instances.show", f"Launched {names}.")
    page = render_template(
        "launched.html",
        instance_ids=instance_ids,
        private_key=_show_key(form.old_key_name, private_key),
    )
    return make_response(page)


def _show_key(name: str, text: str) -> dict[str, str]:
    """What a page has of a private key, also as the data of a link that keeps it as a file."""
    data = base64.b64encode(text.encode()).decode()
    return {"text": text, "data": data, "name": name, "file": name_key_file(name)}


def _list_ids(reservation: dict[str, object]) -> list[str]:
    instances = reservation["instances"]
    assert isinstance(instances, list)
    return [str(each["instance_id"]) for each in instances]


def _copy(instance_id: str) -> LaunchForm:
    instance: ShownInstance = compute.get_instance(instance_id)
    user_data = offer(lambda: compute.read_user_data(instance_id))
    return copy_launch(instance, user_data or b"")


def _show_form(
    form: LaunchForm,
    status: int = 200,
    problem: str = "",
    kind: str = "bad",
    private_key: str = "",
) -> Response:
    groups = offer(compute.list_security_groups)
    if not form.groups and request.method == "GET":
        own = [each["group_id"] for each in groups or [] if each["group_name"] == DEFAULT_GROUP]
        form = replace(form, groups=tuple(own))
    page = render_template(
        "launch.html",
        form=form if form.token else replace(form, token=secrets.token_urlsafe(18)),
        problem=problem,
        kind=kind,
        images=offer(compute.list_images),
        types=offer(compute.list_types),
        key_pairs=offer(compute.list_key_pairs),
        groups=groups,
        profiles=offer(compute.list_instance_profiles),
        old_key=OLD_KEY,
        private_key=_show_key(form.old_key_name, private_key) if private_key else None,
    )
    return make_response(page, status)
