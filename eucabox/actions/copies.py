"""Copies from one key to another, of a whole object or into a part; never bytes from a client."""

import dataclasses
from datetime import datetime
from typing import Any

from eucabox.actions import Call, Result, action
from eucabox.errors import InvalidArgument, InvalidRequest, S3NotImplemented
from eucabox.store import access, conditions, nouns
from eucabox.store.facts import Object, ObjectFacts
from eucabox.store.streams import Incoming, Pulled

DIRECTIVES = ("COPY", "REPLACE")
LARGEST = 5 << 30  # bytes that one copy may have; more are copied in parts
HARMLESS = ("request_payer",)


@action("s3", anonymous=True, ignored=HARMLESS)
def copy_object(
    call: Call,
    *,
    bucket: str,
    key: str,
    copy_source: dict[str, str],
    metadata_directive: str = "COPY",
    tagging_directive: str = "COPY",
    acl: str = "",
    grant_full_control: str = "",
    grant_read: str = "",
    grant_read_acp: str = "",
    grant_write_acp: str = "",
    content_type: str = "",
    metadata: dict[str, str] | None = None,
    cache_control: str = "",
    content_disposition: str = "",
    content_encoding: str = "",
    content_language: str = "",
    expires: str = "",
    website_redirect_location: str = "",
    storage_class: str = "",
    checksum_algorithm: str = "",
    copy_source_if_match: str = "",
    copy_source_if_none_match: str = "",
    copy_source_if_modified_since: datetime | None = None,
    copy_source_if_unmodified_since: datetime | None = None,
    if_match: str = "",
    if_none_match: str = "",
    expected_bucket_owner: str = "",
    expected_source_bucket_owner: str = "",
) -> Result:
    """Copy an object, {bucket, key} in `copy_source`, with its metadata or with new metadata."""
    _check_directives(metadata_directive, tagging_directive)
    holder = call.cloud.bucket.bucket(bucket)
    access.check_bucket(holder, call.caller, "WRITE", expected_bucket_owner)
    wanted = {
        "if_match": copy_source_if_match,
        "if_none_match": copy_source_if_none_match,
        "if_modified_since": copy_source_if_modified_since,
        "if_unmodified_since": copy_source_if_unmodified_since,
    }
    source = _source(call, copy_source, expected_source_bucket_owner)
    replaced = metadata_directive == "REPLACE"
    changed = replaced or storage_class or website_redirect_location or checksum_algorithm
    if not changed:
        _refuse_itself(source, bucket, key)
    told = nouns.headers(
        cache_control=cache_control,
        content_disposition=content_disposition,
        content_encoding=content_encoding,
        content_language=content_language,
        expires=expires,
    )
    kept = _replaced(content_type, metadata, told) if replaced else _kept(source.facts)
    redirect = nouns.headers(website_redirect_location=website_redirect_location)
    facts = dataclasses.replace(
        kept,
        headers={**kept.headers, **redirect},
        owner=call.caller.account_id if call.caller else holder.owner,
        acl=access.chosen(
            acl,
            FULL_CONTROL=grant_full_control,
            READ=grant_read,
            READ_ACP=grant_read_acp,
            WRITE_ACP=grant_write_acp,
        ),
        storage_class=nouns.storage_class(storage_class),
    )
    made = call.cloud.bucket.copy(
        source.bucket,
        source.key,
        bucket,
        key,
        facts,
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
        }
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
    access.check_bucket(holder, call.caller, "WRITE", expected_bucket_owner)
    access.check_upload(store.upload(bucket, key, upload_id), holder, call.caller)
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
    found = access.look_up(call.cloud.bucket.head, holder, named["key"], call.caller)
    _check_readable(call, found)
    return found


def _check_readable(call: Call, source: Object) -> None:
    holder = call.cloud.bucket.bucket(source.bucket)
    access.check_object(source.facts, holder, call.caller, "READ")


def _check_directives(metadata: str, tagging: str) -> None:
    if metadata not in DIRECTIVES:
        argument = "x-amz-metadata-directive"
        raise InvalidArgument(argument=argument, value=metadata, reason="Use COPY or REPLACE.")
    if tagging != "COPY":
        what = "x-amz-tagging-directive other than COPY"
        raise S3NotImplemented(what=what, hint="Objects have no tags here: leave it out.")


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


def _replaced(
    content_type: str, metadata: dict[str, str] | None, headers: dict[str, str]
) -> ObjectFacts:
    return ObjectFacts(
        content_type=content_type or nouns.TYPE,
        metadata=nouns.metadata(metadata),
        headers=headers,
    )


def _kept(facts: ObjectFacts) -> ObjectFacts:
    # a redirect belongs to one key and is not copied with the rest
    headers = {name: v for name, v in facts.headers.items() if name != "website_redirect_location"}
    return dataclasses.replace(facts, headers=headers)
