"""A disk becomes an image in a real browser: sent in parts over a network that changes and a server
that restarts, registered in one step, and launched."""

import contextlib
import hashlib
import os
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from eucabox.image.tiny_guest import TinyGuest
from tests.live.console import Visit
from tests.live.guests import describe, run, until, wait_for
from tests.live.process import Running
from tests.live.test_disks import forget_peak, memory

MIB = 1 << 20
SIZE, PART = 96 * MIB, 8 * MIB  # a dozen parts
GROWTH = 40 * MIB  # of a process that streams, whatever it streams


@pytest.fixture(name="disk")
def _disk(tiny_guest: TinyGuest, tmp_path: Path) -> Path:
    """A whole disk: the tiny guest's root as its first partition, and much that can't be packed."""
    file, root = tmp_path / "tiny disk.img", tiny_guest.root.read_bytes()
    entry = struct.pack("<B3xB3xII", 0x80, 0x83, MIB // 512, len(root) // 512)
    table = bytes(446) + entry + bytes(48) + b"\x55\xaa"
    with file.open("wb") as disk:
        disk.write(table.ljust(MIB, b"\0") + root + os.urandom(SIZE - MIB - len(root)))
    return file


def change_network() -> None:
    """An address comes and goes, as with a launch or a cable."""
    subprocess.run(["ip", "link", "add", "eucamove", "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "addr", "add", "198.51.100.77/32", "dev", "eucamove"], check=True)
        subprocess.run(["ip", "link", "set", "eucamove", "up"], check=True)
        time.sleep(0.3)
    finally:
        subprocess.run(["ip", "link", "del", "eucamove"], check=True)


@contextlib.contextmanager
def acting_at_parts(page: Page, acts: Mapping[int, Callable[[], object]]) -> Iterator[list[str]]:
    """Do something when the browser begins to send a part, by its number among all that it sends;
    the addresses of the parts."""
    parts: list[str] = []

    def note(request: Request) -> None:
        if "/upload/part" in request.url:
            parts.append(request.url)
            acts.get(len(parts), lambda: None)()

    page.on("request", note)
    try:
        yield parts
    finally:
        page.remove_listener("request", note)


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
    forget_peak(cloud)
    before, peaks = memory(cloud), []

    def break_off() -> None:
        peaks.append(memory(cloud))
        cloud.stop()

    with acting_at_parts(page, {3: change_network, 6: break_off}) as parts:
        begin(page, disk, "tiny-disk")
        expect(page.get_by_text("It goes on by itself.")).to_be_visible(timeout=60_000)
        cloud.start()
        expect(page.get_by_role("heading", name="tiny-disk")).to_be_visible(timeout=120_000)
    assert len(set(parts)) == SIZE // PART, "each was sent, and some perhaps again"
    assert peaks[0] - before < GROWTH
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


def test_what_arrived_stays_when_the_page_is_left(visit: Visit, cloud: Running, disk: Path) -> None:
    page = visit.open("/images/upload")
    with acting_at_parts(page, {7: cloud.stop}):
        begin(page, disk, "second")
        expect(page.get_by_text("It goes on by itself.")).to_be_visible(timeout=60_000)
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto("about:blank")  # before the service is back: the page would go on by itself
        cloud.start()
        visit.open("/images/upload")
    with acting_at_parts(page, {}) as parts:
        begin(page, disk, "second")
        expect(page.get_by_role("heading", name="second")).to_be_visible(timeout=120_000)
    assert 0 < len(parts) < SIZE // PART


def test_an_upload_is_cancelled_and_leaves_nothing(
    visit: Visit, cloud: Running, disk: Path
) -> None:
    page = visit.open("/images/upload")
    with acting_at_parts(page, {3: cloud.stop}):
        begin(page, disk, "third")
        expect(page.get_by_text("It goes on by itself.")).to_be_visible(timeout=60_000)
        cloud.start()
        visit.press("Cancel")
    expect(page.locator("#upload-progress")).to_be_hidden()
    s3: Any = cloud.client("s3")
    account_id = cloud.client("sts").get_caller_identity()["Account"]

    def is_gone() -> bool:
        return not s3.list_multipart_uploads(Bucket=f"images-{account_id}").get("Uploads")

    until(is_gone, "end of the upload", 20)


def test_the_list_renews_itself(visit: Visit, cloud: Running) -> None:
    page = visit.open("/images")
    rows = page.locator("#images tbody tr")
    ec2: Any = cloud.client("ec2")
    images = ec2.describe_images(Owners=["self"])["Images"]
    expect(rows).to_have_count(len(images))
    assert visit.find_faults() == []
    ec2.deregister_image(ImageId=images[0]["ImageId"])
    expect(rows).to_have_count(len(images) - 1, timeout=15_000)
