"""An object's page: what it is, its beginning, a link for others, tags, metadata, versions."""

from dataclasses import dataclass

from flask import Response, request
from werkzeug.exceptions import BadRequest

from eucabox.config import Config
from eucabox.console.answers import get_status, redirect_with_notice
from eucabox.console.members import read_number, read_structures, read_text
from eucabox.console.pages.buckets.bucket_page import (
    go_to,
    load_bucket,
    pages,
    read_field,
    read_key,
    read_setting,
    read_version,
    shorten,
    show_page,
    try_or_tell,
)
from eucabox.console.pages.buckets.object_bytes import (
    MOST_PICTURE,
    MOST_TEXT,
    read_as_text,
    read_beginning,
    read_kind,
)
from eucabox.console.site import current_console
from eucabox.console.visitor import perform
from eucabox.errors import Fault
from eucabox.iam.credentials_folder import endpoint

MOST_TAGS, MOST_VERSIONS = 10, 100
MOST_AMOUNT = 10_080  # minutes of 7 days
UNITS = {"minutes": 60, "hours": 3600, "days": 86400}
HEADERS = (
    ("content_type", "Content-Type"), ("cache_control", "Cache-Control"),
    ("content_disposition", "Content-Disposition"), ("content_encoding", "Content-Encoding"),
    ("content_language", "Content-Language"),
)  # fmt: skip
# What a copy of an object to itself has to name, or it would be lost.
CARRIED = ("storage_class", "website_redirect_location", "expires")
CANNED = ("private", "public-read", "authenticated-read", "bucket-owner-read",
          "bucket-owner-full-control")  # fmt: skip
ACL_KEPT = "The access list is as of a new object."
SHOW = "buckets.show_object"


@dataclass(frozen=True)
class Preview:
    """What is shown of an object: its kind, and of a text its beginning."""

    kind: str = ""  # "image/png", "text", or "" for none
    text: str = ""
    is_cut: bool = False
    reason: str = ""  # why there is none


@pages.get("/buckets/<name>/object")
def show_object(name: str) -> Response:
    """Show it."""
    return _show(name)


def _show(name: str, status: int = 200, **shown: object) -> Response:
    key, version = read_key(), read_version()
    bucket = load_bucket(name)
    members = {"bucket": name, "key": key, **({"version_id": version} if version else {})}
    blanks: dict[str, object] = {"problem": "", "link": None, "form": {}}
    versions = _list_versions(name, key) if "ListObjectVersions" in _rights(bucket) else []
    head, refusal = _read_head(members, versions)
    config = current_console().cloud.config
    may_tag, tags = read_setting("GetObjectTagging", "tag_set", **members)
    knows_acl, grants = read_setting("GetObjectAcl", "grants", **members)
    return show_page(
        "bucket_object.html",
        bucket,
        status,
        **{
            **blanks,
            "key": key,
            "version": version,
            "short": shorten(key),
            "head": head,
            "refusal": refusal,
            "preview": _preview(members, head) if head else Preview(),
            "tags": tags if may_tag and head else None,
            "grants": grants if knows_acl and head else None,
            "versions": versions,
            "endpoints": list_endpoints(config, request.host),
            "headers": HEADERS,
            "canned": CANNED,
            **shown,
        },
    )


def _rights(bucket: dict[str, object]) -> list[str]:
    rights = bucket["rights"]
    assert isinstance(rights, list)
    return rights


def _read_head(
    members: dict[str, str], versions: list[dict[str, object]]
) -> tuple[dict[str, object] | None, str]:
    """What HeadObject says, or why it says nothing; NoSuchKey where there is nothing at all."""
    try:
        return perform("s3", "HeadObject", **members), ""
    except Fault as fault:
        if fault.code.startswith("NoSuch") and not versions:
            raise
        return None, fault.message


def _preview(members: dict[str, str], head: dict[str, object]) -> Preview:
    size = read_number(head, "content_length")
    if not size:
        return Preview(reason="The object is empty.")
    try:
        beginning, _ = read_beginning({**members}, MOST_TEXT)
    except Fault as fault:
        return Preview(reason=fault.message)
    kind = read_kind(beginning)
    if kind == "text":
        return Preview(kind, read_as_text(beginning) or "", size > MOST_TEXT)
    if kind and size > MOST_PICTURE:
        return Preview(reason=f"Pictures are shown up to {MOST_PICTURE >> 20} MiB.")
    return Preview(kind, reason="" if kind else "Only texts and pictures have a preview.")


def _list_versions(name: str, key: str) -> list[dict[str, object]]:
    try:
        found = perform("s3", "ListObjectVersions", bucket=name, prefix=key, max_keys=MOST_VERSIONS)
    except Fault:
        return []
    rows = read_structures(found, "versions")
    rows += [{**each, "is_marker": True} for each in read_structures(found, "delete_markers")]
    own = [each for each in rows if each["key"] == key]
    if len(own) == 1 and own[0]["version_id"] == "null":
        return []  # a bucket without versions
    return sorted(own, key=lambda each: str(each["last_modified"]), reverse=True)


# --- links --------------------------------------------------------------------------------------


def list_endpoints(config: Config, host: str) -> list[str]:
    """Return the addresses at which clients reach the API: by its names, by the address it listens
    at, and where that is any, by the console's own `host`."""
    api = config.api
    names = list(api.known_hosts)
    is_any = api.listen in ("0.0.0.0", "::")  # noqa: S104
    if is_any:
        names.append(host.rpartition(":")[0] or host)
    addresses = [endpoint(config, name) for name in names]
    addresses.append(endpoint(config))
    if api.https_port:
        ends = [each.rpartition(":")[0].removeprefix("http://") for each in addresses]
        addresses += [f"https://{each}:{api.https_port}" for each in ends]
    return list(dict.fromkeys(addresses))


@pages.post("/buckets/<name>/object/link")
def presign(name: str) -> Response:
    """Make a link by which anybody may read the object for a while, and show it."""
    at = read_field("endpoint", 512)
    if at not in list_endpoints(current_console().cloud.config, request.host):
        raise BadRequest("The API is not reached at that address.")
    seconds = _read_seconds()
    members = {"bucket": name, "key": read_key(), "endpoint": at, "version_id": read_version()}
    form = {field: read_field(field, 512) for field in ("endpoint", "amount", "unit")}
    try:
        link = perform("console", "PresignObject", seconds=seconds, **members)
    except Fault as fault:
        text = fault.message
        if fault.code == "NoSuchEntity":
            text = "A link is signed with an access key: make one at Credentials first."
        return _show(name, get_status(fault), problem=text, form=form)
    return _show(name, link=link, form=form)


def _read_seconds() -> int:
    amount, unit = read_field("amount", 6), read_field("unit", 10)
    if not amount.isascii() or not amount.isdigit() or unit not in UNITS:
        raise BadRequest("A link is for a number of minutes, hours or days.")
    return int(amount) * UNITS[unit]


# --- what can be changed ------------------------------------------------------------------------


@pages.post("/buckets/<name>/object/tags")
def change_object_tags(name: str) -> Response:
    """Replace the tags of the object."""
    members, back = _read_place(name)
    tags = read_pairs()
    verb = "PutObjectTagging" if tags else "DeleteObjectTagging"
    tagging = {"tagging": {"tag_set": tags}} if tags else {}
    return try_or_tell(SHOW, "The tags are saved.", verb, {**members, **tagging}, **back)


def read_pairs() -> list[dict[str, str]]:
    """Return the tags of a form; a row without key and value is none."""
    keys, values = request.form.getlist("tag_key"), request.form.getlist("tag_value")
    rows = [(key.strip(), value.strip()) for key, value in zip(keys, values, strict=False)]
    return [{"key": key, "value": value} for key, value in rows if key or value]


@pages.post("/buckets/<name>/object/acl")
def change_object_acl(name: str) -> Response:
    """Give the object one of the usual access lists."""
    members, back = _read_place(name)
    text = f"The access list is {read_field('acl', 64)} now."
    return try_or_tell(
        SHOW, text, "PutObjectAcl", {**members, "acl": read_field("acl", 64)}, **back
    )


@pages.post("/buckets/<name>/object/metadata")
def change_metadata(name: str) -> Response:
    """Replace headers and metadata, by a copy of the object to itself, and keep the rest."""
    members, back = _read_place(name)
    key, version = read_key(), read_version()
    if version:
        raise BadRequest("The metadata of an older version stays as it is.")
    try:
        head = perform("s3", "HeadObject", **members)
        acl = perform("s3", "GetObjectAcl", **members)
        source = {"bucket": name, "key": key}
        new = {member: read_field(member, 1024).strip() for member, _ in HEADERS}
        carried = {each: head[each] for each in CARRIED if head.get(each)}
        perform(
            "s3", "CopyObject", bucket=name, key=key, copy_source=source,
            metadata_directive="REPLACE", metadata=read_metadata(), **carried,
            **{member: text for member, text in new.items() if text}, **_read_encryption(head),
        )  # fmt: skip
        if len(read_structures(acl, "grants")) > 1:
            policy = {"owner": acl["owner"], "grants": acl["grants"]}
            perform("s3", "PutObjectAcl", bucket=name, key=key, access_control_policy=policy)
    except Fault as fault:
        return go_to(SHOW, fault.message, "bad", place=back)
    return go_to(SHOW, "The metadata is saved.", place=back)


def read_metadata() -> dict[str, str]:
    """Return the metadata of a form: lines of a name, a colon and a value."""
    pairs = {}
    for line in read_field("metadata", 4096).splitlines():
        name, colon, value = line.partition(":")
        if line.strip():
            word = name.strip().lower().removeprefix("x-amz-meta-")
            if not colon or not word or not all(each.isalnum() or each in "-_." for each in word):
                raise BadRequest("Metadata is a line each: name: value.")
            pairs[word] = value.strip()
    return pairs


def _read_encryption(head: dict[str, object]) -> dict[str, object]:
    names = ("server_side_encryption", "ssekms_key_id")
    return {each: head[each] for each in names if head.get(each)}


@pages.post("/buckets/<name>/object/restore")
def restore_version(name: str) -> Response:
    """Make an older version the current one, by a copy of it."""
    key, version = read_key(), read_version()
    source = {"bucket": name, "key": key, "version_id": version}
    members = {"bucket": name, "key": key, "copy_source": source}
    text = "The version is the current one again, as a copy."
    return try_or_tell(SHOW, text, "CopyObject", members, name=name, key=key)


@pages.post("/buckets/<name>/object/delete")
def delete_object(name: str) -> Response:
    """Delete the object, or one version of it for good."""
    members, back = _read_place(name)
    key, version = read_key(), read_version()
    prefix = key.rpartition("/")[0]
    place = {"name": name, **({"prefix": prefix + "/"} if prefix else {})}
    try:
        done = perform("s3", "DeleteObject", **members)
    except Fault as fault:
        return go_to(SHOW, fault.message, "bad", place=back)
    if version:
        text = "The version is deleted for good."
        if _list_versions(name, key):
            return redirect_with_notice(SHOW, text, name=name, key=key)
        return go_to("buckets.browse", text, place=place)
    text = f"{shorten(key)} is deleted."
    if read_text(done, "version_id"):
        text += " Its versions stay; see them under Versions."
    return go_to("buckets.browse", text, place=place)


def _read_place(name: str) -> tuple[dict[str, str], dict[str, str]]:
    """The members that name the object, and the values of its page's address."""
    key, version = read_key(), read_version()
    members, back = {"bucket": name, "key": key}, {"name": name, "key": key}
    if version:
        members["version_id"] = back["version"] = version
    return members, back
