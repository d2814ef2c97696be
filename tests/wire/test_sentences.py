"""AWS's own sentences, which clients compare, our detail beside them; and names as UTF-8."""

from xml.etree import ElementTree

import pytest

from tests.wire.conftest import Box

ASKED = {
    ("GET", "/none/k"): ("NoSuchBucket", "The specified bucket does not exist"),
    ("GET", "/none"): ("NoSuchBucket", "The specified bucket does not exist"),
    ("GET", "/box/none"): ("NoSuchKey", "The specified key does not exist."),
    ("GET", "/box?policy"): ("NoSuchBucketPolicy", "The bucket policy does not exist"),
    ("GET", "/box?cors"): ("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
    ("GET", "/box?tagging"): ("NoSuchTagSet", "The TagSet does not exist"),
    ("GET", "/box?lifecycle"): (
        "NoSuchLifecycleConfiguration",
        "The lifecycle configuration does not exist",
    ),
    ("GET", "/box?website"): (
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
    ),
    ("GET", "/box?object-lock"): (
        "ObjectLockConfigurationNotFoundError",
        "Object Lock configuration does not exist for this bucket",
    ),
    ("GET", "/box/none?versionId=null"): (
        "NoSuchVersion",
        "The specified version does not exist.",
    ),
    ("DELETE", "/box?acl"): (
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
    ),
    ("DELETE", "/box"): ("BucketNotEmpty", "The bucket you tried to delete is not empty"),
    ("DELETE", "/box/k?uploadId=1"): (
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may"
        " have been aborted or completed.",
    ),
    ("PUT", "/Box_"): ("InvalidBucketName", "The specified bucket is not valid."),
    ("GET", "/box/k?torrent"): ("NoSuchKey", "The specified key does not exist."),
}


@pytest.fixture(name="full", scope="module")
def _full(box: Box) -> Box:
    assert box.ask("PUT", "/box/k", b"0123456789").status == 200
    return box


@pytest.mark.parametrize(("asked", "said"), ASKED.items())
def test_an_error_has_the_sentence_of_aws(
    full: Box, asked: tuple[str, str], said: tuple[str, str]
) -> None:
    reply = full.ask(*asked)
    document = ElementTree.fromstring(reply.body)
    assert (document.findtext("Code"), document.findtext("Message")) == said
    assert document.findtext("Detail")


@pytest.mark.parametrize(
    ("headers", "code", "sentence"),
    [
        (
            {"If-Match": '"other"'},
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
        ),
        ({"Range": "bytes=10-"}, "InvalidRange", "The requested range is not satisfiable"),
    ],
)
def test_a_refused_reading_has_the_sentence_of_aws(
    full: Box, headers: dict[str, str], code: str, sentence: str
) -> None:
    reply = full.ask("GET", "/box/k", headers=headers)
    assert (reply.code, reply.element("Message")) == (code, sentence)


def test_a_refused_permission_has_the_sentence_of_aws(full: Box) -> None:
    for target in ("/box/k", "/"):
        reply = full.send("GET", target, b"", {})
        assert (reply.code, reply.element("Message")) == ("AccessDenied", "Access Denied")
        assert reply.element("Detail")


def test_a_wrong_digest_has_the_sentence_of_aws(full: Box) -> None:
    reply = full.ask("PUT", "/box/k", b"x", {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="})
    sentence = "The Content-MD5 you specified did not match what we received."
    assert (reply.code, reply.element("Message")) == ("BadDigest", sentence)
    reply = full.ask("PUT", "/box/k", b"x", {"Content-MD5": "x"})
    assert reply.element("Message") == "The Content-MD5 you specified was invalid."
    reply = full.ask("PUT", "/box/k", b"x", {"x-amz-checksum-crc32": "AAAAAA=="})
    sentence = "The CRC32 you specified did not match the calculated checksum."
    assert (reply.code, reply.element("Message")) == ("BadDigest", sentence)


@pytest.mark.parametrize("name", ["für", "日本", "\U0001f600", "a&b<c>"])
def test_a_listing_has_keys_as_utf8(box: Box, name: str) -> None:
    box.client().put_object(Bucket="box", Key=name, Body=b"x")
    for target in ("/box", "/box?list-type=2", "/box?versions"):
        text = box.ask("GET", target).body.decode("utf-8")
        written = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert f"<Key>{written}</Key>" in text
    refused = box.client().exceptions.NoSuchKey
    with pytest.raises(refused) as caught:
        box.client().get_object(Bucket="box", Key=f"{name}/none")
    assert caught.value.response["Error"]["Key"] == f"{name}/none"


@pytest.mark.not_fast
def test_answers_of_ec2_and_iam_stay_ascii(box: Box) -> None:
    bodies: list[bytes] = []
    ec2 = box.client("ec2")
    ec2.meta.events.register(
        "after-call", lambda http_response, **_: bodies.append(http_response.content)
    )
    tags = [{"ResourceType": "key-pair", "Tags": [{"Key": "colour", "Value": "grün"}]}]
    ec2.import_key_pair(KeyName="k", PublicKeyMaterial=_PUBLIC, TagSpecifications=tags)
    assert ec2.describe_key_pairs()["KeyPairs"][0]["Tags"][0]["Value"] == "grün"
    assert bodies
    assert all(body.isascii() for body in bodies)


_PUBLIC = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6sUeVQ3GJ4L7bTNqJYtGr3vEwq2sd4xBdqSlWZ4Xxn test"
