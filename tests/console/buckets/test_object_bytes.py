"""What people stored leaves as a file or a picture, never as a page, whatever it says it is."""

import pytest

from eucabox.bucket import Store
from eucabox.console.pages.buckets.object_bytes import name_file, read_kind
from tests.console.buckets.conftest import BUCKET, PNG, put
from tests.console.conftest import Visit

HTML = b"<!doctype html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("dir/report.txt", "report.txt"),
        ('a"b\r\nX-Evil: 1', "a_b__X-Evil_ 1"),
        ("../..", "object"),
        ("..\\..\\evil.exe", "_.._evil.exe"),
        ("folder/", "folder"),
        ("\u202etxt.exe", "_txt.exe"),
        ("x" * 500, "x" * 200),
    ],
)
def test_a_file_has_a_plain_name(key: str, name: str) -> None:
    from eucabox.console.pages.buckets.bucket_page import shorten

    assert name_file(shorten(key)) == name


def test_a_download_is_a_file_of_no_type(own: Visit, store: Store, bucket: str) -> None:
    put(store, "page.html\r\nX-Evil: 1", HTML, content_type="text/html")
    sent = own.get(f"/buckets/{BUCKET}/download?key=page.html%0D%0AX-Evil:%201")
    assert sent.data == HTML
    assert sent.content_type == "application/octet-stream"
    assert sent.headers["Content-Disposition"].startswith("attachment;")
    assert "sandbox" in sent.headers["Content-Security-Policy"]
    assert "script-src" not in sent.headers["Content-Security-Policy"]
    assert sent.headers["X-Content-Type-Options"] == "nosniff"
    assert "X-Evil" not in sent.headers


def test_a_download_that_broke_goes_on(own: Visit, store: Store, bucket: str) -> None:
    put(store, "a", b"0123456789")
    whole = own.get(f"/buckets/{BUCKET}/download?key=a")
    rest = own.get(f"/buckets/{BUCKET}/download?key=a", Range="bytes=4-")
    assert (rest.status_code, rest.data) == (206, b"456789")
    assert rest.headers["Content-Range"] == "bytes 4-9/10"
    etag = {"If-Range": whole.headers["ETag"]}
    assert own.get(f"/buckets/{BUCKET}/download?key=a", Range="bytes=9-", **etag).data == b"9"
    put(store, "a", b"other bytes")
    assert own.get(f"/buckets/{BUCKET}/download?key=a", Range="bytes=9-", **etag).status_code == 200
    beyond = own.get(f"/buckets/{BUCKET}/download?key=a", Range="bytes=99-")
    assert beyond.status_code == 416
    head = own.send("HEAD", f"/buckets/{BUCKET}/download?key=a")
    assert (head.status_code, head.data, head.content_length) == (200, b"", 11)


def test_pictures_are_pictures_by_their_bytes(own: Visit, store: Store, bucket: str) -> None:
    put(store, "real.bin", PNG, content_type="text/html")
    sent = own.get(f"/buckets/{BUCKET}/picture?key=real.bin")
    assert (sent.status_code, sent.content_type, sent.data) == (200, "image/png", PNG)
    assert "sandbox" in sent.headers["Content-Security-Policy"]
    assert sent.headers["X-Content-Type-Options"] == "nosniff"
    assert 'class="preview" src=' in own.get(f"/buckets/{BUCKET}/object?key=real.bin").text
    for key, body in (("a.svg", SVG), ("b.png", HTML), ("c.png", b"")):
        put(store, key, body, content_type="image/png")
        assert own.get(f"/buckets/{BUCKET}/picture?key={key}").status_code == 415
        page = own.get(f"/buckets/{BUCKET}/object?key={key}").text
        assert 'class="preview" src=' not in page
        assert "<script>alert" not in page
        assert "<svg xmlns=&#34;" not in page.replace("&lt;", "<") or "onload" in page


@pytest.mark.parametrize(
    ("beginning", "kind"),
    [
        (b"plain", "text"), ("é".encode()[:1], "text"), (b"\xff\xfe", ""), (b"a\0b", ""),
        (b"\xff\xd8\xff\xe0", "image/jpeg"), (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (b"RIFX\0\0\0\0WEBP", ""), (SVG, "text"), (HTML, "text"),
    ],
)  # fmt: skip
def test_what_it_is_is_told_by_the_first_bytes(beginning: bytes, kind: str) -> None:
    assert read_kind(beginning) == kind


def test_others_and_strangers_get_nothing(own: Visit, store: Store, bucket: str) -> None:
    put(store, "a", PNG)
    stranger = Visit(own.app)
    for page in ("download", "picture", "object"):
        answer = stranger.get(f"/buckets/{BUCKET}/{page}?key=a")
        assert answer.status_code == 303
        assert (answer.location or "").startswith("/sign-in")
        elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
        assert own.get(f"/buckets/{BUCKET}/{page}?key=a", **elsewhere).status_code == 403
