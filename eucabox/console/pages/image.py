"""One image: what it is, who may launch it, how its instances are made, its tags, its end."""

from typing import TypedDict

from flask import Blueprint, Response, make_response, render_template, request

from eucabox.console.answers import get_status, redirect_with_notice
from eucabox.console.guard import check_text
from eucabox.console.listed_images import (
    ListedImage,
    is_own,
    list_permissions,
    load_image,
    read_settings,
)
from eucabox.console.visitor import perform
from eucabox.errors import Fault
from eucabox.image import settings

pages = Blueprint("image", __name__)
MOST_ID, MOST_TEXT, MOST_KEY, MOST_VALUE, MOST_LINE = 24, 255, 128, 256, 1024
EVERYONE = "all"


class SettingShown(TypedDict):
    """A setting of an image with the words that it takes, none for free text."""

    attribute: str
    help: str
    words: tuple[str, ...]
    value: str


@pages.get("/images/<image_id>")
def show(image_id: str) -> Response:
    """Show it."""
    return _show_page(image_id)


@pages.get("/images/<image_id>/facts")
def show_facts(image_id: str) -> str:
    """Show what it is alone, for a page that renews it."""
    return render_template("_image.html", image=load_image(image_id))


@pages.post("/images/<image_id>/share")
def share(image_id: str) -> Response:
    """Let an account launch it."""
    account_id = check_text(request.form.get("account", ""), MOST_ID, "The account")
    change = {"add": [{"user_id": account_id}]}
    return _modify(image_id, f"Account {account_id} may launch it.", launch_permission=change)


@pages.post("/images/<image_id>/unshare")
def unshare(image_id: str) -> Response:
    """Let an account launch it no longer."""
    account_id = check_text(request.form.get("account", ""), MOST_ID, "The account")
    change = {"remove": [{"user_id": account_id}]}
    text = f"Account {account_id} may launch it no longer."
    return _modify(image_id, text, launch_permission=change)


@pages.post("/images/<image_id>/visibility")
def set_visibility(image_id: str) -> Response:
    """Let everybody launch it, or no longer."""
    is_public = request.form.get("public") == "yes"
    change = {"add" if is_public else "remove": [{"group": EVERYONE}]}
    text = "Every account may launch it." if is_public else "It is private again."
    return _modify(image_id, text, launch_permission=change)


@pages.post("/images/<image_id>/description")
def describe(image_id: str) -> Response:
    """Give it another description."""
    text = check_text(request.form.get("description", ""), MOST_TEXT, "The description")
    return _modify(image_id, "The description is changed.", description={"value": text})


@pages.post("/images/<image_id>/settings")
def change_settings(image_id: str) -> Response:
    """Change how its instances are made from now on."""
    try:
        before = read_settings(image_id)
        for attribute, value in before.items():
            typed = request.form.get(attribute, value)
            wanted = check_text(typed, MOST_LINE, f"The value of {attribute}")
            if wanted != value:
                members = {"attribute": attribute, "value": wanted}
                perform("ec2", "ModifyImageAttribute", image_id=image_id, **members)
    except Fault as fault:
        return _show_page(image_id, get_status(fault), fault.message)
    text = "The settings are changed, for launches from now on."
    return redirect_with_notice("image.show", text, image_id=image_id)


@pages.post("/images/<image_id>/tag")
def tag(image_id: str) -> Response:
    """Give it a tag."""
    key = check_text(request.form.get("key", ""), MOST_KEY, "The key")
    value = check_text(request.form.get("value", ""), MOST_VALUE, "The value")
    tags = [{"key": key, "value": value}]
    text = f"It has the tag {key}."
    return _perform(image_id, text, "CreateTags", resources=[image_id], tags=tags)


@pages.post("/images/<image_id>/untag")
def untag(image_id: str) -> Response:
    """Take a tag from it."""
    key = check_text(request.form.get("key", ""), MOST_KEY, "The key")
    text, tags = f"It has the tag {key} no longer.", [{"key": key}]
    return _perform(image_id, text, "DeleteTags", resources=[image_id], tags=tags)


@pages.post("/images/<image_id>/copy")
def copy(image_id: str) -> Response:
    """Copy it into a bucket of one's own."""
    name = check_text(request.form.get("name", ""), MOST_KEY, "The name")
    try:
        made = perform("ec2", "CopyImage", source_image_id=image_id, name=name)
    except Fault as fault:
        return _show_page(image_id, get_status(fault), fault.message)
    text = f"This is the copy. It is pending until all of {image_id} is copied."
    return redirect_with_notice("image.show", text, image_id=str(made["image_id"]))


@pages.post("/images/<image_id>/deregister")
def deregister(image_id: str) -> Response:
    """Deregister it; its objects stay in their bucket."""
    try:
        perform("ec2", "DeregisterImage", image_id=image_id)
    except Fault as fault:
        return _show_page(image_id, get_status(fault), fault.message)
    return redirect_with_notice("images.show", f"{image_id} is deregistered.")


def _modify(image_id: str, text: str, **members: object) -> Response:
    return _perform(image_id, text, "ModifyImageAttribute", image_id=image_id, **members)


def _perform(page_of: str, text: str, name: str, /, **members: object) -> Response:
    try:
        perform("ec2", name, **members)
    except Fault as fault:
        return _show_page(page_of, get_status(fault), fault.message)
    return redirect_with_notice("image.show", text, image_id=page_of)


def _show_page(image_id: str, status: int = 200, problem: str = "") -> Response:
    image = load_image(image_id)
    page = render_template(
        "image.html",
        image=image,
        accounts=_list_accounts(image),
        settings=_list_settings(image),
        bucket=image["image_location"].partition("/")[0],
        is_own=is_own(image),
        problem=problem,
    )
    return make_response(page, status)


def _list_accounts(image: ListedImage) -> list[str] | None:
    """The accounts that it is shared with; None where the visitor may not know."""
    if not is_own(image):
        return None
    try:
        return list_permissions(image["image_id"])
    except Fault:
        return None


def _list_settings(image: ListedImage) -> list[SettingShown]:
    """The settings of a machine image of one's own; none where the visitor may not know."""
    if not is_own(image) or image["image_type"] != "machine":
        return []
    try:
        values = read_settings(image["image_id"])
    except Fault:
        return []
    return [
        {"attribute": name, "help": settings.HELP[name], "words": settings.list_words(name),
         "value": value}
        for name, value in values.items()
    ]  # fmt: skip
