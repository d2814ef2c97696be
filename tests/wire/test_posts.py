"""A form becomes PutObject, if its policy allows all that it says."""

from typing import Any
from xml.etree import ElementTree

import pytest

from eucabox.errors import Fault, PolicyFailed
from eucabox.wire import s3
from eucabox.wire.s3 import multipart_form
from tests.wire import forms
from tests.wire.sign import signer

RESULT = {"e_tag": '"abc"', "version_id": "v1"}
MORE = forms.POLICY["conditions"]


def policy(*conditions: Any, **other: Any) -> dict[str, Any]:
    return {**forms.POLICY, "conditions": [*MORE, *conditions], **other}


def v4_policy(*conditions: Any) -> dict[str, Any]:
    names = ("x-amz-algorithm", "x-amz-credential", "x-amz-date")
    return policy(*conditions, *(["starts-with", f"${name}", ""] for name in names))


def send(fields: dict[str, str], content: bytes | None = b"content", name: str = "f.txt") -> Any:
    return forms.understood(forms.post(forms.body(fields.items(), content, name)))


def refused(fields: dict[str, str], content: bytes | None = b"content") -> Fault:
    with pytest.raises(Fault) as caught:
        found = send(fields, content)
        while found.params["body"].read(5):
            pass
    assert caught.value.message.isascii()
    return caught.value


def test_anonymously_with_all_that_it_may_say() -> None:
    tags = "<Tagging><TagSet><Tag><Key>a b</Key><Value>1&amp;2</Value></Tag></TagSet></Tagging>"
    fields = {
        "KEY": "up/${filename}",
        "acl": "public-read",
        "Content-Type": "text/${filename}",
        "Cache-Control": "no-cache",
        "Expires": "soon",
        "x-amz-meta-Colour": "bl\u00fce",
        "x-amz-storage-class": "GLACIER",
        "x-amz-website-redirect-location": "/other",
        "x-amz-server-side-encryption": "AES256",
        "x-amz-checksum-crc32": "AAAAAA==",
        "tagging": tags,
        "submit": "Upload",
    }
    found = send(fields, name="C:\\\\pictures\\\\c\u00e4t.png")
    assert (found.name, found.caller) == ("PutObject", None)
    content = found.params.pop("body")
    assert content.length is None
    assert b"".join(iter(lambda: content.read(3), b"")) == b"content"
    assert found.params == {
        "bucket": "b",
        "key": "up/c\u00e4t.png",
        "acl": "public-read",
        "content_type": "text/c\u00c3\u00a4t.png",
        "cache_control": "no-cache",
        "expires": "soon",
        "metadata": {"colour": "bl\u00c3\u00bce"},
        "storage_class": "GLACIER",
        "website_redirect_location": "/other",
        "server_side_encryption": "AES256",
        "checksum_crc32": "AAAAAA==",
        "tagging": {"tag_set": [{"key": "a b", "value": "1&2"}]},
    }


@pytest.mark.parametrize("version", [2, 4])
def test_a_signed_policy(version: int) -> None:
    said = v4_policy({"acl": "private"}) if version == 4 else policy({"acl": "private"})
    fields = {
        "key": "up/a",
        "acl": "private",
        **forms.sign(said, version),
        "x-ignore-it": "1",
    }
    found = send(fields)
    assert found.caller == forms.CALLER
    assert found.params["acl"] == "private"
    assert not {"algorithm", "policy", "signature"} & found.params.keys()
    fields["x-amz-signature" if version == 4 else "signature"] = "0" * 64
    fields = {name: v for name, v in fields.items() if name != "X-Amz-Signature"}
    assert refused(fields).code == "SignatureDoesNotMatch"


def test_a_bucket_of_the_host() -> None:
    fields = {"key": "up/a", **forms.sign(policy())}
    request = forms.post(forms.body(fields.items()), "/", "b.localhost:8773")
    found = forms.understood(request)
    assert (found.params["bucket"], found.params["key"]) == ("b", "up/a")
    assert ("Location", "http://b.localhost:8773/up/a") in s3.answer(found, RESULT).headers


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "InvalidArgument"),
        ({"key": ""}, "InvalidArgument"),
        ({"key": "up/a", "Key": "up/b"}, "InvalidArgument"),
        ({"key": "up/a", "signature": "x"}, "InvalidArgument"),
        ({"key": "up/a", "policy": "x"}, "InvalidArgument"),
        ({"key": "up/a", "policy": "x", "AWSAccessKeyId": signer.KEY}, "InvalidArgument"),
        (
            {"key": "up/a", **forms.sign(policy()), "AWSAccessKeyId": "no"},
            "InvalidAccessKeyId",
        ),
        (
            {"key": "up/a", **forms.sign(policy(), 4), "X-Amz-Algorithm": "x"},
            "InvalidArgument",
        ),
        ({"key": "up/a", **forms.sign(policy(), 4), "X-Amz-Date": "x"}, "InvalidArgument"),
        (
            {"key": "up/a", **forms.sign(policy(), 4), "X-Amz-Credential": "x"},
            "AuthorizationQueryParametersError",
        ),
        (
            {"key": "up/a", **forms.sign(policy(), 4)},
            "AccessDenied",
        ),  # x-amz-date not covered
        (
            {"key": "up/a", **forms.sign(policy()), "x-amz-security-token": "x"},
            "InvalidToken",
        ),
        ({"key": "up/a", **forms.sign(policy()), "acl": "private"}, "AccessDenied"),
        ({"key": "a", **forms.sign(policy())}, "AccessDenied"),
        ({"key": "up/a", **forms.sign(b"{")}, "InvalidPolicyDocument"),
        ({"key": "up/a", **forms.sign(b"[" * 5000)}, "InvalidPolicyDocument"),
        ({"key": "up/a", "x": "y" * 30_000}, "MaxPostPreDataLengthExceededError"),
        ({"key": "up/a", "y" * 30_000: "x"}, "MaxPostPreDataLengthExceededError"),
        ({"key": "up/a", "tagging": "<a"}, "MalformedXML"),
    ],
)
def test_what_is_refused_before_the_file_is_read(fields: dict[str, str], code: str) -> None:
    assert refused(fields).code == code


@pytest.mark.parametrize(
    ("least", "most", "code"),
    [(0, 6, "EntityTooLarge"), (8, 9, "EntityTooSmall"), (8, 1, "EntityTooLarge")],
)
def test_the_size_is_judged(least: int, most: int, code: str) -> None:
    ranged = policy(["content-length-range", least, most])
    assert refused({"key": "up/a", **forms.sign(ranged)}).code == code


def test_what_is_much_too_large_is_refused_at_once() -> None:
    ranged = policy(["content-length-range", 0, 10])
    with pytest.raises(Fault, match="The policy allows 10 bytes"):
        send({"key": "up/a", **forms.sign(ranged)}, b"x" * 100_000)


def test_one_file_is_wanted() -> None:
    assert refused({"key": "up/a"}, None).message.startswith("POST requires exactly one file")
    twice = forms.body([("key", "a"), ("file", "1"), ("file", "2")], None)
    found = forms.understood(forms.post(twice))
    with pytest.raises(Fault, match="exactly one file"):
        found.params["body"].read(10), found.params["body"].read(10)


def test_the_bucket_is_the_one_that_it_was_sent_to() -> None:
    fields = {"key": "up/a", "bucket": "b", **forms.sign(policy())}
    with pytest.raises(PolicyFailed):
        forms.understood(forms.post(forms.body(fields.items()), "/other"))


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_post_that_is_no_form(kind: str) -> None:
    request = forms.post(forms.body([("key", "a")]))
    request.headers["content-type"] = kind
    with pytest.raises(Fault, match="enclosure-type multipart/form-data"):
        forms.understood(request)


def test_a_form_goes_to_a_bucket_only() -> None:
    with pytest.raises(Fault, match="The method is POST"):
        forms.understood(forms.post(forms.body([("key", "a")]), "/b/key"))


@pytest.mark.parametrize(
    ("fields", "status", "location"),
    [
        ({}, 204, "http://localhost/b/up/a%20%C3%A9"),
        ({"success_action_status": "200"}, 200, "http://localhost/b/up/a%20%C3%A9"),
        ({"success_action_status": "404"}, 204, "http://localhost/b/up/a%20%C3%A9"),
        (
            {"success_action_redirect": "http://x/y?z"},
            303,
            "http://x/y?z&bucket=b&key=up%2Fa%20%C3%A9&etag=%22abc%22",
        ),
        (
            {"redirect": "https://x"},
            303,
            "https://x?bucket=b&key=up%2Fa%20%C3%A9&etag=%22abc%22",
        ),
        (
            {"success_action_redirect": "javascript:alert(1)", "success_action_status": "200"},
            200,
            "http://localhost/b/up/a%20%C3%A9",
        ),
        ({"success_action_redirect": "http://x/\r\nA: b"}, 204, "http://localhost/b/up/a%20%C3%A9"),
    ],
)
def test_the_form_chooses_its_answer(fields: dict[str, str], status: int, location: str) -> None:
    found = send({"key": "up/a \u00e9", **fields})
    answer = s3.answer(found, RESULT)
    headers = dict(answer.headers)
    assert (answer.status, headers["Location"]) == (status, location)
    assert (headers["ETag"], headers["x-amz-version-id"], answer.body) == ('"abc"', "v1", b"")


def test_the_answer_as_a_document() -> None:
    found = send({"key": "up/a&b", "success_action_status": "201"})
    answer = s3.answer(found, RESULT)
    root = ElementTree.fromstring(bytes(answer.body))  # type: ignore[arg-type]
    members = {each.tag: each.text for each in root}
    assert root.tag == "PostResponse"
    assert members == {
        "Location": "http://localhost/b/up/a%26b",
        "Bucket": "b",
        "Key": "up/a&b",
        "ETag": '"abc"',
    }


@pytest.mark.parametrize("step", [1, 2, 7, 64, 1 << 16])
@pytest.mark.parametrize("content", [b"", b"\r\n", b"\r\n--\r\n------bound", b"x" * 3000])
def test_a_file_is_the_same_however_it_comes(content: bytes, step: int) -> None:
    class Slow:
        def __init__(self, rest: bytes) -> None:
            self.rest = rest

        def read(self, _: int, /) -> bytes:
            piece, self.rest = self.rest[:step], self.rest[step:]
            return piece

    tail = forms.body([("submit", "Upload")], None)
    whole = b"preamble\r\n" + forms.body([("key", "a"), ("empty", "")], content)
    whole = whole.removesuffix(f"--{forms.BOUNDARY}--\r\n".encode()) + tail + b"epilogue"
    form = multipart_form.Form(Slow(whole), forms.BOUNDARY.encode())
    assert list(form.fields()) == [("key", "a"), ("empty", ""), ("file", "f.txt")]
    assert b"".join(iter(lambda: form.read(100), b"")) == content


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_form_that_breaks_off(cut: int) -> None:
    whole = forms.body([("key", "a")])
    if cut >= len(whole) - 4:
        return
    with pytest.raises(Fault) as caught:
        found = forms.understood(forms.post(whole[:cut]))
        while found.params["body"].read(50):
            pass
    assert caught.value.code == "MalformedPOSTRequest"


@pytest.mark.parametrize(
    ("head", "name", "file_name"),
    [
        ('form-data; name="file"; filename="a \\"b\\".txt"', "file", 'a "b".txt'),
        ("form-data; name=file; filename=plain.txt", "file", "plain.txt"),
        ("form-data; name=\"file\"; filename*=utf-8''%c3%a4.txt", "file", "\u00e4.txt"),
        ('form-data; filename="x; name=evil"; name="file"', "file", "x; name=evil"),
        ('form-data; name="file"', "file", ""),
        ('form-data; name="file"; filename="/etc/passwd"', "file", "passwd"),
    ],
)
def test_names_of_files(head: str, name: str, file_name: str) -> None:
    whole = f"--{forms.BOUNDARY}\r\ncontent-disposition: {head}\r\n\r\nx\r\n--{forms.BOUNDARY}--"
    request = forms.post(whole.encode())
    form = multipart_form.Form(request.body, forms.BOUNDARY.encode())
    assert list(form.fields()) == [(name, file_name)]


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary="])
def test_a_boundary_is_needed(kind: str) -> None:
    request = forms.post(forms.body([("key", "a")]))
    request.headers["content-type"] = kind
    with pytest.raises(Fault, match="names no boundary"):
        forms.understood(request)
