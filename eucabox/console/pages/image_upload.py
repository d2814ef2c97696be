"""A new image: a disk that the page sends to a bucket in parts (static/upload.js and
buckets/uploads.py), and its registration; or of what lies in a bucket already."""

import base64
import binascii
import re

from flask import Blueprint, Response, jsonify, make_response, render_template, request
from werkzeug.exceptions import BadRequest

from eucabox.console.answers import get_status, redirect_with_notice
from eucabox.console.guard import check_text
from eucabox.console.members import read_structures, read_text
from eucabox.console.pages.buckets.uploads import answer_in_json, read_size
from eucabox.console.visitor import current_visitor, perform
from eucabox.errors import Fault, ImageNameExists, InvalidParameterValue
from eucabox.image import names, settings
from eucabox.image.image_source import HEAD, read_disk_size

pages = Blueprint("image_upload", __name__)
MOST_BUCKET, MOST_NAME, MOST_TEXT, MOST_FILE, MOST_LOCATION = 63, 128, 255, 255, 1100
MOST_KEYS = 100  # of files with the same name in one bucket
ODD = re.compile(r"[^A-Za-z0-9._@+=,-]", re.ASCII)
MISSING = ("NoSuchBucket", "NoSuchKey", "404", "NotFound")


@pages.get("/images/upload")
def show() -> Response:
    """Show the forms."""
    return _show_page()


@pages.post("/images/upload/prepare")
@answer_in_json
def prepare() -> Response:
    """Look at the first bytes of a file before all of it is sent, make its bucket if need be, and
    answer where it goes: {"bucket", "key"}. The same file goes to the same key until it is
    there."""
    file = _read_file_name()
    _check_name(request.form.get("name", ""))
    read_disk_size(_read_head(), read_size(), file)
    bucket = check_text(request.form.get("bucket", ""), MOST_BUCKET, "The bucket's name")
    _ensure_bucket(bucket)
    return jsonify(bucket=bucket, key=_find_key(bucket, file))


@pages.post("/images/register")
def register() -> Response:
    """Register what lies at a location; its bytes are verified behind the request."""
    location = check_text(request.form.get("location", ""), MOST_LOCATION, "The location")
    boot_mode = request.form.get("boot_mode", "")
    members = {
        "image_location": location,
        "name": check_text(request.form.get("name", ""), MOST_NAME, "The name"),
        "description": check_text(request.form.get("description", ""), MOST_TEXT, "The text"),
        **({"boot_mode": boot_mode[:MOST_NAME]} if boot_mode else {}),
    }
    try:
        made = perform("ec2", "RegisterImage", **members)
    except Fault as fault:
        return _show_page(get_status(fault), fault.message, location)
    text = "It is registered, and can be launched once its bytes are verified."
    return redirect_with_notice("image.show", text, image_id=str(made["image_id"]))


def _show_page(status: int = 200, problem: str = "", location: str = "") -> Response:
    viewer = current_visitor().caller
    assert viewer is not None
    page = render_template(
        "image_upload.html",
        buckets=_list_buckets(),
        usual_bucket=f"images-{viewer.account_id}",
        boot_modes=settings.list_words("bootMode"),
        sent=request.form,
        location=location or request.args.get("location", "")[:MOST_LOCATION],
        problem=problem,
    )
    return make_response(page, status)


def _list_buckets() -> list[str]:
    """The account's buckets, to choose from; none where the visitor may not list them."""
    try:
        found = perform("s3", "ListBuckets")
    except Fault:
        return []
    return [read_text(each, "name") for each in read_structures(found, "buckets")]


def _check_name(name: str) -> None:
    """Refuse a name now that would be refused when all is sent; none is a free one later."""
    if not name:
        return
    filters = [{"name": "name", "values": [names.check(name)]}]
    found = perform("ec2", "DescribeImages", owners=["self"], filters=filters)
    for each in read_structures(found, "images"):
        if read_text(each, "state") != "failed":
            raise ImageNameExists(name=name, id=read_text(each, "image_id"))


def _ensure_bucket(bucket: str) -> None:
    try:
        perform("s3", "HeadBucket", bucket=bucket)
    except Fault as fault:
        if fault.code not in MISSING:
            raise
        perform("s3", "CreateBucket", bucket=bucket)


def _find_key(bucket: str, file: str) -> str:
    """Return a key for a file at which no object is yet."""
    stem, dot, ending = file.rpartition(".")
    stem, ending = (stem, f".{ending}") if dot and stem else (file, "")
    for number in range(1, MOST_KEYS + 1):
        key = f"{stem}{f'-{number}' if number > 1 else ''}{ending}"
        try:
            perform("s3", "HeadObject", bucket=bucket, key=key)
        except Fault as fault:
            if fault.code not in MISSING:
                raise
            return key
    reason = f"{bucket} has {MOST_KEYS} files of this name. Choose another bucket."
    raise InvalidParameterValue(parameter="Key", value=file, reason=reason)


def _read_file_name() -> str:
    file = check_text(request.form.get("file", ""), MOST_FILE, "The file's name")
    return ODD.sub("-", file).lstrip(".-") or "disk"


def _read_head() -> bytes:
    text = request.form.get("head", "")
    try:
        if len(text) > 2 * HEAD:
            raise ValueError
        return base64.b64decode(text, validate=True)[:HEAD]
    except (ValueError, binascii.Error):
        raise BadRequest("The file's first bytes are not in base64.") from None
