"""Tasks that make bundles and images of instances: with real disks, and a node of words."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from eucabox import errors
from eucabox.bucket import Store
from eucabox.config import Config
from eucabox.ec2 import bundle_tasks as room
from eucabox.ec2.bundle_tasks import BundleTaskRow, BundleTasks
from eucabox.iam.accounts import Accounts
from eucabox.image import bundle, snapshot
from eucabox.images import Images
from eucabox.schema import ImageRow, InstanceRow
from eucabox.state import State
from eucabox.store.types import ObjectProperties
from tests.image.disks import MIB, ext, qcow2
from tests.rows import add_instance

pytestmark = pytest.mark.slow  # makes file systems, bundles and disks


@dataclass
class Node:
    """Does at once to rows what a node does to guests."""

    state: State
    notes: list[str] = field(default_factory=list)
    stops: bool = True
    copying: threading.Lock = field(default_factory=threading.Lock)

    def suspend(self, instance_id: str) -> None:
        self.notes.append("suspend")

    def resume(self, instance_id: str) -> None:
        self.notes.append("resume")

    def wake(self) -> None:
        for before, after in (("stopping", "stopped"), ("pending", "running")):
            if self.stops and self.state.update("instances", {"state": before}, state=after):
                self.notes.append(after)


Ending = TypeVar("Ending", BundleTaskRow, ImageRow)


class Guest(InstanceRow):
    """An instance as bundles see it."""

    platform: str | None


class House:
    """The rooms that a task goes through."""

    def __init__(self, config: Config, state: State, accounts: Accounts, folder: Path) -> None:
        self.config, self.state, self.accounts, self.folder = config, state, accounts, folder
        self.store = Store(config.bucket_root)
        self.images = Images(config, state, self.store, accounts)
        self.node = Node(state)
        self.user = accounts.create_user("ann")
        self.store.create_bucket("mine", self.user.account_id)
        self.bundles = self.opened()

    def opened(self) -> BundleTasks:
        made: Any = BundleTasks(
            self.config, self.state, self.store, self.accounts, self.images,
            self.node,  # type: ignore[arg-type]
        )  # fmt: skip
        made.start()
        found: BundleTasks = made
        return found

    def close(self) -> None:
        self.bundles.close()
        self.images.close()
        self.store.close()

    def image(self, path: Path) -> ImageRow:
        properties = ObjectProperties(owner=self.user.account_id)
        with path.open("rb") as stream:
            self.store.put("mine", path.name, stream, properties)
        row = self.images.register(self.user, f"mine/{path.name}")
        return self.settled(row["image_id"])

    def bundled(self, path: Path, **members: Any) -> ImageRow:
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        mine = self.accounts.user_credentials(self.user)
        manifest = bundle.bundle(
            path, out, user=self.user.account_id, user_certificate=mine.certificate,
            cloud_certificate=self.accounts.cloud_certificate,
            user_private_key=mine.private_key, **members,
        )  # fmt: skip
        for part in out.glob(f"{path.name}.part.*"):
            with part.open("rb") as stream:
                self.store.put("mine", part.name, stream, ObjectProperties())
        return self.image(manifest)

    def instance(self, image: ImageRow, state: str = "running") -> Guest:
        instance_id = add_instance(
            self.state, state=state, image_id=image["image_id"], disk_gb=1,
            account_id=self.user.account_id, instance_type="m1.tiny",
            kernel_id=image["kernel_id"], ramdisk_id=None,
            virtualization_type=image["virtualization_type"],
        )  # fmt: skip
        sql = "select i.*, '' platform from instances i where instance_id = ?"
        row = self.state.select_one(Guest, sql, (instance_id,))
        assert row is not None
        self.images.prepare(row)
        return row

    def begin(self, instance: Guest, **columns: Any) -> str:
        place = {"bucket": "mine", "prefix": "p/disk", "owner": self.user.account_id}
        bundle_id = self.bundles.create_task(self.user, instance, **{**place, **columns})
        self.bundles.submit(bundle_id)
        return bundle_id

    def task(self, bundle_id: str) -> BundleTaskRow:
        sql = "select * from bundle_tasks where bundle_id = ?"
        row = self.state.select_one(BundleTaskRow, sql, (bundle_id,))
        assert row is not None
        return row

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def ends(self, bundle_id: str) -> BundleTaskRow:
        return wait(lambda: self.task(bundle_id), ("complete", "failed"))

    def settled(self, image_id: str) -> ImageRow:
        sql = "select * from images where image_id = ?"
        return wait(
            lambda: self.state.select_one(ImageRow, sql, (image_id,)), ("available", "failed")
        )

    def state_of(self, instance: Guest) -> str:
        sql = "select state from instances where instance_id = ?"
        row = self.state.one(sql, (instance["instance_id"],))
        return str(row and row["state"])


def wait(look: Callable[[], Ending | None], states: tuple[str, ...]) -> Ending:
    deadline = time.monotonic() + 30
    while (row := look()) is None or row["state"] not in states:
        assert time.monotonic() < deadline, row
        time.sleep(0.02)
    return row


@pytest.fixture
def house(
    config: Config, state: State, accounts: Accounts, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:  # fmt: skip
    monkeypatch.setattr(room, "POLL", 0.02)
    made = House(config, state, accounts, tmp_path)
    yield made
    made.close()


@pytest.fixture
def guest(house: House, tmp_path: Path) -> Guest:
    """An instance of a root file system with a kernel."""
    kernel = tmp_path / "vmlinuz"
    kernel.write_bytes(b"\x7fELF kernel")
    kernel_row = house.bundled(kernel, image_type="kernel")
    root = ext(tmp_path / "root.img", size=4)
    return house.instance(house.bundled(root, kernel_id=kernel_row["image_id"]))


def test_a_bundle_holds_the_root_and_the_instance_runs_again(house: House, guest: Guest) -> None:
    task = house.ends(house.begin(guest))
    assert (task["state"], task["progress"], task["error_message"]) == ("complete", 100, "")
    assert house.node.notes == ["stopped", "running"]
    assert house.state_of(guest) == "running"
    assert not list((house.config.cloud.data_dir / "bundles").iterdir())
    owner = house.store.head("mine", "p/disk.part.00").properties
    assert (owner.owner, owner.acl) == (house.user.account_id, {"canned": "ec2-bundle-read"})
    made = house.images.register(house.user, "mine/p/disk.manifest.xml")
    row = house.settled(made["image_id"])
    assert (row["state"], row["kernel_id"]) == ("available", guest["kernel_id"])
    assert row["size"] == 4 * MIB
    assert row["virtualization_type"] == "paravirtual"


def test_an_image_is_made_of_a_paused_instance(house: House, guest: Guest) -> None:
    image = house.images.create_pending(house.user, guest, "new", "of it")
    bucket, _, key = image["image_location"].partition("/")
    prefix = key.removesuffix(".manifest.xml")
    made = {"bucket": bucket, "prefix": prefix, "image_id": image["image_id"], "no_reboot": 1}
    assert house.ends(house.begin(guest, **made))["state"] == "complete"
    assert house.node.notes[:2] == ["suspend", "resume"]
    assert house.state_of(guest) == "running"
    row = house.settled(image["image_id"])
    assert (row["state"], row["name"], row["size"]) == ("available", "new", 4 * MIB)


def test_a_whole_disk_is_bundled_whole(house: House, tmp_path: Path) -> None:
    image = house.image(qcow2(tmp_path / "disk.qcow2", 8 * MIB))
    instance = house.instance(image, "stopped")
    made = house.images.create_pending(house.user, instance, "whole", "")
    bucket, _, key = made["image_location"].partition("/")
    prefix = key.removesuffix(".manifest.xml")
    ended = house.begin(instance, bucket=bucket, prefix=prefix, image_id=made["image_id"])
    assert house.ends(ended)["state"] == "complete"
    assert house.node.notes == [], "a stopped instance stays stopped"
    row = house.settled(made["image_id"])
    assert (row["state"], row["virtualization_type"]) == ("available", "hvm")


def test_one_task_at_a_time_holds_an_instance(house: House, guest: Guest) -> None:
    house.node.stops = False
    bundle_id = house.begin(guest)
    with pytest.raises(errors.BundlingInProgress):
        house.begin(guest)
    house.wait_until(lambda: house.state_of(guest) == "stopping")
    house.state.update("bundle_tasks", {"bundle_id": bundle_id}, state="cancelling")
    house.node.stops = True
    house.node.wake()
    task = house.ends(bundle_id)
    assert (task["state"], task["error_code"]) == ("failed", "Client.Cancelled")
    assert not room.find_open_task(house.state, guest["instance_id"])
    assert house.state_of(guest) == "running", "it is not left to lie"


def test_a_terminated_instance_fails_its_task_and_its_image(house: House, guest: Guest) -> None:
    image = house.images.create_pending(house.user, guest, "new", "")
    where = {"instance_id": guest["instance_id"]}
    house.state.update("instances", where, state="shutting-down")
    task = house.ends(house.begin(guest, image_id=image["image_id"]))
    assert (task["state"], task["error_code"]) == ("failed", "Client.InstanceTerminated")
    row = house.settled(image["image_id"])
    assert (row["state"], row["state_reason"]) == ("failed", task["error_message"])


@pytest.mark.parametrize("copied", [False, True])
def test_a_killed_task_is_finished_at_the_next_start(
    house: House, guest: Guest, monkeypatch: pytest.MonkeyPatch, copied: bool
) -> None:
    begun, go = threading.Event(), threading.Event()
    place, name = (bundle, "bundle") if copied else (snapshot, "take")
    right: Any = getattr(place, name)

    def wait_for_it(*arguments: Any, **members: Any) -> Any:
        begun.set()
        assert go.wait(10)
        return right(*arguments, **members)

    monkeypatch.setattr(place, name, wait_for_it)
    bundle_id = house.begin(guest)
    assert begun.wait(10)
    house.bundles._stopping.set()  # it dies within the step
    go.set()
    house.bundles.close()
    assert house.task(bundle_id)["state"] in room.OPEN
    monkeypatch.setattr(place, name, right)
    house.bundles = house.opened()
    assert house.ends(bundle_id)["state"] == "complete"
    assert house.state_of(guest) == "running"


def test_a_lost_disk_is_told(house: House, guest: Guest) -> None:
    house.images.forget(guest["instance_id"])
    task = house.ends(house.begin(guest))
    assert (task["state"], task["error_code"]) == ("failed", "Server.InternalError")
    assert "disk is gone" in task["error_message"]
    assert house.state_of(guest) == "running"


def test_a_bucket_that_is_somebody_elses_by_now_is_not_written(
    house: House, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call was a minute ago: who may is asked with every object."""
    right = bundle.bundle

    def change_hands(*arguments: Any, **members: Any) -> Any:
        for each in house.store.list("mine").objects:
            house.store.delete("mine", each.key)
        house.store.delete_bucket("mine")
        house.store.create_bucket("mine", house.accounts.create_user("eve").account_id)
        return right(*arguments, **members)

    monkeypatch.setattr(bundle, "bundle", change_hands)
    task = house.ends(house.begin(guest))
    assert (task["state"], task["error_code"]) == ("failed", "AccessDenied")
    assert house.store.list("mine").objects == []
    assert house.state_of(guest) == "running"


def test_an_image_is_not_written_into_a_bucket_that_changed_hands(
    house: House, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = house.images.create_pending(house.user, guest, "new", "")
    bucket, _, key = image["image_location"].partition("/")
    right = snapshot.take

    def change_hands(*arguments: Any) -> None:
        house.store.delete_bucket(bucket)
        house.store.create_bucket(bucket, house.accounts.create_user("eve").account_id)
        right(*arguments)

    monkeypatch.setattr(snapshot, "take", change_hands)
    prefix = key.removesuffix(".manifest.xml")
    task = house.ends(house.begin(guest, bucket=bucket, prefix=prefix, image_id=image["image_id"]))
    assert task["error_code"] == "AccessDenied"
    assert house.store.list(bucket).objects == []
    assert house.settled(image["image_id"])["state"] == "failed"


def test_a_bucket_without_access_lists_is_bundled_into(house: House, guest: Guest) -> None:
    house.store.set_bucket_setting("mine", "object_ownership", "BucketOwnerEnforced")
    elsewhere = {"NotIpAddress": {"aws:SourceIp": "192.0.2.1"}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::mine/*"}
    policy = json.dumps({"Statement": {**deny, "Condition": elsewhere}})
    house.store.set_bucket_setting("mine", "policy", policy)
    house.state.delete("access_keys", {"user_id": house.user.user_id})  # which signs no bundle
    assert house.ends(house.begin(guest))["error_code"] == "AccessDenied"
    context = json.dumps({"source_ip": "192.0.2.1"})
    assert house.ends(house.begin(guest, context=context))["state"] == "complete"
    assert house.store.head("mine", "p/disk.manifest.xml").properties.acl is None


def test_a_stop_ends_the_copying_of_a_disk_at_once(
    house: House, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def endless(boot: object, target: object, watch: Callable[[], None]) -> None:
        begun.set()
        for _ in range(3000):
            time.sleep(0.01)
            watch()

    monkeypatch.setattr(snapshot, "take", endless)
    bundle_id = house.begin(guest)
    assert begun.wait(10)
    started = time.monotonic()
    house.bundles.close()
    assert time.monotonic() - started < 5
    assert house.task(bundle_id)["state"] in room.OPEN
