"""The images' room with real neighbours, and files that are registered in it."""

import contextlib
import os
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from eucabox.bucket import Store
from eucabox.config import Config
from eucabox.iam.accounts import Accounts
from eucabox.image import bundle
from eucabox.images import Images
from eucabox.schema import ImageRow, InstanceRow
from eucabox.state import State
from eucabox.store.types import Acl, ObjectProperties
from tests.image.disks import MIB
from tests.rows import whole_row

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMAUdeeGGkKW1En8jF8E4U5bRdQMFKyNatUihOJoUyKQ me@here"
BUCKET = "images"


class Cloud:
    """The images' room with real neighbours, and a user who has a bucket."""

    def __init__(self, config: Config, state: State, accounts: Accounts, folder: Path) -> None:
        self.config, self.state, self.accounts, self.folder = config, state, accounts, folder
        self.store = Store(config.bucket_root)
        self.images = Images(config, state, self.store, accounts)
        self.user = accounts.create_user("ann")
        self.store.create_bucket(BUCKET, self.user.account_id)

    def close(self) -> None:
        self.images.close()
        self.store.close()

    def put(self, path: Path, key: str = "", owner: str = "", acl: str = "private") -> str:
        properties = ObjectProperties(owner=owner or self.user.account_id, acl={"canned": acl})
        with path.open("rb") as stream:
            self.store.put(BUCKET, key or path.name, stream, properties)
        return f"{BUCKET}/{key or path.name}"

    def upload(self, image: Path, folder: str = "", **members: Any) -> str:
        """Bundle an image, put it into the bucket, and return the manifest's location."""
        out = self.folder / "bundle"
        out.mkdir(exist_ok=True)
        credentials = self.accounts.user_credentials(self.user)
        manifest = bundle.bundle(
            image, out, user=self.user.account_id,
            cloud_certificate=self.accounts.cloud_certificate,
            user_certificate=credentials.certificate, user_private_key=credentials.private_key,
            **members,
        )  # fmt: skip
        for part in out.glob(f"{image.name}.part.*"):
            self.put(part, folder + part.name)
        return self.put(manifest, folder + manifest.name)

    def share(self, canned: str = "authenticated-read", key: str = "") -> None:
        """Let others read the bucket's objects, or one of them."""
        acl: Acl = {"canned": canned}
        for each in self.store.list(BUCKET).objects:
            if key in ("", each.key):
                self.store.change_object(
                    BUCKET, each.key, lambda properties: replace(properties, acl=acl)
                )

    def settled(self, row: ImageRow) -> ImageRow:
        """Wait for a registration to end and return the image's row."""
        for _ in range(500):
            sql = "select * from images where image_id = ?"
            found = self.state.select_one(ImageRow, sql, [row["image_id"]])
            assert found is not None
            if found["state"] != "pending":
                return found
            time.sleep(0.01)
        raise AssertionError("the image is pending for ever")

    def register(self, location: str, **members: Any) -> ImageRow:
        return self.settled(self.images.register(self.user, location, **members))

    def instance(self, instance_id: str, image: ImageRow, **columns: Any) -> InstanceRow:
        known = {"disk_gb": 1, "instance_type": "m1.tiny", "public_key": KEY, **columns}
        return whole_row(InstanceRow, instance_id=instance_id, image_id=image["image_id"], **known)

    def cached(self) -> set[str]:
        return {path.name for path in (self.config.cloud.data_dir / "cache").iterdir()}


def partitioned(path: Path, mark: bytes) -> Path:
    entry = bytes([0x80, 0, 0, 0, 0x83, 0, 0, 0]) + (1).to_bytes(4, "little") * 2
    path.write_bytes(bytes(446) + entry + bytes(48) + b"\x55\xaa" + mark + bytes(MIB))
    return path


def shared_clusters(path: Path, size: int) -> Path:
    """A qcow2 of 384 KiB in which all of the guest's disk is one cluster, again and again."""
    cluster, entries = 65536, 8192
    tables = -(-size // (cluster * entries))
    head = (b"QFI\xfb", 2, 0, 0, 16, size, 0, tables, 3 * cluster, cluster, 1, 0, 0)
    content = bytearray(6 * cluster)
    struct.pack_into(">4sIQIIQIIQQIIQ", content, 0, *head)
    struct.pack_into(">Q", content, cluster, 2 * cluster)
    struct.pack_into(">6H", content, 2 * cluster, *[1] * 6)
    struct.pack_into(f">{tables}Q", content, 3 * cluster, *[4 * cluster | 1 << 63] * tables)
    struct.pack_into(f">{entries}Q", content, 4 * cluster, *[5 * cluster | 1 << 63] * entries)
    content[5 * cluster :] = b"data" * (cluster // 4)
    path.write_bytes(content)
    return path


def cache_files(cloud: Cloud) -> list[Path]:
    return list((cloud.config.cloud.data_dir / "cache").iterdir())


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def children(name: str) -> list[int]:
    """The processes of that name that this one started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            words = stat.read_text().rpartition(")")
            if words[0].endswith(f"({name}") and words[2].split()[1] == str(os.getpid()):
                found.append(int(stat.parent.name))
    return found
