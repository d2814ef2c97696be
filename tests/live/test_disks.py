"""The bucket store on disks that are plain, read-only or exhausted, and with more than memory."""

import contextlib
import hashlib
import resource
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.live.kills.__main__ import run
from tests.live.process import Running, running
from tests.live.s3 import ODD_KEYS, code

QEMU = "[node]\nvirt_type = qemu\n"
MIB = 1 << 20
LARGE = 2048 * MIB
MANY = 100_000
GROWTH = 60 * MIB  # of a process that streams, whatever it streams


@contextlib.contextmanager
def mounted(*options: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="eucabox-disk-", dir="/var/tmp"))
    subprocess.run(["mount", *options, str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


@pytest.fixture
def plain() -> Iterator[Path]:
    """A file system without extended attributes."""
    with mounted("-t", "ramfs", "none") as folder:
        yield folder


def memory(cloud: Running) -> int:
    assert cloud.process is not None
    lines = Path(f"/proc/{cloud.process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) << 10


def forget_peak(cloud: Running) -> None:
    assert cloud.process is not None
    Path(f"/proc/{cloud.process.pid}/clear_refs").write_text("5")


def test_without_extended_attributes_nothing_is_missing(plain: Path) -> None:
    with running(f"{QEMU}[buckets]\npath = {plain}/buckets\n") as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="box")
        for key in ODD_KEYS:
            s3.put_object(
                Bucket="box", Key=key, Body=key.encode(), Metadata={"size": str(len(key))}
            )
        cloud.kill()
        cloud.start()
        for key in ODD_KEYS:
            found = s3.get_object(Bucket="box", Key=key)
            assert (found["Body"].read(), found["Metadata"]) == (
                key.encode(), {"size": str(len(key))},
            )  # fmt: skip
        listed = [each["Key"] for each in s3.list_objects_v2(Bucket="box")["Contents"]]
        assert listed == sorted(ODD_KEYS, key=str.encode)
        s3.close()


def test_kills_without_extended_attributes(plain: Path) -> None:
    assert run(5, seed=2, folder=plain / "buckets").world.problems == []


def test_a_disk_that_fails_and_is_mended(tmp_path: Path) -> None:
    """ext4 lets nobody write after an error; what it has can still be read."""
    file = tmp_path / "small.img"
    with file.open("wb") as made:
        made.truncate(64 * MIB)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-F", str(file)], check=True)
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(mounted("-o", "loop", str(file)))
        cloud = stack.enter_context(running(f"{QEMU}[buckets]\npath = {disk}/buckets\n"))
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="box")
        for key in ("a", "x//y"):
            s3.put_object(Bucket="box", Key=key, Body=b"kept", Metadata={"a": "b"})
        subprocess.run(["mount", "-o", "remount,abort", str(disk)], check=True)
        _only_reads(s3)
        assert "trace=" not in cloud.log.read_text()
        cloud.stop()
        subprocess.run(["umount", str(disk)], check=True)
        # Another test's namespace may keep the first one mounted, and with it its error.
        mended = shutil.copy(file, tmp_path / "mended.img")
        subprocess.run(["e2fsck", "-p", str(mended)], check=False, capture_output=True)
        subprocess.run(["mount", "-o", "loop", str(mended), str(disk)], check=True)
        cloud.start()
        s3.put_object(Bucket="box", Key="new", Body=b"x")
        listed = s3.list_objects_v2(Bucket="box")["Contents"]
        assert [each["Key"] for each in listed] == ["a", "new", "x//y"]
        s3.close()
        cloud.stop()


def _only_reads(s3: Any) -> None:
    for key in ("a", "x//y"):
        found = s3.get_object(Bucket="box", Key=key)
        assert (found["Body"].read(), found["Metadata"]) == (b"kept", {"a": "b"})
    named = {"Bucket": "box", "Key": "a"}
    writes: list[Callable[[], Any]] = [
        lambda: s3.put_object(**named, Body=b"x"),
        lambda: s3.delete_object(**named),
        lambda: s3.put_object_acl(**named, ACL="private"),
        lambda: s3.create_multipart_upload(**named),
        lambda: s3.create_bucket(Bucket="other"),
        lambda: s3.delete_bucket(Bucket="box"),
    ]
    for write in writes:
        with pytest.raises(ClientError) as caught:
            write()
        assert code(caught)[0] in ("InternalError", "BucketNotEmpty")
        assert "Read-only" in str(caught.value) or code(caught)[0] == "BucketNotEmpty"
    listed = s3.list_objects_v2(Bucket="box")["Contents"]
    assert [each["Key"] for each in listed] == ["a", "x//y"]


def test_without_descriptors_it_waits_and_recovers() -> None:
    with running(QEMU) as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="box")
        s3.put_object(Bucket="box", Key="a", Body=b"kept")
        assert cloud.process is not None
        pid = cloud.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        here = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (here + 8, before[1]))
        lines = [socket.create_connection(("127.0.0.1", cloud.port)) for _ in range(60)]
        for line in lines:
            line.sendall(b"GET /box/a HTTP/1.1\r\nHost: x\r\n")
        other = cloud.client("s3", read_timeout=3, connect_timeout=3)
        with contextlib.suppress(Exception):
            other.put_object(Bucket="box", Key="b", Body=b"perhaps")
        for line in lines:
            line.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        s3.put_object(Bucket="box", Key="c", Body=b"there")
        assert s3.get_object(Bucket="box", Key="a")["Body"].read() == b"kept"
        listed = [each["Key"] for each in s3.list_objects_v2(Bucket="box")["Contents"]]
        assert [each for each in listed if each != "b"] == ["a", "c"]
        other.close()
        s3.close()


class Zeros:
    """A body that is as large as one likes and takes no memory."""

    def __init__(self, size: int) -> None:
        self._size = self._left = size
        self._block = bytes(MIB)

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        wanted = min(self._left, MIB if size < 0 else min(size, MIB))
        self._left -= wanted
        return self._block[:wanted]


def test_memory_stays_flat_whatever_it_streams() -> None:
    with running(QEMU) as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="box")
        s3.put_object(Bucket="box", Key="warm", Body=bytes(4 * MIB))
        forget_peak(cloud)
        before = memory(cloud)
        where = s3.generate_presigned_url("put_object", Params={"Bucket": "box", "Key": "large"})
        _put(cloud, where.partition(str(cloud.port))[2])
        found, summed, size = s3.get_object(Bucket="box", Key="large"), hashlib.md5(), 0
        for piece in found["Body"].iter_chunks(MIB):
            summed.update(piece)
            size += len(piece)
        assert (size, f'"{summed.hexdigest()}"') == (LARGE, found["ETag"])
        assert memory(cloud) - before < GROWTH
        s3.close()


def _put(cloud: Running, target: str) -> None:
    import http.client

    line = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=120)
    line.request("PUT", target, Zeros(LARGE), {"Content-Length": str(LARGE)})
    answer = line.getresponse()
    assert answer.status == 200, answer.read()
    line.close()


def test_memory_stays_flat_however_many_keys() -> None:
    with running(QEMU) as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="box")
        box = cloud.data / "buckets" / "box"
        for folder in range(100):
            (box / f"{folder:02}").mkdir()
            for number in range(MANY // 100):
                (box / f"{folder:02}" / f"{number:03}").touch()
        s3.list_objects_v2(Bucket="box")
        forget_peak(cloud)
        before = memory(cloud)
        result = cloud.command("bucket", "rescan", "box")
        assert str(MANY) in result.stdout
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="box")
        assert sum(page["KeyCount"] for page in pages) == MANY
        assert memory(cloud) - before < GROWTH
        s3.close()
