"""Plain bodies: digest and length, however the bytes arrive."""

import hashlib
import io

import pytest

from eucabox.errors import Fault
from eucabox.wire.sign.body import DigestCheckedBody, TransportBody, expected_digest

DATA = b"hello world" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


class Broken:
    """A connection that dies after some bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, size: int, /) -> bytes:
        if not self.data:
            raise ConnectionResetError
        piece, self.data = self.data[:size], self.data[size:]
        return piece


def refused(body: DigestCheckedBody) -> Fault:
    with pytest.raises(Fault) as caught:
        body.read()
    return caught.value


@pytest.mark.parametrize("length", [len(DATA), None])
@pytest.mark.parametrize("size", [10, 4096, 1 << 20])
def test_reads(length: int | None, size: int) -> None:
    body = DigestCheckedBody(TransportBody(io.BytesIO(DATA), length), DIGEST.upper())
    assert b"".join(iter(lambda: body.read(size), b"")) == DATA
    assert body.read(size) == b""


def test_never_reads_past_the_length() -> None:
    stream = io.BytesIO(DATA + b"GET /next")
    assert DigestCheckedBody(TransportBody(stream, len(DATA)), DIGEST).read() == DATA
    assert stream.read() == b"GET /next"


@pytest.mark.parametrize("length", [len(DATA), None])
def test_another_digest(length: int | None) -> None:
    fault = refused(DigestCheckedBody(TransportBody(io.BytesIO(DATA[:-1] + b"!"), length), DIGEST))
    assert fault.code == "XAmzContentSHA256Mismatch"
    assert fault.facts["ClientComputedContentSHA256"] == DIGEST


def test_an_empty_body_is_checked_at_once() -> None:
    with pytest.raises(Fault) as caught:
        DigestCheckedBody(TransportBody(io.BytesIO(), 0), DIGEST)
    assert caught.value.code == "XAmzContentSHA256Mismatch"


def test_cut_short() -> None:
    fault = refused(DigestCheckedBody(TransportBody(io.BytesIO(DATA[:-1]), len(DATA)), DIGEST))
    assert fault.code == "IncompleteBody"
    assert fault.message.endswith("it ended after 10999 of 11000 bytes.")


@pytest.mark.parametrize("length", [len(DATA), None])
def test_a_connection_that_dies(length: int | None) -> None:
    fault = refused(DigestCheckedBody(TransportBody(Broken(DATA[:500]), length)))
    assert fault.code == "IncompleteBody"


def test_payload_words() -> None:
    assert expected_digest("UNSIGNED-PAYLOAD") == expected_digest("") == ""
    assert expected_digest(DIGEST) == DIGEST
    with pytest.raises(Fault) as caught:
        expected_digest("SHA256")
    assert caught.value.code == "InvalidArgument"
