"""The objects of a bucket: folders, pages, search, versions; what is chosen is deleted."""

from dataclasses import dataclass
from datetime import datetime

from flask import Response, redirect, render_template, request, url_for
from werkzeug.exceptions import BadRequest

from eucabox.console.bulk import FIELD, MOST_CHOSEN
from eucabox.console.members import read_moment, read_number, read_structures, read_text
from eucabox.console.notices import RowOutcome
from eucabox.console.pages.buckets.bucket_list import Cleaning
from eucabox.console.pages.buckets.bucket_page import (
    Mark,
    check_key,
    go_to,
    load_bucket,
    pages,
    read_field,
    read_key,
    read_prefix,
    show_page,
    try_or_tell,
)
from eucabox.console.visitor import perform
from eucabox.errors import Fault

PER_PAGE, MOST_UPLOADS = 100, 50
MOST_TOKEN = 2048
BROWSE = "buckets.browse"
PARAMETERS = ("prefix", "q", "versions", "after", "after_version")
OLDER_STAY = "Older versions stay; see them under Versions."


@dataclass(frozen=True)
class Entry:
    """A row: a folder, an object, a version or a delete marker."""

    key: str
    name: str  # without the prefix
    is_folder: bool = False
    size: int = 0
    modified: datetime | None = None
    storage_class: str = ""
    version_id: str = ""
    is_latest: bool = True
    is_marker: bool = False

    @property
    def mark(self) -> str:
        """What its box in the form says."""
        return str(Mark(self.key, self.is_folder, self.version_id))


@dataclass(frozen=True)
class ObjectPage:
    """A page of a bucket's rows; `more` are the parameters of the next one's address."""

    entries: list[Entry]
    more: dict[str, str]


@pages.get("/buckets/<name>")
def browse(name: str) -> Response:
    """Show a folder of a bucket, or all versions in it."""
    bucket = load_bucket(name, counts=True)
    shown = {**_read_folder(name), "uploads": _list_uploads(name, bucket)}
    return show_page("bucket_objects.html", bucket, 200, **shown)


@pages.get("/buckets/<name>/rows")
def show_object_rows(name: str) -> str:
    """Answer the rows alone."""
    bucket, shown = load_bucket(name), _read_folder(name)
    return render_template("_objects.html", bucket=bucket, rights=bucket["rights"], **shown)


def _read_folder(name: str) -> dict[str, object]:
    prefix, search = read_prefix(), read_prefix("q")
    shows_versions = request.args.get("versions") == "yes"
    refusal, page = "", ObjectPage([], {})
    try:
        list_page = _list_versions if shows_versions else _list_objects
        page = list_page(name, prefix, check_key(prefix + search) if search else prefix)
    except Fault as fault:
        refusal = fault.message
    return {
        "page": page,
        "prefix": prefix,
        "search": search,
        "shows_versions": shows_versions,
        "crumbs": _list_crumbs(prefix),
        "refusal": refusal,
        "again": {each: request.args[each] for each in PARAMETERS if each in request.args},
    }


def _list_objects(name: str, prefix: str, searched: str) -> ObjectPage:
    token = request.args.get("after", "")[:MOST_TOKEN]
    found = perform(
        "s3", "ListObjectsV2", bucket=name, prefix=searched, delimiter="/", max_keys=PER_PAGE,
        **({"continuation_token": token} if token else {}),
    )  # fmt: skip
    entries = _list_folders(found, prefix)
    for each in read_structures(found, "contents"):
        if each["key"] != prefix:  # a folder that was made by hand is itself in no list
            entries.append(_read_entry(each, prefix))
    entries.sort(key=lambda entry: entry.key.encode("utf-8", "surrogatepass"))
    token = read_text(found, "next_continuation_token")
    return ObjectPage(entries, {"after": token} if token else {})


def _list_versions(name: str, prefix: str, searched: str) -> ObjectPage:
    markers = {
        member: request.args.get(parameter, "")[:MOST_TOKEN]
        for member, parameter in (("key_marker", "after"), ("version_id_marker", "after_version"))
    }
    found = perform(
        "s3", "ListObjectVersions", bucket=name, prefix=searched, delimiter="/",
        max_keys=PER_PAGE, **{member: text for member, text in markers.items() if text},
    )  # fmt: skip
    entries = [_read_entry(each, prefix) for each in read_structures(found, "versions")]
    entries += [
        _read_entry(each, prefix, is_marker=True)
        for each in read_structures(found, "delete_markers")
    ]
    entries.sort(key=lambda entry: _tell_time(entry.modified), reverse=True)
    entries.sort(key=lambda entry: (entry.key.encode("utf-8", "surrogatepass"), -entry.is_latest))
    more = {
        "after": read_text(found, "next_key_marker"),
        "after_version": read_text(found, "next_version_id_marker"),
        "versions": "yes",
    }
    return ObjectPage([*_list_folders(found, prefix), *entries], more if more["after"] else {})


def _tell_time(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


def _list_folders(found: dict[str, object], prefix: str) -> list[Entry]:
    rows = read_structures(found, "common_prefixes")
    keys = [read_text(each, "prefix") for each in rows]
    return [Entry(key, key.removeprefix(prefix), is_folder=True) for key in keys]


def _read_entry(row: dict[str, object], prefix: str, *, is_marker: bool = False) -> Entry:
    key = read_text(row, "key")
    return Entry(
        key,
        key.removeprefix(prefix),
        size=read_number(row, "size"),
        modified=read_moment(row, "last_modified"),
        storage_class=read_text(row, "storage_class"),
        version_id=read_text(row, "version_id"),
        is_latest=bool(row.get("is_latest", True)),
        is_marker=is_marker,
    )


def _list_crumbs(prefix: str) -> list[tuple[str, str]]:
    """The folders above and this one: each by its name and its prefix."""
    names = prefix.split("/")[:-1]
    return [(name or "/", "/".join(names[: at + 1]) + "/") for at, name in enumerate(names)]


def _list_uploads(name: str, bucket: dict[str, object]) -> list[dict[str, object]]:
    """The uploads below this folder that nobody has completed."""
    rights = bucket["rights"]
    if not isinstance(rights, list) or "ListMultipartUploads" not in rights:
        return []
    members = {"bucket": name, "prefix": read_prefix(), "max_uploads": MOST_UPLOADS}
    try:
        found = perform("s3", "ListMultipartUploads", **members)
    except Fault:
        return []
    return read_structures(found, "uploads")


@pages.post("/buckets/<name>/folders")
def create_folder(name: str) -> Response:
    """Make a folder that is empty: an object whose key ends with a slash."""
    prefix = read_prefix()
    folder = read_field("folder", 512).strip().strip("/")
    if not folder:
        text = "A folder needs a name."
        return go_to(BROWSE, text, "warn", place=_place(name, prefix))
    key = check_key(f"{prefix}{folder}/")
    members = {"bucket": name, "key": key, "body": b"", "content_type": "application/x-directory"}
    text = f"The folder {folder} is made."
    return try_or_tell(BROWSE, text, "PutObject", members, **_place(name, prefix))


def _place(name: str, prefix: str) -> dict[str, str]:
    """The values of the address of a folder."""
    return {"name": name, "prefix": prefix} if prefix else {"name": name}


@pages.post("/buckets/<name>/abort")
def abort_upload(name: str) -> Response:
    """Give up an upload that nobody completed, and its parts."""
    key, upload_id = read_key(), request.args.get("upload", "")[:MOST_TOKEN]
    members = {"bucket": name, "key": key, "upload_id": upload_id}
    text = "The upload is aborted, and its parts are gone."
    back = _place(name, read_prefix())
    return try_or_tell(BROWSE, text, "AbortMultipartUpload", members, **back)


@pages.post("/buckets/<name>/delete-objects")
def delete_chosen(name: str) -> Response:
    """Delete what was chosen: objects, versions for good, folders with all in them."""
    marks = [Mark.read(each) for each in dict.fromkeys(request.form.getlist(FIELD))]
    if len(marks) > MOST_CHOSEN:
        raise BadRequest(f"At most {MOST_CHOSEN} can be chosen at once.")
    back = _place(name, read_prefix())
    if request.args.get("versions") == "yes":
        back["versions"] = "yes"
    if not marks:
        return go_to(BROWSE, "Nothing was chosen.", "warn", place=back)
    outcomes = [_delete_folder(name, mark.key) for mark in marks if mark.is_folder]
    outcomes += _delete_objects(name, [mark for mark in marks if not mark.is_folder])
    count = sum(each.is_done for each in outcomes)
    text = f"{count} of {len(outcomes)} deleted."
    if load_bucket(name).get("versioning") and not any(mark.version_id for mark in marks):
        text += f" {OLDER_STAY}"
    kind = "good" if count == len(outcomes) else "warn" if count else "bad"
    told = tuple(each for each in outcomes if each.text)
    return go_to(BROWSE, text, kind, told, place=back)


def _delete_folder(name: str, prefix: str) -> RowOutcome:
    cleaning = Cleaning(name)
    try:
        cleaning.delete_objects(prefix)
    except Fault as fault:
        return RowOutcome(prefix, is_done=False, text=fault.message)
    text = f"{cleaning.count} objects deleted."
    if cleaning.refused:
        text += f" {cleaning.refused} stay: {cleaning.reason}"
    if cleaning.is_cut:
        text += " There are more: delete it once more."
    return RowOutcome(prefix, is_done=not (cleaning.refused or cleaning.is_cut), text=text)


def _delete_objects(name: str, marks: list[Mark]) -> list[RowOutcome]:
    if not marks:
        return []
    entries = [
        {"key": mark.key, **({"version_id": mark.version_id} if mark.version_id else {})}
        for mark in marks
    ]
    try:
        done = perform("s3", "DeleteObjects", bucket=name, delete={"objects": entries})
    except Fault as fault:
        return [RowOutcome(mark.key, is_done=False, text=fault.message) for mark in marks]
    errors = {
        (read_text(each, "key"), read_text(each, "version_id")): read_text(each, "message")
        for each in read_structures(done, "errors")
    }
    kept = {(mark.key, mark.version_id): errors.get((mark.key, mark.version_id)) for mark in marks}
    return [RowOutcome(key, is_done=why is None, text=why or "") for (key, _), why in kept.items()]


@pages.get("/buckets/<name>/")
def correct_address(name: str) -> Response:
    """Lead an address with a slash too many to the bucket."""
    response = redirect(url_for(BROWSE, name=name), 308)
    assert isinstance(response, Response)
    return response
