"""Objects are found in their folders, page by page, and deleted with all or some versions."""

from urllib.parse import quote

import pytest

from eucabox.bucket import Store
from eucabox.console.pages.buckets import objects
from eucabox.console.pages.buckets.bucket_page import Mark
from tests.console.buckets.conftest import BUCKET, follow, put
from tests.console.conftest import Visit

ODD = (
    '<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "a\r\nX-A: b",
    "a\x01b", "../../etc/passwd", "?q=1#x", "%2e%2e%2f", "\u202eexe.txt", "naïve ✓",
)  # fmt: skip


def browse(own: Visit, **query: str) -> str:
    text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    page = own.get(f"/buckets/{BUCKET}?{text}")
    assert page.status_code == 200, page.text
    return page.text


def test_folders_pages_and_search(
    own: Visit, store: Store, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PER_PAGE", 2)
    for key in ("a/1", "a/2", "a/b/3", "c", "d", "e"):
        put(store, key)
    first = browse(own)
    assert "prefix=a/" in first.replace("%2F", "/")
    assert "object?key=c" in first
    assert "object?key=d" not in first
    after = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = own.get(after).text
    assert "object?key=d" in second
    assert "object?key=c" not in second
    assert "object?key=e" in second
    inside = browse(own, prefix="a/")
    assert 'aria-current="page"><bdi>a</bdi>' in inside
    found = browse(own, prefix="a/", q="b")
    assert "a%2Fb%2F" in found or "a/b/" in found
    assert "a/1" not in found.replace("%2F", "/")
    assert "begins with what" in browse(own, q="nothing")
    rows = own.get(f"/buckets/{bucket}/rows?prefix=a/").text
    assert "<html" not in rows
    assert 'id="objects"' in rows


def test_the_page_after_a_folder_comes_after_all_in_it(
    own: Visit, store: Store, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PER_PAGE", 1)
    for key in ("a/1", "a/2", "b"):
        put(store, key)
    first = browse(own)
    after = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = own.get(after).text
    assert "object?key=b" in second
    assert "prefix=a" not in second.partition('id="objects"')[2].partition("<tbody>")[2]


def test_any_key_is_text_and_leads_to_its_object(own: Visit, store: Store, bucket: str) -> None:
    for key in ODD:
        put(store, key, b"<script>alert(2)</script>", metadata={"owner": "<script>3"})
    page = browse(own)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert ">49<" not in page
    for key in ODD:
        shown = own.get(f"/buckets/{BUCKET}/object?key={quote(key, safe='')}")
        assert shown.status_code == 200, key
        assert "<script>" not in shown.text
        assert "&lt;script&gt;alert(2)" in shown.text
        assert str(Mark(key)).isascii()
        chosen = {"chosen": str(Mark(key)), "act": "delete"}
        done = own.post(f"/buckets/{BUCKET}/delete-objects", chosen)
        assert "1 of 1 deleted" in follow(own, done)
    assert store.list(BUCKET).objects == []


def test_folders_are_made_and_deleted_with_all_in_them(
    own: Visit, store: Store, bucket: str
) -> None:
    follow(own, own.post(f"/buckets/{bucket}/folders", {"folder": "new one"}))
    assert store.head(bucket, "new one/").size == 0
    for key in ("new one/1", "new one/x/2", "new", "kept"):
        put(store, key)
    assert 'object?key=new%20one/"' not in browse(own, prefix="new one/")
    mark = str(Mark("new one/", is_folder=True))
    page = follow(own, own.post(f"/buckets/{bucket}/delete-objects", {"chosen": mark}))
    assert "3 objects deleted" in page
    assert [each.key for each in store.list(bucket).objects] == ["kept", "new"]
    assert "Nothing was chosen" in follow(own, own.post(f"/buckets/{bucket}/delete-objects"))
    assert own.post(f"/buckets/{bucket}/delete-objects", {"chosen": "x"}).status_code == 400


def test_versions_are_hidden_found_and_brought_back(own: Visit, store: Store, bucket: str) -> None:
    enable = own.post(f"/buckets/{bucket}/settings/versioning", {"status": "Enabled"})
    assert "Versioning: Enabled" in follow(own, enable)
    put(store, "doc", b"first")
    old = store.head(bucket, "doc").version_id
    put(store, "doc", b"second")
    gone = own.post(f"/buckets/{bucket}/object/delete?key=doc")
    assert "Its versions stay" in follow(own, gone)
    assert "object?key=doc" not in browse(own).partition('id="objects"')[2].partition("tabs")[0]
    versions = browse(own, versions="yes")
    assert "delete marker" in versions
    assert versions.count('name="chosen"') == 3
    page = own.get(f"/buckets/{bucket}/object?key=doc").text
    assert "Undelete" in page
    back = own.post(f"/buckets/{bucket}/object/restore?key=doc&version={old}")
    assert "current one again" in follow(own, back)
    with store.open(bucket, "doc") as opened:
        assert b"".join(opened.chunks(0, 5)) == b"first"
    shown = own.get(f"/buckets/{bucket}/object?key=doc&version={old}").text
    assert "A version of it" in shown
    lost = own.post(f"/buckets/{bucket}/object/delete?key=doc&version={old}")
    assert "deleted for good" in follow(own, lost)
    assert own.get(f"/buckets/{bucket}/download?key=doc&version={old}").status_code == 404
    mark = str(Mark("doc"))
    told = follow(own, own.post(f"/buckets/{bucket}/delete-objects", {"chosen": mark}))
    assert "Older versions stay" in told


def test_what_can_not_be_deleted_says_why_and_holds_up_nothing(
    own: Visit, store: Store, bucket: str
) -> None:
    document = """{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject",
      "Resource": "arn:aws:s3:::a-bucket/kept*"}]}"""
    own.post(f"/buckets/{bucket}/access/policy", {"policy": document})
    for key in ("kept", "other", "folder/a"):
        put(store, key)
    response = own.send(
        "POST",
        f"/buckets/{bucket}/delete-objects",
        data={"csrf": own.csrf, "chosen": ["object:kept", "object:other", "folder:folder%2F"]},
        headers={"Origin": "http://console.localhost:8888", "Sec-Fetch-Site": "same-origin"},
    )
    page = follow(own, response)
    assert "2 of 3 deleted" in page
    assert "<strong>kept</strong>" in page
    assert [each.key for each in store.list(bucket).objects] == ["kept"]


def test_too_long_keys_and_other_nonsense_are_refused(own: Visit, bucket: str) -> None:
    for path in (
        f"/buckets/{bucket}/object", f"/buckets/{bucket}/object?key=" + "a" * 1025,
        f"/buckets/{bucket}/download?key=", f"/buckets/{bucket}/object?key=a&version=" + "v" * 200,
    ):  # fmt: skip
        assert own.get(path).status_code == 400, path
    assert own.get(f"/buckets/{bucket}/object?key=none").status_code == 404
    assert own.get(f"/buckets/{bucket}/").status_code == 308
    longest = own.get(f"/buckets/{bucket}?prefix=" + "%E2%9C%93" * 341)
    assert longest.status_code == 200
