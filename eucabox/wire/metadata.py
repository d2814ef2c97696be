"""The protocol of 169.254.169.254: paths, tokens, listings; knows no instance."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import unquote

from eucabox.errors import (
    Fault,
    MetadataBadRequest,
    MetadataForbidden,
    MetadataMethodNotAllowed,
    MetadataNotFound,
)
from eucabox.wire.request import Answer, ParsedRequest, Request

CREDENTIALS_PATH = ("meta-data", "iam", "security-credentials")  # and the role's name
TOKEN_PATH = ("latest", "api", "token")
TOKEN = "x-aws-ec2-metadata-token"  # noqa: S105 (the name of a header)
TTL = "x-aws-ec2-metadata-token-ttl-seconds"
FORWARDED = "x-forwarded-for"
VERSION = re.compile(r"latest|1\.0|20[0-9]{2}-[01][0-9]-[0-3][0-9]", re.ASCII)
VERSIONS = (  # every date is understood; these are the ones that clients look for
    "1.0", "2007-01-19", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04", "2011-01-01",
    "2012-01-12", "2014-02-25", "2016-09-02", "2018-09-24", "2021-03-23", "latest",
)  # fmt: skip
TEXT = "text/plain"
STATUS = {
    "MetadataBadRequest": 400,
    "MetadataUnauthorized": 401,
    "MetadataForbidden": 403,
    "MetadataNotFound": 404,
    "MetadataMethodNotAllowed": 405,
}


@dataclass(frozen=True, kw_only=True)
class MetadataRequest(ParsedRequest):
    """A request of a guest, with the parts of the path that `answer` looks up."""

    service: str = "metadata"
    path: tuple[str, ...]


def understand(
    request: Request, lookup: object = None, now: datetime | None = None
) -> MetadataRequest:
    """Read a request of a guest. The source address tells the instance, so no key is looked up.

    Raises a Metadata fault for what is no request to the metadata service.
    """
    path = tuple(unquote(word) for word in request.path.split("/") if word)
    if request.method == "PUT" and path == TOKEN_PATH:
        seconds = _read_token_seconds(request.headers)
        return MetadataRequest(name="CreateToken", params={"seconds": seconds}, path=path)
    if request.method not in ("GET", "HEAD") or path == TOKEN_PATH:
        raise MetadataMethodNotAllowed(method=request.method, path=request.path)
    if path and not VERSION.fullmatch(path[0]):
        raise MetadataNotFound(path=request.path)
    token = request.headers.get(TOKEN)
    params: dict[str, object] = {} if token is None else {"token": token}
    if path[1:-1] == CREDENTIALS_PATH:
        params["role_name"] = path[-1]
        return MetadataRequest(name="GetInstanceCredentials", params=params, path=path)
    return MetadataRequest(name="GetMetadata", params=params, path=path)


def answer(understood: MetadataRequest, result: Mapping[str, object] | None) -> Answer:
    """Return the text at the path, or a listing, or a new token; raises MetadataNotFound."""
    values = result or {}
    if understood.name == "CreateToken":
        response = _make_answer(200, str(values["token"]), TEXT, (TTL, str(values["seconds"])))
        hops = values.get("hops")
        return replace(response, hops=hops if isinstance(hops, int) else 0)
    if understood.name == "GetInstanceCredentials":
        return _make_answer(200, _to_json(values), TEXT)
    if not understood.path:
        return _make_answer(200, "\n".join(VERSIONS), TEXT)
    names = understood.path[1:]
    value = look_up(values, names)
    if value is None:
        raise MetadataNotFound(path="/" + "/".join(understood.path))
    if isinstance(value, Mapping):
        return _make_answer(200, write_listing(value, with_slashes=bool(names)), TEXT)
    if isinstance(value, bytes):
        return _make_answer(200, value, "application/octet-stream")
    return _make_answer(200, str(value), TEXT)


def refuse(fault: Fault, request_id: str, service: str = "metadata") -> Answer:
    """Return a fault as plain text; what is not about the request is the server's own."""
    return _make_answer(STATUS.get(fault.code, 500), fault.message + "\n", TEXT)


def look_up(tree: Mapping[str, object], path: tuple[str, ...]) -> object:
    """Return what is at a path, or None; an entry `0=name` is found by its `0` too."""
    value: object = tree
    for word in path:
        if not isinstance(value, Mapping):
            return None
        aliases = {key.partition("=")[0]: key for key in value if key[:1].isdigit()}
        value = value.get(word, value.get(aliases.get(word, word)))
    return value


def write_listing(tree: Mapping[str, object], with_slashes: bool) -> str:
    """Return a tree's entries, a line each, directories with a slash if `marked`."""
    return "\n".join(key + _suffix(key, tree[key], with_slashes) for key in sorted(tree))


def _to_json(values: Mapping[str, object]) -> str:
    """Return members as EC2 writes them, with times in whole seconds."""
    members = {
        "".join(word.capitalize() for word in name.split("_")): (
            value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value
        )
        for name, value in values.items()
    }
    return json.dumps(members, indent=2, separators=(",", " : "))


def _suffix(key: str, value: object, with_slashes: bool) -> str:
    return "/" if with_slashes and isinstance(value, Mapping) and "=" not in key else ""


def _read_token_seconds(headers: Mapping[str, str]) -> int:
    if FORWARDED in headers:
        raise MetadataForbidden(reason="A token is not given to a proxy (X-Forwarded-For).")
    text = headers.get(TTL, "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise MetadataBadRequest(reason=f"The header {TTL} must be a number of seconds.")
    return int(text)


def _make_answer(status: int, content: str | bytes, kind: str, *headers: tuple[str, str]) -> Answer:
    body = content if isinstance(content, bytes) else content.encode()
    return Answer(status, [("Content-Type", kind), ("Server", "EC2ws"), *headers], body)
