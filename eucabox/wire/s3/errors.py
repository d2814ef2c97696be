"""Faults become S3's error documents; the only place that knows their extra elements."""

import re
from collections.abc import Mapping
from typing import Any

from eucabox.errors import Fault
from eucabox.s3.values import quote_etag
from eucabox.wire import serializers
from eucabox.wire.request import Answer
from eucabox.wire.s3.responses import XML, http_date
from eucabox.wire.status import status_of

# What the verbs' common door says in EC2's words, in those of S3.
WORDS = {
    "AuthFailure": "AccessDenied",
    "InvalidAction": "NotImplemented",
    "InvalidParameterCombination": "InvalidRequest",
    "InvalidParameterValue": "InvalidArgument",
    "MissingAuthenticationToken": "AccessDenied",
    "MissingParameter": "InvalidRequest",
    "UnauthorizedOperation": "AccessDenied",
    "UnsupportedOperation": "NotImplemented",
}
ELEMENTS = {
    "bucket": "BucketName",
    "name": "BucketName",
    "key": "Key",
    "upload_id": "UploadId",
    "version": "VersionId",
    "argument": "ArgumentName",
    "parameter": "ArgumentName",
    "value": "ArgumentValue",
    "condition": "Condition",
    "requested": "RangeRequested",
    "method": "Method",
}
# what the same fact is called in some errors only
OF = {
    "BadDigest": {"stated": "ExpectedDigest", "found": "CalculatedDigest"},
    "EntityTooLarge": {"size": "ProposedSize", "limit": "MaxSizeAllowed"},
    "EntityTooSmall": {
        "size": "ProposedSize",
        "limit": "MinSizeAllowed",
        "number": "PartNumber",
        "e_tag": "ETag",
    },
    "InvalidPart": {"number": "PartNumber", "e_tag": "ETag"},
    "InvalidRange": {"size": "ActualObjectSize"},
    "KeyTooLongError": {"size": "Size", "limit": "MaxSizeAllowed"},
    "MetadataTooLarge": {"size": "Size", "limit": "MaxSizeAllowed"},
}
SENTENCES = {"AccessDenied": "Access Denied"}  # of codes that a fault has only in S3's words
OWN = re.compile(r"[A-Z][A-Za-z0-9]*", re.ASCII)  # facts that are elements by their own name


def refuse(fault: Fault, request_id: str, service: str = "s3") -> Answer:
    """The error answer of a fault; one about an unchanged object has no body."""
    code = WORDS.get(fault.code, fault.code)
    headers = [("x-amz-request-id", request_id), *_headers(code, fault.facts)]
    if code == "NotModified":
        return Answer(status=status_of(code), headers=headers)
    text = "".join(serializers.element(*each) for each in said(fault).items())
    text += serializers.element("RequestId", request_id) + serializers.element("HostId", "eucabox")
    body = f"{serializers.DECLARATION}<Error>{text}</Error>".encode()
    return Answer(status=status_of(code), headers=[*headers, ("Content-Type", XML)], body=body)


def said(fault: Fault) -> dict[str, str]:
    """What an error's document tells of a fault: AWS's own sentence, and what we know beyond it."""
    code = WORDS.get(fault.code, fault.code)
    sentence, detail = fault.sentence, fault.detail
    if code != fault.code and code in SENTENCES:
        sentence, detail = SENTENCES[code], fault.message
    found = {"Code": code, "Message": sentence, **elements(code, fault.facts)}
    return {**found, "Detail": detail} if detail else found


def elements(code: str, facts: Mapping[str, Any]) -> dict[str, str]:
    """What else an error's document tells of a fault, by its element."""
    names, found = ELEMENTS | OF.get(code, {}), {}
    for fact, value in facts.items():
        name = fact if OWN.fullmatch(fact) else names.get(fact)
        if name:
            found[name] = str(value)
    return found


def _headers(code: str, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    if code == "NotModified":
        return [
            ("ETag", quote_etag(facts["e_tag"])),
            ("Last-Modified", http_date(facts["last_modified"])),
        ]
    if "delete_marker" in facts:
        return _of_marker(facts)
    if code == "InvalidRange":
        return [("Content-Range", f"bytes */{facts['size']}")]
    return []


def _of_marker(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is said of the delete marker that hides an object, or that was asked for by its id."""
    told = [("x-amz-delete-marker", "true"), ("x-amz-version-id", facts["delete_marker"])]
    if "last_modified" in facts:
        told += [("Allow", "DELETE"), ("Last-Modified", http_date(facts["last_modified"]))]
    return told
