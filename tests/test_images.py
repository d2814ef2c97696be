import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eucabox.config import Config
from eucabox.errors import (
    DiskGone,
    DiskImageRefused,
    Fault,
    ImageLocationInvalid,
    ImageNotFound,
    ImageTooLarge,
    ImageUnavailable,
    InvalidManifest,
    InvalidParameterValue,
    UnauthorizedOperation,
)
from eucabox.iam.accounts import Accounts
from eucabox.image import bundle, key_injection, unbundle
from eucabox.images import Images
from eucabox.schema import ImageRow
from eucabox.state import State
from eucabox.store.types import ObjectProperties
from tests.image.disks import MIB, ext, look, qcow2, raw
from tests.image_cloud import BUCKET, KEY, Cloud, partitioned

pytestmark = pytest.mark.slow  # makes file systems, bundles and disks


@pytest.fixture
def cloud(config: Config, state: State, accounts: Accounts, tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(config, state, accounts, tmp_path)
    yield made
    made.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return ext(tmp_path / "root.img")


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinuz"
    path.write_bytes(b"\x7fELF kernel")
    return path


def test_an_ordinary_user_registers_kernel_ramdisk_and_root(
    cloud: Cloud, root: Path, kernel: Path
) -> None:
    kernel_row = cloud.register(cloud.upload(kernel, image_type="kernel"))
    kernel.rename(kernel.with_name("initrd"))
    ramdisk_row = cloud.register(cloud.upload(kernel.with_name("initrd"), image_type="ramdisk"))
    row = cloud.register(
        cloud.upload(
            root, kernel_id=kernel_row["image_id"], ramdisk_id=ramdisk_row["image_id"],
            block_device_mapping={"ami": "sda1"},
        ),
        name="tiny",
    )  # fmt: skip
    assert [each["state"] for each in (kernel_row, ramdisk_row, row)] == ["available"] * 3
    assert [each["image_id"][:4] for each in (kernel_row, ramdisk_row, row)] == [
        "eki-", "eri-", "emi-",
    ]  # fmt: skip
    assert (row["name"], row["image_type"], row["is_public"]) == ("tiny", "machine", 0)
    assert (row["kernel_id"], row["ramdisk_id"]) == (
        kernel_row["image_id"], ramdisk_row["image_id"],
    )  # fmt: skip
    assert (row["size"], row["virtualization_type"]) == (8 * MIB, "paravirtual")
    assert row["digest"] == hashlib.sha256(root.read_bytes()).hexdigest()
    boot = cloud.images.prepare(cloud.instance("i-1", row))
    assert boot.kernel is not None
    assert boot.kernel.read_bytes() == b"\x7fELF kernel"
    assert boot.ramdisk is not None
    disk = raw(boot.disk, cloud.folder / "out")
    assert look(disk, MIB, f"cat {key_injection.FILE}").startswith(KEY)


def test_preparing_twice_is_preparing_once(cloud: Cloud, root: Path, kernel: Path) -> None:
    kernel_row = cloud.register(cloud.upload(kernel, image_type="kernel"))
    row = cloud.register(cloud.upload(root), kernel_id=kernel_row["image_id"])
    told: list[str] = []
    first = cloud.images.prepare(cloud.instance("i-1", row), told.append)
    assert told == ["composing the disk"]
    stamp = first.disk.stat().st_mtime_ns
    assert cloud.images.prepare(cloud.instance("i-1", row), told.append) == first
    assert first.disk.stat().st_mtime_ns == stamp
    assert len(told) == 1


def test_a_stopped_instance_never_gets_a_new_disk(cloud: Cloud, root: Path, kernel: Path) -> None:
    kernel_row = cloud.register(cloud.upload(kernel, image_type="kernel"))
    row = cloud.register(cloud.upload(root), kernel_id=kernel_row["image_id"])
    first = cloud.images.prepare(cloud.instance("i-1", row))
    stopped = cloud.instance("i-1", row, stopped_time="2026-11-23T01:02:03.456Z")
    assert cloud.images.prepare(stopped) == first
    first.disk.unlink()
    with pytest.raises(DiskGone):
        cloud.images.prepare(stopped)


def test_a_stopped_instance_boots_with_the_kernel_of_its_row(
    cloud: Cloud, root: Path, kernel: Path, tmp_path: Path
) -> None:
    kernel_row = cloud.register(cloud.upload(kernel, image_type="kernel"))
    other = tmp_path / "vmlinuz-other"
    other.write_bytes(kernel.read_bytes() + b"other")
    other_row = cloud.register(cloud.upload(other, image_type="kernel"))
    row = cloud.register(cloud.upload(root), kernel_id=kernel_row["image_id"])
    first = cloud.images.prepare(cloud.instance("i-1", row))
    stopped = cloud.instance("i-1", row, stopped_time="2026-11-23T01:02:03.456Z")
    assert cloud.images.prepare(stopped) == first
    again = cloud.images.prepare({**stopped, "kernel_id": other_row["image_id"]})
    assert again.disk == first.disk
    assert again.kernel is not None
    assert again.kernel.read_bytes() == other.read_bytes()
    assert again.kernel.stem in cloud.images._disks.names_in_use()
    assert first.kernel is not None
    assert first.kernel.stem not in cloud.images._disks.names_in_use()


def test_a_corrupt_part_fails_the_image_with_the_cause(cloud: Cloud, root: Path) -> None:
    location = cloud.upload(root, part_size=1000)
    damaged = bytes(1000)
    cloud.store.put(BUCKET, "root.img.part.02", io.BytesIO(damaged), ObjectProperties())
    row = cloud.register(location)
    assert row["state"] == "failed"
    assert "part 2 (root.img.part.02) has SHA-1 " in row["state_reason"]
    assert row["state_reason"].endswith("upload it again.")
    with pytest.raises(ImageUnavailable, match="part 2"):
        cloud.images.prepare(cloud.instance("i-1", row))
    assert cloud.cached() == set()


def test_missing_and_cut_parts_are_refused_at_once(cloud: Cloud, root: Path) -> None:
    location = cloud.upload(root, part_size=1000)
    cloud.store.put(BUCKET, "root.img.part.01", io.BytesIO(b"short"), ObjectProperties())
    with pytest.raises(InvalidManifest, match=r"part 1 \(root.img.part.01\) has 5 bytes"):
        cloud.images.register(cloud.user, location)
    cloud.store.delete(BUCKET, "root.img.part.01")
    with pytest.raises(InvalidManifest, match=r"part 1 \(root.img.part.01\) is not in the bucket"):
        cloud.images.register(cloud.user, location)
    assert cloud.state.query("select * from images") == []


def test_a_manifest_may_lie_in_a_folder(cloud: Cloud, root: Path) -> None:
    row = cloud.register(cloud.upload(root, folder="a/b/"))
    assert (row["state"], row["image_location"]) == (
        "available",
        "images/a/b/root.img.manifest.xml",
    )


def test_a_manifest_for_another_cloud_is_refused(cloud: Cloud, root: Path) -> None:
    credentials = cloud.accounts.user_credentials(cloud.user)
    location = cloud.upload(root)
    out = cloud.folder / "bundle"
    bundle.bundle(
        root, out, user="1" * 12, cloud_certificate=credentials.certificate,
        user_certificate=credentials.certificate, user_private_key=credentials.private_key,
    )  # fmt: skip
    cloud.put(out / "root.img.manifest.xml")
    with pytest.raises(InvalidManifest, match="cloud certificate of this cloud"):
        cloud.images.register(cloud.user, location)


@pytest.mark.parametrize("location", ["", "images", "images/", "/", "/images/"])
def test_a_location_is_a_bucket_and_a_key(cloud: Cloud, location: str) -> None:
    with pytest.raises(ImageLocationInvalid):
        cloud.images.register(cloud.user, location)


def test_what_is_not_there_is_told(cloud: Cloud) -> None:
    with pytest.raises(ImageLocationInvalid, match="no bucket nowhere"):
        cloud.images.register(cloud.user, "nowhere/key")
    with pytest.raises(InvalidManifest, match="no such object"):
        cloud.images.register(cloud.user, "images/key")


def test_only_the_owner_of_the_bucket_and_the_administrator_register(
    cloud: Cloud, root: Path
) -> None:
    location = cloud.upload(root)
    with pytest.raises(UnauthorizedOperation, match="bucket images"):
        cloud.images.register(cloud.accounts.create_user("eve"), location)
    with pytest.raises(UnauthorizedOperation):
        cloud.images.inspect(BUCKET, "root.img.manifest.xml", cloud.accounts.create_user("eva"))
    assert cloud.images.register(cloud.accounts.ensure_administrator(), location)


def test_a_referenced_kernel_is_a_kernel_that_one_may_use(
    cloud: Cloud, root: Path, kernel: Path
) -> None:
    kernel_row = cloud.register(cloud.upload(kernel, image_type="kernel"))
    kernel_id = kernel_row["image_id"]
    location = cloud.upload(root)
    with pytest.raises(ImageNotFound):
        cloud.images.register(cloud.user, location, kernel_id="eki-00000000")
    with pytest.raises(InvalidParameterValue, match="is a kernel image and not a ramdisk"):
        cloud.images.register(cloud.user, location, ramdisk_id=kernel_id)
    cloud.state.update("images", {"image_id": kernel_id}, account_id="someone else")
    with pytest.raises(ImageNotFound):
        cloud.images.register(cloud.user, location, kernel_id=kernel_id)
    cloud.state.update("images", {"image_id": kernel_id}, is_public=1)
    assert cloud.images.register(cloud.user, location, kernel_id=kernel_id)
    cloud.state.update("images", {"image_id": kernel_id}, state="deregistered")
    with pytest.raises(ImageUnavailable, match="deregistered"):
        cloud.images.register(cloud.user, location, kernel_id=kernel_id)


@pytest.mark.parametrize("bundled", [True, False])
def test_a_qcow2_is_a_whole_disk_bundled_or_not(cloud: Cloud, bundled: bool) -> None:
    disk = qcow2(cloud.folder / "disk.qcow2", 3 * MIB)
    row = cloud.register(cloud.upload(disk) if bundled else cloud.put(disk))
    assert (row["state"], row["virtualization_type"]) == ("available", "hvm")
    assert row["size"] == 3 * MIB
    boot = cloud.images.prepare(cloud.instance("i-1", row))
    assert (boot.kernel, boot.bus) == (None, "virtio")
    assert raw(boot.disk, cloud.folder / "out").stat().st_size == 1024 * MIB


@pytest.mark.parametrize("bundled", [True, False])
def test_a_raw_disk_with_partitions_is_a_whole_disk(cloud: Cloud, bundled: bool) -> None:
    path = cloud.folder / "disk.img"
    entry = bytes([0x80, 0, 0, 0, 0x83, 0, 0, 0]) + (1).to_bytes(4, "little") * 2
    path.write_bytes(bytes(446) + entry + bytes(48) + b"\x55\xaa" + bytes(MIB))
    row = cloud.register(cloud.upload(path) if bundled else cloud.put(path))
    assert (row["state"], row["virtualization_type"]) == ("available", "hvm")


def test_two_disks_of_an_account_keep_their_own_bytes(cloud: Cloud) -> None:
    rows = []
    for number in (1, 2):
        path = partitioned(cloud.folder / f"disk{number}.img", bytes([number]) * 512)
        rows.append(cloud.register(cloud.put(path)))
    assert rows[0]["digest"] != rows[1]["digest"]
    for number, row in enumerate(rows, 1):
        digest = hashlib.sha256((cloud.folder / f"disk{number}.img").read_bytes()).hexdigest()
        assert row["digest"] == digest
        boot = cloud.images.prepare(cloud.instance(f"i-{number}", row))
        with raw(boot.disk, cloud.folder / f"out{number}").open("rb") as file:
            assert file.read(1024)[512:] == bytes([number]) * 512


def test_one_manifest_under_the_name_of_a_kernel_is_checked_as_a_kernel(
    cloud: Cloud, root: Path
) -> None:
    """A manifest without a type is judged by its key: its bytes alone do not say what it is of."""
    assert cloud.register(cloud.upload(root))["state"] == "available"
    known = cloud.state.select_one(ImageRow, "select * from images")
    assert known is not None
    assert cloud.images._find_verified_digest({**known, "image_type": "kernel"}) == ""
    assert cloud.images._find_verified_digest(known) == known["digest"]


def test_a_bundled_root_is_not_hvm(cloud: Cloud, root: Path) -> None:
    row = cloud.register(cloud.upload(root), virtualization_type="hvm")
    assert row["state"] == "failed"
    assert "without a partition table" in row["state_reason"]


def test_hostile_and_foreign_disks_are_refused(cloud: Cloud, root: Path) -> None:
    secret = cloud.folder / "secret"
    secret.write_bytes(bytes(MIB))
    overlay = qcow2(cloud.folder / "overlay", MIB, "-b", str(secret), "-F", "raw")
    row = cloud.register(cloud.put(overlay))
    assert (row["state"], "backing file" in row["state_reason"]) == ("failed", True)
    assert cloud.cached() == set()
    (cloud.folder / "disk.vmdk").write_bytes(b"KDMV" + bytes(600))
    with pytest.raises(DiskImageRefused, match="VMDK"):
        cloud.images.register(cloud.user, cloud.put(cloud.folder / "disk.vmdk"))
    with pytest.raises(InvalidManifest, match="neither a manifest nor a disk"):
        cloud.images.register(cloud.user, cloud.put(root))
    huge = qcow2(cloud.folder / "huge", 2**40)
    with pytest.raises(DiskImageRefused, match="largest instance type"):
        cloud.images.register(cloud.user, cloud.put(huge))


def test_a_launch_looks_at_the_real_size(cloud: Cloud) -> None:
    row = cloud.register(cloud.upload(qcow2(cloud.folder / "disk.qcow2", 3 * 1024 * MIB)))
    with pytest.raises(ImageTooLarge, match="3072 MiB"):
        cloud.images.prepare(cloud.instance("i-1", row))


def test_a_root_without_a_kernel_says_so(cloud: Cloud, root: Path) -> None:
    row = cloud.register(cloud.upload(root))
    with pytest.raises(ImageUnavailable, match="no kernel"):
        cloud.images.prepare(cloud.instance("i-1", row))


def test_an_image_that_was_evicted_is_fetched_again(cloud: Cloud, root: Path, kernel: Path) -> None:
    kernel_row = cloud.register(cloud.upload(kernel, image_type="kernel"))
    row = cloud.register(cloud.upload(root), kernel_id=kernel_row["image_id"])
    cloud.images._cache.drop(str(row["digest"]))
    told: list[str] = []
    assert cloud.images.prepare(cloud.instance("i-1", row), told.append).disk.exists()
    assert told[0] == f"fetching {row['image_id']}"
    for name in cloud.store.list(BUCKET).objects:
        cloud.store.delete(BUCKET, name.key)
    cloud.images._cache.drop(str(row["digest"]))
    assert cloud.images.prepare(cloud.instance("i-1", row)).disk.exists()
    with pytest.raises(InvalidManifest, match="no such object"):
        cloud.images.prepare(cloud.instance("i-2", row))


def test_a_bundle_that_changed_is_not_launched(cloud: Cloud, root: Path, kernel: Path) -> None:
    row = cloud.register(cloud.upload(kernel, image_type="kernel"))
    disk_row = cloud.register(cloud.put(qcow2(cloud.folder / "disk", MIB)))
    cloud.upload(kernel, image_type="kernel")
    cloud.put(qcow2(cloud.folder / "disk", 2 * MIB))
    for each, reason in ((row, "changed after the image"), (disk_row, "has other bytes")):
        cloud.images._cache.drop(str(each["digest"]))
        with pytest.raises(Fault, match=reason):
            cloud.images.ensure_cached(each)


def test_many_who_want_an_image_unbundle_it_once(
    cloud: Cloud, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = cloud.register(cloud.upload(root))
    cloud.images._cache.drop(str(row["digest"]))
    counted: list[int] = []
    real = unbundle.unbundle

    def counting(*arguments: Any) -> str:
        counted.append(1)
        time.sleep(0.05)
        return real(*arguments)

    monkeypatch.setattr(unbundle, "unbundle", counting)
    threads = [threading.Thread(target=cloud.images.ensure_cached, args=(row,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted == [1]


def test_a_launch_may_give_up_while_it_fetches(cloud: Cloud, root: Path) -> None:
    row = cloud.register(cloud.upload(root))
    cloud.images._cache.drop(str(row["digest"]))

    def give_up(words: str) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        cloud.images.prepare(cloud.instance("i-1", row), give_up)
    assert cloud.cached() == set()
    cloud.images.ensure_cached(row)


def test_deregistering_frees_the_cache_unless_it_is_needed(
    cloud: Cloud, root: Path, kernel: Path
) -> None:
    kernel_row = cloud.register(cloud.upload(kernel, image_type="kernel"))
    location = cloud.upload(root)
    row = cloud.register(location, kernel_id=kernel_row["image_id"])
    twin = cloud.register(location, kernel_id=kernel_row["image_id"])
    boot = cloud.images.prepare(cloud.instance("i-1", row))
    cloud.images.deregister(row)
    assert f"{row['digest']}.raw" in cloud.cached()
    cloud.images.deregister(twin)
    assert f"{row['digest']}.raw" not in cloud.cached()
    cloud.images.deregister(kernel_row)
    assert boot.kernel is not None
    assert boot.kernel.exists()
    assert raw(boot.disk, cloud.folder / "out").exists()
    cloud.images.forget("i-1")
    assert not boot.disk.exists()


def test_an_image_deregistered_while_it_is_fetched_leaves_nothing(cloud: Cloud, root: Path) -> None:
    row = cloud.images.register(cloud.user, cloud.upload(root))
    cloud.images.deregister(row)
    cloud.images.close()  # waits for what is under way
    assert cloud.cached() == set()


def test_what_a_killed_deregistration_left_in_the_cache_goes_at_the_next_start(
    cloud: Cloud, root: Path
) -> None:
    kept, gone = (cloud.register(cloud.upload(root, folder)) for folder in ("one/", "two/"))
    cloud.state.update("images", {"image_id": gone["image_id"]}, state="deregistered")
    cloud.images.sweep()
    assert f"{kept['digest']}.raw" in cloud.cached(), "the same bytes are another image's too"
    cloud.state.update("images", {"image_id": kept["image_id"]}, state="deregistered")
    cloud.images.sweep()
    assert cloud.cached() == set()


def test_an_image_and_what_belongs_to_it_are_written_together_or_not_at_all(
    cloud: Cloud, root: Path
) -> None:
    def die(_image_id: str) -> None:
        raise InterruptedError

    location = cloud.upload(root)
    with pytest.raises(InterruptedError):
        cloud.images.register(cloud.user, location, also=die)
    assert cloud.state.query("select * from images") == []
    row = cloud.register(location)
    with pytest.raises(InterruptedError):
        cloud.images.copy(cloud.user, row, "copy", "", "", also=die)
    with pytest.raises(InterruptedError):
        cloud.images.deregister(row, also=die)
    (found,) = cloud.state.query("select * from images")
    assert found["state"] == "available"
    assert f"{row['digest']}.raw" in cloud.cached()


def test_a_stop_leaves_an_image_pending_and_a_start_goes_on(
    cloud: Cloud, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = threading.Event()
    real = unbundle.unbundle

    def slow(*arguments: Any) -> str:
        entered.set()
        time.sleep(0.1)
        return real(*arguments)

    monkeypatch.setattr(unbundle, "unbundle", slow)
    row = cloud.images.register(cloud.user, cloud.upload(root))
    entered.wait(5)
    cloud.images.close()
    assert cloud.cached() == set()
    found = cloud.state.one("select * from images")
    assert found is not None
    assert found["state"] == "pending"
    cloud.images = Images(cloud.config, cloud.state, cloud.store, cloud.accounts)
    cloud.images.start()
    assert cloud.settled(row)["state"] == "available"


def test_a_killed_process_leaves_nothing_after_the_next_start(cloud: Cloud, root: Path) -> None:
    """The child has fetched half an image when it dies."""
    row = cloud.images.register(cloud.user, cloud.upload(root, part_size=1000))
    cloud.settled(row)
    cloud.images._cache.drop(str(cloud.settled(row)["digest"]))
    script = """if True:
        import sys, time
        from eucabox.image.cache import Cache
        from eucabox.image.sparse import SparseWriter
        from pathlib import Path
        cache = Cache(Path(sys.argv[1]), lambda: 0, set)
        with cache.partial() as file:
            SparseWriter(file).write(b"x" * 2**20)
            print("half", flush=True)
            time.sleep(60)
    """
    folder = cloud.config.cloud.data_dir / "cache"
    argv = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"half\n"
        os.kill(child.pid, signal.SIGKILL)
    assert len(cloud.cached()) == 1
    (cloud.config.cloud.data_dir / "instances" / "i-gone").mkdir()
    cloud.images.start()
    assert cloud.cached() == set()
    assert list((cloud.config.cloud.data_dir / "instances").iterdir()) == []


def test_a_full_disk_is_told(cloud: Cloud, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unbundle, "unbundle", full)
    row = cloud.register(cloud.upload(root))
    assert (row["state"], "No space left" in row["state_reason"]) == ("failed", True)


def test_no_error_leaves_an_image_pending(
    cloud: Cloud, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> str:
        raise RuntimeError("nobody expected this")

    monkeypatch.setattr(unbundle, "unbundle", fail)
    row = cloud.register(cloud.upload(root))
    assert (row["state"], "its log says what" in row["state_reason"]) == ("failed", True)


def test_inspect_returns_what_a_manifest_says(cloud: Cloud, root: Path) -> None:
    cloud.upload(root)
    found = cloud.images.inspect(BUCKET, "root.img.manifest.xml", cloud.user)
    assert (found.name, found.size) == ("root.img", 8 * MIB)
    assert cloud.images.usage() == 0


def test_an_emptied_bucket_goes_and_its_images_stay(cloud: Cloud, root: Path, kernel: Path) -> None:
    kernel_row = cloud.register(cloud.upload(kernel, image_type="kernel"))
    row = cloud.register(cloud.upload(root), kernel_id=kernel_row["image_id"])
    for each in cloud.store.list(BUCKET).objects:
        cloud.store.delete(BUCKET, each.key)
    cloud.store.delete_bucket(BUCKET)
    boot = cloud.images.prepare(cloud.instance("i-1", row, kernel_id=kernel_row["image_id"]))
    assert boot.disk.exists()
