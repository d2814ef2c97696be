"""Checksums as clients announce them: what is accepted was verified."""

import base64
import hashlib
import zlib

import pytest
import xxhash

from eucabox.store import checksums
from tests.wire.conftest import Box, Reply

BODY = b"content of a body"
TAGS = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
RULES = (
    b"<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter/>"
    b"<Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>"
)
GONE = b"<Delete><Object><Key>none</Key></Object></Delete>"
VERSIONING = b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"
TRAILING = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
CLIENT = "x-amz-sdk-checksum-algorithm"
# method, target, a good body: every kind of verb that has one
VERBS = {
    "PutObject": ("PUT", "/box/k", BODY),
    "PutBucketTagging": ("PUT", "/box?tagging", TAGS),
    "PutObjectTagging": ("PUT", "/box/tagged?tagging", TAGS),
    "PutBucketLifecycleConfiguration": ("PUT", "/box?lifecycle", RULES),
    "PutBucketVersioning": ("PUT", "/box?versioning", VERSIONING),
    "DeleteObjects": ("POST", "/box?delete", GONE),
}


def sum_of(algorithm: str, body: bytes) -> str:
    return base64.b64encode(_digest(algorithm, body)).decode()


def _digest(algorithm: str, body: bytes) -> bytes:
    """By other code than ours, where there is any."""
    if algorithm == "CRC32":
        return zlib.crc32(body).to_bytes(4, "big")
    if algorithm.startswith("XXHASH"):
        made = {"64": xxhash.xxh64, "3": xxhash.xxh3_64, "128": xxhash.xxh3_128}
        return made[algorithm.removeprefix("XXHASH")](body).digest()
    if algorithm.startswith("CRC"):
        running = checksums.new(algorithm)
        running.update(body)
        return running.digest()
    return hashlib.new(algorithm.lower(), body).digest()


@pytest.mark.parametrize("algorithm", checksums.SIZES)
def test_every_algorithm_of_s3_is_verified_and_returned(box: Box, algorithm: str) -> None:
    name = f"x-amz-checksum-{algorithm.lower()}"
    made = box.ask("PUT", "/box/k", BODY, {name: sum_of(algorithm, BODY)})
    assert (made.status, made.headers[name]) == (200, sum_of(algorithm, BODY))
    got = box.ask("HEAD", "/box/k", headers={"x-amz-checksum-mode": "ENABLED"})
    assert got.headers[name] == sum_of(algorithm, BODY)
    refused = box.ask("PUT", "/box/k", BODY, {name: sum_of(algorithm, b"other")})
    assert (refused.status, refused.code) == (400, "BadDigest")
    described = {"x-amz-object-attributes": "Checksum"}
    found = box.ask("GET", "/box/k?attributes", headers=described)
    assert found.element(f"Checksum{algorithm}") == sum_of(algorithm, BODY)


def begin(box: Box, **members: str) -> str:
    """Begin an upload in parts; where its parts go, up to their number."""
    headers = {f"x-amz-checksum-{name}": value for name, value in members.items()}
    made = box.ask("POST", "/box/m?uploads", headers=headers)
    return f"/box/m?uploadId={made.element('UploadId')}&partNumber="


def complete(box: Box, target: str, *parts: str, **members: str) -> Reply:
    """Complete it of parts, each in XML but for its number."""
    listed = [f"<Part><PartNumber>{n}</PartNumber>{each}</Part>" for n, each in enumerate(parts, 1)]
    document = f"<CompleteMultipartUpload>{''.join(listed)}</CompleteMultipartUpload>".encode()
    headers = {f"x-amz-checksum-{name}": value for name, value in members.items()}
    return box.ask("POST", target.removesuffix("&partNumber="), document, headers)


@pytest.mark.parametrize("algorithm", ["MD5", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128"])
def test_an_upload_is_joined_by_the_newer_algorithms(box: Box, algorithm: str) -> None:
    name, target = f"x-amz-checksum-{algorithm.lower()}", begin(box, algorithm=algorithm)
    pieces, parts = (b"5" * (5 << 20), b"end"), []
    for number, piece in enumerate(pieces, 1):
        answer = sum_of(algorithm, piece)
        done = box.ask("PUT", f"{target}{number}", piece, {name: answer})
        assert (done.status, done.headers[name]) == (200, answer)
        sums = f"<Checksum{algorithm}>{answer}</Checksum{algorithm}>"
        parts.append(f"<ETag>{done.headers['etag']}</ETag>{sums}")
    whole = b"".join(_digest(algorithm, piece) for piece in pieces)
    made = complete(box, target, *parts)
    assert made.element(f"Checksum{algorithm}") == f"{sum_of(algorithm, whole)}-2"
    assert made.element("ChecksumType") == "COMPOSITE"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-md4": "AAAA"},
        {"x-amz-checksum-crc32": ""},
        {CLIENT: "CRC32"},
        {CLIENT: "MD4"},
        {CLIENT: ""},
        {CLIENT: "SHA256", "x-amz-checksum-crc32": "{right}"},
        {"x-amz-checksum-crc32": "{right}", "x-amz-checksum-sha1": "AAAA"},
        {"x-amz-trailer": "x-amz-checksum-crc32"},
        {"x-amz-trailer": "x-amz-checksum-md4"},
        {"x-amz-trailer": "x-amz-meta-a"},
        {"x-amz-trailer": ""},
    ],
    ids="+".join,
)
def test_what_can_t_be_verified_is_refused(box: Box, headers: dict[str, str]) -> None:
    for method, target, body in VERBS.values():
        box.ask("PUT", "/box/tagged", b"x")
        answer = {name: each.format(right=sum_of("CRC32", body)) for name, each in headers.items()}
        reply = box.ask(method, target, body, answer)
        assert (reply.status, reply.code) == (400, "InvalidRequest"), (target, reply.body)


@pytest.mark.parametrize("name", [CLIENT, "x-amz-checksum-algorithm"])
def test_an_unknown_algorithm_is_refused_where_no_body_is_summed_too(box: Box, name: str) -> None:
    box.ask("PUT", "/box/k", BODY)
    copied = {"x-amz-copy-source": "/box/k", name: "MD4"}
    for method, target, headers in (
        ("POST", "/box/k?uploads", {name: "MD4"}),
        ("PUT", "/box/copy", copied),
        ("PUT", "/box/k", {name: "MD4"}),
    ):
        reply = box.ask(method, target, b"", headers)
        assert (reply.status, reply.code) == (400, "InvalidRequest"), (target, reply.body)


def test_the_md5_of_an_empty_document_is_compared(box: Box) -> None:
    wrong = {"content-md5": sum_of("MD5", b"other")}
    right = {"content-md5": sum_of("MD5", b"")}
    assert box.ask("POST", "/box/k?uploads", b"", wrong).code == "BadDigest"
    assert box.ask("POST", "/box/k?uploads", b"", right).status == 200


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_checksum_is_refused_and_a_right_one_taken(box: Box, verb: str) -> None:
    method, target, body = VERBS[verb]
    box.ask("PUT", "/box/tagged", b"x")
    for algorithm in checksums.SIZES:
        name = f"x-amz-checksum-{algorithm.lower()}"
        wrong = {name: sum_of(algorithm, b"other"), CLIENT: algorithm}
        assert box.ask(method, target, body, wrong).code == "BadDigest"
        right = {name: sum_of(algorithm, body), CLIENT: algorithm.lower()}
        assert box.ask(method, target, body, right).status in (200, 204)


def trailing(box: Box, verb: str, announced: str, *lines: str, end: bytes = b"\r\n") -> Reply:
    """Send a verb's body in one chunk, with trailers behind it."""
    method, target, body = VERBS[verb]
    coded = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n"
    coded += "".join(f"{line}\r\n" for line in lines).encode() + end
    headers = {**TRAILING, "x-amz-decoded-content-length": str(len(body))}
    headers["content-encoding"] = "aws-chunked"
    return box.ask(method, target, coded, {**headers, "x-amz-trailer": announced})


@pytest.mark.parametrize("verb", ["PutObject", "PutBucketTagging", "DeleteObjects"])
def test_every_trailer_is_verified(box: Box, verb: str) -> None:
    body = VERBS[verb][2]
    crc, sha = (f"x-amz-checksum-{name}" for name in ("crc32", "sha256"))
    right, other = sum_of("CRC32", body), sum_of("SHA256", body)
    assert trailing(box, verb, crc, f"{crc}:{right}").status in (200, 204)
    both = f"{crc},{sha}"
    assert trailing(box, verb, both, f"{crc}:{right}", f"{sha}:{other}").status in (200, 204)
    wrong = sum_of("SHA256", b"other")
    assert trailing(box, verb, both, f"{crc}:{right}", f"{sha}:{wrong}").code == "BadDigest"
    for value in ("", "?", "AAAA"):
        assert trailing(box, verb, crc, f"{crc}:{value}").code == "InvalidRequest"
    assert trailing(box, verb, crc).code == "MalformedTrailerError"
    assert trailing(box, verb, "x-amz-checksum-md4", "x-amz-checksum-md4:A").code == (
        "InvalidRequest"
    )


def test_a_form_s_checksums_are_verified_too(box: Box) -> None:
    for field, value, code in (
        ("x-amz-checksum-md4", "AAAA", "InvalidRequest"),
        ("x-amz-checksum-crc32", "", "InvalidRequest"),
        ("x-amz-checksum-xxhash3", sum_of("XXHASH3", b"other"), "BadDigest"),
        ("x-amz-checksum-xxhash3", sum_of("XXHASH3", BODY), ""),
    ):
        form = box.client().generate_presigned_post("box", "form")
        parts = [
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value_sent}\r\n'
            for name, value_sent in (*form["fields"].items(), (field, value))
        ]
        head = '--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        sent = "".join(parts).encode() + head.encode() + BODY + b"\r\n--b--\r\n"
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        assert box.send("POST", "/box", sent, kind).code == code


def test_the_checksum_in_a_presigned_url_is_ignored(box: Box) -> None:
    url = box.client().generate_presigned_url("put_object", Params={"Bucket": "box", "Key": "u"})
    target = url.removeprefix(f"http://127.0.0.1:{box.port}")
    assert box.send("PUT", target, BODY, {}).status == 200


# --- the default --------------------------------------------------------------------------------


def test_what_names_no_checksum_gets_crc64nvme(box: Box) -> None:
    expected = sum_of("CRC64NVME", BODY)
    made = box.ask("PUT", "/box/plain", BODY)
    assert made.headers["x-amz-checksum-crc64nvme"] == expected
    assert made.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    copied = box.ask("PUT", "/box/copy", headers={"x-amz-copy-source": "box/plain"})
    assert copied.element("ChecksumCRC64NVME") == expected


@pytest.mark.parametrize("named", ["", "CRC32"])
def test_an_upload_that_named_nothing_is_completed_with_its_crc64nvme(box: Box, named: str) -> None:
    target = begin(box)
    headers = {"x-amz-checksum-crc32": sum_of("CRC32", BODY)} if named else {}
    done = box.ask("PUT", f"{target}1", BODY, headers)
    expected = named or "CRC64NVME"
    assert [n for n in done.headers if n.startswith("x-amz-checksum-c")] == [
        f"x-amz-checksum-{expected.lower()}"
    ]
    part = box.ask("GET", target.removesuffix("&partNumber=")).element("Part")
    assert part.count("<Checksum") == 1
    assert f"<Checksum{expected}>" in part
    tag = f"<ETag>{done.headers['etag']}</ETag>"
    wrong = sum_of("CRC64NVME", b"other")
    assert complete(box, target, tag, crc64nvme=wrong).code == "BadDigest"
    right = sum_of("CRC64NVME", BODY)
    made = complete(box, target, tag, crc64nvme=right)
    assert made.element("ChecksumCRC64NVME") == right
    assert made.element("ChecksumType") == "FULL_OBJECT"


def test_a_part_without_a_checksum_is_no_part_of_a_composite_upload(box: Box) -> None:
    reply = box.ask("PUT", f"{begin(box, algorithm='SHA256')}1", BODY)
    assert (reply.status, reply.code) == (400, "InvalidRequest")
    assert reply.element("Message") == (
        "Checksum Type mismatch occurred, expected checksum Type: sha256,"
        " actual checksum Type: null"
    )
    full = begin(box, algorithm="CRC32", type="FULL_OBJECT")
    done = box.ask("PUT", f"{full}1", BODY)
    assert done.headers["x-amz-checksum-crc32"] == sum_of("CRC32", BODY)
