"""A disk becomes an image in a real browser: sent in parts over a network that changes and a server
that restarts, registered in one step, and launched."""

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from eucabox.image.tiny_guest import TinyGuest
from tests.live.console import Visit, chromium, visiting
from tests.live.guests import describe, run, wait_for
from tests.live.process import Running, running
from tests.live.test_disks import forget_peak, memory

MIB = 1 << 20
SIZE = 96 * MIB  # a dozen parts
SPEED = 12 * MIB  # bytes in a second that leave the browser
GROWTH = 40 * MIB  # of a process that streams, whatever it streams


@pytest.fixture(name="cloud", scope="module")
def _cloud() -> Iterator[Running]:
    with running("[node]\nvirt_type = qemu\n") as cloud:
        yield cloud


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(name="visit", scope="module")
def _visit(cloud: Running, browser: Browser) -> Iterator[Visit]:
    with visiting(browser, cloud) as visit:
        visit.set_first_password()
        expect(visit.page.get_by_role("heading", name="Hello, admin")).to_be_visible()
        yield visit
        visit.check()


@pytest.fixture(name="disk")
def _disk(guest: TinyGuest, tmp_path: Path) -> Path:
    """A whole disk: the tiny guest's root as its first partition, and much that can't be packed."""
    file, root = tmp_path / "tiny disk.img", guest.root.read_bytes()
    with file.open("wb") as disk:
        disk.write(bytes(MIB) + root + os.urandom(SIZE - MIB - len(root)))
    table = f"label: dos\nstart=2048, size={len(root) // 512}, type=83\n"
    subprocess.run(["sfdisk", "-q", str(file)], input=table.encode(), check=True)
    return file


def slow_down(page: Page) -> None:
    conditions = {
        "offline": False,
        "latency": 0,
        "downloadThroughput": -1,
        "uploadThroughput": SPEED,
    }
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")
    client.send("Network.emulateNetworkConditions", conditions)


def change_network() -> None:
    """An address comes and goes, as with a launch or a cable."""
    subprocess.run(["ip", "link", "add", "eucamove", "type", "dummy"], check=True)
    try:
        subprocess.run(["ip", "addr", "add", "198.51.100.77/32", "dev", "eucamove"], check=True)
        subprocess.run(["ip", "link", "set", "eucamove", "up"], check=True)
        time.sleep(0.3)
    finally:
        subprocess.run(["ip", "link", "del", "eucamove"], check=True)


def wait_for_part(page: Page, part: float) -> None:
    bar = page.locator("#upload-bar")
    deadline = time.monotonic() + 60
    while float(bar.evaluate("each => each.value")) < part:
        assert time.monotonic() < deadline, page.locator("main").inner_text()
        time.sleep(0.05)


def begin(page: Page, disk: Path, name: str) -> None:
    page.get_by_label("File").set_input_files(disk)
    page.locator("#name").fill(name)
    page.get_by_role("button", name="Upload and register").click()


def test_a_disk_is_uploaded_over_breaks_registered_and_launched(
    visit: Visit, cloud: Running, disk: Path
) -> None:
    page = visit.open("/images")
    page.get_by_role("link", name="Add an image").click()
    assert visit.find_faults() == []
    slow_down(page)
    forget_peak(cloud)
    before = memory(cloud)
    begin(page, disk, "tiny-disk")
    wait_for_part(page, 0.2)
    change_network()
    wait_for_part(page, 0.4)
    growth = memory(cloud) - before
    cloud.stop()
    expect(page.get_by_text("The server can't be reached. It goes on by itself.")).to_be_visible()
    cloud.start()
    expect(page.get_by_role("heading", name="tiny-disk")).to_be_visible(timeout=120_000)
    assert growth < GROWTH
    expect(page.locator("#image-facts")).to_contain_text("available", timeout=60_000)
    assert visit.find_faults() == []
    s3: Any = cloud.client("s3")
    account_id = cloud.client("sts").get_caller_identity()["Account"]
    stored = s3.get_object(Bucket=f"images-{account_id}", Key="tiny-disk.img")["Body"]
    digest = hashlib.sha256()
    for chunk in stored.iter_chunks(MIB):
        digest.update(chunk)
    assert digest.hexdigest() == hashlib.sha256(disk.read_bytes()).hexdigest()
    link = page.get_by_role("link", name="Launch").get_attribute("href") or ""
    ec2, image_id = cloud.client("ec2"), link.rpartition("=")[2]
    row = run(ec2, image_id)
    assert describe(ec2, row["InstanceId"])["ImageId"] == image_id
    ec2.terminate_instances(InstanceIds=[row["InstanceId"]])
    wait_for(ec2, row["InstanceId"], "terminated")


def test_what_arrived_stays_when_the_page_is_left(visit: Visit, disk: Path) -> None:
    page = visit.open("/images/upload")
    slow_down(page)
    page.on("dialog", lambda dialog: dialog.accept())
    begin(page, disk, "second")
    wait_for_part(page, 0.5)
    visit.open("/images/upload")
    parts: list[str] = []

    def note(request: Request) -> None:
        if "/upload/part" in request.url:
            parts.append(request.url)

    page.on("request", note)
    begin(page, disk, "second")
    expect(page.get_by_role("heading", name="second")).to_be_visible(timeout=120_000)
    page.remove_listener("request", note)
    assert 0 < len(parts) < 9, "a dozen would be all of them"


def test_an_upload_is_cancelled_and_leaves_nothing(
    visit: Visit, cloud: Running, disk: Path
) -> None:
    page = visit.open("/images/upload")
    slow_down(page)
    begin(page, disk, "third")
    wait_for_part(page, 0.2)
    visit.press("Cancel")
    expect(page.locator("#upload-progress")).to_be_hidden()
    s3: Any = cloud.client("s3")
    account_id = cloud.client("sts").get_caller_identity()["Account"]
    bucket = f"images-{account_id}"
    deadline = time.monotonic() + 10
    while s3.list_multipart_uploads(Bucket=bucket).get("Uploads") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not s3.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_the_list_renews_itself(visit: Visit, cloud: Running) -> None:
    page = visit.open("/images")
    rows = page.locator("#images tbody tr")
    ec2: Any = cloud.client("ec2")
    images = ec2.describe_images(Owners=["self"])["Images"]
    expect(rows).to_have_count(len(images))
    assert visit.find_faults() == []
    ec2.deregister_image(ImageId=images[0]["ImageId"])
    expect(rows).to_have_count(len(images) - 1, timeout=15_000)
