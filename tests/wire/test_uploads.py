"""Uploads as third parties' suites try them: odd ends, odd lists, long names, nobody."""

import pytest

from tests.wire.conftest import Box

SIGNED_BY_NOBODY = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
OPEN = (
    b'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",'
    b'"Action":["s3:PutObject","s3:GetObject"],"Resource":"arn:aws:s3:::box/*"}]}'
)


def test_the_names_of_metadata_have_two_kibibytes_in_all(box: Box) -> None:
    name = "x-amz-meta-" + "n" * 2047
    assert box.ask("PUT", "/box/k", b"x", {name: "v"}).status == 200
    assert box.ask("HEAD", "/box/k").headers[name] == "v"
    reply = box.ask("PUT", "/box/k", b"x", {name + "n": "v"})
    assert (reply.status, reply.code) == (400, "MetadataTooLarge")


def test_a_name_of_metadata_may_be_signed_in_an_address(box: Box) -> None:
    members = {"Bucket": "box", "Key": "k", "Metadata": {"n" * 1000: "v"}}
    url = box.client().generate_presigned_url("put_object", Params=members)
    target = url.removeprefix(f"http://127.0.0.1:{box.port}")
    reply = box.send("PUT", target, b"x", {"x-amz-meta-" + "n" * 1000: "v"})
    assert reply.status == 200, reply.body


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (b"0\r\n\r\n", ""),
        (b"0\r\n\r\n\r\n", ""),
        (b"0\r\n", "IncompleteBody"),
        (b"0", "IncompleteBody"),
        (b"", "IncompleteBody"),
    ],
)
def test_a_coded_body_ends_with_an_empty_line(box: Box, end: bytes, code: str) -> None:
    headers = {**SIGNED_BY_NOBODY, "x-amz-decoded-content-length": "7"}
    headers["content-encoding"] = "aws-chunked"
    box.ask("DELETE", "/box/coded")
    assert box.ask("PUT", "/box/coded", b"7\r\ncontent\r\n" + end, headers).code == code
    assert box.ask("HEAD", "/box/coded").status == (404 if code else 200)


def test_trailers_end_with_an_empty_line(box: Box) -> None:
    crc = "x-amz-checksum-crc32"
    headers = {**SIGNED_BY_NOBODY, "x-amz-decoded-content-length": "0", "x-amz-trailer": crc}
    body = f"0\r\n{crc}:AAAAAA==\r\n".encode()
    assert box.ask("PUT", "/box/coded", body, headers).code == "IncompleteBody"
    assert box.ask("PUT", "/box/coded", body + b"\r\n", headers).status == 200


def test_of_no_uploads_and_parts_none_is_missing(box: Box) -> None:
    s3 = box.client()
    made = [s3.create_multipart_upload(Bucket="box", Key="m")["UploadId"] for _ in range(2)]
    where = {"Bucket": "box", "Key": "m", "UploadId": made[0]}
    s3.upload_part(**where, PartNumber=1, Body=b"x")
    none = s3.list_multipart_uploads(Bucket="box", MaxUploads=0)
    assert (none["IsTruncated"], none["MaxUploads"], "Uploads" in none) == (False, 0, False)
    assert s3.list_multipart_uploads(Bucket="box", MaxUploads=1)["IsTruncated"] is True
    none = s3.list_parts(**where, MaxParts=0)
    assert (none["IsTruncated"], "Parts" in none) == (False, False)
    for upload in made:
        s3.abort_multipart_upload(Bucket="box", Key="m", UploadId=upload)


def test_the_list_of_parts_is_checked_before_the_parts(box: Box) -> None:
    s3 = box.client()
    where = {"Bucket": "box", "Key": "m"}
    where["UploadId"] = s3.create_multipart_upload(**where)["UploadId"]
    tags = [s3.upload_part(**where, PartNumber=n, Body=b"x")["ETag"] for n in (1, 2)]

    def complete(*parts: tuple[int, str]) -> str:
        listed = [{"PartNumber": number, "ETag": tag} for number, tag in parts]
        with pytest.raises(s3.exceptions.ClientError) as caught:
            s3.complete_multipart_upload(**where, MultipartUpload={"Parts": listed})
        code: str = caught.value.response["Error"]["Code"]
        return code

    assert complete((2, tags[1]), (1, tags[0])) == "InvalidPartOrder"
    assert complete((2, tags[1]), (1, "other")) == "InvalidPartOrder"
    assert complete((1, tags[0]), (2, tags[1])) == "EntityTooSmall"
    assert complete((1, tags[0]), (2, "other")) == "InvalidPart"
    assert complete((1, tags[0]), (3, tags[1])) == "InvalidPart"
    assert complete((10_001, tags[0])) == "InvalidPart"
    for number in (0, -4):
        assert complete((number, tags[0])) == "InvalidArgument"
    s3.abort_multipart_upload(**where)


def test_an_anonymous_caller_begins_no_multipart_upload_or_copy(box: Box) -> None:
    assert box.ask("PUT", "/box?policy", OPEN).status == 204
    assert box.send("PUT", "/box/open", b"x", {}).status == 200
    reply = box.send("POST", "/box/open?uploads", b"", {})
    assert (reply.status, reply.code) == (403, "AccessDenied")
    sentence = "Anonymous users cannot initiate multipart uploads. Please authenticate."
    assert reply.element("Message") == sentence
    reply = box.send("PUT", "/box/copy", b"", {"x-amz-copy-source": "box/open"})
    sentence = "Anonymous users cannot copy objects. Please authenticate."
    assert (reply.code, reply.element("Message")) == ("AccessDenied", sentence)
    box.ask("DELETE", "/box?policy")
