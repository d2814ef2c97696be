"""How a request was made, by the names that policies use for it; never judges a signature."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from eucabox.wire.request import Request
from eucabox.wire.sign import dates

V4, V1 = "AWS4-HMAC-SHA256", "AWS"
HEADER, QUERY, POST = "REST-HEADER", "REST-QUERY-STRING", "POST"


def policy_context(request: Request, form: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what a policy's conditions may test of a request, "" for what it lacks.

    `form` has the fields, by names in lower case, of an upload by a form.
    """
    headers = request.headers
    auth_type, version, signed_at = _read_signature(request, form)
    return {
        "source_ip": request.source or "",
        "secure": "true" if request.scheme == "https" else "false",
        "referer": headers.get("referer", ""),
        "user_agent": headers.get("user-agent", ""),
        "content_sha256": headers.get("x-amz-content-sha256", ""),
        "tls_version": request.tls[0].removeprefix("TLSv"),
        "auth_type": auth_type,
        "signature_version": version,
        "signed_at": signed_at if version == V4 else "",
    }


@dataclass(eq=False)
class PolicyContext(Mapping[str, str]):
    """What `policy_context` returns, and `more`; it is computed when the first value is read."""

    request: Request
    form: Mapping[str, str] | None
    more: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        if name == "source_ip":  # these two are asked for most
            return self.request.source or ""
        if name == "secure":
            return "true" if self.request.scheme == "https" else "false"
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @cached_property
    def _values(self) -> dict[str, str]:
        return {**policy_context(self.request, self.form), **self.more}


def _read_signature(request: Request, form: Mapping[str, str] | None) -> tuple[str, str, str]:
    """How, by which version, and when, as 20260131T235959Z; read as those who verify it do."""
    if form is not None and "policy" in form:
        return POST, V4 if "x-amz-signature" in form else V1, form.get("x-amz-date", "")
    if authorization := request.headers.get("authorization", ""):
        return (
            HEADER,
            V4 if authorization.startswith("AWS4-") else V1,
            _header_time(request.headers),
        )
    params = request.parameters
    if "X-Amz-Signature" in params:
        return QUERY, V4, params.get("X-Amz-Date", "")
    if "Signature" in params:
        return QUERY, V1, ""
    return POST if form is not None else "", "", ""


def _header_time(headers: Mapping[str, str]) -> str:
    text = headers.get("x-amz-date", headers.get("date", ""))
    if dates.parse_basic(text):
        return text
    time = dates.parse(text)
    return dates.basic_text(time) if time else ""
