"""What all pages of a bucket share: their frame, and the keys in their addresses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from flask import Blueprint, Response, make_response, render_template, request
from werkzeug.exceptions import BadRequest

from eucabox.console.answers import redirect_with_notice
from eucabox.console.notices import RowOutcome
from eucabox.console.visitor import perform
from eucabox.errors import Fault

pages = Blueprint("buckets", __name__)
MOST_KEY, MOST_VERSION = 1024, 128  # bytes, characters


def load_bucket(name: str, *, counts: bool = False) -> dict[str, object]:
    """Return what there is to say of a bucket, and what the visitor may do in it."""
    return perform("console", "GetBucketSummary", bucket=name, counts=counts)


def show_page(
    template: str, bucket: Mapping[str, object], status: int = 200, /, **shown: object
) -> Response:
    """Render a page of a bucket that `load_bucket` has given."""
    rights = bucket["rights"]
    page = render_template(template, bucket=bucket, rights=rights, **shown)
    return make_response(page, status)


def read_key(name: str = "key") -> str:
    """Return the key in the address; raises BadRequest for none, or one that no object can have."""
    return check_key(request.args.get(name, ""))


def check_key(key: str) -> str:
    """Return a key; raises BadRequest for none, or one that no object can have."""
    if not key or len(key.encode("utf-8", "surrogatepass")) > MOST_KEY:
        raise BadRequest(f"A key has 1 to {MOST_KEY} bytes.")
    return key


def read_prefix(name: str = "prefix") -> str:
    """Return the prefix in the address, "" for none."""
    prefix = request.args.get(name, "")
    return check_key(prefix) if prefix else ""


def read_version() -> str:
    """Return the version id in the address, "" for none."""
    version = request.args.get("version", "")
    if len(version) > MOST_VERSION or not version.isascii():
        raise BadRequest("A version's id is shorter.")
    return version


@dataclass(frozen=True)
class Mark:
    """Something chosen in a list of objects: a folder by its prefix, or an object, or one of its
    versions. Its text has no character that a form could change on its way."""

    key: str
    is_folder: bool = False
    version_id: str = ""

    def __str__(self) -> str:
        kind = "folder" if self.is_folder else self.version_id and f"version-{self.version_id}"
        return f"{kind or 'object'}:{quote(self.key, safe='')}"

    @classmethod
    def read(cls, text: str) -> "Mark":
        """Return what was chosen; raises BadRequest for a text that no page has."""
        kind, colon, quoted = text.partition(":")
        key = check_key(unquote(quoted, errors="replace"))
        version = kind.removeprefix("version-") if kind.startswith("version-") else ""
        if not colon or not (version or kind in ("folder", "object")):
            raise BadRequest("What was chosen is nothing of this page.")
        return cls(key, kind == "folder", version[:MOST_VERSION])


def shorten(key: str) -> str:
    """Return a key's last name, which is what a file of it would be called."""
    return key.rstrip("/").rpartition("/")[2] or key


def go_to(
    endpoint: str,
    text: str,
    kind: str = "good",
    outcomes: tuple[RowOutcome, ...] = (),
    *,
    place: Mapping[str, str],
) -> Response:
    """Lead to a page, whose address has these values, that shows a notice."""
    values: dict[str, Any] = {**place}
    return redirect_with_notice(endpoint, text, kind, outcomes, **values)


def try_or_tell(
    endpoint: str, done: str, verb: str, members: Mapping[str, object], **place: str
) -> Response:
    """Perform a verb of S3 and lead to a page that says `done`, or why it is not."""
    try:
        perform("s3", verb, **members)
    except Fault as fault:
        return go_to(endpoint, fault.message, "bad", place=place)
    return go_to(endpoint, done, place=place)


def read_setting(verb: str, member: str, **members: str) -> tuple[bool, object]:
    """Return whether the visitor may know a setting of a bucket, and what it is, None for none."""
    try:
        return True, perform("s3", verb, **members).get(member)
    except Fault as fault:
        return fault.code != "AccessDenied", None


def read_field(name: str, most: int) -> str:
    """Return a field of the form; raises BadRequest where it is longer than `most`."""
    text = request.form.get(name, "")
    if len(text) > most:
        raise BadRequest(f"{name} has at most {most} characters.")
    return text
