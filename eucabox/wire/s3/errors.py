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

# Codes that actions share with EC2, and what S3 calls them.
S3_CODES = {
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
ELEMENTS_BY_CODE = {
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
SENTENCES = {"AccessDenied": "Access Denied"}  # of the codes that S3_CODES gives
OWN = re.compile(r"[A-Z][A-Za-z0-9]*", re.ASCII)  # facts that are elements by their own name


def refuse(fault: Fault, request_id: str, service: str = "s3") -> Answer:
    """The error answer of a fault; one about an unchanged object has no body."""
    code = S3_CODES.get(fault.code, fault.code)
    headers = [("x-amz-request-id", request_id), *_error_headers(code, fault.facts)]
    if code == "NotModified":
        return Answer(status=status_of(code), headers=headers)
    text = "".join(serializers.element(*each) for each in document_elements(fault).items())
    text += serializers.element("RequestId", request_id) + serializers.element("HostId", "eucabox")
    body = f"{serializers.DECLARATION}<Error>{text}</Error>".encode()
    status = status_of(code, "s3")
    return Answer(status=status, headers=[*headers, ("Content-Type", XML)], body=body)


def document_elements(fault: Fault) -> dict[str, str]:
    """The elements of an error document: AWS's own sentence, and the details that we add."""
    code = S3_CODES.get(fault.code, fault.code)
    sentence, detail = fault.sentence, fault.detail
    if code != fault.code and code in SENTENCES:
        sentence, detail = SENTENCES[code], fault.message
    elements = {"Code": code, "Message": sentence, **fact_elements(code, fault.facts)}
    return {**elements, "Detail": detail} if detail else elements


def fact_elements(code: str, facts: Mapping[str, object]) -> dict[str, str]:
    """The facts of a fault by the elements that hold them."""
    names, result = ELEMENTS | ELEMENTS_BY_CODE.get(code, {}), {}
    for fact, value in facts.items():
        name = fact if OWN.fullmatch(fact) else names.get(fact)
        if name:
            result[name] = str(value)
    return result


def _error_headers(code: str, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    if code == "NotModified":
        return [
            ("ETag", quote_etag(facts["e_tag"])),
            ("Last-Modified", http_date(facts["last_modified"])),
        ]
    if "delete_marker" in facts:
        return _delete_marker_headers(facts)
    if code == "InvalidRange":
        return [("Content-Range", f"bytes */{facts['size']}")]
    return []


def _delete_marker_headers(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The headers about a delete marker: one that hides an object, or one read by its id."""
    headers = [("x-amz-delete-marker", "true"), ("x-amz-version-id", facts["delete_marker"])]
    if "last_modified" in facts:
        headers += [("Allow", "DELETE"), ("Last-Modified", http_date(facts["last_modified"]))]
    return headers
