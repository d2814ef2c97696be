"""The rarer commands of S3 clients: settings of buckets, versions, streams, links, clean-ups."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.live.process import Running
from tests.live.test_s3_clients import LARGE, TOOLS, a_name, environment, run, tree

__all__ = ["tree"]

CORS = """<CORSConfiguration><CORSRule><AllowedOrigin>http://a.page</AllowedOrigin>
<AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"""
LIFECYCLE = """<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>
<ID>old</ID><Prefix>logs/</Prefix><Status>Enabled</Status><Expiration><Days>4</Days></Expiration>
</Rule></LifecycleConfiguration>"""
Command = Callable[..., str]


def stream(cloud: Running, given: bytes, *argv: str) -> bytes:
    """What a command writes that reads these bytes."""
    return subprocess.run(
        argv, input=given, capture_output=True, check=True, timeout=30, env=environment(cloud)
    ).stdout


def versioned(cloud: Running) -> str:
    name = a_name()
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name)
    enabled = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=enabled)
    s3.close()
    return name


# --- s3cmd -------------------------------------------------------------------------------------


@pytest.fixture(name="s3cmd")
def _s3cmd(cloud: Running, tmp_path: Path, request: pytest.FixtureRequest) -> Command:
    where = f"127.0.0.1:{cloud.port}"
    settings = tmp_path / "s3cfg"
    settings.write_text(
        f"[default]\naccess_key = {cloud.access_key}\nsecret_key = {cloud.secret_key}\n"
        f"host_base = {where}\nhost_bucket = {where}\nuse_https = False\n"
        f"signature_v2 = {request.param == 2}\nmultipart_chunk_size_mb = 5\n"
    )
    return lambda *argv: run(cloud, "s3cmd", "-c", str(settings), "--no-progress", *argv)


@pytest.mark.parametrize("s3cmd", [2], indirect=True)  # which signs the names of subresources
def test_s3cmd_sets_what_a_bucket_has(cloud: Running, s3cmd: Command, tmp_path: Path) -> None:
    name = a_name()
    place = f"s3://{name}"
    s3 = cloud.client("s3")
    s3cmd("mb", place)
    allowed = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
    allowed["Resource"] = f"arn:aws:s3:::{name}/*"
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    for name_, text in (("policy", policy), ("cors", CORS), ("lifecycle", LIFECYCLE)):
        (tmp_path / name_).write_text(text)
        s3cmd(f"set{name_}", str(tmp_path / name_), place)
    output = s3cmd("info", place)
    assert (policy in output, "<AllowedOrigin>http://a.page<" in output) == (True, True)
    assert "<Days>4</Days>" in s3cmd("getlifecycle", place)
    s3cmd("expire", "--expiry-days=3", "--expiry-prefix=x/", place)
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert (rule["Expiration"], rule["Filter"]) == ({"Days": 3}, {"Prefix": "x/"})
    for name_ in ("policy", "cors", "lifecycle"):
        s3cmd(f"del{name_}", place)
    assert "CORS:      none" in s3cmd("info", place)
    s3cmd("settagging", place, "a=b&c=d e")
    assert "c:\td e" in s3cmd("gettagging", place)
    s3cmd("setacl", "--acl-public", place)
    assert len(s3.get_bucket_acl(Bucket=name)["Grants"]) == 2
    s3cmd("setversioning", place, "enable")
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    s3cmd("ws-create", "--ws-index=i.html", place)
    assert "i.html" in s3cmd("ws-info", place)
    s3cmd("rb", place)
    s3.close()


@pytest.mark.parametrize("s3cmd", [4], indirect=True)
def test_s3cmd_changes_objects(cloud: Running, s3cmd: Command, tree: Path) -> None:
    name = a_name()
    place = f"s3://{name}"
    s3 = cloud.client("s3")
    s3cmd("mb", place)
    s3cmd("sync", f"{tree}/", f"{place}/t/")
    assert s3cmd("du", place).split()[:2] == [str(len(LARGE) + 5), "3"]
    small = f"{place}/t/small é+.txt"
    s3cmd("modify", "--add-header=x-amz-meta-n:1", "--mime-type=text/x", small)
    head = s3.head_object(Bucket=name, Key="t/small é+.txt")
    assert (head["ContentType"], head["Metadata"]["n"]) == ("text/x", "1")
    s3cmd("settagging", small, "a=b")
    assert "a:\tb" in s3cmd("gettagging", small)
    assert urllib.request.urlopen(s3cmd("signurl", small, "+60").strip()).read() == b"small"
    (tree / "small é+.txt").unlink()
    s3cmd("sync", "--delete-removed", f"{tree}/", f"{place}/t/")
    assert "small" not in s3cmd("ls", "-r", place)
    s3cmd("sync", f"{place}/t/", f"{place}/copy/")
    s3cmd("mv", f"{place}/copy/sub/large", f"{place}/moved")
    assert s3.get_object(Bucket=name, Key="moved")["Body"].read() == LARGE
    upload = s3.create_multipart_upload(Bucket=name, Key="half")["UploadId"]
    s3.upload_part(Bucket=name, Key="half", UploadId=upload, PartNumber=1, Body=b"x")
    assert upload in s3cmd("multipart", place)
    assert "9dd4e461268c8034f5c8564e155c67a6" in s3cmd("listmp", f"{place}/half", upload)
    s3cmd("abortmp", f"{place}/half", upload)
    assert upload not in s3cmd("multipart", place)
    s3cmd("rb", "--recursive", "--force", place)
    s3.close()


# --- AWS CLI -----------------------------------------------------------------------------------


@pytest.fixture(name="aws")
def _aws(cloud: Running) -> Command:
    return lambda *argv: run(cloud, "aws", "--endpoint-url", cloud.endpoint, *argv)


def test_aws_cli_streams_moves_and_sites(
    cloud: Running, aws: Command, tree: Path, tmp_path: Path
) -> None:
    name = a_name()
    place = f"s3://{name}"
    aws("s3", "mb", place)
    at = (str(TOOLS / "aws"), "--endpoint-url", cloud.endpoint, "s3", "cp")
    stream(cloud, LARGE, *at, "-", f"{place}/in")
    aws("s3", "mv", "--quiet", f"{place}/in", f"{place}/é + moved")
    assert stream(cloud, b"", *at, f"{place}/é + moved", "-") == LARGE
    aws("s3", "mv", "--quiet", f"{place}/é + moved", str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == LARGE
    assert aws("s3", "ls", f"s3://{name}") == ""
    aws("s3", "sync", "--quiet", "--acl", "public-read", str(tree), place)
    (tree / "sub" / "large").unlink()
    assert "delete: " in aws("s3", "sync", "--delete", str(tree), place)
    aws("s3", "website", place, "--index-document", "small é+.txt")
    shown = urllib.request.urlopen(f"{cloud.endpoint}/_eucabox/website/{name}/").read()
    assert shown == b"small"
    assert "remove_bucket" in aws("s3", "rb", "--force", place)


def test_aws_cli_goes_back_to_an_older_version(cloud: Running, aws: Command) -> None:
    name, key = versioned(cloud), "é + k"
    here = ("--bucket", name, "--key", key)
    s3 = cloud.client("s3")
    for text in (b"one", b"two"):
        s3.put_object(Bucket=name, Key=key, Body=text)
    s3.close()
    aws("s3", "rm", f"s3://{name}/{key}")

    def listed() -> Any:
        return json.loads(aws("s3api", "list-object-versions", "--bucket", name))

    found = listed()
    assert [each["IsLatest"] for each in found["Versions"]] == [False, False]
    assert found["DeleteMarkers"][0]["IsLatest"]
    first = found["Versions"][1]["VersionId"]
    aws("s3api", "copy-object", *here, "--copy-source", f"{name}/{key}?versionId={first}")
    assert aws("s3", "cp", f"s3://{name}/{key}", "-") == "one"
    aws("s3api", "delete-object", *here, "--version-id", listed()["Versions"][0]["VersionId"])
    gone = [each for kind in ("Versions", "DeleteMarkers") for each in listed()[kind]]
    named = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in gone]
    aws("s3api", "delete-objects", "--bucket", name, "--delete", json.dumps({"Objects": named}))
    aws("s3", "rb", f"s3://{name}")


# --- rclone and s5cmd --------------------------------------------------------------------------


def test_rclone_sees_versions(cloud: Running, tree: Path, tmp_path: Path) -> None:
    settings = cloud.rclone(tmp_path)

    def rclone(*argv: str) -> str:
        return run(cloud, "rclone", *argv, **settings)

    name = versioned(cloud)
    rclone("sync", str(tree), f"box:{name}")
    (tree / "empty").write_bytes(b"no more")
    rclone("sync", str(tree), f"box:{name}")
    rclone("check", "--download", str(tree), f"box:{name}")
    files = rclone("lsf", "--s3-versions", "--files-only", f"box:{name}").splitlines()
    (older,) = [each for each in files if each.startswith("empty-v")]
    assert rclone("cat", "--s3-versions", f"box:{name}/{older}") == ""
    assert rclone("cat", f"box:{name}/empty") == "no more"
    rclone("settier", "STANDARD_IA", f"box:{name}/empty")
    link = rclone("link", "--expire", "1m", f"box:{name}/empty").strip()
    assert urllib.request.urlopen(link).read() == b"no more"
    rclone("backend", "cleanup-hidden", f"box:{name}")
    assert "-v" not in rclone("lsf", "-R", "--s3-versions", f"box:{name}")
    rclone("purge", f"box:{name}")


def test_s5cmd_syncs_many_and_removes_every_version(cloud: Running, tree: Path) -> None:
    def s5cmd(*argv: str) -> str:
        return run(cloud, "s5cmd", "--endpoint-url", cloud.endpoint, *argv)

    name = versioned(cloud)
    for number in range(1001):
        (tree / "sub" / f"{number} +é").write_bytes(b"x")
    s5cmd("cp", f"{tree}/", f"s3://{name}/t/")
    (tree / "empty").write_bytes(b"no more")
    (tree / "sub" / "0 +é").unlink()
    changes = s5cmd("sync", "--delete", f"{tree}/", f"s3://{name}/t/").splitlines()
    assert sorted(each.split()[0] for each in changes) == ["cp", "rm"]
    s5cmd("mv", f"s3://{name}/t/small é+.txt", f"s3://{name}/moved é+")
    assert s5cmd("cat", f"s3://{name}/moved é+") == "small"
    assert len(s5cmd("ls", "--all-versions", f"s3://{name}/t/empty").splitlines()) == 2
    s5cmd("rm", "--all-versions", f"s3://{name}/*")
    s5cmd("rb", f"s3://{name}")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{cloud.endpoint}/{name}")
