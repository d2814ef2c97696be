"""Copies of images: each has a bundle of its own, of just what was registered."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eucabox.config import Config
from eucabox.errors import DryRunOperation, ImageLocationInvalid
from eucabox.iam.accounts import Accounts
from eucabox.image.workers import Workers
from eucabox.state import State
from tests.image.disks import MIB, ext, qcow2
from tests.image_cloud import BUCKET, Cloud, partitioned

pytestmark = pytest.mark.slow  # makes file systems, bundles and disks


@pytest.fixture
def cloud(config: Config, state: State, accounts: Accounts, tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(config, state, accounts, tmp_path)
    yield made
    made.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return ext(tmp_path / "root.img")


def test_a_copy_of_a_disk_is_not_taken_for_another_disk(cloud: Cloud) -> None:
    """The reuse of what an account verified before, by way of CopyImage."""
    first = cloud.register(cloud.put(partitioned(cloud.folder / "one.img", b"1" * 512)))
    copied = cloud.settled(cloud.images.copy(cloud.user, first, "copy", "", ""))
    second = cloud.register(cloud.put(partitioned(cloud.folder / "two.img", b"2" * 512)))
    assert copied["digest"] == first["digest"] != second["digest"]


def test_a_copy_has_a_bundle_of_its_own(cloud: Cloud, root: Path) -> None:
    row = cloud.register(cloud.upload(root, part_size=4000))
    other = cloud.accounts.create_user("eve")
    cloud.share()
    cloud.store.create_bucket(f"emis-for-{other.account_id}", "999999999999")
    copied = cloud.images.copy(other, row, "mine", "", "token")
    assert cloud.images.copy(other, row, "mine", "", "token")["image_id"] == copied["image_id"]
    assert cloud.settled(copied)["state"] == "available"
    bucket, _, key = copied["image_location"].partition("/")
    assert bucket == f"emis-for-{other.account_id}-2"
    assert cloud.store.bucket(bucket).owner == other.account_id
    for each in cloud.store.list(BUCKET).objects:
        cloud.store.delete(BUCKET, each.key)
    cloud.images._cache.drop(str(cloud.settled(copied)["digest"]))
    again = cloud.settled(copied)
    assert cloud.images.ensure_cached(again).name == again["digest"]
    assert cloud.images.inspect(bucket, key, other).digest == row["manifest_digest"]


def test_a_rehearsal_registers_nothing_and_makes_no_bucket(cloud: Cloud, root: Path) -> None:
    location = cloud.upload(root)
    source = cloud.register(location)
    before = [each.name for each in cloud.store.buckets()]
    rows = cloud.state.query("select * from images")
    with pytest.raises(DryRunOperation), cloud.state.rehearsal():
        cloud.images.copy(cloud.user, source, "copy", "", "")
    with pytest.raises(DryRunOperation), cloud.state.rehearsal():
        cloud.images.register(cloud.user, location, name="again")
    with pytest.raises(ImageLocationInvalid), cloud.state.rehearsal():
        cloud.images.register(cloud.user, "nowhere", name="again")
    assert [each.name for each in cloud.store.buckets()] == before
    assert cloud.state.query("select * from images") == rows


@pytest.mark.parametrize("bundled", [True, False])
def test_a_copy_is_of_what_was_registered_alone(cloud: Cloud, root: Path, bundled: bool) -> None:
    """A bucket's name may be somebody else's by now, and so what is at the image's location."""
    location = cloud.upload(root) if bundled else cloud.put(qcow2(cloud.folder / "d.qcow2", MIB))
    row = cloud.register(location)
    copied = cloud.settled(cloud.images.copy(cloud.user, row, "mine", "", ""))
    assert copied["state"] == "available"
    secret = cloud.folder / "secret"
    secret.write_bytes(b"<secret>")
    cloud.put(secret, location.partition("/")[2])
    other = cloud.accounts.create_user("eve")
    cloud.share()
    refused = cloud.settled(cloud.images.copy(other, row, "theirs", "", ""))
    assert (refused["state"], "was changed" in refused["state_reason"]) == ("failed", True)
    bucket = refused["image_location"].partition("/")[0]
    assert cloud.store.list(bucket).objects == []


def test_a_copy_that_was_killed_is_finished_and_one_without_a_source_fails(
    cloud: Cloud, root: Path
) -> None:
    row = cloud.register(cloud.upload(root))
    cloud.images._workers.close()
    cloud.images._workers = Workers("images", 1)
    copied = cloud.images.copy(cloud.user, row, "mine", "", "")
    assert cloud.settled(copied)["state"] == "available"
    cloud.state.update("images", {"image_id": copied["image_id"]}, state="pending")
    cloud.images.start()
    assert cloud.settled(copied)["state"] == "available"
    for each in cloud.store.list(BUCKET).objects:
        cloud.store.delete(BUCKET, each.key)
    failed = cloud.settled(cloud.images.copy(cloud.user, row, "gone", "", ""))
    assert failed["state"] == "failed"
    assert "no such object" in failed["state_reason"]
