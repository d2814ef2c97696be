"""Whole rounds of the S3 clients that people use, byte for byte, against the real process."""

import io
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from libcloud.storage.drivers.s3 import S3EUWestStorageDriver, S3StorageDriver

from tests.live.boto2 import boto
from tests.live.process import Running
from tests.live.s3 import DATA, LARGE, a_name, create_bucket, run

PREFIXES = ("", "/services/objectstorage", "/services/Walrus")


@pytest.mark.parametrize("path", PREFIXES)
def test_boto2(cloud: Running, path: str) -> None:
    connection = boto.connect_s3(
        cloud.access_key,
        cloud.secret_key,
        is_secure=False,
        host="127.0.0.1",
        port=cloud.port,
        path=path or "/",
        calling_format=boto.s3.connection.OrdinaryCallingFormat(),
    )
    _boto2_round(connection)


def test_boto2_walrus(cloud: Running) -> None:
    _boto2_round(
        boto.connect_walrus(
            "127.0.0.1",
            cloud.access_key,
            cloud.secret_key,
            is_secure=False,
            port=cloud.port,
            path="/services/Walrus",
        )
    )


def _boto2_round(connection: Any) -> None:
    made = connection.create_bucket(a_name())
    key = made.new_key("dir/ä b+c&d")
    key.set_metadata("colour", "blue")
    key.set_contents_from_string(DATA, headers={"Content-Type": "x/y"}, policy="public-read")
    found = made.get_key("dir/ä b+c&d")
    assert found.get_contents_as_string() == DATA
    assert (found.get_metadata("colour"), found.content_type) == ("blue", "x/y")
    assert [each.name for each in made.list("dir/")] == ["dir/ä b+c&d"]
    assert [each.name for each in made.list("", "/")] == ["dir/"]
    assert len(found.get_acl().acl.grants) == 2
    made.set_acl("public-read")
    found.copy(made.name, "copy", validate_dst_bucket=False)
    upload = made.initiate_multipart_upload("big")
    for number, piece in enumerate((LARGE[: 5 << 20], LARGE[5 << 20 :]), 1):
        upload.upload_part_from_file(io.BytesIO(piece), number)
    upload.complete_upload()
    assert made.get_key("big").get_contents_as_string() == LARGE
    result = made.delete_keys(["dir/ä b+c&d", "copy", "big"])
    assert len(result.deleted) == 3
    assert made.name in [each.name for each in connection.get_all_buckets()]
    made.delete()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "small é+.txt").write_bytes(b"small")
    (root / "empty").write_bytes(b"")
    (root / "sub" / "large").write_bytes(LARGE)
    return root


def same(one: Path, other: Path) -> bool:
    def contents(root: Path) -> dict[str, bytes]:
        files = [each for each in root.rglob("*") if each.is_file()]
        return {str(each.relative_to(root)): each.read_bytes() for each in files}

    return contents(one) == contents(other)


@pytest.mark.parametrize("path", PREFIXES)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_aws_cli(cloud: Running, tree: Path, path: str, scheme: str, tmp_path: Path) -> None:
    endpoint = cloud.endpoint if scheme == "http" else cloud.https_endpoint

    def aws(*argv: str) -> str:
        where = ("--endpoint-url", endpoint + path, "--ca-bundle", str(cloud.ca_path))
        return run(cloud, "aws", *where, *argv)

    name = a_name()
    aws("s3", "mb", f"s3://{name}")
    aws("s3", "sync", str(tree), f"s3://{name}/t", "--quiet")
    aws("s3", "sync", f"s3://{name}/t", str(tmp_path / "back"), "--quiet")
    assert same(tree, tmp_path / "back")
    aws("s3", "cp", f"s3://{name}/t/sub/large", f"s3://{name}/copy", "--quiet")
    assert "t/sub/large" in aws("s3", "ls", "--recursive", f"s3://{name}")
    where = aws("s3", "presign", f"s3://{name}/t/empty").strip()
    if scheme == "http":
        assert urllib.request.urlopen(where).read() == b""
    assert '"ContentLength": 5' in aws(
        "s3api", "head-object", "--bucket", name, "--key", "t/small é+.txt"
    )
    aws("s3", "rb", "--force", f"s3://{name}")


@pytest.mark.parametrize("version", ["4", "2"])
@pytest.mark.parametrize("path", PREFIXES)
def test_s3cmd(cloud: Running, tree: Path, path: str, version: str, tmp_path: Path) -> None:
    where = f"127.0.0.1:{cloud.port}{path}"
    settings = tmp_path / "s3cfg"
    settings.write_text(
        f"[default]\naccess_key = {cloud.access_key}\nsecret_key = {cloud.secret_key}\n"
        f"host_base = {where}\nhost_bucket = {where}\nuse_https = False\n"
        f"signature_v2 = {version == '2'}\nmultipart_chunk_size_mb = 5\n"
    )

    def s3cmd(*argv: str) -> str:
        return run(cloud, "s3cmd", "-c", str(settings), "--no-progress", *argv)

    name = a_name()
    s3cmd("mb", f"s3://{name}")
    s3cmd("sync", f"{tree}/", f"s3://{name}/t/")
    (tmp_path / "back").mkdir()
    s3cmd("sync", f"s3://{name}/t/", f"{tmp_path}/back/")
    assert same(tree, tmp_path / "back")
    assert "public" not in s3cmd("info", f"s3://{name}/t/empty")
    s3cmd("setacl", "--acl-public", f"s3://{name}/t/empty")
    assert "anon" in s3cmd("info", f"s3://{name}/t/empty")
    s3cmd("cp", f"s3://{name}/t/empty", f"s3://{name}/copy")
    assert "copy" in s3cmd("ls", f"s3://{name}")
    s3cmd("rb", "--recursive", "--force", f"s3://{name}")


@pytest.mark.parametrize("v2", ["false", "true"])
@pytest.mark.parametrize("path", PREFIXES)
def test_rclone(cloud: Running, tree: Path, path: str, v2: str, tmp_path: Path) -> None:
    settings = cloud.rclone(tmp_path, path, V2_AUTH=v2, UPLOAD_CUTOFF="6M", CHUNK_SIZE="5M")

    def rclone(*argv: str) -> str:
        return run(cloud, "rclone", *argv, **settings)

    name = a_name()
    rclone("mkdir", f"box:{name}")
    rclone("sync", str(tree), f"box:{name}/t")
    rclone("sync", f"box:{name}/t", str(tmp_path / "back"))
    assert same(tree, tmp_path / "back")
    rclone("check", str(tree), f"box:{name}/t")
    rclone("copyto", f"box:{name}/t/empty", f"box:{name}/copy")
    assert "sub/large" in rclone("lsf", "-R", f"box:{name}/t")
    rclone("purge", f"box:{name}")


@pytest.mark.parametrize("path", ["", "/services/objectstorage"])
def test_s5cmd(cloud: Running, tree: Path, path: str, tmp_path: Path) -> None:
    def s5cmd(*argv: str) -> str:
        return run(cloud, "s5cmd", "--endpoint-url", cloud.endpoint + path, *argv)

    name = a_name()
    s5cmd("mb", f"s3://{name}")
    s5cmd("cp", "--part-size", "5", f"{tree}/", f"s3://{name}/t/")
    s5cmd("cp", "--part-size", "5", f"s3://{name}/t/*", f"{tmp_path}/back/")
    assert same(tree, tmp_path / "back")
    assert "large" in s5cmd("ls", f"s3://{name}/t/sub/")
    s5cmd("mv", f"s3://{name}/t/empty", f"s3://{name}/moved")
    s5cmd("rm", f"s3://{name}/*")
    s5cmd("rb", f"s3://{name}")


@pytest.mark.parametrize("driver", [S3StorageDriver, S3EUWestStorageDriver])
def test_libcloud(cloud: Running, tree: Path, tmp_path: Path, driver: Any) -> None:
    box = driver(
        cloud.access_key, cloud.secret_key, secure=False, host="127.0.0.1", port=cloud.port
    )
    container = box.create_container(a_name())
    made = container.upload_object(str(tree / "small é+.txt"), "plain name", extra={
        "meta_data": {"colour": "blue"}, "content_type": "x/y",
    })  # fmt: skip
    assert container.get_object("plain name").meta_data["colour"] == "blue"
    made.download(str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == b"small"
    large = container.upload_object_via_stream(
        iter([LARGE]), "large", extra={"content_type": "x/y"}
    )
    assert b"".join(large.as_stream()) == LARGE
    assert sorted(each.name for each in container.list_objects()) == ["large", "plain name"]
    for each in container.list_objects():
        each.delete()
    assert container.delete()


@pytest.mark.parametrize("options", [[], ["-o", "sigv2"]])
@pytest.mark.parametrize("path", ["", "/services/objectstorage"])
def test_s3fs(cloud: Running, tmp_path: Path, options: list[str], path: str) -> None:
    bucket = create_bucket(cloud)
    mount, secret = tmp_path / "mount", tmp_path / "secret"
    mount.mkdir()
    secret.write_text(f"{cloud.access_key}:{cloud.secret_key}")
    secret.chmod(0o600)
    run(
        cloud, "s3fs", bucket, str(mount), *options, "-o", f"url={cloud.endpoint}{path}",
        "-o", "use_path_request_style", "-o", f"passwd_file={secret}",
    )  # fmt: skip
    try:
        (mount / "sub").mkdir()
        (mount / "sub" / "file").write_bytes(DATA)
        assert sorted(each.name for each in (mount / "sub").iterdir()) == ["file"]
        shutil.copy(mount / "sub" / "file", mount / "copy")
        (mount / "sub" / "file").rename(mount / "moved")
        assert (mount / "moved").read_bytes() == DATA
        assert (mount / "copy").read_bytes() == DATA
        _as_a_file_system(mount)
    finally:
        run(cloud, "fusermount", "-u", str(mount))
    owner = cloud.client("s3")
    assert owner.get_object(Bucket=bucket, Key="moved")["Body"].read() == DATA
    owner.close()


def _as_a_file_system(mount: Path) -> None:
    """Modes, times, links, appending, cutting, renaming folders, as on any disk."""
    file = mount / "grows"
    file.write_bytes(b"one")
    with file.open("ab") as grows:
        grows.write(b" two")
    assert file.read_bytes() == b"one two"
    with file.open("r+b") as cut:  # by its path s3fs 1.90 puts zeros, without asking for the rest
        cut.truncate(3)
    assert file.read_bytes() == b"one"
    file.chmod(0o640)
    os.utime(file, (1_000_000_000, 1_000_000_000))
    assert (file.stat().st_mode & 0o777, file.stat().st_mtime) == (0o640, 1_000_000_000)
    (mount / "link").symlink_to("grows")
    assert (mount / "link").readlink() == Path("grows")
    assert (mount / "link").read_bytes() == b"one"
    (mount / "folder" / "deep").mkdir(parents=True)
    (mount / "folder" / "deep" / "file").write_bytes(b"x")
    (mount / "folder").rename(mount / "renamed")
    assert (mount / "renamed" / "deep" / "file").read_bytes() == b"x"
    shutil.rmtree(mount / "renamed")
    assert sorted(each.name for each in mount.iterdir()) == sorted(
        ["copy", "grows", "link", "moved", "sub"]
    )
