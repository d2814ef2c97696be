"""The bytes of objects for browsers: downloads, pictures, the beginning of a text; renders none.

What people have stored is never shown as a page: a download is an attachment without a type, a
picture is one by its first bytes, and all of it is under a policy that lets nothing run.
"""

import codecs
import unicodedata
from collections.abc import Iterator
from typing import Protocol, cast

from flask import Response, request
from werkzeug.exceptions import UnsupportedMediaType

from eucabox.console.members import read_number, read_text
from eucabox.console.pages.buckets.bucket_page import pages, read_key, read_version, shorten
from eucabox.console.visitor import perform
from eucabox.errors import Fault

POLICY = "default-src 'none'; sandbox; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PIECE = 256 * 1024
MOST_TEXT = 32 * 1024  # bytes of a text that are shown
MOST_PICTURE = 32 * 1024 * 1024
MAGIC = 16
PICTURES = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"ftypavif", 4, "image/avif"),
    (b"BM", 0, "image/bmp"),
)


class ObjectBody(Protocol):
    """An object's bytes: iterate them once, then close."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield pieces."""

    def close(self) -> None:
        """Close the object."""


@pages.get("/buckets/<name>/download")
def download(name: str) -> Response:
    """Send an object, or a range of it, as a file."""
    members = _read_members(name)
    for header, member in (("Range", "range"), ("If-Range", "if_range")):
        if request.headers.get(header):
            members[member] = request.headers[header]
    found = perform("s3", "GetObject", **members)
    response = _send(found, "application/octet-stream")
    if read_text(found, "content_range"):
        response.status_code = 206
        response.headers["Content-Range"] = read_text(found, "content_range")
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["ETag"] = read_text(found, "e_tag")
    return response


@pages.get("/buckets/<name>/picture")
def show_picture(name: str) -> Response:
    """Send an object that is a picture by its first bytes; refuse any other."""
    members = _read_members(name)
    kind = read_kind(read_beginning(members, MAGIC)[0])
    if not kind.startswith("image/"):
        raise UnsupportedMediaType("This object is no picture that is shown here.")
    found = perform("s3", "GetObject", **members)
    response = _send(found, kind)
    response.headers["Content-Disposition"] = "inline"
    return response


def _read_members(name: str) -> dict[str, object]:
    members: dict[str, object] = {"bucket": name, "key": read_key()}
    version = read_version()
    return {**members, "version_id": version} if version else members


def _send(found: dict[str, object], content_type: str) -> Response:
    body = cast(ObjectBody, found["body"])
    response = Response(_pour(body), content_type=content_type)
    response.call_on_close(body.close)
    response.content_length = read_number(found, "content_length")
    response.headers["Content-Security-Policy"] = POLICY
    file_name = name_file(shorten(read_key()))
    response.headers.set("Content-Disposition", "attachment", filename=file_name)
    return response


def _pour(body: ObjectBody) -> Iterator[bytes]:
    """The pieces of a body; what fails now cuts the connection, as the length is out."""
    try:
        yield from body
    except Fault as fault:
        raise ConnectionAbortedError(fault.message) from None


def read_beginning(members: dict[str, object], count: int) -> tuple[bytes, int]:
    """Return the first bytes of an object, and how many it has in all."""
    found = perform("s3", "GetObject", **members)
    body = cast(ObjectBody, found["body"])
    pieces = b""
    try:
        for piece in body:
            pieces += piece
            if len(pieces) >= count:
                break
    finally:
        body.close()
    return pieces[:count], read_number(found, "content_length")


def read_kind(beginning: bytes) -> str:
    """Return what an object is by its first bytes: a picture's type, "text", or "" for others."""
    for magic, offset, kind in PICTURES:
        if beginning[offset : offset + len(magic)] == magic:
            is_riff = kind != "image/webp" or beginning.startswith(b"RIFF")
            return kind if is_riff else ""
    return "text" if read_as_text(beginning) is not None else ""


def read_as_text(beginning: bytes) -> str | None:
    """Return bytes as text, None where they are none; a character at the end may be cut."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return None
    plain = (unicodedata.category(each) != "Cc" or each in "\t\n\r\f\x1b" for each in text)
    return text if all(plain) else None


def name_file(name: str) -> str:
    """Return a name for a file of the visitor's: without what leads elsewhere, or to a second
    header."""
    plain = "".join("_" if each in '/\\:"' or not each.isprintable() else each for each in name)
    return plain.strip(". ")[:200] or "object"
