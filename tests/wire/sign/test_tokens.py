"""Session tokens in every form of signature that carries one, as botocore itself signs them."""

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode, urlsplit

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from eucabox import ids
from eucabox.errors import Fault
from eucabox.iam.caller import Caller, Credential, Session
from eucabox.wire.request import Request
from eucabox.wire.sign import REST, SignatureCheck, authenticate_form
from eucabox.wire.sign import authenticate_query as authenticate_in_query
from eucabox.wire.sign import authenticate_rest as authenticate_in_rest
from eucabox.wire.status import status_of

KEY, SECRET, TOKEN = "ASIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG", "tok-en_" + "x" * 121
ENDPOINT = "http://127.0.0.1:8773"
ACTION = {"Action": "DescribeInstances", "Version": "2016-11-15"}
USER = Caller("111122223333", "ann", "c" * 64, "AIDAUSER", "eve", False)
SESSION = Session(KEY, hashlib.sha256(TOKEN.encode()).hexdigest(), "")
Known = Callable[[str], Credential | None]
Ask = Callable[[ReadOnlyCredentials, Known], None]


def known(session: Session | None = SESSION, seconds: int = 900) -> Known:
    """Look up the one key: of a session that ends in so many seconds, or permanent."""
    if session is not None:
        end = ids.time_text(datetime.now(UTC) + timedelta(seconds=seconds))
        session = replace(session, expires=end)
    credential = Credential(replace(USER, session=session), SECRET, active=True)
    return lambda access_key_id: credential if access_key_id == KEY else None


def _to_request(signed: AWSRequest, body: bytes = b"") -> Request:
    prepared = signed.prepare()
    headers = {name.lower(): _text(value) for name, value in prepared.headers.items()}
    parts = urlsplit(prepared.url)
    headers.setdefault("host", parts.netloc)
    headers["content-length"] = str(len(body))
    return Request(
        method=prepared.method,
        target=prepared.url,
        path=parts.path,
        query=parts.query,
        headers=headers,
        body=io.BytesIO(body),
        content_length=len(body),
        scheme="http",
        host=headers["host"],
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _sign(signer: auth.BaseSigner, url: str, method: str = "GET", **more: object) -> AWSRequest:
    request = AWSRequest(method=method, url=ENDPOINT + url, **more)
    request.context.update({"payload_signing_enabled": True, "is_presign_request": True})
    signer.add_auth(request)
    return request


def _query(signer: auth.BaseSigner, path: str, known: Known) -> None:
    form = urlencode(ACTION).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = _sign(signer, path, "POST", data=form, headers=headers)
    authenticate_in_query(_to_request(request, form), form, known, datetime.now(UTC))


def ask_ec2(credentials: ReadOnlyCredentials, known: Known) -> None:
    _query(auth.SigV4Auth(credentials, "ec2", "eucabox"), "/", known)


def ask_eucalyptus(credentials: ReadOnlyCredentials, known: Known) -> None:
    _query(auth.SigV4Auth(credentials, "ec2", "eucabox"), "/services/compute/", known)


def ask_iam(credentials: ReadOnlyCredentials, known: Known) -> None:
    _query(auth.SigV4Auth(credentials, "iam", "eucabox"), "/", known)


def ask_sts(credentials: ReadOnlyCredentials, known: Known) -> None:
    _query(auth.SigV4Auth(credentials, "sts", "eucabox"), "/services/Tokens", known)


def ask_sts_presigned(credentials: ReadOnlyCredentials, known: Known) -> None:
    signer = auth.SigV4QueryAuth(credentials, "sts", "eucabox", 60)
    request = _to_request(_sign(signer, f"/?{urlencode(ACTION)}"))
    authenticate_in_query(request, b"", known, datetime.now(UTC))


def ask_ec2_in_version_2(credentials: ReadOnlyCredentials, known: Known) -> None:
    request = AWSRequest(method="POST", url=f"{ENDPOINT}/services/Eucalyptus", data={**ACTION})
    auth.SigV2Auth(credentials).add_auth(request)
    form = urlencode(request.data).encode()
    authenticate_in_query(_to_request(request, form), form, known, datetime.now(UTC))


def ask_ec2_in_version_2_by_get(credentials: ReadOnlyCredentials, known: Known) -> None:
    request = AWSRequest(method="GET", url=f"{ENDPOINT}/services/compute", params={**ACTION})
    auth.SigV2Auth(credentials).add_auth(request)
    authenticate_in_query(_to_request(request), b"", known, datetime.now(UTC))


def _rest(request: Request, known: Known) -> None:
    signed = authenticate_in_rest(request, known, datetime.now(UTC))
    while signed.body.read(4096):
        pass


def ask_s3(credentials: ReadOnlyCredentials, known: Known) -> None:
    signer = auth.S3SigV4Auth(credentials, "s3", "eucabox")
    request = _sign(signer, "/b/k", "PUT", data=b"hello")
    _rest(_to_request(request, b"hello"), known)


def ask_s3_streaming(credentials: ReadOnlyCredentials, known: Known) -> None:
    signer = auth.S3SigV4Auth(credentials, "s3", "eucabox")
    word = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    headers = {
        "X-Amz-Content-SHA256": word,
        "X-Amz-Decoded-Content-Length": "5",
        "X-Amz-Trailer": "x-amz-checksum-crc32",
    }
    request = AWSRequest(method="PUT", url=f"{ENDPOINT}/b/k", headers=headers)
    request.context["client_config"] = None
    request.context["checksum"] = {
        "request_algorithm": {"in": "trailer", "algorithm": "crc32", "name": "x"}
    }
    signer.add_auth(request)
    body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
    assert request.headers["X-Amz-Content-SHA256"] == word
    _rest(_to_request(request, body), known)


def ask_s3_presigned(credentials: ReadOnlyCredentials, known: Known) -> None:
    signer = auth.S3SigV4QueryAuth(credentials, "s3", "eucabox", expires=60)
    request = _to_request(_sign(signer, "/services/objectstorage/b/k"))
    if credentials.token:
        assert f"X-Amz-Security-Token={credentials.token}" in request.query
    _rest(request, known)


def ask_s3_in_version_1(credentials: ReadOnlyCredentials, known: Known) -> None:
    _rest(_to_request(_sign(auth.HmacV1Auth(credentials), "/b/k")), known)


def ask_s3_presigned_in_version_1(credentials: ReadOnlyCredentials, known: Known) -> None:
    request = _to_request(_sign(auth.HmacV1QueryAuth(credentials, expires=60), "/b/k"))
    if credentials.token:
        assert "x-amz-security-token=" in request.query
    _rest(request, known)


def _form(signer: auth.BaseSigner, known: Known) -> None:
    fields: dict[str, str] = {"key": "k"}
    request = AWSRequest(method="POST", url=f"{ENDPOINT}/b")
    request.context["s3-presign-post-fields"] = fields
    request.context["s3-presign-post-policy"] = {"conditions": [{"key": "k"}]}
    signer.add_auth(request)
    lower: Mapping[str, str] = {name.lower(): value for name, value in fields.items()}
    authenticate_form(lower, SignatureCheck(known, datetime.now(UTC), REST))


def send_form(credentials: ReadOnlyCredentials, known: Known) -> None:
    _form(auth.S3SigV4PostAuth(credentials, "s3", "eucabox"), known)


def send_form_in_version_2(credentials: ReadOnlyCredentials, known: Known) -> None:
    _form(auth.HmacV1PostAuth(credentials), known)


EC2: list[Ask] = [ask_ec2, ask_eucalyptus, ask_ec2_in_version_2, ask_ec2_in_version_2_by_get]
IAM: list[Ask] = [ask_iam, ask_sts, ask_sts_presigned]
S3: list[Ask] = [
    ask_s3,
    ask_s3_streaming,
    ask_s3_presigned,
    ask_s3_in_version_1,
    ask_s3_presigned_in_version_1,
    send_form,
    send_form_in_version_2,
]
every_form = pytest.mark.parametrize("ask", [*EC2, *IAM, *S3])


def refused(ask: Ask, credentials: ReadOnlyCredentials, known: Known) -> tuple[str, int, str]:
    with pytest.raises(Fault) as caught:
        ask(credentials, known)
    assert SECRET not in caught.value.message + repr(caught.value.facts)
    service = "s3" if ask in S3 else ""
    return caught.value.code, status_of(caught.value.code, service), caught.value.sentence


def credentials(token: str | None = TOKEN) -> ReadOnlyCredentials:
    return ReadOnlyCredentials(KEY, SECRET, token)


@every_form
def test_a_token_that_is_the_keys(ask: Ask) -> None:
    ask(credentials(), known())


@every_form
def test_no_token(ask: Ask) -> None:
    code, status, _ = refused(ask, credentials(None), known())
    assert (code, status) == {
        **dict.fromkeys(EC2, ("AuthFailure", 401)),
        **dict.fromkeys(IAM, ("InvalidClientTokenId", 403)),
        **dict.fromkeys(S3, ("InvalidAccessKeyId", 403)),
    }[ask]


WRONG = {
    **dict.fromkeys(
        EC2,
        (
            "AuthFailure",
            401,
            "AWS was not able to validate the provided access credentials.",
        ),
    ),
    **dict.fromkeys(
        IAM,
        ("InvalidClientTokenId", 403, "The security token included in the request is invalid."),
    ),
    **dict.fromkeys(
        S3, ("InvalidToken", 400, "The provided token is malformed or otherwise invalid.")
    ),
}


@every_form
@pytest.mark.parametrize("token", [TOKEN[:-1], TOKEN + "x"])
def test_another_token(ask: Ask, token: str) -> None:
    assert refused(ask, credentials(token), known()) == WRONG[ask]


@every_form
def test_a_permanent_key_has_no_token(ask: Ask) -> None:
    ask(credentials(None), known(None))
    assert refused(ask, credentials(), known(None)) == WRONG[ask]


@every_form
def test_a_token_whose_time_is_over(ask: Ask) -> None:
    assert (
        refused(ask, credentials(), known(seconds=0))
        == {
            **dict.fromkeys(EC2, ("RequestExpired", 400, "Request has expired.")),
            **dict.fromkeys(
                IAM, ("ExpiredToken", 403, "The security token included in the request is expired")
            ),
            **dict.fromkeys(S3, ("ExpiredToken", 400, "The provided token has expired.")),
        }[ask]
    )


@every_form
def test_the_signature_counts_beside_the_token(ask: Ask) -> None:
    wrong = ReadOnlyCredentials(KEY, SECRET + "x", TOKEN)
    assert refused(ask, wrong, known())[0] == "SignatureDoesNotMatch"
