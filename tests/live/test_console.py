"""The console in a real browser: what people do there, what pages of buckets can't do to it."""

import contextlib
import io
import json
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from playwright.sync_api import Browser, expect

from tests.live.console import PASSWORD, Visit, visiting
from tests.live.process import Running, running
from tests.live.relay import relayed
from tests.live.s3 import a_name
from tests.mail.post_office import Handler, serve, wait_until

ATTACK = """<!doctype html><title>attack</title>
<form id=form method=post action="{console}/sign-out"><input name=csrf value=x></form>
<script>
document.cookie = "__Host-eucabox={planted}; Secure; Path=/";
document.cookie = "__Host-eucabox-visit={planted}; Secure; Path=/";
document.title = "ran";
</script>"""


@pytest.fixture(name="post", scope="module")
def _post() -> Iterator[tuple[Handler, int]]:
    handler = Handler()
    with serve(handler) as port:
        yield handler, port


@pytest.fixture(name="cloud", scope="module")
def _cloud(post: tuple[Handler, int]) -> Iterator[Running]:
    """A cloud that sends mail, and whose administrator has a password."""
    mail = (
        f"[mail]\nserver = 127.0.0.1\nport = {post[1]}\ntls = none\nsender = cloud@example.com\n"
        "administrator = operator@example.com\nbase_url = http://console.localhost:{}\n"
    )
    with running("[node]\nvirt_type = qemu\n") as cloud:
        cloud.stop()
        with cloud.config_file.open("a") as file:
            file.write(mail.format(cloud.console_port))
        cloud.start()
        yield cloud


@pytest.fixture(name="stranger")
def _stranger(cloud: Running, browser: Browser, visit: Visit) -> Iterator[Visit]:
    """Another window, which has not signed in."""
    with visiting(browser, cloud) as visit:
        yield visit


# --- people ------------------------------------------------------------------------------------


def test_the_first_password_signs_in_and_its_code_is_gone(
    visit: Visit, stranger: Visit, cloud: Running
) -> None:
    assert not (cloud.data / "first-run-code").exists()
    stranger.open("/first-run")
    expect(stranger.page).to_have_url(f"{cloud.console}/sign-in")


def test_status_says_where_it_is(cloud: Running) -> None:
    assert f"{cloud.console}/" in cloud.command("status").stdout


def test_signing_in_and_out_with_the_keyboard(stranger: Visit) -> None:
    page = stranger.open("/credentials")
    page.keyboard.type("admin")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Credentials", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    button = page.get_by_role("button", name="Sign out")
    for _ in range(60):  # the menu stands before it
        page.keyboard.press("Tab")
        if button.evaluate("each => each === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    stranger.open("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def download(visit: Visit, folder: Path) -> Path:
    visit.open("/credentials")
    with visit.page.expect_download() as event:
        visit.press("Download the zip")
    data = Path(event.value.path()).read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_files_of_the_zip_work(visit: Visit, tmp_path: Path, shell: str) -> None:
    folder = download(visit, tmp_path / "keys here")
    (tmp_path / "link").symlink_to(folder / "eucarc")
    script = ". ./link && env"
    done = subprocess.run(
        [shell, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    for name in ("EC2_CERT", "EC2_PRIVATE_KEY", "EUCALYPTUS_CERT", "AWS_CREDENTIAL_FILE"):
        assert Path(found[name]).is_file()
    session = boto3.Session(
        found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"], region_name="eucabox-1"
    )
    sts = session.client("sts", endpoint_url=found["AWS_ENDPOINT_URL"])
    assert sts.get_caller_identity()["Arn"].endswith(":root")


def test_keys_are_made_and_deleted_in_the_page(visit: Visit, cloud: Running) -> None:
    page = visit.open("/credentials")
    visit.press("Create an access key")
    key_id, secret = page.locator("#key-id").inner_text(), page.locator("#key-secret").inner_text()
    made = boto3.client(
        "sts", endpoint_url=cloud.endpoint, region_name="eucabox-1",
        aws_access_key_id=key_id, aws_secret_access_key=secret,
    )  # fmt: skip
    assert made.get_caller_identity()
    row = page.locator("tr", has_text=key_id)
    row.get_by_text("Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the key").click()
    expect(page.get_by_text("The access key is deleted.")).to_be_visible()
    with pytest.raises(made.exceptions.ClientError):
        made.get_caller_identity()


# --- from asking to a new password, by real letters --------------------------------------------


def take_letter(handler: Handler, recipient: str, subject: str) -> str:
    """Wait for a letter and take it; its text."""

    def find() -> Any:
        letters = [each for each in handler.letters if each["To"] == recipient]
        return next((each for each in letters if subject in each["Subject"]), None)

    wait_until(find)
    letter = find()
    handler.letters.remove(letter)
    return str(letter.get_content())


def find_links(text: str, cloud: Running) -> list[str]:
    return [line.removeprefix(cloud.console) for line in text.split() if cloud.console in line]


def look_at(paths: list[str], visits: list[Visit]) -> None:
    """Open links as scanners of mail do: by GET, by HEAD and in a browser that runs scripts."""
    for visit in visits:
        for path in paths:
            assert [visit.request(method, path) for method in ("GET", "HEAD")] in (
                [200, 200],
                [303, 303],
            )
            visit.open(path)
            time.sleep(0.2)


def test_from_asking_for_an_account_to_its_first_call(
    visit: Visit, stranger: Visit, cloud: Running, post: tuple[Handler, int], tmp_path: Path
) -> None:
    page = stranger.open("/sign-in")
    page.get_by_role("link", name="Ask for an account").click()
    for label, text in (
        ("User name", "ann"), ("Full name", "<b>Ann</b> Lee"), ("E-mail", "ann@example.org"),
        ("Affiliation", "<script>alert(1)</script>"),
    ):  # fmt: skip
        page.get_by_label(label).fill(text)
    page.locator("#password").fill(PASSWORD)
    page.locator("#again").fill(PASSWORD)
    stranger.press("Send the request")
    expect(page.get_by_text("waits for the administrator")).to_be_visible()

    letter = take_letter(post[0], "operator@example.com", "new user has signed up")
    approve, reject = find_links(letter, cloud)[:2]
    look_at([approve, reject], [stranger, visit])
    rows = visit.open("/sign-ups").locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("waits for you")
    expect(rows).to_contain_text("<b>Ann</b> Lee")

    admin = visit.open(approve)
    visit.press("Approve")
    expect(admin.get_by_text("A letter with a link")).to_be_visible()
    letter = take_letter(post[0], "ann@example.org", "was approved")
    (confirm,) = [each for each in find_links(letter, cloud) if "code=" in each]
    look_at([confirm], [stranger, visit])
    stranger.sign_in("ann")
    expect(page.get_by_text("No user has these names")).to_be_visible()
    stranger.open(confirm)
    stranger.press("Make my account active")
    expect(page.get_by_text("Your account is active")).to_be_visible()
    stranger.sign_in("ann")
    expect(page.get_by_role("heading", name="Hello, ann")).to_be_visible()
    expect(page.get_by_role("link", name="Requests")).to_have_count(0)
    folder = download(stranger, tmp_path)
    key = json.loads(
        subprocess.run(
            ["sh", "-c", ". ./eucarc && printf '[\"%s\", \"%s\"]' $EC2_ACCESS_KEY $EC2_SECRET_KEY"],
            cwd=folder, capture_output=True, check=True,
        ).stdout
    )  # fmt: skip
    ec2 = boto3.client(
        "ec2", endpoint_url=cloud.endpoint, region_name="eucabox-1",
        aws_access_key_id=key[0], aws_secret_access_key=key[1],
    )  # fmt: skip
    assert ec2.describe_instances()["Reservations"] == []
    stranger.press("Sign out")

    page.get_by_role("link", name="Forgot the password?").click()
    page.get_by_label("Account or e-mail address").fill("ann@example.org")
    stranger.press("Send the letter")
    letter = take_letter(post[0], "ann@example.org", "set a new password")
    (recover,) = [each for each in find_links(letter, cloud) if "code=" in each]
    look_at([recover], [visit])
    stranger.open(recover)
    page.locator("#password").fill("quite another secret")
    page.locator("#again").fill("quite another secret")
    stranger.press("Set the password")
    expect(page.get_by_text("Your password is set.")).to_be_visible()
    stranger.sign_in("ann", "quite another secret")
    expect(page.get_by_role("heading", name="Hello, ann")).to_be_visible()


# --- pages of buckets --------------------------------------------------------------------------


@pytest.fixture(name="bucket", scope="module")
def _bucket(cloud: Running) -> Iterator[str]:
    s3, name = cloud.client("s3"), a_name()
    s3.create_bucket(Bucket=name)
    page = ATTACK.format(console=cloud.console, planted="A" * 43)
    kept = {"ContentType": "text/html", "ACL": "public-read"}
    s3.put_object(Bucket=name, Key="page.html", Body=page.encode(), **kept)
    s3.put_bucket_website(
        Bucket=name, WebsiteConfiguration={"IndexDocument": {"Suffix": "page.html"}}
    )
    with relayed("::1", cloud.port):
        yield name
    s3.close()


# Every form of a host name under which a page of a bucket comes; those that all buckets share have
# their pages in a sandbox.
OWN_HOSTS = {
    "bucket": "http://{bucket}.localhost:{port}/page.html",
    "website": "http://{bucket}.s3-website.localhost:{port}/page.html",
}
HOSTS = {
    **OWN_HOSTS,
    "localhost": "http://localhost:{port}/{bucket}/page.html",
    "127.0.0.1": "http://127.0.0.1:{port}/{bucket}/page.html",
    "[::1]": "http://[::1]:{port}/{bucket}/page.html",
    "website by path": "http://localhost:{port}/_eucabox/website/{bucket}/page.html",
}


@pytest.mark.parametrize("host", HOSTS)
def test_a_bucket_page_posts_to_the_console_and_nothing_is_done(
    cloud: Running, browser: Browser, bucket: str, visit: Visit, host: str
) -> None:
    with visiting(browser, cloud, checks=False) as visit:
        visit.sign_in("admin")
        url = HOSTS[host].format(port=cloud.port, bucket=bucket)
        visit.page.goto(url)
        assert visit.page.title() == ("ran" if host in OWN_HOSTS else "attack")
        with visit.page.expect_response(f"{cloud.console}/sign-out") as event:
            # the sandbox lets no form go: the tests' own hand sends it
            submit_from(visit, url, cloud)
        assert event.value.status == 403
        visit.page.wait_for_url(f"{cloud.console}/sign-out")
        visit.open("/")
        expect(visit.page.get_by_role("heading", name="Hello, admin")).to_be_visible()
        assert not visit.violations


def submit_from(visit: Visit, url: str, cloud: Running) -> None:
    """Send the form from a page of this address without its sandbox, as with sandbox_pages = no."""
    open_bare(visit, url)
    visit.page.evaluate("document.getElementById('form').submit()")


def open_bare(visit: Visit, url: str) -> None:
    """Open a page of a bucket as where [api] sandbox_pages is no."""
    if ".localhost" not in url:  # else there is no sandbox, and Playwright finds no such host
        visit.page.route(url, _fulfil_bare)
    visit.page.goto(url)


def _fulfil_bare(route: Any) -> None:
    response = route.fetch()
    headers = dict(response.headers)
    headers.pop("content-security-policy", None)
    route.fulfill(response=response, headers=headers)


@pytest.mark.parametrize("host", HOSTS)
def test_a_planted_cookie_never_becomes_a_session(
    cloud: Running, browser: Browser, bucket: str, visit: Visit, host: str
) -> None:
    with visiting(browser, cloud, checks=False) as visit:
        url = HOSTS[host].format(port=cloud.port, bucket=bucket)
        open_bare(visit, url)
        assert visit.page.title() == "ran"
        visit.sign_in("admin")
        cookies = visit.context.cookies(cloud.console)
        assert [each for each in cookies if each.get("value") == "A" * 43] == []
        expect(visit.page.get_by_role("heading", name="Hello, admin")).to_be_visible()


def test_a_page_of_another_site_can_neither_frame_nor_read_the_console(
    cloud: Running, browser: Browser, bucket: str, visit: Visit
) -> None:
    with visiting(browser, cloud, checks=False) as visit:
        visit.sign_in("admin")
        visit.page.goto(HOSTS["bucket"].format(port=cloud.port, bucket=bucket))
        script = """async (url) => {
          const frame = document.createElement('iframe');
          frame.src = url + '/';
          document.body.append(frame);
          await new Promise((done) => { frame.onload = done; setTimeout(done, 3000); });
          const read = await fetch(url + '/', {credentials: 'include'}).catch((e) => e.name);
          let inside = 'closed';
          try { inside = frame.contentDocument === null ? 'closed' : frame.contentDocument.title; }
          catch { inside = 'closed'; }
          return [read, inside];
        }"""
        assert visit.page.evaluate(script, cloud.console) == ["TypeError", "closed"]


# --- many at once ------------------------------------------------------------------------------


def test_two_hundred_silent_connections_hold_nobody_up(cloud: Running, stranger: Visit) -> None:
    started = time.monotonic()
    stranger.open("/sign-in")
    alone = time.monotonic() - started
    with contextlib.ExitStack() as stack:
        for number in range(200):
            silent = socket.create_connection(("127.0.0.1", cloud.console_port))
            stack.enter_context(silent)
            if number % 2:
                silent.sendall(b"POST /sign-in HTTP/1.1\r\nHost: console.localhost\r\nContent-")
        started = time.monotonic()
        stranger.open("/sign-in")
        assert time.monotonic() - started < 3 * alone + 5  # they would wait for 30 seconds
        expect(stranger.page.get_by_role("heading", name="Sign in")).to_be_visible()
