"""The list of buckets: made here, and deleted here, empty ones at once."""

import time
from dataclasses import dataclass, field

from flask import Response, make_response, render_template, request, url_for

from eucabox.console.answers import get_status, redirect_with_notice
from eucabox.console.guard import check_text
from eucabox.console.listing import Column, show_listing
from eucabox.console.members import read_number, read_structures, read_text
from eucabox.console.navigation import may
from eucabox.console.pages.buckets.bucket_page import load_bucket, pages, read_field
from eucabox.console.visitor import current_visitor, perform
from eucabox.errors import Fault

MOST_NAME = 255
PIECE = 1000  # versions that one DeleteObjects takes
MOST_SECONDS = 20.0  # that a page deletes for; the rest is for the next press
LIST = "buckets.show_buckets"
COLUMNS: tuple[Column[dict[str, object]], ...] = (
    Column("name", "Bucket", lambda row: read_text(row, "name"), is_fixed=True, style="name"),
    Column("objects", "Objects", lambda row: read_number(row, "objects"), style="number"),
    Column("size", "Size", lambda row: read_number(row, "bytes"), style="number"),
    Column("region", "Region", lambda row: read_text(row, "region")),
    Column("versioning", "Versions", lambda row: read_text(row, "versioning"), style="tagged"),
    Column("public", "Readers", lambda row: int(bool(row.get("is_public")))),
    Column("created", "Created", lambda row: str(row.get("creation_date"))),
)


@pages.get("/buckets")
def show_buckets() -> str:
    """List the buckets of the visitor's account."""
    return render_template("buckets.html", **_list_buckets())


@pages.get("/buckets-list")
def show_bucket_rows() -> str:
    """Answer the list alone."""
    return render_template("_buckets.html", **_list_buckets())


def _list_buckets(**shown: object) -> dict[str, object]:
    caller = current_visitor().caller
    refusal, rows = "", []
    try:
        rows = read_structures(perform("console", "ListBucketSummaries"), "buckets")
    except Fault as fault:
        refusal = fault.message
    listing = show_listing("buckets", LIST, COLUMNS, rows, text=lambda row: read_text(row, "name"))
    return {
        "listing": listing,
        "refusal": refusal,
        "may_create": caller is not None and may(caller, "s3", "CreateBucket"),
        "form": {},
        "problem": "",
        **shown,
    }


@pages.post("/buckets")
def create_bucket() -> Response:
    """Make a bucket."""
    name = check_text(request.form.get("name", ""), MOST_NAME, "The name")
    members: dict[str, object] = {"bucket": name}
    if request.form.get("lock") == "yes":
        members["object_lock_enabled_for_bucket"] = True
    try:
        perform("s3", "CreateBucket", **members)
        if request.form.get("versioning") == "yes" and len(members) == 1:
            enabled = {"status": "Enabled"}
            perform("s3", "PutBucketVersioning", bucket=name, versioning_configuration=enabled)
    except Fault as fault:
        shown = _list_buckets(problem=fault.message, form=request.form.to_dict())
        return make_response(render_template("buckets.html", **shown), get_status(fault))
    return redirect_with_notice("buckets.browse", f"The bucket {name} is made.", name=name)


@pages.post("/buckets/open")
def open_bucket() -> Response:
    """Go to a bucket by its name: one of another account is in nobody's list."""
    name = check_text(request.form.get("name", ""), MOST_NAME, "The name")
    response = make_response("", 303)
    response.location = url_for("buckets.browse", name=name) if name else url_for(LIST)
    return response


@pages.post("/buckets/<name>/delete")
def delete_bucket(name: str) -> Response:
    """Delete an empty bucket, or say what is in it."""
    if read_field("confirm", MOST_NAME) != name:
        text = f"Nothing is deleted: type {name} to confirm."
        return redirect_with_notice("buckets.show_settings", text, "warn", name=name)
    try:
        perform("s3", "DeleteBucket", bucket=name)
    except Fault as fault:
        text = fault.message
        if fault.code == "BucketNotEmpty":
            text = f"The bucket is not empty: {count_rest(name)}. Empty it first."
        return redirect_with_notice("buckets.show_settings", text, "bad", name=name)
    return redirect_with_notice(LIST, f"The bucket {name} is deleted.")


@pages.post("/buckets/<name>/empty")
def empty_bucket(name: str) -> Response:
    """Delete all objects with all their versions, for a while, and say what is left."""
    if read_field("confirm", MOST_NAME) != name:
        text = f"Nothing is deleted: type {name} to confirm."
        return redirect_with_notice("buckets.show_settings", text, "warn", name=name)
    cleaning = Cleaning(name)
    try:
        cleaning.delete_versions("")
    except Fault as fault:
        return redirect_with_notice("buckets.show_settings", fault.message, "bad", name=name)
    left = count_rest(name)
    text = f"{cleaning.count} objects and versions are deleted."
    kind = "good"
    if left:
        kind = "warn"
        text += f" Left: {left}. {cleaning.reason or 'Press once more for the rest.'}"
    return redirect_with_notice("buckets.show_settings", text, kind, name=name)


def count_rest(name: str) -> str:
    """Say what is in a bucket, in words; "" for nothing."""
    bucket = load_bucket(name, counts=True)
    objects, versions = read_number(bucket, "objects"), read_number(bucket, "versions")
    rest = [f"{objects} objects" if objects > 1 else "one object"] if objects else []
    if versions:
        rest.append(f"{versions} older versions and delete markers")
    return " and ".join(rest)


@dataclass
class Cleaning:
    """Deletes what begins with a prefix, page by page, no longer than MOST_SECONDS."""

    bucket: str
    count: int = 0
    reason: str = ""  # why the first of those that stayed did
    refused: int = 0
    is_cut: bool = False
    _until: float = field(default_factory=lambda: time.monotonic() + MOST_SECONDS)

    def delete_objects(self, prefix: str) -> None:
        """Delete all current objects; in a bucket with versions they get delete markers."""
        after: dict[str, object] = {}
        while not self.is_cut:
            page = perform(
                "s3", "ListObjectsV2", bucket=self.bucket, prefix=prefix, max_keys=PIECE, **after
            )
            keys = [{"key": each["key"]} for each in read_structures(page, "contents")]
            if not self._delete(keys) or not page.get("is_truncated"):
                return
            after = {"continuation_token": page["next_continuation_token"]}

    def delete_versions(self, prefix: str) -> None:
        """Delete all versions and delete markers for good."""
        after: dict[str, object] = {}
        while not self.is_cut:
            page = perform(
                "s3", "ListObjectVersions", bucket=self.bucket, prefix=prefix, max_keys=PIECE,
                **after,
            )  # fmt: skip
            rows = [*read_structures(page, "versions"), *read_structures(page, "delete_markers")]
            entries = [{"key": each["key"], "version_id": each["version_id"]} for each in rows]
            if not self._delete(entries) or not page.get("is_truncated"):
                return
            after = {"key_marker": page["next_key_marker"]}
            if page.get("next_version_id_marker"):
                after["version_id_marker"] = page["next_version_id_marker"]

    def _delete(self, entries: list[dict[str, object]]) -> bool:
        """Whether to go on."""
        if not entries:
            return False
        done = perform("s3", "DeleteObjects", bucket=self.bucket, delete={"objects": entries})
        errors = read_structures(done, "errors")
        self.count += len(entries) - len(errors)
        self.refused += len(errors)
        self.reason = self.reason or (read_text(errors[0], "message") if errors else "")
        self.is_cut = time.monotonic() > self._until
        return True
