"""The answer to an upload by a form: a redirect, a document or nothing; never stores anything."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from eucabox.wire import serializers
from eucabox.wire.request import Answer

if TYPE_CHECKING:
    from eucabox.wire.s3.requests import S3Request

STATUSES = ("200", "201", "204")
XML = "application/xml"


def answer(understood: "S3Request", e_tag: str, headers: list[tuple[str, str]]) -> Answer:
    """The answer that the fields ask for; `headers` are those of PutObject."""
    assert understood.upload is not None
    fields: Any = understood.upload.fields
    values = {"bucket": fields["bucket"], "key": fields["key"], "etag": e_tag}
    redirect = fields.get("success_action_redirect") or fields.get("redirect", "")
    if _is_usable(redirect):
        mark = "&" if "?" in redirect else "?"
        target = f"{redirect}{mark}{urlencode(values, quote_via=quote, errors='surrogateescape')}"
        return Answer(status=303, headers=[*headers, ("Location", target)])
    status = fields.get("success_action_status", "")
    response = Answer(status=int(status) if status in STATUSES else 204, headers=headers)
    key = quote(fields["key"].encode("utf-8", "surrogateescape"))
    location = f"{understood.upload.place}/{key}"
    response.headers.append(("Location", location))
    if response.status == 201:
        response.headers.append(("Content-Type", XML))
        response.body = _write_document(location, values)
    return response


def _write_document(location: str, values: dict[str, str]) -> bytes:
    text = serializers.element("Location", location) + serializers.element(
        "Bucket", values["bucket"]
    )
    text += serializers.element("Key", values["key"]) + serializers.element("ETag", values["etag"])
    return f"{serializers.DECLARATION}<PostResponse>{text}</PostResponse>".encode()


def _is_usable(redirect: str) -> bool:
    """Whether a redirect is an absolute URL; S3 answers as if there were none otherwise."""
    if not redirect.isascii() or not redirect.isprintable() or " " in redirect:
        return False
    try:
        parts = urlsplit(redirect)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)
