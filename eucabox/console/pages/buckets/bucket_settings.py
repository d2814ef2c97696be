"""A bucket's settings: versioning, encryption, tags, CORS, lifecycle, usage, and its end."""

from collections.abc import Mapping

from flask import Response, request
from werkzeug.exceptions import BadRequest

from eucabox.console.answers import get_status, redirect_with_notice
from eucabox.console.bucket_documents import (
    MOST_TEXT,
    UnreadableError,
    check_cors,
    read_rules,
    write_document,
)
from eucabox.console.members import read_structure, read_structures, read_text
from eucabox.console.pages.buckets.bucket_page import (
    load_bucket,
    pages,
    read_field,
    read_setting,
    show_page,
    try_or_tell,
)
from eucabox.console.pages.buckets.object_page import read_pairs
from eucabox.console.visitor import perform
from eucabox.errors import Fault

SHOW = "buckets.show_settings"
MOST_TAGS, MOST_DAYS = 50, 6  # tags; digits
NO_ENCRYPTION = "none"
DEFAULT = "apply_server_side_encryption_by_default"


@pages.get("/buckets/<name>/settings")
def show_settings(name: str) -> Response:
    """Show them."""
    return _show(name)


def _show(name: str, status: int = 200, **shown: object) -> Response:
    bucket = load_bucket(name, counts=True)
    knows_tags, tags = read_setting("GetBucketTagging", "tag_set", bucket=name)
    knows_cors, cors = read_setting("GetBucketCors", "cors_rules", bucket=name)
    rules = _read_lifecycle(name)
    knows_lock, lock = read_setting(
        "GetObjectLockConfiguration", "object_lock_configuration", bucket=name
    )
    blanks = {"problem": "", "form": {}}
    return show_page(
        "bucket_settings.html",
        bucket,
        status,
        **{
            **blanks,
            "tags": (tags or []) if knows_tags else None,
            "encryption": _read_encryption(name),
            "cors": (write_document(cors) if cors else "") if knows_cors else None,
            "rules": rules,
            "lifecycle": write_document(rules) if rules else "",
            "lock": lock if knows_lock else None,
            **shown,
        },
    )


def _read_lifecycle(name: str) -> list[dict[str, object]] | None:
    """The rules, None where the visitor may not know them."""
    knows, rules = read_setting("GetBucketLifecycleConfiguration", "rules", bucket=name)
    return read_structures({"rules": rules}, "rules") if knows else None


def _read_encryption(name: str) -> tuple[str, str] | None:
    """The algorithm and the key of new objects, None where the visitor may not know them."""
    member = "server_side_encryption_configuration"
    knows, configuration = read_setting("GetBucketEncryption", member, bucket=name)
    if not knows:
        return None
    rules = read_structures(configuration if isinstance(configuration, dict) else {}, "rules")
    default = read_structure(rules[0], DEFAULT) if rules else {}
    return read_text(default, "sse_algorithm"), read_text(default, "kms_master_key_id")


@pages.post("/buckets/<name>/settings/versioning")
def change_versioning(name: str) -> Response:
    """Enable or suspend versioning."""
    status = read_field("status", 20)
    members = {"bucket": name, "versioning_configuration": {"status": status}}
    return try_or_tell(SHOW, f"Versioning: {status}.", "PutBucketVersioning", members, name=name)


@pages.post("/buckets/<name>/settings/encryption")
def change_encryption(name: str) -> Response:
    """Choose how new objects are encrypted, or that they are not."""
    algorithm, key = read_field("algorithm", 20), read_field("key", 256).strip()
    if algorithm == NO_ENCRYPTION:
        members: dict[str, object] = {"bucket": name}
        text = "New objects are not encrypted any more; the others stay as they are."
        return try_or_tell(SHOW, text, "DeleteBucketEncryption", members, name=name)
    default = {"sse_algorithm": algorithm, **({"kms_master_key_id": key} if key else {})}
    members = {
        "bucket": name,
        "server_side_encryption_configuration": {"rules": [{DEFAULT: default}]},
    }
    text = f"New objects are encrypted with {algorithm}."
    return try_or_tell(SHOW, text, "PutBucketEncryption", members, name=name)


@pages.post("/buckets/<name>/settings/tags")
def change_bucket_tags(name: str) -> Response:
    """Replace the bucket's tags."""
    tags = read_pairs()
    members: dict[str, object] = {"bucket": name}
    if not tags:
        return try_or_tell(SHOW, "The tags are gone.", "DeleteBucketTagging", members, name=name)
    members["tagging"] = {"tag_set": tags}
    return try_or_tell(SHOW, "The tags are saved.", "PutBucketTagging", members, name=name)


@pages.post("/buckets/<name>/settings/cors")
def change_cors(name: str) -> Response:
    """Replace the CORS rules; an empty text removes them."""
    text = read_field("document", MOST_TEXT).strip()
    if not text:
        return try_or_tell(
            SHOW, "There are no CORS rules.", "DeleteBucketCors", {"bucket": name}, name=name
        )
    try:
        rules = read_rules(text)
        check_cors(rules)
        perform("s3", "PutBucketCors", bucket=name, cors_configuration={"cors_rules": rules})
    except (UnreadableError, Fault) as problem:
        return _refuse(name, problem, cors=text)
    return redirect_with_notice(SHOW, "The CORS rules are saved.", name=name)


def _refuse(name: str, problem: Exception, **shown: object) -> Response:
    status = get_status(problem) if isinstance(problem, Fault) else 400
    text = problem.message if isinstance(problem, Fault) else str(problem)
    return _show(name, status, problem=text, **shown)


@pages.post("/buckets/<name>/settings/lifecycle")
def change_lifecycle(name: str) -> Response:
    """Replace all lifecycle rules; an empty text removes them."""
    text = read_field("document", MOST_TEXT).strip()
    try:
        _put_lifecycle(name, read_rules(text) if text else [])
    except (UnreadableError, Fault) as problem:
        return _refuse(name, problem, lifecycle=text)
    return redirect_with_notice(SHOW, "The lifecycle rules are saved.", name=name)


@pages.post("/buckets/<name>/settings/lifecycle/add")
def add_rule(name: str) -> Response:
    """Add a rule of the simple kind."""
    rule = _read_rule()
    try:
        _put_lifecycle(name, [*(_read_lifecycle(name) or []), rule])
    except Fault as problem:
        return _refuse(name, problem, form=request.form.to_dict())
    return redirect_with_notice(SHOW, "The rule is added.", name=name)


@pages.post("/buckets/<name>/settings/lifecycle/remove")
def remove_rule(name: str) -> Response:
    """Remove one rule."""
    rule_id = read_field("id", 255)
    rules = [each for each in _read_lifecycle(name) or [] if each.get("id") != rule_id]
    try:
        _put_lifecycle(name, rules)
    except Fault as problem:
        return _refuse(name, problem)
    return redirect_with_notice(SHOW, "The rule is removed.", name=name)


def _put_lifecycle(name: str, rules: list[dict[str, object]]) -> None:
    if not rules:
        perform("s3", "DeleteBucketLifecycle", bucket=name)
        return
    configuration = {"rules": rules}
    perform(
        "s3", "PutBucketLifecycleConfiguration", bucket=name, lifecycle_configuration=configuration
    )


def _read_rule() -> dict[str, object]:
    rule: dict[str, object] = {
        "id": read_field("id", 255).strip(),
        "status": "Enabled",
        "filter": {"prefix": read_field("prefix", 1024)},
    }
    chosen: Mapping[str, dict[str, object]] = {
        "expiration": _read_days("expire", "days"),
        "noncurrent_version_expiration": _read_days("noncurrent", "noncurrent_days"),
        "abort_incomplete_multipart_upload": _read_days("abort", "days_after_initiation"),
    }
    return {**rule, **{name: days for name, days in chosen.items() if days}}


def _read_days(field: str, member: str) -> dict[str, object]:
    text = read_field(field, MOST_DAYS).strip()
    if not text:
        return {}
    if not text.isascii() or not text.isdigit():
        raise BadRequest("Days are a number.")
    return {member: int(text)}
