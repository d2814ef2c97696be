"""What a real Chromium does with buckets: websites, forms, pages of other origins, signed links."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.live.browser import Browser, Page, chromium
from tests.live.process import Running
from tests.live.s3 import a_name

INDEX = """<!doctype html><title>index</title><link rel=stylesheet href=/style.css>
<p id=here>hér</p><img src=dot.svg><script src="code.js?v=1"></script>"""
FILES = {
    "index.html": ("text/html; charset=utf-8", INDEX),
    "style.css": ("text/css", "#here { color: rgb(1, 2, 3) }"),
    "code.js": ("text/javascript", "document.title += ' ran'"),
    "dot.svg": ("image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg' width='7' height='7'/>"),
    "oops.html": ("text/html", "<p>no such page"),
    "folder/index.html": ("text/html", "<p>in the folder"),
    "docs/a b.html": ("text/html; charset=utf-8", "<p>doc"),
    "form.html": ("text/html; charset=utf-8", "<title>form</title>"),
    "done.html": ("text/html", "<p>thank you"),
}
RULES = [
    {"Condition": {"KeyPrefixEquals": "old/"}, "Redirect": {"ReplaceKeyPrefixWith": "docs/"}},
    {
        "Condition": {"KeyPrefixEquals": "gone/", "HttpErrorCodeReturnedEquals": "404"},
        "Redirect": {"ReplaceKeyWith": "done.html", "HttpRedirectCode": "307"},
    },
]
LARGE = 24 << 20
TELL = """
const told = {status: got.status, body: await got.text()};
for (const name of ['etag', 'x-amz-meta-colour', 'x-amz-request-id', 'content-length'])
    told[name] = got.headers.get(name);
return told;"""


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(name="s3", scope="module")
def _s3(cloud: Running) -> Iterator[Any]:
    client = cloud.client("s3", signature_version="s3v4")
    yield client
    client.close()


@pytest.fixture(name="site", scope="module")
def _site(s3: Any) -> str:
    """A bucket that is a website, everybody's to read."""
    name = a_name()
    s3.create_bucket(Bucket=name)
    everybody = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"]}
    everybody["Resource"] = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
    policy = {"Version": "2012-10-17", "Statement": [everybody]}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    for key, (kind, text) in FILES.items():
        s3.put_object(Bucket=name, Key=key, Body=text.encode(), ContentType=kind)
    s3.put_object(Bucket=name, Key="moved", WebsiteRedirectLocation="/folder/")
    website = {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "oops.html"}}
    s3.put_bucket_website(Bucket=name, WebsiteConfiguration={**website, "RoutingRules": RULES})
    return name


@pytest.fixture(name="origin")
def _origin(cloud: Running, site: str) -> str:
    return f"http://{site}.s3-website.localhost:{cloud.port}"


@pytest.fixture(name="page")
def _page(browser: Browser, origin: str) -> Page:
    """A page of the website, which is another origin than the API's."""
    return browser.page().show(f"{origin}/form.html")


@pytest.fixture(name="bucket")
def _bucket(s3: Any) -> str:
    name = a_name()
    s3.create_bucket(Bucket=name)
    return name


def allow(s3: Any, bucket: str, **rule: Any) -> None:
    members = {"AllowedMethods": ["GET", "PUT", "POST", "HEAD"], "AllowedOrigins": ["*"], **rule}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [members]})


# --- websites ----------------------------------------------------------------------------------


def test_a_page_with_its_style_script_and_picture(page: Page, origin: str) -> None:
    page.show(f"{origin}/")
    assert page.run("return [document.title, document.querySelector('img').naturalWidth]") == [
        "index ran",
        7,
    ]
    colour = "return getComputedStyle(document.getElementById('here')).color"
    assert (page.text, page.run(colour)) == ("hér", "rgb(1, 2, 3)")


@pytest.mark.parametrize(
    ("path", "status", "shown", "place"),
    [
        ("/folder", 200, "in the folder", "/folder/"),
        ("/moved", 200, "in the folder", "/folder/"),
        ("/old/a%20b.html?x=1#part", 200, "doc", "/docs/a%20b.html#part"),
        ("/gone/x", 200, "thank you", "/done.html"),
        ("/none", 404, "no such page", "/none"),
    ],
)
def test_redirects_and_errors(
    page: Page, cloud: Running, site: str, path: str, status: int, shown: str, place: str
) -> None:
    by_path = f"{cloud.endpoint}/_eucabox/website/{site}"
    for base in (
        by_path,
        f"http://{site}.s3-website.localhost:{cloud.port}",
        f"https://{site}.s3-website.localhost:{cloud.https_port}",
    ):
        page.show(base + path)
        assert (page.status, page.text, page.url) == (status, shown, base + place)


def test_what_is_unchanged_is_asked_for_and_not_sent_again(page: Page, s3: Any, site: str) -> None:
    s3.put_object(Bucket=site, Key="kept", Body=b"x" * 10_000, CacheControl="no-cache")
    script = """
    for (const time of [1, 2]) await (await fetch('/kept')).text();
    const told = performance.getEntriesByName(new URL('/kept', location));
    return told.map(each => each.transferSize)"""
    sent, again = page.run(script)
    assert 0 < again < 1000 < 10_000 < sent


def test_everything_elsewhere(page: Page, s3: Any, bucket: str, cloud: Running, site: str) -> None:
    host = f"{site}.s3-website.localhost:{cloud.port}"
    website = {"RedirectAllRequestsTo": {"HostName": host}}
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=website)
    page.show(f"http://{bucket}.s3-website.localhost:{cloud.port}/folder/")
    assert (page.url, page.text) == (f"http://{host}/folder/", "in the folder")


# --- forms -------------------------------------------------------------------------------------


def form(s3: Any, bucket: str, key: str, /, **more: Any) -> str:
    """The HTML of a form whose policy boto3 signs with version 4."""
    most = more.pop("most", LARGE)
    conditions = [{name: value} for name, value in more.items()]
    signed = s3.generate_presigned_post(
        bucket, key, Fields=more, Conditions=[*conditions, ["content-length-range", 0, most]]
    )
    assert signed["fields"]["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
    fields = "".join(
        f"<input type=hidden name='{name}' value='{value}'>"
        for name, value in signed["fields"].items()
    )
    return (
        f"<form method=post enctype=multipart/form-data action='{signed['url']}'>{fields}"
        "<input type=file name=file><input type=submit></form>"
    )


def fill(page: Page, written: str, file: Path) -> None:
    page.run(f"document.body.innerHTML = {json.dumps(written)}")
    page.choose("input[type=file]", file)


def a_file(folder: Path, name: str, size: int = 100) -> tuple[Path, bytes]:
    file = folder / name
    content = bytes(range(256)) * (size // 256) + b"\r\n--" * (size % 256 // 4)
    file.write_bytes(content)
    return file, content


@pytest.mark.parametrize("name", ["plain.bin", "é ü+&%20 (1).bin", 'quo"te;.bin'])
def test_a_form_that_leads_back(
    page: Page, s3: Any, bucket: str, origin: str, tmp_path: Path, name: str
) -> None:
    file, content = a_file(tmp_path, name, 3 << 20)
    back = f"{origin}/done.html?from=form"
    fill(page, form(s3, bucket, "up/${filename}", success_action_redirect=back), file)
    page.click("[type=submit]")
    assert page.text == "thank you"
    fields = parse_qs(urlsplit(page.url).query)
    key = "up/" + name.replace('"', "%22")  # Chromium's writing, kept as at S3
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == content
    assert fields == {
        "from": ["form"],
        "bucket": [bucket],
        "key": [key],
        "etag": [got["ETag"]],
    }


def test_a_form_that_answers_with_a_document(
    page: Page, s3: Any, bucket: str, tmp_path: Path
) -> None:
    file, content = a_file(tmp_path, "x.txt")
    more = {"success_action_status": "201", "Content-Type": "text/x-test", "acl": "public-read"}
    fill(page, form(s3, bucket, "k", **more), file)
    page.click("[type=submit]")
    shown = page.run("return new XMLSerializer().serializeToString(document.querySelector('*'))")
    assert page.status == 201
    assert f"<Bucket>{bucket}</Bucket><Key>k</Key>" in re.sub(r"\s*\n\s*", "", shown)
    page.show(page.run("return document.querySelector('Location').textContent"))
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentType"], head["ContentLength"]) == ("text/x-test", len(content))
    assert page.status == 200


def test_a_form_that_is_refused_says_why(
    page: Page, s3: Any, bucket: str, origin: str, tmp_path: Path
) -> None:
    """However much of it is still on its way."""
    file, _ = a_file(tmp_path, "large", LARGE)
    written = form(s3, bucket, "k", most=1 << 20)
    for change, code in (
        ("key=k", "EntityTooLarge"),
        ("key=other", "AccessDenied"),
        ("x-amz-signature=0", "SignatureDoesNotMatch"),
    ):
        name, _, value = change.partition("=")
        fill(page.show(f"{origin}/form.html"), written, file)
        page.run(f"document.querySelector('[name={name}]').value = '{value}'")
        page.click("[type=submit]")
        assert f"<Code>{code}</Code>" in page.run("return document.documentElement.outerHTML")


def test_a_script_that_sends_a_form(page: Page, s3: Any, bucket: str, tmp_path: Path) -> None:
    allow(s3, bucket, ExposeHeaders=["ETag", "Location"])
    fill(
        page, form(s3, bucket, "${filename}", success_action_status="201"), a_file(tmp_path, "f")[0]
    )
    script = """
    const form = document.querySelector('form');
    const got = await fetch(form.action, {method: 'POST', body: new FormData(form)});
    return [got.status, got.headers.get('location'), got.headers.get('etag') !== null]"""
    place = f"{s3.meta.endpoint_url}/{bucket}/f"
    assert page.run(script) == [201, place, True]


# --- pages of other origins --------------------------------------------------------------------


def fetched(page: Page, url: str, **options: Any) -> Any:
    """What a script of the page gets, or the name of its error."""
    script = f"const got = await fetch({json.dumps(url)}, {json.dumps(options)}); {TELL}"
    return page.run(f"try {{ {script} }} catch (error) {{ return error.name }}")


@pytest.fixture(name="links")
def _links(s3: Any, bucket: str) -> dict[str, str]:
    """Signed addresses of one key, for each method."""
    named = {"Bucket": bucket, "Key": "a b/é+.txt"}
    s3.put_object(**named, Body=b"old", Metadata={"colour": "blue"})
    methods = {"GET": "get_object", "PUT": "put_object", "DELETE": "delete_object"}
    return {name: s3.generate_presigned_url(ask, named) for name, ask in methods.items()}


def test_without_a_rule_nothing_is_read_or_written(
    page: Page, s3: Any, bucket: str, links: dict[str, str]
) -> None:
    assert fetched(page, links["GET"]) == "TypeError"
    assert fetched(page, links["PUT"], method="PUT", body="new") == "TypeError"
    assert s3.get_object(Bucket=bucket, Key="a b/é+.txt")["Body"].read() == b"old"


def test_with_a_rule_signed_addresses_are_read_and_written(
    page: Page, s3: Any, bucket: str, links: dict[str, str], origin: str
) -> None:
    exposed = ["ETag", "x-amz-meta-colour"]
    allow(
        s3, bucket, AllowedOrigins=[origin], AllowedHeaders=["content-type"], ExposeHeaders=exposed
    )
    got = fetched(page, links["GET"])
    assert (got["status"], got["body"], got["x-amz-meta-colour"]) == (200, "old", "blue")
    assert (got["x-amz-request-id"], got["content-length"]) == (None, "3")
    typed = {"content-type": "text/x-test"}
    put = fetched(page, links["PUT"], method="PUT", body="new", headers=typed)
    found = s3.get_object(Bucket=bucket, Key="a b/é+.txt")
    assert (put["status"], put["etag"]) == (200, found["ETag"])
    assert (found["Body"].read(), found["ContentType"]) == (b"new", "text/x-test")
    assert fetched(page, links["DELETE"], method="DELETE") == "TypeError"
    unknown = {"x-amz-meta-other": "x"}
    assert fetched(page, links["PUT"], method="PUT", body="x", headers=unknown) == "TypeError"
    assert fetched(page, links["GET"], credentials="include")["status"] == 200
    # Chromium takes what has no lifetime for fresh for a tenth of its age.
    part = fetched(page, links["GET"], headers={"range": "bytes=1-"}, cache="no-store")
    assert (part["status"], part["body"]) == (206, "ew")


def test_a_rule_for_another_origin_is_none(
    page: Page, s3: Any, bucket: str, links: dict[str, str]
) -> None:
    allow(s3, bucket, AllowedOrigins=["http://*.example.com", "https://*"])
    assert fetched(page, links["GET"]) == "TypeError"
    allow(s3, bucket, AllowedOrigins=["http://b-*"])
    assert fetched(page, links["GET"])["status"] == 200


def test_an_error_can_be_read_by_a_page(page: Page, s3: Any, bucket: str) -> None:
    allow(s3, bucket)
    for url, status, code in (
        (f"{s3.meta.endpoint_url}/{bucket}/none", 403, "AccessDenied"),
        (s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"}), 404, "NoSuchKey"),
        (f"{s3.meta.endpoint_url}/{bucket}/k?X-Amz-Algorithm=x", 400, "Authorization"),
    ):
        got = fetched(page, url)
        assert (got["status"], code in got["body"]) == (status, True)


def test_a_picture_that_was_shown_can_be_read_afterwards(page: Page, s3: Any, bucket: str) -> None:
    """The browser's cache must not give a script what came without the headers for it."""
    allow(s3, bucket)
    kept = {"CacheControl": "max-age=600", "ContentType": "image/svg+xml", "ACL": "public-read"}
    s3.put_object(Bucket=bucket, Key="dot.svg", Body=FILES["dot.svg"][1].encode(), **kept)
    script = f"""
    const seen = new Image();
    seen.src = "{s3.meta.endpoint_url}/{bucket}/dot.svg";
    await seen.decode();
    return [seen.width, (await fetch(seen.src)).status]"""
    assert page.run(script) == [7, 200]


def test_an_upload_in_parts_by_signed_addresses(page: Page, s3: Any, bucket: str) -> None:
    allow(s3, bucket, ExposeHeaders=["ETag"])
    named = {"Bucket": bucket, "Key": "big"}
    named["UploadId"] = s3.create_multipart_upload(**named)["UploadId"]
    urls = [
        s3.generate_presigned_url("upload_part", {**named, "PartNumber": number})
        for number in (1, 2)
    ]
    script = f"""
    const file = new File([new Uint8Array(6 << 20).fill(7)], 'big');
    const pieces = [file.slice(0, 5 << 20), file.slice(5 << 20)];
    const put = (url, at) => fetch(url, {{method: 'PUT', body: pieces[at]}});
    const got = await Promise.all({json.dumps(urls)}.map(put));
    return got.map(each => each.headers.get('etag'))"""
    parts = [{"PartNumber": at, "ETag": tag} for at, tag in enumerate(page.run(script), 1)]
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="big")["Body"].read() == b"\7" * (6 << 20)


def test_a_signed_link_is_a_download_with_its_name(
    browser: Browser, page: Page, s3: Any, bucket: str, tmp_path: Path
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    said = "attachment; filename*=UTF-8''%C3%A9t%C3%A9%20(1).txt"
    named = {"Bucket": bucket, "Key": "k", "ResponseContentDisposition": said}
    link = s3.generate_presigned_url("get_object", named)
    browser.ask(
        "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path),
        eventsEnabled=True,
    )  # fmt: skip
    page.run(f"location.href = {json.dumps(link)}")
    while browser.wait("Browser.downloadProgress")["state"] == "inProgress":
        pass
    assert (tmp_path / "été (1).txt").read_bytes() == b"content"
