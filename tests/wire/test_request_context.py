"""What policies are told of how a request was made."""

from typing import Any

from eucabox.wire.request import Request
from eucabox.wire.request_context import policy_context


def read(
    query: str = "", scheme: str = "http", form: dict[str, str] | None = None, **headers: str
) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request("GET", "/", "/", query, named, scheme=scheme, source="10.0.0.1")
    return {name: value for name, value in policy_context(request, form).items() if value}


def test_an_unsigned_request() -> None:
    plain: dict[str, Any] = {"source_ip": "10.0.0.1", "secure": "false"}
    assert read() == plain
    assert read(scheme="https") == {**plain, "secure": "true"}
    assert read(referer="r", user_agent="u") == {**plain, "referer": "r", "user_agent": "u"}
    assert read(form={"key": "k"})["auth_type"] == "POST"
    assert read("x=X-Amz-Signature=&y-Signature=1", content_type="multipart/form-data") == plain


def test_how_it_is_signed() -> None:
    date = "20260131T235959Z"
    header = read(authorization="AWS4-HMAC-SHA256 Credential=x", x_amz_date=date)
    assert (header["auth_type"], header["signature_version"]) == ("REST-HEADER", "AWS4-HMAC-SHA256")
    assert header["signed_at"] == date
    query = read(f"X-Amz-Date={date}&X-Amz-Signature=0")
    assert (query["auth_type"], query["signed_at"]) == ("REST-QUERY-STRING", date)
    assert read(authorization="AWS a:b")["signature_version"] == "AWS"
    old = read("AWSAccessKeyId=a&Signature=b")
    assert (old["auth_type"], old["signature_version"]) == ("REST-QUERY-STRING", "AWS")


def test_no_other_spelling_hides_how_it_is_signed() -> None:
    date = "20260131T235959Z"
    assert read("X%2DAmz-Date=20260131T235959Z&X-Amz-Signatur%65=0") == read(
        f"X-Amz-Date={date}&X-Amz-Signature=0"
    )
    assert read("%53ignature=b")["signature_version"] == "AWS"
    by_header: Any = {"authorization": "AWS4-HMAC-SHA256 Credential=x"}
    assert read(date="Sat, 31 Jan 2026 23:59:59 GMT", **by_header)["signed_at"] == date
    newer = f"X-Amz-Date={date}"
    assert read(newer, x_amz_date="20250101T000000Z", **by_header)["signed_at"][:4] == "2025"


def test_how_a_form_is_signed() -> None:
    date = "20260131T235959Z"
    new = read(form={"policy": "p", "x-amz-signature": "s", "x-amz-date": date})
    assert (new["auth_type"], new["signature_version"]) == ("POST", "AWS4-HMAC-SHA256")
    assert new["signed_at"] == date
    old = read(form={"policy": "p", "signature": "s"})
    assert (old["auth_type"], old["signature_version"]) == ("POST", "AWS")
