"""Whose objects an image is made of, and how much of the host it may take meanwhile."""

import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from eucabox.config import Config
from eucabox.errors import (
    ImageLocationInvalid,
    ImageNameExists,
    StorageNotPermitted,
    UnauthorizedOperation,
    UnsupportedOperation,
)
from eucabox.iam.accounts import Accounts
from eucabox.image import disk_space, formats, unbundle
from eucabox.image.image_rows import BundledInstance
from eucabox.image.workers import Workers
from eucabox.state import State
from tests.image.disks import MIB, ext, qcow2
from tests.image_cloud import (
    BUCKET,
    Cloud,
    cache_files,
    children,
    partitioned,
    shared_clusters,
    wait_for,
)
from tests.rows import whole_row

pytestmark = pytest.mark.slow  # makes file systems, bundles and disks


@pytest.fixture
def cloud(config: Config, state: State, accounts: Accounts, tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(config, state, accounts, tmp_path)
    yield made
    made.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return ext(tmp_path / "root.img")


def test_no_image_is_made_of_an_object_that_its_writer_keeps_private(
    cloud: Cloud, root: Path
) -> None:
    """The owner of a bucket does not own what others wrote into it."""
    writer = cloud.accounts.create_user("bob").account_id
    disk = cloud.put(qcow2(cloud.folder / "disk", MIB), owner=writer)
    with pytest.raises(UnauthorizedOperation, match="object disk of the image is not yours"):
        cloud.images.register(cloud.user, disk)
    location = cloud.upload(root, part_size=1000)
    for name, word in (("root.img.part.01", "part.01"), ("root.img.manifest.xml", "manifest.xml")):
        cloud.put(cloud.folder / "bundle" / name, owner=writer)
        with pytest.raises(UnauthorizedOperation, match=word):
            cloud.images.register(cloud.user, location)
        with pytest.raises(UnauthorizedOperation, match=word):
            cloud.images.inspect(BUCKET, "root.img.manifest.xml", cloud.user)
        cloud.put(cloud.folder / "bundle" / name, owner=writer, acl="bucket-owner-read")
    assert cloud.state.query("select * from images") == []
    assert cloud.register(location)["state"] == "available"


def test_the_present_version_is_the_one_that_must_be_readable(cloud: Cloud) -> None:
    cloud.store.set_bucket_setting(BUCKET, "versioning", {"status": "Enabled"})
    disk = qcow2(cloud.folder / "disk", MIB)
    location = cloud.put(disk)
    cloud.put(disk, owner=cloud.accounts.create_user("bob").account_id)
    with pytest.raises(UnauthorizedOperation, match="s3:GetObject"):
        cloud.images.register(cloud.user, location)


def test_a_disk_that_is_replaced_after_the_call_is_not_read(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.images._workers.close()
    cloud.images._workers = Workers("images", 1)
    held = threading.Event()
    cloud.images._workers.submit(held.wait, 20)
    row = cloud.images.register(cloud.user, cloud.put(qcow2(cloud.folder / "disk", MIB)))
    other = qcow2(cloud.folder / "other", 2 * MIB)
    cloud.put(other, "disk", owner=cloud.accounts.create_user("bob").account_id)
    held.set()
    found = cloud.settled(row)
    assert (found["state"], "was changed" in found["state_reason"]) == ("failed", True)


def test_who_copies_an_image_must_be_able_to_get_all_that_it_is_made_of(
    cloud: Cloud, root: Path
) -> None:
    row = cloud.register(cloud.upload(root, part_size=1000))
    other = cloud.accounts.create_user("eve")
    with pytest.raises(StorageNotPermitted, match="permission to access the storage of this ami"):
        cloud.images.copy(other, row, "mine", "", "")
    cloud.share()
    cloud.share("private", "root.img.part.02")
    with pytest.raises(StorageNotPermitted, match=r"part.02"):
        cloud.images.copy(other, row, "mine", "", "")
    assert len(cloud.state.query("select * from images")) == 1
    cloud.share()
    assert cloud.settled(cloud.images.copy(other, row, "mine", "", ""))["state"] == "available"


def test_a_copy_asks_again_when_it_reads_and_when_it_writes(cloud: Cloud, root: Path) -> None:
    row = cloud.register(cloud.upload(root, part_size=1000))
    other = cloud.accounts.create_user("eve")
    cloud.share()
    cloud.images._workers.close()
    cloud.images._workers = Workers("images", 1)
    held = threading.Event()
    cloud.images._workers.submit(held.wait, 20)
    copied = cloud.images.copy(other, row, "mine", "", "")
    cloud.share("private", "root.img.part.02")
    held.set()
    found = cloud.settled(copied)
    assert (found["state"], "part.02" in found["state_reason"]) == ("failed", True)
    cloud.share()
    held.clear()
    cloud.images._workers.submit(held.wait, 20)
    copied = cloud.images.copy(other, row, "mine", "", "")
    bucket = copied["image_location"].partition("/")[0]
    for each in cloud.store.list(bucket).objects:
        cloud.store.delete(bucket, each.key)
    cloud.store.delete_bucket(bucket)
    cloud.store.create_bucket(bucket, cloud.user.account_id)
    held.set()
    found = cloud.settled(copied)
    assert (found["state"], "does not grant" in found["state_reason"]) == ("failed", True)
    assert cloud.store.list(bucket).objects == []


def test_a_policy_that_asks_for_the_clients_address_is_told_it(cloud: Cloud) -> None:
    location = cloud.put(qcow2(cloud.folder / "disk", MIB))
    members = {
        "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
        "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    }  # fmt: skip
    document = json.dumps({"Version": "2012-10-17", "Statement": [members]})
    cloud.store.set_bucket_setting(BUCKET, "policy", document)
    with pytest.raises(UnauthorizedOperation):
        cloud.images.register(cloud.user, location, context={"source_ip": "192.0.2.1"})
    row = cloud.register(location, context={"source_ip": "10.1.2.3"})
    assert row["state"] == "available"


def test_a_small_qcow2_that_would_unfold_to_gigabytes_is_refused(cloud: Cloud) -> None:
    started = time.monotonic()
    row = cloud.register(cloud.put(shared_clusters(cloud.folder / "disk", 3 * 2**30)))
    assert (row["state"], "share its clusters" in row["state_reason"]) == ("failed", True)
    assert time.monotonic() - started < 5
    assert cloud.cached() == set()


@pytest.mark.parametrize("bundled", [True, False])
def test_an_image_that_this_disk_cannot_hold_is_not_begun(
    cloud: Cloud, root: Path, bundled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_space, "LEFT", 2**50)  # more than any test machine has
    disk = partitioned(cloud.folder / "disk.img", b"x")
    row = cloud.register(cloud.upload(root) if bundled else cloud.put(disk))
    assert row["state"] == "failed"
    assert re.search(
        r"takes \d+ bytes and the disk of this cloud's images has 0 free", row["state_reason"]
    )
    assert cloud.cached() == set()


def test_an_image_makes_way_for_the_host_when_the_disk_gets_full_meanwhile(
    cloud: Cloud, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = unbundle.unbundle

    def filling(*arguments: Any) -> str:
        monkeypatch.setattr(disk_space, "LEFT", 2**50)
        return real(*arguments)

    monkeypatch.setattr(unbundle, "unbundle", filling)
    row = cloud.register(cloud.upload(root))
    assert (row["state"], "has 0 free" in row["state_reason"]) == ("failed", True)
    assert cloud.cached() == set()


def test_what_nobody_uses_makes_way_for_a_new_image(cloud: Cloud, root: Path) -> None:
    row = cloud.register(cloud.upload(root))
    assert f"{row['digest']}.raw" in cloud.cached()
    cloud.images._cache.make_room(2**50)
    assert cloud.cached() == set()


def test_an_image_that_is_deregistered_is_not_unbundled_to_its_end(
    cloud: Cloud, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, ended = threading.Event(), threading.Event()

    def endless(*arguments: Any) -> str:
        entered.set()
        try:
            for _ in range(3000):
                time.sleep(0.01)
                arguments[-1](0, 1)
        finally:
            ended.set()
        return ""

    monkeypatch.setattr(unbundle, "unbundle", endless)
    row = cloud.images.register(cloud.user, cloud.upload(root))
    assert entered.wait(5)
    cloud.images.deregister(row)
    assert ended.wait(5)


def test_a_stop_ends_a_conversion_at_once_and_its_program(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "measure_converted", lambda *_: 2**40)
    monkeypatch.setattr(disk_space.DiskSpace, "check", lambda *_: None)
    row = cloud.images.register(
        cloud.user, cloud.put(shared_clusters(cloud.folder / "disk", 900 * 2**30))
    )
    wait_for(lambda: any(path.name.startswith("partial-") for path in cache_files(cloud)))
    wait_for(lambda: bool(children("qemu-img")))
    started = time.monotonic()
    cloud.images.close()
    assert time.monotonic() - started < 5
    assert children("qemu-img") == []
    assert cloud.cached() == set()
    found = cloud.state.one("select state from images where image_id = ?", [row["image_id"]])
    assert found == {"state": "pending"}


@pytest.mark.parametrize("orders", ["damaged", "chain"])
def test_a_reason_names_no_folder_of_this_host(cloud: Cloud, root: Path, orders: str) -> None:
    path = cloud.folder / "bad.qcow2"
    if orders == "damaged":
        path.write_bytes(b"QFI\xfb\0\0\0\x03" + bytes(64))
    else:
        disk = shared_clusters(path, MIB).read_bytes()
        path.write_bytes(disk[: 3 * 65536] + b"\xff" * 8 + disk[3 * 65536 + 8 :])
    row = cloud.register(cloud.put(path))
    assert row["state"] == "failed"
    assert "bad.qcow2" in row["state_reason"]
    assert str(cloud.config.cloud.data_dir) not in row["state_reason"]
    assert " /" not in row["state_reason"].replace("'", " ")


def test_a_name_is_of_one_image_of_an_account(cloud: Cloud) -> None:
    location = cloud.put(partitioned(cloud.folder / "disk.img", b"x"))
    row = cloud.register(location, name="mine")
    taken = f"AMI name mine is already in use by AMI {row['image_id']}"
    with pytest.raises(ImageNameExists, match=taken):
        cloud.images.register(cloud.user, location, name="mine")
    with pytest.raises(ImageNameExists, match=taken):
        cloud.images.copy(cloud.user, row, "mine", "", "")
    with pytest.raises(ImageNameExists, match=taken):
        cloud.images.create_pending(cloud.user, whole_row(BundledInstance), "mine", "")
    assert cloud.images.register(cloud.accounts.ensure_administrator(), location, name="mine")
    cloud.images.deregister(row)
    assert cloud.register(location, name="mine")["state"] == "available"


def test_a_repeated_copy_is_no_second_image_of_its_name(cloud: Cloud) -> None:
    row = cloud.register(cloud.put(partitioned(cloud.folder / "disk.img", b"x")))
    first = cloud.images.copy(cloud.user, row, "copy", "", "token")
    assert cloud.images.copy(cloud.user, row, "copy", "", "token")["image_id"] == first["image_id"]


def test_a_failed_image_keeps_no_name(cloud: Cloud) -> None:
    broken = cloud.put(shared_clusters(cloud.folder / "disk", 3 * 2**30))
    assert cloud.register(broken, name="mine")["state"] == "failed"
    disk = cloud.put(partitioned(cloud.folder / "disk.img", b"x"))
    assert cloud.register(disk, name="mine")["state"] == "available"


def test_two_threads_cannot_give_one_name_twice(cloud: Cloud) -> None:
    location = cloud.put(partitioned(cloud.folder / "disk.img", b"x"))
    with ThreadPoolExecutor(4) as clients:
        asked = [
            clients.submit(cloud.images.register, cloud.user, location, name="mine")
            for _ in range(4)
        ]
    faults = [each.exception() for each in asked]
    assert faults.count(None) == 1
    assert sum(isinstance(each, ImageNameExists) for each in faults) == 3


def test_who_gives_no_name_gets_a_free_one_of_the_file(cloud: Cloud) -> None:
    disk = partitioned(cloud.folder / "disk.img", b"x")
    location = cloud.put(disk)
    first, second = cloud.register(location), cloud.register(location)
    assert (first["name"], second["name"]) == ("disk.img", f"disk.img-{second['image_id']}")
    odd = cloud.register(cloud.put(disk, "d\u00e9j\u00e0.img"))
    assert odd["name"] == "d-j-.img"
    short = cloud.register(cloud.put(disk, "a"))
    assert short["name"] == "a-image"


@pytest.mark.parametrize("with_kernel", [True, False])
def test_the_reason_of_a_root_that_is_no_hvm_fits_the_case(
    cloud: Cloud, root: Path, with_kernel: bool
) -> None:
    kernel = cloud.folder / "vmlinuz"
    kernel.write_bytes(b"\x7fELF kernel")
    kernel_id = cloud.register(cloud.upload(kernel, image_type="kernel"))["image_id"]
    given = {"kernel_id": kernel_id} if with_kernel else {}
    row = cloud.register(cloud.upload(root), virtualization_type="hvm", **given)
    advice = "register it again without hvm" if with_kernel else "with a kernel and without hvm"
    assert (row["state"], advice in row["state_reason"]) == ("failed", True)


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:8773/images/x", "s3://images/x", "S3://b/k"]
)
def test_a_url_is_no_place_of_an_image(cloud: Cloud, location: str) -> None:
    with pytest.raises(ImageLocationInvalid, match="It is a URL"):
        cloud.images.register(cloud.user, location)


def test_a_whole_disk_has_no_devices_to_map(cloud: Cloud) -> None:
    location = cloud.put(partitioned(cloud.folder / "disk.img", b"x"))
    with pytest.raises(UnsupportedOperation, match="sda2"):
        cloud.images.register(cloud.user, location, block_device_mapping={"ephemeral0": "sda2"})
