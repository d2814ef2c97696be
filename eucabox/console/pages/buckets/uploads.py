"""How the page sends files: part by part, each a request of its own, so that what breaks is sent
again and nothing else; holds no body in memory.

The answers are JSON for static/upload.js. A part's digest, where the browser has one, is checked
before the part is kept.
"""

import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, cast

from flask import Response, jsonify, request
from werkzeug.exceptions import BadRequest

from eucabox.console.answers import get_status
from eucabox.console.guard import take_stream
from eucabox.console.members import read_number, read_structures, read_text
from eucabox.console.pages.buckets.bucket_page import pages, read_key
from eucabox.console.visitor import perform
from eucabox.errors import Fault
from eucabox.s3.body_streams import ByteStream, RequestBody

MIB = 1 << 20
LEAST_PART, MOST_PART = 8 * MIB, 512 * MIB
MOST_PARTS = 1000  # whose ETags fit into one form
MOST_ID, MOST_TYPE = 256, 256
ETAGS = re.compile("(?:[0-9a-f]{32}){1,1000}")
DIGEST = re.compile(r"[A-Za-z0-9+/]{43}=")
P = ParamSpec("P")


def answer_in_json(view: Callable[P, Response]) -> Callable[P, Response]:
    """Have a view's faults answered as {"code", "message"}."""

    @wraps(view)
    def answer(*args: P.args, **kwargs: P.kwargs) -> Response:
        try:
            return view(*args, **kwargs)
        except Fault as fault:
            response = jsonify(code=fault.code, message=fault.message)
            response.status_code = get_status(fault)
            return response

    return answer


@pages.post("/buckets/<name>/upload/begin")
@answer_in_json
def begin_upload(name: str) -> Response:
    """Begin an upload, or go on with one: its id, the size of its parts, the parts that are there
    as [number, size, ETag]."""
    key, size = read_key(), read_size()
    upload_id = request.form.get("upload_id", "")[:MOST_ID]
    parts: list[tuple[int, int, str]] = []
    if upload_id:
        parts = _list_parts(name, key, upload_id)
    else:
        made = perform(
            "s3", "CreateMultipartUpload", bucket=name, key=key, **_read_type("content_type")
        )
        upload_id = read_text(made, "upload_id")
    return jsonify(upload_id=upload_id, part_size=choose_part_size(size), parts=parts)


def choose_part_size(size: int) -> int:
    """Return the bytes of each part but the last, for a file of so many bytes."""
    needed = -(-size // MOST_PARTS)
    return max(LEAST_PART, -(-needed // MIB) * MIB)


@pages.post("/buckets/<name>/upload/part")
@take_stream(MOST_PART)
@answer_in_json
def upload_part(name: str) -> Response:
    """Take a part."""
    number = request.args.get("number", "")
    if not number.isascii() or not number.isdigit() or len(number) > 5:
        raise BadRequest("A part has a number.")
    made = perform(
        "s3", "UploadPart", bucket=name, key=read_key(),
        upload_id=request.args.get("upload", "")[:MOST_ID], part_number=int(number),
        body=open_body(), **_read_digest(),
    )  # fmt: skip
    return jsonify(etag=read_text(made, "e_tag").strip('"'))


@pages.post("/buckets/<name>/upload/file")
@take_stream(LEAST_PART)
@answer_in_json
def upload_file(name: str) -> Response:
    """Take a small file at once."""
    content_type = request.headers.get("X-File-Type", "")[:MOST_TYPE]
    members = {"content_type": content_type} if content_type else {}
    made = perform(
        "s3", "PutObject", bucket=name, key=read_key(), body=open_body(), **members,
        **_read_digest(),
    )  # fmt: skip
    return jsonify(etag=read_text(made, "e_tag").strip('"'))


@pages.post("/buckets/<name>/upload/complete")
@answer_in_json
def complete_upload(name: str) -> Response:
    """Make an object of all parts, whose ETags come in one row; the same again where the answer
    was lost."""
    text = request.form.get("etags", "")
    if not ETAGS.fullmatch(text):
        raise BadRequest("The parts have no ETags.")
    etags = [text[at : at + 32] for at in range(0, len(text), 32)]
    parts = [{"part_number": at, "e_tag": etag} for at, etag in enumerate(etags, 1)]
    made = perform(
        "s3", "CompleteMultipartUpload", bucket=name, key=read_key(),
        upload_id=request.form.get("upload_id", "")[:MOST_ID],
        multipart_upload={"parts": parts}, mpu_object_size=read_size(),
    )  # fmt: skip
    return jsonify(etag=read_text(made, "e_tag").strip('"'))


@pages.post("/buckets/<name>/upload/abort")
@answer_in_json
def cancel_upload(name: str) -> Response:
    """Give up an upload."""
    upload_id = request.form.get("upload_id", "")[:MOST_ID]
    perform("s3", "AbortMultipartUpload", bucket=name, key=read_key(), upload_id=upload_id)
    return jsonify({})


def open_body() -> RequestBody:
    """Return the body of this request as a stream of as many bytes as it announced."""
    return RequestBody(
        cast(ByteStream, request.environ["wsgi.input"]), int(request.content_length or 0)
    )


def _list_parts(name: str, key: str, upload_id: str) -> list[tuple[int, int, str]]:
    found = perform("s3", "ListParts", bucket=name, key=key, upload_id=upload_id)
    return [
        (
            read_number(each, "part_number"),
            read_number(each, "size"),
            read_text(each, "e_tag").strip('"'),
        )
        for each in read_structures(found, "parts")
    ]


def read_size() -> int:
    """Return the size of a file that is sent; raises BadRequest for none, or too large a one."""
    text = request.form.get("size", "")
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise BadRequest("A file has a size.")
    size = int(text)
    if choose_part_size(size) > MOST_PART:
        raise BadRequest(f"This page sends files of at most {MOST_PARTS * MOST_PART >> 30} GiB.")
    return size


def _read_type(field: str) -> dict[str, str]:
    content_type = request.form.get(field, "")[:MOST_TYPE]
    return {"content_type": content_type} if content_type else {}


def _read_digest() -> dict[str, str]:
    """The body's SHA-256 in base64, where the browser has made one."""
    digest = request.headers.get("X-Content-SHA256", "")
    if digest and not DIGEST.fullmatch(digest):
        raise BadRequest("This is no SHA-256 in base64.")
    return {"checksum_sha256": digest} if digest else {}
