"""The aws-chunked coding: AWS's own examples, every kind of damage, huge chunks, small reads."""

import io

import pytest

from eucabox.errors import Fault
from eucabox.wire.sign.body import TransportBody
from eucabox.wire.sign.chunked import AwsChunked, ChunkSignatures
from tests.wire.sign import signer

SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
TRAILER_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
PIECES = [b"a" * 65536, b"a" * 1024]
CUT = ("IncompleteBody", "MalformedTrailerError")
CRC = {"x-amz-checksum-crc32c": "sOO8/Q=="}


def decoder(
    coded: bytes,
    length: int,
    *,
    seed: str = "",
    declared: tuple[str, ...] = (),
    trailers: dict[str, str] | None = None,
) -> AwsChunked:
    chain = (
        ChunkSignatures(signer.signing_key(), signer.STAMP, signer.SCOPE, seed) if seed else None
    )
    source = TransportBody(io.BytesIO(coded), len(coded))
    return AwsChunked(source, length, chain=chain, declared=frozenset(declared), trailers=trailers)


def refused(body: AwsChunked) -> str:
    with pytest.raises(Fault) as caught:
        while body.read(1000):
            pass
    assert caught.value.message.isascii()
    return caught.value.code


def test_aws_published_signed_chunks() -> None:
    coded = signer.signed_chunks(SEED, PIECES)
    assert b"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648" in coded
    assert b"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9" in coded
    assert decoder(coded, 66560, seed=SEED).read() == b"a" * 66560


def test_aws_published_signed_trailer() -> None:
    coded = signer.signed_chunks(TRAILER_SEED, PIECES, CRC)
    assert b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435" in coded
    trailers: dict[str, str] = {}
    body = decoder(coded, 66560, seed=TRAILER_SEED, declared=tuple(CRC), trailers=trailers)
    assert body.read() == b"a" * 66560
    assert trailers == CRC


@pytest.mark.parametrize("size", [1, 7, 1000, 65536, 1 << 20])
def test_reads_of_any_size(size: int) -> None:
    data = bytes(range(256)) * 300
    pieces = [data[:10], data[10:70000], data[70000:]]
    coded = signer.plain_chunks(pieces, {"x-amz-checksum-crc32": "AAAAAA=="})
    body = decoder(coded, len(data), declared=("x-amz-checksum-crc32",))
    got = iter(lambda: body.read(size), b"")
    assert b"".join(got) == data
    assert body.read(size) == b""


def test_a_read_gathers_small_chunks() -> None:
    body = decoder(signer.plain_chunks([b"x" * 100] * 50), 5000)
    assert len(body.read(1 << 20)) == 5000


def test_a_huge_chunk_is_never_in_memory_as_a_whole() -> None:
    sizes: list[int] = []

    class Endless:
        left = 64 << 20

        def read(self, size: int, /) -> bytes:
            sizes.append(size)
            if self.left == 64 << 20:
                self.left -= 100
                return b"4000000\r\n" + b"z" * 100
            size = min(size, self.left)
            self.left -= size
            return b"z" * size if size else (b"\r\n0\r\n\r\n" if not self.end() else b"")

        ended = False

        def end(self) -> bool:
            was, self.ended = self.ended, True
            return was

    body = AwsChunked(TransportBody(Endless(), None), 64 << 20)
    total = sum(len(piece) for piece in iter(lambda: body.read(1 << 20), b""))
    assert total == 64 << 20
    assert max(sizes) <= 1 << 20
    assert len(sizes) < 150


def test_every_turned_byte_of_signed_chunks_is_refused() -> None:
    coded = signer.signed_chunks(SEED, [b"hello", b"world"], CRC)
    for at in range(len(coded) - 2):
        turned = coded[:at] + bytes([coded[at] ^ 1]) + coded[at + 1 :]
        body = decoder(turned, 10, seed=SEED, declared=tuple(CRC))
        assert refused(body) in (
            "SignatureDoesNotMatch",
            "InvalidRequest",
            "IncompleteBody",
            "MalformedTrailerError",
        ), at


def test_every_truncation_is_refused() -> None:
    for coded, seed in (
        (signer.signed_chunks(SEED, [b"hello", b"world"], CRC), SEED),
        (signer.plain_chunks([b"hello", b"world"], CRC), ""),
    ):
        for end in range(len(coded) - 2):
            body = decoder(coded[:end], 10, seed=seed, declared=tuple(CRC))
            assert refused(body) in (*CUT, "SignatureDoesNotMatch"), end


@pytest.mark.parametrize(
    ("coded", "code"),
    [
        (b"", "IncompleteBody"),
        (b"zz\r\nhello\r\n0\r\n\r\n", "InvalidRequest"),
        (b"-5\r\nhello\r\n0\r\n\r\n", "InvalidRequest"),
        (b"0x5\r\nhello\r\n0\r\n\r\n", "InvalidRequest"),
        (b"5_0\r\nhello\r\n0\r\n\r\n", "InvalidRequest"),
        (b"\r\nhello\r\n0\r\n\r\n", "InvalidRequest"),
        (b"00000000000000000005\r\nhello\r\n0\r\n\r\n", "InvalidRequest"),
        (b"5\r\nhello!!0\r\n\r\n", "InvalidRequest"),
        (b"5\r\nhello\r\n0\r\n\r\nmore", "IncompleteBody"),
        (b"5\r\nhello\r\n0\r\n\r\nmore\r\n", "MalformedTrailerError"),
        (b"5\r\nhello\r\n0\r\n" + b"\r\n" * 100, "MalformedTrailerError"),
        (b"4\r\nhell\r\n0\r\n\r\n", "IncompleteBody"),
        (b"6\r\nhello!\r\n0\r\n\r\n", "IncompleteBody"),
        (b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n", "IncompleteBody"),
        (b"5" + b" " * 9000 + b"\r\nhello\r\n0\r\n\r\n", "InvalidRequest"),
        (b"5" * 100000, "InvalidRequest"),
        (b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n", "MalformedTrailerError"),
        (b"5\r\nhello\r\n0\r\nno colon\r\n\r\n", "MalformedTrailerError"),
        (b"5\r\nhello\r\n0\r\na:" + b"b" * 9000 + b"\r\n\r\n", "MalformedTrailerError"),
    ],
)
def test_malformed_framing(coded: bytes, code: str) -> None:
    assert refused(decoder(coded, 5)) == code


def test_a_missing_chunk_signature_is_refused() -> None:
    assert refused(decoder(signer.plain_chunks([b"hello"]), 5, seed=SEED)) == "InvalidRequest"


def test_a_missing_trailer_signature_is_refused() -> None:
    coded = signer.signed_chunks(SEED, [b"hello"], CRC)
    start = coded.index(b"x-amz-trailer-signature")
    body = decoder(coded[:start] + b"\r\n", 5, seed=SEED, declared=tuple(CRC))
    assert refused(body) == "SignatureDoesNotMatch"


def test_a_declared_trailer_must_come() -> None:
    coded = signer.plain_chunks([b"hello"])
    assert refused(decoder(coded, 5, declared=tuple(CRC))) == "MalformedTrailerError"


def test_too_many_trailers() -> None:
    many = {f"x-amz-meta-{n}": "v" for n in range(40)}
    coded = signer.plain_chunks([b"hello"], many)
    assert refused(decoder(coded, 5, declared=tuple(many))) == "MalformedTrailerError"


def test_a_chunk_moved_is_refused() -> None:
    coded = signer.signed_chunks(SEED, [b"hello", b"world"])
    cut = coded.index(b"world") - len("5;chunk-signature=\r\n") - 64
    first, rest = coded[:cut], coded[cut:]
    second, last = rest[: len(first)], rest[len(first) :]
    assert refused(decoder(second + first + last, 10, seed=SEED)) == "SignatureDoesNotMatch"


def test_the_empty_line_at_the_end_may_not_be_missing() -> None:
    assert refused(decoder(b"5\r\nhello\r\n0\r\n", 5)) == "IncompleteBody"
    assert decoder(b"5\r\nhello\r\n0\r\n\r\n", 5).read() == b"hello"


def test_trailers_as_minio_clients_write_them() -> None:
    coded = signer.signed_chunks(SEED, [b"hello"], CRC)
    coded = coded.replace(b"sOO8/Q==\r\n", b"sOO8/Q==\n\r\n")
    assert decoder(coded, 5, seed=SEED, declared=tuple(CRC)).read() == b"hello"
    plain = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:sOO8/Q==\n\r\n\r\n"
    assert decoder(plain, 5, declared=tuple(CRC)).read() == b"hello"
