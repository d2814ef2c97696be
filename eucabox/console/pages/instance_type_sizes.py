"""The sizes of the instance types, for the administrator to change."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from eucabox.console.answers import get_status
from eucabox.console.iam_pages import read_field
from eucabox.console.visitor import perform
from eucabox.errors import Fault, InvalidParameterValue
from eucabox.instance_types import DEFAULT_SIZES, LIMITS

pages = Blueprint("instance_type_sizes", __name__)
SIZES = {"cpu": "vcpus", "memory": "memory_mb", "disk": "disk_gb"}
NOTES = {
    "changed": "The sizes are changed. Instances that are there keep theirs.",
    "reset": "The type has the sizes again that it came with.",
}


@pages.get("/instance-types")
def show() -> Response:
    """List them."""
    return _show_page(note=NOTES.get(request.args.get("note", ""), ""))


@pages.post("/instance-types")
def change() -> Response:
    """Change the sizes of a type, or reset them."""
    name, is_reset = read_field("name"), request.form.get("do") == "reset"
    try:
        sizes = {"reset": True} if is_reset else {each: _read_number(each) for each in SIZES}
        perform("ec2", "ModifyInstanceTypeAttribute", name=name, **sizes)
    except Fault as fault:
        return _show_page(get_status(fault), problem=f"{name[:60]}: {fault.message}")
    note = "reset" if is_reset else "changed"
    return make_response(redirect(url_for("instance_type_sizes.show", note=note), 303))


def _read_number(name: str) -> int:
    text = read_field(name)
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        reason = "Give a whole number."
        raise InvalidParameterValue(parameter=name.capitalize(), value=text[:20], reason=reason)
    return int(text)


def _show_page(status: int = 200, problem: str = "", note: str = "") -> Response:
    types = perform("ec2", "DescribeInstanceTypes")["instance_type_details"]
    defaults = {
        name: {size: getattr(kind, column) for size, column in SIZES.items()}
        for name, kind in DEFAULT_SIZES.items()
    }
    limits = {size: LIMITS[column] for size, column in SIZES.items()}
    page = render_template(
        "instance_types.html",
        types=types,
        defaults=defaults,
        limits=limits,
        problem=problem,
        note=note,
    )
    return make_response(page, status)
