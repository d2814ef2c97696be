"""Files are sent in parts: what broke is sent again, and what is whole is so by its checksums."""

import base64
import hashlib

import pytest

from eucabox.bucket import Store
from eucabox.console.pages.buckets import uploads
from eucabox.console.site import Console
from tests.console.buckets.conftest import BUCKET, put, send_bytes
from tests.console.conftest import ORIGIN, Visit

PART = 5 * 1024 * 1024  # S3's smallest
AT = f"/buckets/{BUCKET}/upload"


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def test_a_file_in_parts_goes_on_after_a_break_and_is_whole(
    own: Visit, store: Store, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "LEAST_PART", PART)
    body = b"0123456789abcdef" * (PART // 16) + b"the rest"
    size = {"size": str(len(body))}
    begun = own.post(f"{AT}/begin?key=big/file.txt", {**size, "content_type": "text/plain"}).json
    assert begun
    assert (begun["part_size"], begun["parts"]) == (PART, [])
    at = f"{AT}/part?key=big/file.txt&upload={begun['upload_id']}"
    damaged = send_bytes(own, f"{at}&number=1", body[:PART], **{"X-Content-SHA256": sha256(b"no")})
    assert damaged.status_code == 400
    assert damaged.json
    assert damaged.json["code"] == "BadDigest"
    first = send_bytes(
        own, f"{at}&number=1", body[:PART], **{"X-Content-SHA256": sha256(body[:PART])}
    )
    assert first.status_code == 200, first.text
    again = own.post(f"{AT}/begin?key=big/file.txt", {**size, "upload_id": begun["upload_id"]}).json
    assert again
    assert again["parts"] == [[1, PART, hashlib.md5(body[:PART]).hexdigest()]]
    assert "big/file.txt" in own.get(f"/buckets/{bucket}").text, "as an upload that is not complete"
    second = send_bytes(own, f"{at}&number=2", body[PART:])
    assert first.json
    assert second.json
    end = {
        **size,
        "upload_id": begun["upload_id"],
        "etags": first.json["etag"] + second.json["etag"],
    }
    short = own.post(f"{AT}/complete?key=big/file.txt", {**end, "size": "1"})
    assert short.status_code == 400
    done = own.post(f"{AT}/complete?key=big/file.txt", end)
    assert done.status_code == 200, done.text
    lost = own.post(f"{AT}/complete?key=big/file.txt", end)
    assert lost.json == done.json, "the answer that was lost"
    sent = own.get(f"/buckets/{bucket}/download?key=big/file.txt")
    assert hashlib.sha256(sent.data).digest() == hashlib.sha256(body).digest()
    assert store.head(bucket, "big/file.txt").properties.content_type == "text/plain"


def test_small_files_and_cancelled_ones(own: Visit, store: Store, bucket: str) -> None:
    small = send_bytes(own, f"{AT}/file?key=a", b"small", **{"X-File-Type": "text/plain"})
    assert small.json == {"etag": hashlib.md5(b"small").hexdigest()}
    assert send_bytes(own, f"{AT}/file?key=empty", b"").status_code == 200
    assert store.head(bucket, "empty").size == 0
    begun = own.post(f"{AT}/begin?key=b", {"size": "99999999"}).json
    assert begun
    assert own.post(f"{AT}/abort?key=b", {"upload_id": begun["upload_id"]}).status_code == 200
    gone = own.post(f"{AT}/begin?key=b", {"size": "1", "upload_id": begun["upload_id"]})
    assert gone.status_code == 404
    assert gone.json
    assert gone.json["code"] == "NoSuchUpload"
    other = own.post(f"{AT}/begin?key=c", {"size": "99999999"}).json
    assert other
    aborted = own.post(f"/buckets/{bucket}/abort?key=c&upload={other['upload_id']}")
    assert aborted.status_code == 303
    assert store.uploads(bucket).uploads == []


@pytest.mark.parametrize(
    ("size", "part"),
    [(0, 8), (8 << 20, 8), (9 << 30, 10), (100 << 30, 103)],
)
def test_the_size_of_parts_is_bounded(size: int, part: int) -> None:
    assert uploads.choose_part_size(size) == part << 20
    assert size <= uploads.MOST_PARTS * (part << 20)


def test_what_is_no_part_is_refused(own: Visit, bucket: str, store: Store) -> None:
    for path in ("part?key=a&upload=x&number=x", "part?key=a&upload=x", "part?upload=x&number=1"):
        assert send_bytes(own, f"{AT}/{path}", b"x").status_code == 400
    assert send_bytes(own, f"{AT}/part?key=a&upload=x&number=1", b"x").status_code == 404
    for form in ({"size": "-1"}, {"size": "x"}, {"size": "9" * 16}, {"size": str(1 << 49)}):
        assert own.post(f"{AT}/begin?key=a", form).status_code == 400
    odd = send_bytes(own, f"{AT}/file?key=a", b"x", **{"X-Content-SHA256": "a\tb"})
    assert odd.status_code == 400
    assert own.post(f"{AT}/complete?key=a", {"size": "1", "etags": "x"}).status_code == 400
    large = send_bytes(own, f"{AT}/file?key=a", b"x" * (uploads.LEAST_PART + 1))
    assert large.status_code == 413
    assert own.post(f"{AT}/file?key=a").status_code == 415, "a form is no file"
    assert send_bytes(own, f"/buckets/{bucket}/folders", b"x").status_code == 415
    assert store.list(bucket).objects == []


def list_posts(console: Console) -> list[str]:
    rules = [each for each in console.url_map.iter_rules() if each.endpoint.startswith("buckets.")]
    posts = [
        each.rule.replace("<name>", BUCKET) for each in rules if "POST" in (each.methods or ())
    ]
    assert len(posts) > 20
    return posts


ELSEWHERE: tuple[dict[str, str], ...] = (
    {"Origin": "http://localhost:8773", "Sec-Fetch-Site": "same-site"},
    {"Origin": "http://a-bucket.localhost:8773", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {},
)


def test_a_page_of_a_bucket_changes_nothing(
    own: Visit, console: Console, store: Store, bucket: str
) -> None:
    put(store, "kept", b"whole")
    before, form = store.bucket(bucket), f"csrf={own.csrf}&confirm={BUCKET}&chosen=object:kept"
    kinds = ("application/x-www-form-urlencoded", "application/octet-stream")
    for path in list_posts(console):
        for headers in ELSEWHERE:
            for kind in kinds:
                sent = {**headers, "Content-Type": kind}
                response = own.send("POST", f"{path}?key=kept", data=form.encode(), headers=sent)
                assert response.status_code in (403, 415), path
    assert store.bucket(bucket) == before
    assert store.head(bucket, "kept").size == 5
    assert store.uploads(bucket).uploads == []


def test_a_right_origin_without_the_token_changes_nothing(
    own: Visit, console: Console, store: Store, bucket: str
) -> None:
    put(store, "kept", b"whole")
    sent = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
    assert own.csrf
    for path in list_posts(console):
        is_bytes = path.endswith(("/upload/part", "/upload/file"))
        kind = "application/octet-stream" if is_bytes else "application/x-www-form-urlencoded"
        headers = {**sent, "Content-Type": kind, "X-CSRF-Token": "0" * 64}
        assert own.send("POST", f"{path}?key=kept", data=b"x", headers=headers).status_code == 403
    assert store.head(bucket, "kept").size == 5
