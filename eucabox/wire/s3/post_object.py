"""Uploads by a form: its fields become the members of PutObject; never reads the file itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from eucabox.errors import FormFieldMissing, FormFieldTwice, FormFileTooLarge
from eucabox.iam.caller import Caller
from eucabox.s3 import post_policy
from eucabox.s3.body_streams import RequestBody
from eucabox.s3.post_policy import IGNORED
from eucabox.wire import model
from eucabox.wire.request import BodyReader, Request
from eucabox.wire.s3 import checksum_headers
from eucabox.wire.s3.multipart_form import FILE, MOST_FIELDS, Form, parse_boundary
from eucabox.wire.s3.parameters import ParameterReader, reader
from eucabox.wire.sign import SignatureCheck, authenticate_form

FORM = "multipart/form-data"
FILENAME = "${filename}"
# fields about the form itself, not about the object
SIGNING = frozenset(
    {
        *("awsaccesskeyid", "signature", "policy", "x-amz-signature", "x-amz-credential"),
        *("x-amz-algorithm", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"),
    }
)
UNCOVERED = ("awsaccesskeyid", "signature", "policy", "x-amz-signature")
CHECKSUMS = ("x-amz-checksum-", "x-amz-sdk-checksum-")  # they only narrow what the policy allows
HEADERS = frozenset(
    {
        *("cache-control", "content-disposition", "content-encoding", "content-language"),
        *("content-md5", "content-type", "expires"),
    }
)
RENAMED = {"acl": "x-amz-acl"}
Params = dict[str, object]


@dataclass(frozen=True)
class FormUpload:
    """A form up to its file: whose policy it is, its fields by names in lower case, the bucket
    among them, and the file as a stream."""

    caller: Caller | None
    fields: Mapping[str, str]
    file: BodyReader
    place: str = ""  # the bucket's URL, as the form was sent to it

    def read_params(self, read: ParameterReader) -> Params:
        """Return the members of PutObject."""
        headers = self._read_headers()
        checksum_headers.check(headers, ())
        members = read({}, headers)
        bucket, key = self.fields["bucket"], self.fields["key"]
        return {**members, "bucket": bucket, "key": key, read.payload: RequestBody(self.file)}

    def _read_headers(self) -> dict[str, str]:
        headers = {}
        for name, value in self.fields.items():
            if (name in HEADERS or name.startswith("x-amz-")) and name not in SIGNING:
                headers[name] = octets_as_text(value)
            elif name in RENAMED:
                headers[RENAMED[name]] = value
            elif name == "tagging":
                headers["x-amz-tagging"] = _tags_header(value)
        return headers


def is_form(request: Request) -> bool:
    """Whether a request's body is a form with a file."""
    return request.headers.get("content-type", "").lower().startswith(FORM)


def read(request: Request, body: BodyReader, bucket: str, check: SignatureCheck) -> FormUpload:
    """Read a form up to its file, and check that its policy allows what it says.

    Raises faults of forms, policies and signatures; what is wrong with the file's length is
    raised when it is read.
    """
    form = Form(body, parse_boundary(request.headers["content-type"]))
    fields = _read_fields(form)
    fields["bucket"] = bucket  # where the form was sent, even if it has a field of that name
    caller = authenticate_form(fields, check)
    if "policy" in fields:
        form.sizes = _check_policy(fields, check.now)
        _check_length(request, form.sizes)
    place = request.endpoint + request.path.rstrip("/")
    return FormUpload(caller, fields, form, place)


def _read_fields(form: Form) -> dict[str, str]:
    fields: dict[str, str] = {}
    file_name = ""
    for name, value in form.fields():
        if name == FILE:
            file_name = value
        elif name in fields and not name.startswith(IGNORED):
            raise FormFieldTwice(ArgumentName=name)
        else:
            fields[name] = value
    if not fields.get("key"):
        raise FormFieldMissing(ArgumentName="key")
    return {name: value.replace(FILENAME, file_name) for name, value in fields.items()}


def _check_policy(fields: Mapping[str, str], now: datetime) -> tuple[int, int] | None:
    policy = post_policy.parse(fields["policy"].encode("utf-8", "surrogateescape"))
    policy.check(fields, now)
    names = [name for name in fields if not name.startswith(CHECKSUMS)]
    policy.check_covered(name for name in names if name not in UNCOVERED)
    return policy.sizes


def _check_length(request: Request, sizes: tuple[int, int] | None) -> None:
    """Refuse what is too large before it is sent: all of a form but its file is small."""
    if sizes and request.content_length is not None:
        least = request.content_length - 2 * MOST_FIELDS
        if least > sizes[1]:
            raise FormFileTooLarge(ProposedSize=request.content_length, MaxSizeAllowed=sizes[1])


def _tags_header(document: str) -> str:
    """Turn a form's tags, which are XML, into the value of x-amz-tagging."""
    from_xml = reader(model.service("s3").get_known("PutObjectTagging")).body
    assert from_xml is not None
    tags = from_xml(document.encode("utf-8", "surrogateescape")).get("tag_set", [])
    return urlencode([(each.get("key", ""), each.get("value", "")) for each in tags])


def octets_as_text(value: str) -> str:
    """A field's text as a header would have brought it: its bytes as Latin-1."""
    return value.encode("utf-8", "surrogateescape").decode("latin-1")
