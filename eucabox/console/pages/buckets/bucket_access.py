"""Who may do what with a bucket: its policy, with the answer who may read, access lists, blocks."""

from dataclasses import dataclass

from flask import Response, request

from eucabox.console.answers import get_status, redirect_with_notice
from eucabox.console.members import read_structure, read_structures, read_text
from eucabox.console.pages.buckets.bucket_page import (
    check_key,
    load_bucket,
    pages,
    read_field,
    read_setting,
    show_page,
    try_or_tell,
)
from eucabox.console.visitor import perform
from eucabox.errors import Fault

SHOW = "buckets.show_access"
MOST_POLICY = 20 * 1024  # characters
EXAMPLE_KEY = "example.txt"
CANNED = (
    ("private", "Private: the bucket's account alone"),
    ("public-read", "Anybody may list it"),
    ("public-read-write", "Anybody may list it and write into it"),
    ("authenticated-read", "Every account of this cloud may list it"),
    ("log-delivery-write", "S3's own logs may be written into it"),
)
OWNERSHIPS = (
    ("ObjectWriter", "Who writes an object owns it"),
    ("BucketOwnerPreferred", "The bucket's account, where the writer lets it"),
    ("BucketOwnerEnforced", "The bucket's account always; access lists do not count"),
)
FLAGS = (
    ("block_public_acls", "Refuse access lists that make something public"),
    ("ignore_public_acls", "Ignore what access lists give the public"),
    ("block_public_policy", "Refuse policies that make something public"),
    ("restrict_public_buckets", "Keep a public policy to this account"),
)


@dataclass(frozen=True)
class PolicyDraft:
    """A policy's text as it stands in the editor, and what is wrong with it."""

    text: str
    is_stored: bool
    problem: str = ""
    status: int = 200


@pages.get("/buckets/<name>/access")
def show_access(name: str) -> Response:
    """Show it, with who may read."""
    knows, stored = read_setting("GetBucketPolicy", "policy", bucket=name)
    text = stored if isinstance(stored, str) else ""
    return _show(name, PolicyDraft(text, True) if knows else None)


def _show(name: str, draft: PolicyDraft | None) -> Response:
    bucket = load_bucket(name)
    key = request.values.get("key", "").strip()
    knows_acl, grants = read_setting("GetBucketAcl", "grants", bucket=name)
    block = _read_structure("GetPublicAccessBlock", "public_access_block_configuration", name)
    controls = _read_structure("GetBucketOwnershipControls", "ownership_controls", name)
    rules = read_structures(controls or {}, "rules")
    readers, refusal = _ask(name, draft, check_key(key) if key else EXAMPLE_KEY)
    return show_page(
        "bucket_access.html",
        bucket,
        draft.status if draft else 200,
        draft=draft,
        key=key,
        example=EXAMPLE_KEY,
        readers=readers,
        refusal=refusal,
        grants=grants if knows_acl else None,
        block=block,
        ownership=None
        if controls is None
        else (read_text(rules[0], "object_ownership") if rules else "ObjectWriter"),
        canned=CANNED,
        ownerships=OWNERSHIPS,
        flags=FLAGS,
    )


def _read_structure(verb: str, member: str, name: str) -> dict[str, object] | None:
    """A setting, {} for none, None where the visitor may not know it."""
    knows, setting = read_setting(verb, member, bucket=name)
    return read_structure({member: setting}, member) if knows else None


def _ask(name: str, draft: PolicyDraft | None, key: str) -> tuple[list[dict[str, object]], str]:
    """Who may read, by the draft if it is not the stored policy, or why that is not told."""
    if draft is None or draft.problem:
        return [], draft.problem if draft else "Who may read needs the right to see the policy."
    judged = {} if draft.is_stored else {"policy": draft.text}
    try:
        members = {"bucket": name, "key": key, "users": _list_users(), **judged}
        return read_structures(perform("console", "ListBucketReaders", **members), "readers"), ""
    except Fault as fault:
        return [], fault.message


def _list_users() -> list[str]:
    try:
        listed = perform("iam", "ListUsers", max_items=100)
    except Fault:
        return []
    return [read_text(each, "user_name") for each in read_structures(listed, "users")]


@pages.post("/buckets/<name>/access/policy")
def change_policy(name: str) -> Response:
    """Save the policy, an empty one removes it; or only try it: say who could read with it."""
    text = read_field("policy", MOST_POLICY).strip()
    if request.form.get("what") == "try":
        return _try_policy(name, text)
    members = {"bucket": name, **({"policy": text} if text else {})}
    try:
        perform("s3", "PutBucketPolicy" if text else "DeleteBucketPolicy", **members)
    except Fault as fault:
        return _show(name, PolicyDraft(text, False, fault.message, get_status(fault)))
    done = "The policy is saved." if text else "The bucket has no policy any more."
    return redirect_with_notice(SHOW, done, name=name)


def _try_policy(name: str, text: str) -> Response:
    try:
        perform("console", "ListBucketReaders", bucket=name, key=EXAMPLE_KEY, policy=text)
    except Fault as fault:
        return _show(name, PolicyDraft(text, False, fault.message, get_status(fault)))
    return _show(name, PolicyDraft(text, False))


@pages.post("/buckets/<name>/access/acl")
def change_acl(name: str) -> Response:
    """Give the bucket one of the usual access lists."""
    acl = read_field("acl", 64)
    members = {"bucket": name, "acl": acl}
    return try_or_tell(SHOW, f"The access list is {acl} now.", "PutBucketAcl", members, name=name)


@pages.post("/buckets/<name>/access/block")
def change_block(name: str) -> Response:
    """Choose what is kept from the public whatever policy and access lists say."""
    flags = {flag: request.form.get(flag) == "yes" for flag, _ in FLAGS}
    if not any(flags.values()):
        text = "Nothing is blocked; policy and access lists decide."
        return try_or_tell(SHOW, text, "DeletePublicAccessBlock", {"bucket": name}, name=name)
    members = {"bucket": name, "public_access_block_configuration": flags}
    return try_or_tell(SHOW, "The block is saved.", "PutPublicAccessBlock", members, name=name)


@pages.post("/buckets/<name>/access/ownership")
def change_ownership(name: str) -> Response:
    """Choose who owns what others write."""
    ownership = read_field("ownership", 64)
    controls = {"rules": [{"object_ownership": ownership}]}
    members = {"bucket": name, "ownership_controls": controls}
    return try_or_tell(SHOW, "Saved.", "PutBucketOwnershipControls", members, name=name)
