"""Buckets in a real browser: from the first upload to the last deletion, with breaks between."""

import hashlib
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, Response, Route, expect

from tests.live.console import COLOURS, PASSWORD, SIZES, Visit, visiting
from tests.live.process import Running
from tests.live.s3 import a_name

PART = 8 << 20
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf"
    "f01f00050001ff4b2e3c0e0000000049454e44ae426082"
)
SCRIPT = "<script>document.title = 'ran'</script>"


@pytest.fixture(name="bucket", scope="module")
def _bucket(visit: Visit) -> str:
    name = a_name()
    page = visit.open("/buckets")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Keep versions").check()
    visit.press("Create the bucket")
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    return name


def read(cloud: Running, bucket: str, key: str) -> bytes:
    with cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"] as body:
        return bytes(body.read())


def wait_for_upload(page: Page, text: str) -> None:
    expect(page.locator("#upload-state")).to_contain_text(text, timeout=60_000)


def wait_until(page: Page, is_so: Callable[[], bool]) -> None:
    for _ in range(600):
        if is_so():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it did not happen within a minute")


def test_a_folder_is_uploaded_and_looked_at(
    cloud: Running, visit: Visit, bucket: str, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    (folder / "notes.txt").write_text(f"plain text {SCRIPT}")
    (folder / "deep" / "dot.png").write_bytes(PNG)
    (folder / "deep" / "page.html").write_text(SCRIPT)
    page = visit.open(f"/buckets/{bucket}")
    page.locator("#folder-files").set_input_files(folder)
    wait_for_upload(page, "3 of 3 files are there")
    page.get_by_role("link", name="photos/").click()
    expect(page.get_by_role("link", name="notes.txt")).to_be_visible()
    page.get_by_role("link", name="notes.txt").click()
    expect(page.get_by_label("The text")).to_contain_text(f"plain text {SCRIPT}")
    visit.open(f"/buckets/{bucket}/object?key=photos/deep/page.html")
    expect(page.get_by_label("The text")).to_contain_text(SCRIPT)
    assert page.title() != "ran"
    visit.open(f"/buckets/{bucket}/object?key=photos/deep/dot.png")
    picture = page.get_by_alt_text("What dot.png shows")
    expect(picture).to_be_visible()
    assert picture.evaluate("each => each.naturalWidth") == 1
    with page.expect_download() as event:
        page.get_by_role("link", name="Download").click()
    assert Path(event.value.path()).read_bytes() == PNG
    assert event.value.suggested_filename == "dot.png"


def test_a_file_in_parts_survives_breaks_and_a_page_that_closes(
    cloud: Running, visit: Visit, bucket: str, tmp_path: Path
) -> None:
    file = tmp_path / "large.bin"
    body = hashlib.shake_256(b"large").digest(3 * PART + 12345)
    file.write_bytes(body)
    page = visit.open(f"/buckets/{bucket}")
    broken: list[str] = []
    done: list[str] = []

    def break_part(route: Route) -> None:
        number = parse_qs(urlsplit(route.request.url).query)["number"][0]
        if number == "3" or (number == "2" and "2" not in broken):
            broken.append(number)
            route.abort("internetdisconnected")
        else:
            route.continue_()

    def note_done(response: Response) -> None:
        if "/upload/part?" in response.url:
            done.extend(parse_qs(urlsplit(response.url).query)["number"])

    page.on("response", note_done)
    breakable = re.compile("/upload/part[?].*number=[23]$")
    page.route(breakable, break_part)
    page.locator("#files").set_input_files(file)
    expect(page.locator("#transfers")).to_contain_text("It goes on by itself", timeout=30_000)
    wait_until(page, lambda: {"1", "2", "4"} <= set(done))
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.get_by_role("heading", name="Uploads that are not complete")).to_be_visible()
    page.unroute(breakable)
    sent: list[str] = []

    def note(request: Request) -> None:
        if "/upload/part?" in request.url:
            sent.extend(parse_qs(urlsplit(request.url).query)["number"])

    page.on("request", note)
    page.locator("#files").set_input_files(file)
    wait_for_upload(page, "1 of 1 files are there")
    page.remove_listener("request", note)
    assert "3" in sent
    assert len(sent) < 4, "what was there is not sent again"
    assert (
        hashlib.sha256(read(cloud, bucket, "large.bin")).digest() == hashlib.sha256(body).digest()
    )
    assert cloud.client("s3").list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_an_upload_goes_on_with_a_session_that_began_since(
    cloud: Running, visit: Visit, bucket: str, tmp_path: Path
) -> None:
    """Its parts are refused first: they have the form token of a session that is over."""
    file = tmp_path / "signed-in-again.bin"
    file.write_bytes(bytes(2 * PART + 1))
    page = visit.open(f"/buckets/{bucket}")
    held: list[Route] = []
    second = re.compile("/upload/part[?].*number=2$")
    page.route(second, lambda route: route.continue_() if held else held.append(route))
    page.locator("#files").set_input_files(file)
    wait_until(page, lambda: bool(held))
    other = visit.context.new_page()
    other.goto(cloud.console)
    other.get_by_role("button", name="Sign out").click()
    other.get_by_label("User name").fill("admin")
    other.get_by_label("Password").first.fill(PASSWORD)
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("heading", name="Hello, admin")).to_be_visible()
    other.close()
    held[0].continue_()
    wait_for_upload(page, "1 of 1 files are there")
    page.unroute(second)
    assert read(cloud, bucket, file.name) == file.read_bytes()


def test_an_upload_that_is_cancelled_leaves_nothing(
    cloud: Running, visit: Visit, bucket: str, tmp_path: Path
) -> None:
    file = tmp_path / "cancelled.bin"
    file.write_bytes(bytes(3 * PART))
    page = visit.open(f"/buckets/{bucket}")
    third = re.compile("/upload/part[?].*number=3$")
    page.route(third, lambda route: route.abort("internetdisconnected"))
    page.locator("#files").set_input_files(file)
    expect(page.locator("#transfers")).to_contain_text("It goes on by itself", timeout=30_000)
    with page.expect_response(lambda answer: "/upload/abort" in answer.url):
        visit.press("Cancel")
    expect(page.locator("#transfers")).to_contain_text("Cancelled", timeout=90_000)
    page.unroute(third)
    assert cloud.client("s3").list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_a_link_is_read_by_anybody(cloud: Running, visit: Visit, bucket: str) -> None:
    cloud.client("s3").put_object(Bucket=bucket, Key="a b/ü+.txt", Body=b"shared")
    page = visit.open(f"/buckets/{bucket}/object?key=a%20b/%C3%BC%2B.txt")
    page.get_by_label("By which address").select_option(cloud.endpoint)
    page.get_by_label("For how long").fill("5")
    page.get_by_label("Unit").select_option("minutes")
    visit.press("Make the link")
    link = page.locator("#signed-link").inner_text()
    with urllib.request.urlopen(link, timeout=30) as answer:
        assert answer.read() == b"shared"


def test_an_older_version_is_made_the_current_one(
    cloud: Running, visit: Visit, bucket: str
) -> None:
    s3 = cloud.client("s3")
    old = s3.put_object(Bucket=bucket, Key="doc", Body=b"first")["VersionId"]
    s3.put_object(Bucket=bucket, Key="doc", Body=b"second")
    page = visit.open(f"/buckets/{bucket}/object?key=doc")
    row = page.get_by_role("row").filter(has_text=old)
    row.get_by_role("button", name="Make current").click()
    expect(page.get_by_text("current one again")).to_be_visible()
    assert read(cloud, bucket, "doc") == b"first"


def test_the_policy_says_who_may_read(cloud: Running, visit: Visit, bucket: str) -> None:
    page = visit.open(f"/buckets/{bucket}/access")
    row = page.get_by_role("row").filter(has_text="Anybody, without a key")
    expect(row.get_by_role("cell").nth(2)).to_have_text("no")
    page.get_by_text("An example").click()
    page.locator("#policy").fill(page.get_by_label("A policy").inner_text())
    visit.press("Try it")
    expect(row.get_by_role("cell").nth(2)).to_have_text("yes")
    visit.press("Save the policy")
    expect(page.get_by_text("The policy is saved.")).to_be_visible()
    with urllib.request.urlopen(f"{cloud.endpoint}/{bucket}/doc", timeout=30) as answer:
        assert answer.read() == b"first"
    page.locator("#policy").fill("")
    visit.press("Save the policy")
    expect(page.get_by_text("has no policy any more")).to_be_visible()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("colours", COLOURS)
def test_axe_finds_nothing_serious_and_nothing_is_too_wide(
    cloud: Running, browser: Browser, visit: Visit, bucket: str, size: str, colours: str
) -> None:
    s3, long = cloud.client("s3"), "very-long-name-without-a-break-" * 6 + ".txt"
    s3.put_object(Bucket=bucket, Key=long, Body=b"text " * 100)
    rules = [
        {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 9}}
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    pages = (
        "/buckets", f"/buckets/{bucket}", f"/buckets/{bucket}?versions=yes",
        f"/buckets/{bucket}/access", f"/buckets/{bucket}/settings",
        f"/buckets/{bucket}/object?key={long}", f"/buckets/{bucket}/object?key=photos/deep/dot.png",
    )  # fmt: skip
    found = {}
    with visiting(browser, cloud, size, colours) as other:
        other.sign_in("admin")
        for path in pages:
            other.open(path)
            found[path] = other.find_faults()
        other.check()
    assert {path: faults for path, faults in found.items() if faults} == {}


def test_a_folder_and_then_all_is_deleted(cloud: Running, visit: Visit, bucket: str) -> None:
    page = visit.open(f"/buckets/{bucket}")
    page.get_by_label("Choose photos/").check()
    visit.press("Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("3 objects deleted.")).to_be_visible()
    visit.open(f"/buckets/{bucket}/settings")
    page.get_by_label("to delete the bucket").fill(bucket)
    visit.press("Delete the bucket")
    expect(page.get_by_text("Empty it first.")).to_be_visible()
    page.get_by_label("to delete all objects").fill(bucket)
    visit.press("Empty the bucket")
    expect(page.get_by_text("versions are deleted.")).to_be_visible()
    page.get_by_label("to delete the bucket").fill(bucket)
    visit.press("Delete the bucket")
    expect(page.get_by_text(f"The bucket {bucket} is deleted.")).to_be_visible()
    assert cloud.client("s3").list_buckets()["Buckets"] == []
