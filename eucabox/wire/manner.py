"""How a request was made, in the words that policies ask for it; never judges a signature."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from eucabox.wire.request import Request

V4, V1 = "AWS4-HMAC-SHA256", "AWS"
DATE = "x-amz-date"


def manner(request: Request) -> dict[str, str]:
    """Return what a policy's conditions may ask of a request, "" for what it does not say."""
    headers = request.headers
    auth_type, version = _signed(request)
    return {
        "source_ip": request.source or "",
        "secure": "true" if request.scheme == "https" else "false",
        "referer": headers.get("referer", ""),
        "user_agent": headers.get("user-agent", ""),
        "content_sha256": headers.get("x-amz-content-sha256", ""),
        "tls_version": request.tls[0].removeprefix("TLSv"),
        "auth_type": auth_type,
        "signature_version": version,
        "signed_at": _signed_at(request) if version == V4 else "",
    }


class Manner(Mapping[str, str]):
    """What `manner` returns, with more that is known; found out once it is asked for."""

    def __init__(self, request: Request, **known: str) -> None:
        self._request = request
        self._known = known

    def __getitem__(self, name: str) -> str:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    @cached_property
    def _found(self) -> dict[str, str]:
        return {**manner(self._request), **self._known}


def _signed(request: Request) -> tuple[str, str]:
    told = request.headers.get("authorization", "")
    if told:
        return "REST-HEADER", V4 if told.startswith("AWS4-") else V1
    if "X-Amz-Signature=" in request.query:
        return "REST-QUERY-STRING", V4
    if "AWSAccessKeyId=" in request.query:
        return "REST-QUERY-STRING", V1
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        return "POST", ""
    return "", ""


def _signed_at(request: Request) -> str:
    """The date of a signature of version 4, as 20260131T235959Z."""
    for each in request.query.split("&") if "X-Amz-Date=" in request.query else ():
        name, _, value = each.partition("=")
        if name == "X-Amz-Date":
            return value
    return request.headers.get(DATE, "")
