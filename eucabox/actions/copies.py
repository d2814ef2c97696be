"""Copies from one key to another, of a whole object or into a part; never bytes from a client."""

import dataclasses
from datetime import datetime
from typing import Any, Unpack

from eucabox.actions import Call, Result, action
from eucabox.errors import InvalidArgument, InvalidRequest
from eucabox.lifecycle import rules
from eucabox.store import access, conditions, nouns, said
from eucabox.store.facts import Object, ObjectFacts
from eucabox.store.said import Said
from eucabox.store.streams import Incoming, Pulled

DIRECTIVES = ("COPY", "REPLACE")
LARGEST = 5 << 30  # bytes that one copy may have; more are copied in parts
HARMLESS = ("request_payer",)
CHANGES = frozenset({"storage_class", "website_redirect_location"})  # that make a self-copy one


@action("s3", anonymous=True, ignored=HARMLESS)
def copy_object(
    call: Call,
    *,
    bucket: str,
    key: str,
    copy_source: dict[str, str],
    metadata_directive: str = "COPY",
    tagging_directive: str = "COPY",
    checksum_algorithm: str = "",
    copy_source_if_match: str = "",
    copy_source_if_none_match: str = "",
    copy_source_if_modified_since: datetime | None = None,
    copy_source_if_unmodified_since: datetime | None = None,
    if_match: str = "",
    if_none_match: str = "",
    expected_bucket_owner: str = "",
    expected_source_bucket_owner: str = "",
    **described: Unpack[Said],
) -> Result:
    """Copy an object, {bucket, key} in `copy_source`, with its metadata or with new metadata."""
    _check_directives(metadata_directive, tagging_directive)
    holder = call.cloud.bucket.bucket(bucket)
    access.check(call, holder, key, expected=expected_bucket_owner)
    wanted = {
        "if_match": copy_source_if_match,
        "if_none_match": copy_source_if_none_match,
        "if_modified_since": copy_source_if_modified_since,
        "if_unmodified_since": copy_source_if_unmodified_since,
    }
    source = _source(call, copy_source, expected_source_bucket_owner)
    replaced = metadata_directive == "REPLACE"
    if not (replaced or checksum_algorithm or described.keys() & CHANGES):
        _refuse_itself(source, bucket, key)
    facts = said.facts(described, call, holder, call.cloud.accounts)
    new = facts if replaced else _kept(source.facts, facts)
    made = call.cloud.bucket.copy(
        source.bucket,
        source.key,
        bucket,
        key,
        _tagged(call, new, facts if tagging_directive == "REPLACE" else source),
        algorithm=checksum_algorithm.upper(),
        if_none_match=conditions.only_if_absent(if_none_match),
        if_match=conditions.bare(if_match) or None,
        check=lambda found: _check_source(call, found, wanted),
    )
    return {
        "copy_object_result": {
            "e_tag": nouns.quoted(made.e_tag),
            "last_modified": made.last_modified,
            **nouns.checksum_members(made.facts.checksums, made.facts.checksum_type),
        },
        **rules.expiration(holder, made),
    }


@action("s3", anonymous=True, ignored=HARMLESS)
def upload_part_copy(
    call: Call,
    *,
    bucket: str,
    key: str,
    upload_id: str,
    part_number: int,
    copy_source: dict[str, str],
    copy_source_range: str = "",
    copy_source_if_match: str = "",
    copy_source_if_none_match: str = "",
    copy_source_if_modified_since: datetime | None = None,
    copy_source_if_unmodified_since: datetime | None = None,
    expected_bucket_owner: str = "",
    expected_source_bucket_owner: str = "",
) -> Result:
    """Make a part of an upload from an object, {bucket, key} in `copy_source`, or a range of it."""
    store = call.cloud.bucket
    holder = store.bucket(bucket)
    access.check(call, holder, key, expected=expected_bucket_owner)
    access.check_upload(call, store.upload(bucket, key, upload_id), holder)
    checked = _source(call, copy_source, expected_source_bucket_owner)
    with store.open(checked.bucket, checked.key) as opened:
        source = opened.object
        _check_readable(call, source)
        conditions.check_source(
            source,
            {
                "if_match": copy_source_if_match,
                "if_none_match": copy_source_if_none_match,
                "if_modified_since": copy_source_if_modified_since,
                "if_unmodified_since": copy_source_if_unmodified_since,
            },
        )
        start, count = 0, source.size
        if copy_source_range:
            start, count = conditions.source_span(copy_source_range, source.size)
        incoming = Incoming(Pulled(opened.chunks(start, count)), count)
        part = store.put_part(bucket, key, upload_id, part_number, incoming, size=count)
    return {
        "copy_part_result": {
            "e_tag": nouns.quoted(part.e_tag),
            "last_modified": part.last_modified,
            **nouns.checksum_members(part.checksums),
        }
    }


def _source(call: Call, named: dict[str, str], expected: str) -> Object:
    nouns.only_version(named.get("version_id", ""))
    if not named.get("bucket") or not named.get("key"):
        reason = "Name a bucket and a key."
        raise InvalidArgument(argument="x-amz-copy-source", value=str(named), reason=reason)
    holder = call.cloud.bucket.bucket(named["bucket"])
    access.check_expected(holder, expected)
    found = access.look_up(call, call.cloud.bucket.head, holder, named["key"])
    _check_readable(call, found)
    return found


def _check_readable(call: Call, source: Object) -> None:
    holder = call.cloud.bucket.bucket(source.bucket)
    access.check(call, holder, source.key, source.facts, action="s3:GetObject")


def _check_directives(metadata: str, tagging: str) -> None:
    if metadata not in DIRECTIVES:
        argument = "x-amz-metadata-directive"
        raise InvalidArgument(argument=argument, value=metadata, reason="Use COPY or REPLACE.")
    if tagging not in DIRECTIVES:
        argument = "x-amz-tagging-directive"
        raise InvalidArgument(argument=argument, value=tagging, reason="Use COPY or REPLACE.")


def _check_source(call: Call, source: Object, wanted: dict[str, Any]) -> None:
    _check_readable(call, source)  # it may be another object by now
    conditions.check_source(source, wanted)
    if source.size > LARGEST:
        reason = f"The source has {source.size} bytes; copy more than {LARGEST} in parts."
        raise InvalidRequest(reason=reason)


def _refuse_itself(source: Object, bucket: str, key: str) -> None:
    if (source.bucket, source.key) == (bucket, key):
        raise InvalidRequest(
            reason="This copy request is illegal because it is trying to copy an object to itself"
            " without changing the object's metadata, storage class, website redirect location"
            " or encryption attributes."
        )


def _tagged(call: Call, new: ObjectFacts, like: ObjectFacts | Object) -> ObjectFacts:
    """Give the facts of a copy its tags: those of the request, or those that its source has."""
    if isinstance(like, ObjectFacts):
        return dataclasses.replace(new, tags=like.tags)
    if like.facts.tags:
        holder = call.cloud.bucket.bucket(like.bucket)
        access.check(call, holder, like.key, like.facts, action="s3:GetObjectTagging")
    return dataclasses.replace(new, tags=like.facts.tags)


def _kept(source: ObjectFacts, new: ObjectFacts) -> ObjectFacts:
    """What the source has, with what a copy never takes over: owner, list, class, redirect."""
    redirect = "website_redirect_location"
    headers = {name: value for name, value in source.headers.items() if name != redirect}
    told = {name: value for name, value in new.headers.items() if name == redirect}
    return dataclasses.replace(
        source,
        headers={**headers, **told},
        owner=new.owner,
        acl=new.acl,
        storage_class=new.storage_class,
        extra={**access.of_no_writer(source.extra), **new.extra},
    )
