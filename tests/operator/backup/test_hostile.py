"""A backup that a stranger made, well sealed: nothing of it leaves the folders, or takes memory."""

import io
import json
import os
import random
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from eucabox.errors import BackupDamaged
from eucabox.operator.backup import members, places
from eucabox.operator.backup.members import Sink, write_end, write_member, write_small
from eucabox.operator.backup.places import parse_name
from eucabox.operator.backup.sealed_file import SealedReader, SealedWriter
from eucabox.store.paths import digest
from tests.operator.backup.conftest import PASSPHRASE, House

HEAD = json.dumps(
    {"program": "1", "schema": 1, "buckets": True, "host": "h", "begun": "then"}
).encode()
BUCKET = json.dumps(
    {"name": "box", "owner": "1", "created": 1, "acl": None, "location": "", "settings": {}}
).encode()
SETTINGS = "buckets/box/.eucabox/bucket.json"
UPLOAD = "ab" * 20
HASH = digest(b"key")
BAD_NAMES = [
    "../escape", "/etc/escape", "buckets/../escape", "buckets/box/../../escape", "a", "",
    "buckets/box/a/../../../escape", "buckets/box/./a", "buckets/box//a", "buckets/box/",
    "buckets/box", "buckets/../../x/a", "buckets/.eucabox/index.db", "buckets/BOX/../x",
    "buckets/box/.eucabox/mark", "buckets/box/.eucabox/temporary/x", "buckets/box/.eucabox",
    "buckets/box/.eucabox/../x", f"buckets/box/.eucabox/uploads/{UPLOAD}/../x",
    f"buckets/box/.eucabox/uploads/{UPLOAD}/1", "buckets/box/.eucabox/uploads/../upload.json",
    f"buckets/box/.eucabox/objects/00/{HASH}", f"buckets/box/.eucabox/versions/{HASH}/key",
    f"buckets/box/.eucabox/versions/{HASH[:2]}/{HASH}/../x", "buckets/box/" + "k" * 1025,
    "buckets/box/" + "k" * 256, "state/../x", "state/eucabox.db-wal",
    "state/ca/../../x", "state/run/lock", "images/../x.raw", "images/x", "images/.x.raw",
    "images/x.iso", "instances/i-1/disk.qcow2", "instances/../disk.qcow2",
    "instances/i-0123456789abcdef0/../x", "instances/i-0123456789abcdef0/console.log",
    "settings/../x", "settings/a/b/c", "settings/.x", "settings/a/../../x", "backup.json",
]  # fmt: skip


def forge(house: House, *rest: tuple[str, bytes]) -> None:
    def write(sink: Sink) -> None:
        write_small(sink, places.HEAD, HEAD)
        write_small(sink, SETTINGS, BUCKET)
        for name, content in rest:
            write_small(sink, name, content)
        write_end(sink)

    house.forge(write)


def outside(house: House) -> set[str]:
    """Everything that is not in the two data directories."""
    return {
        str(path)
        for path in house.folder.parent.rglob("*")
        if not path.is_relative_to(house.other.cloud.data_dir)
        and not path.is_relative_to(house.config.cloud.data_dir)
    }


@pytest.mark.parametrize("name", [*BAD_NAMES, "buckets/box/a\0b"], ids=ascii)
def test_a_name_that_no_backup_has_is_none(name: str) -> None:
    place = parse_name(name)
    assert place is None or name == place.room == places.HEAD


@pytest.mark.parametrize("name", BAD_NAMES[::5], ids=ascii)
def test_what_has_such_a_name_is_refused_by_verify_and_restore(house: House, name: str) -> None:
    forge(house, (name, b"x"))
    before = outside(house)
    for read in (house.verify, house.restore):
        with pytest.raises(BackupDamaged, match=r"no backup has|header of a member"):
            read()
    assert outside(house) == before
    inside = {path.name for path in house.other.cloud.data_dir.rglob("*") if path.is_file()}
    assert inside <= {"lock", "restore-unfinished", "bucket.json"}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("buckets/other/a", b"x", "before its settings"),
        (f"buckets/box/.eucabox/objects/{HASH[:2]}/{HASH}", b"x", "before the key"),
        (f"buckets/box/.eucabox/versions/{HASH[:2]}/{HASH}/{'0' * 32}", b"x", "before the key"),
        (SETTINGS, b"[]", "not the configuration"),
        (SETTINGS, b"{}", "not the configuration"),
        (SETTINGS.replace("/box/", "/pit/"), b'{"created": "x"}', "invalid literal"),
        (SETTINGS.replace("/box/", "/pit/"), b"[" * 100_000, "not the configuration"),
        ("manifest.json", b"{}", "its last member is none"),
        ("manifest.json", b"[" * 100_000, "is no JSON object"),
    ],
)
def test_members_in_an_odd_order_or_with_odd_content_are_refused(
    house: House, name: str, content: bytes, reason: str
) -> None:
    forge(house, (name, content))
    with pytest.raises(BackupDamaged, match=reason):
        house.restore()


def test_a_bucket_in_a_backup_that_says_it_has_none_is_refused(house: House) -> None:
    def write(sink: Sink) -> None:
        write_small(sink, places.HEAD, HEAD.replace(b"true", b"false"))
        write_small(sink, SETTINGS, BUCKET)
        write_end(sink)

    house.forge(write)
    with pytest.raises(BackupDamaged, match="says that it has none"):
        house.restore()


def test_a_backup_without_its_end_or_its_database_is_refused(house: House) -> None:
    forge(house)
    with pytest.raises(BackupDamaged, match="it has no manifest"):
        house.verify()


@pytest.mark.not_fast
def test_counts_that_are_not_those_of_the_manifest_are_refused(full: House) -> None:
    full.create()
    with full.file.open("rb") as opened:
        reader = SealedReader(opened.fileno(), full.file, PASSPHRASE)
        all_of_it = [
            (each.name, each.mtime, each.attributes, b"".join(each.chunks()))
            for each in members.read_members(reader)
        ]
    full.file.unlink()

    def write(sink: Sink) -> None:
        for name, mtime, attributes, content in all_of_it:
            if name != "buckets/plain/b":
                write_member(sink, name, len(content), [content], mtime, attributes)
        write_end(sink)

    full.forge(write)
    with pytest.raises(BackupDamaged, match="it has not all objects of its manifest"):
        full.verify()


def tar(kind: bytes, **members: object) -> bytes:
    info = tarfile.TarInfo("buckets/box/a")
    info.type = kind
    for name, value in members.items():
        setattr(info, name, value)
    return info.tobuf(tarfile.PAX_FORMAT)


@pytest.mark.parametrize(
    "raw",
    [
        tar(tarfile.SYMTYPE, linkname="/etc/passwd"),
        tar(tarfile.LNKTYPE, linkname="/etc/passwd"),
        tar(tarfile.DIRTYPE), tar(tarfile.CHRTYPE), tar(tarfile.FIFOTYPE),
        tar(tarfile.GNUTYPE_LONGNAME, size=5), tar(tarfile.GNUTYPE_SPARSE),
        tar(tarfile.XHDTYPE, size=1 << 30), tar(tarfile.XGLTYPE, size=20),
        tar(tarfile.XHDTYPE, size=0), tar(tarfile.REGTYPE, size=1 << 60),
        b"x" * 512,
    ],
    ids=range(12),
)  # fmt: skip
def test_what_is_no_plain_file_is_refused(house: House, raw: bytes) -> None:
    def write(sink: Sink) -> None:
        write_small(sink, places.HEAD, HEAD)
        write_small(sink, SETTINGS, BUCKET)
        sink.write(raw)
        sink.write(bytes(2048))

    house.forge(write)
    with pytest.raises(BackupDamaged):
        house.restore()


@pytest.mark.parametrize(
    "record",
    [
        b"30 path=../../../../escape\n", b"9999 size=1\n", b"0 size=1\n", b"x size=1\n",
        b"12 odd=word\n", b"13 size=many\n", b"15 mtime=never\n", b"11 size=-1\n",
        b"10 path=\xff\n", b"24 path=buckets/box/a\0b\n", b"16 path=/etc/pwd\n",
        b"22 GNU.sparse.major=1\n", b"13 linkpath=\n", b"8 size=\n", b" size=1\n",
    ],
    ids=ascii,
)  # fmt: skip
def test_odd_pax_records_are_refused(house: House, record: bytes) -> None:
    def write(sink: Sink) -> None:
        write_small(sink, places.HEAD, HEAD)
        write_small(sink, SETTINGS, BUCKET)
        sink.write(tar(tarfile.XHDTYPE, size=len(record)))
        sink.write(record + bytes(-len(record) % 512))
        sink.write(tar(tarfile.REGTYPE, size=1))
        sink.write(b"x" + bytes(511))
        write_end(sink)

    before = outside(house)
    house.forge(write)
    with pytest.raises(BackupDamaged):
        house.restore()
    assert outside(house) - before == {str(house.file)}


def test_random_changes_of_a_tar_are_told_and_never_a_traceback(full: House) -> None:
    """Every sealed frame is genuine here: what is odd is the tar in it."""
    full.create(with_buckets=False)
    with full.file.open("rb") as opened:
        reader = SealedReader(opened.fileno(), full.file, PASSPHRASE)
        content = bytearray()
        try:
            while True:
                content += reader.read(512)
        except BackupDamaged:
            pass
    chance = random.Random(5)
    for _ in range(60):
        odd = bytearray(content)
        at = chance.choice([0, 512, 1024, 1536, 2048, len(odd) - 4096]) + chance.randrange(512)
        odd[at] = chance.randrange(256)
        full.file.unlink()
        full.forge(lambda sink, odd=odd: sink.write(bytes(odd)))  # type: ignore[misc]
        try:
            full.verify()
        except BackupDamaged:
            continue


@pytest.mark.not_fast
def test_memory_stays_flat_for_a_large_object(house: House) -> None:
    size = 64 << 20

    def write(sink: Sink) -> None:
        write_small(sink, places.HEAD, HEAD)
        write_small(sink, SETTINGS, BUCKET)
        chunks = (os.urandom(1 << 18) for _ in range(size >> 18))
        write_member(sink, "buckets/box/a", size, chunks)
        write_end(sink)

    tracemalloc.start()
    house.forge(write)
    with pytest.raises(BackupDamaged, match="no manifest"):
        house.restore()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (house.other.bucket_root / "box" / "a").stat().st_size == size
    assert peak < 8 << 20


def test_pythons_tarfile_reads_the_content(full: House, tmp_path: Path) -> None:
    """The form within is a common one: names, times and attributes are where tar has them."""
    full.create()
    with full.file.open("rb") as opened:
        reader, content = SealedReader(opened.fileno(), full.file, PASSPHRASE), io.BytesIO()
        try:
            while True:
                content.write(reader.read(512))
        except BackupDamaged:
            content.seek(0)
    with tarfile.open(fileobj=content) as archive:
        names = archive.getnames()
        assert names[0] == places.HEAD and names[-1] == places.MANIFEST
        assert all(parse_name(name) for name in names)
        member = archive.getmember("buckets/plain/é/ü")
        data = (full.config.bucket_root / "plain" / "é" / "ü").stat()
        assert member.size == data.st_size
        assert float(member.pax_headers["mtime"]) == pytest.approx(data.st_mtime)


def test_a_writer_that_is_dropped_leaves_no_whole_file(tmp_path: Path) -> None:
    with SealedWriter(tmp_path / "x", PASSPHRASE) as sink:
        write_small(sink, places.HEAD, HEAD)
    assert not (tmp_path / "x").exists()
