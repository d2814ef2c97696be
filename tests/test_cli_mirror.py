"""What `eucabox bucket mirror` takes, compares and counts, without a cloud; tests/live/ has the
rest."""

import base64
import hashlib
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from eucabox.cli import main
from eucabox.cli.mirror import copier, uploads
from eucabox.cli.mirror.command import _parse_rate
from eucabox.cli.mirror.destination import (
    MirrorPlace,
    VerificationError,
    _Digest,
    _join,
    _join_checksums,
    parse_place,
)
from eucabox.cli.mirror.pace import Failure, MirrorStoppedError, Pace
from eucabox.cli.mirror.source import SourceObject, SourceVersion, _order
from eucabox.cli.mirror.uploads import OpenUploads, UploadRecord

OPTION: Any = None


@pytest.mark.parametrize(
    ("text", "rate"), [("0", 0), ("500k", 512_000), ("10M", 10 << 20), ("1g/s", 1 << 30)]
)
def test_rates_have_units(text: str, rate: int) -> None:
    assert _parse_rate(OPTION, OPTION, text) == rate


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5M", "1T", "9" * 20])
def test_what_is_no_rate_is_refused(text: str) -> None:
    if text:
        with pytest.raises(click.BadParameter):
            _parse_rate(OPTION, OPTION, text)
    else:
        assert _parse_rate(OPTION, OPTION, None) == 0


def test_places_have_a_bucket_and_a_prefix() -> None:
    assert parse_place("s3://box", "") == MirrorPlace("box", "")
    assert parse_place("s3://box/a/ü", "http://x") == MirrorPlace("box", "a/ü/", "http://x")
    for wrong in ("box", "s3://", "s3://B", "http://box/a", "s3:///a", "s3://a"):
        with pytest.raises(click.BadParameter):
            parse_place(wrong, "")


def test_what_the_destination_computed_is_compared() -> None:
    digest = _Digest(b"sent")
    md5, sha256 = hashlib.md5(b"sent").hexdigest(), hashlib.sha256(b"sent").digest()
    digest.compare({"ETag": f'"{md5}"'})
    digest.compare({"ETag": '"of a KMS key"', "ChecksumSHA256": base64.b64encode(sha256).decode()})
    for wrong in ({}, {"ETag": '"0"'}, {"ETag": f'"{md5}"', "ChecksumSHA256": "AAAA"}):
        with pytest.raises(VerificationError):
            digest.compare(wrong)


def test_parts_are_joined_as_s3_does() -> None:
    parts: Any = [
        {"ETag": f'"{hashlib.md5(body).hexdigest()}"',
         "ChecksumSHA256": base64.b64encode(hashlib.sha256(body).digest()).decode()}
        for body in (b"one", b"two")
    ]  # fmt: skip
    md5 = hashlib.md5(hashlib.md5(b"one").digest() + hashlib.md5(b"two").digest()).hexdigest()
    whole = hashlib.sha256(hashlib.sha256(b"one").digest() + hashlib.sha256(b"two").digest())
    assert _join(parts) == f"{md5}-2"
    assert _join_checksums(parts) == f"{base64.b64encode(whole.digest()).decode()}-2"


def test_a_fingerprint_tells_all_that_is_mirrored() -> None:
    plain = SourceObject("k", "", 1, "e", {"ContentType": "a"}, {"m": "1"}, {"t": "1"})
    others = [
        SourceObject("k", "", 2, "e", {"ContentType": "a"}, {"m": "1"}, {"t": "1"}),
        SourceObject("k", "", 1, "f", {"ContentType": "a"}, {"m": "1"}, {"t": "1"}),
        SourceObject("k", "", 1, "e", {"ContentType": "b"}, {"m": "1"}, {"t": "1"}),
        SourceObject("k", "", 1, "e", {"ContentType": "a"}, {"m": "2"}, {"t": "1"}),
        SourceObject("k", "", 1, "e", {"ContentType": "a"}, {"m": "1"}, {}),
    ]
    assert len({each.fingerprint for each in (plain, *others)}) == 6
    assert SourceObject("j", "v", *list(vars(plain).values())[2:]).fingerprint == plain.fingerprint


def test_markers_that_are_there_are_not_made_again() -> None:
    content, marker = SourceVersion("1", False, "1"), SourceVersion("2", True, "2")
    versions = [content, marker, marker, content]
    assert [copier._skip_markers(versions, 1, count) for count in (0, 1, 2, 3)] == [1, 2, 3, 3]
    assert copier._skip_markers([content, marker], 1, 5) == 2


def test_versions_are_sorted_by_their_ids() -> None:
    newer, older = f"{5:016x}{'a' * 16}", f"{6:016x}{'a' * 16}"
    rows: Any = [{"Key": "k", "VersionId": older}, {"Key": "k", "VersionId": newer}]
    assert [row["VersionId"] for row in sorted(rows, key=_order)] == [newer, older]


@pytest.mark.not_fast
def test_the_rate_is_kept_and_an_end_is_quick() -> None:
    pace, began = Pace(1 << 20, quiet=True), time.monotonic()
    for _ in range(8):
        pace.pass_bytes(1 << 16)
    assert 0.45 < time.monotonic() - began < 5
    pace.fail(Failure("k", "why"))
    pace.forget_failure("k")
    assert pace.counts.failures == {}
    pace.stop()
    with pytest.raises(MirrorStoppedError):
        pace.pass_bytes(1 << 40)


@pytest.mark.not_fast
def test_uploads_are_kept_for_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    place, record = MirrorPlace("box", ""), UploadRecord(upload_id="u", token="t", part_size=1)
    first = OpenUploads("b", place)
    first.open()
    first.note("ü", record)
    with pytest.raises(click.ClickException, match="mirrors the same"):
        OpenUploads("b", place).open()
    first.close()
    second = OpenUploads("b", place)
    second.open()
    assert second.find("ü") == record
    second.note("ü", None)
    assert (second.list_keys(), second.find("ü")) == ([], None)
    second.close()
    (tmp_path / "eucabox" / "mirrors").chmod(0o700)
    for file in uploads._find_folder().glob("*.json"):
        file.write_text("no JSON")
    third = OpenUploads("b", place)
    third.open()
    assert third.list_keys() == []
    third.close()


def test_without_a_running_cloud_it_says_so(tmp_path: Path) -> None:
    file = tmp_path / "eucabox.conf"
    file.write_text(f"[cloud]\ndata_dir = {tmp_path}/data\n")
    disk = str(tmp_path / "x.qcow2")
    for argv in (["bucket", "mirror", "b", "s3://box"], ["instance", "export", "i-1", disk]):
        done = CliRunner().invoke(main, ["-c", str(file), *argv])
        assert (done.exit_code, "eucabox does not run" in done.output) == (1, True), done.output
