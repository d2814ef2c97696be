import io
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eucabox.errors import InvalidManifest
from eucabox.image import bundle_crypto, manifest, unbundle
from eucabox.image.sparse import SparseWriter
from tests.image.vectors import CLOUD_KEY, DATA, forge, gzip, opener, read, take_out, tar


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copied = tmp_path / "bundle"
    shutil.copytree(DATA, copied)
    return copied


def refusal(path: Path) -> str:
    target = path.parent / "again"
    with pytest.raises(InvalidManifest) as refused:
        take_out(path, target)
    assert refused.value.message.isascii()
    return refused.value.message


def member(name: str = "root.img", kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type = kind
    return found


@pytest.mark.not_fast
@pytest.mark.parametrize("name", ["root.img", "vmlinuz"])
def test_what_euca2ools_bundled_comes_out(folder: Path, name: str) -> None:
    take_out(folder / f"{name}.manifest.xml", folder / "again")
    assert (folder / "again").read_bytes() == (DATA / name).read_bytes()


@pytest.mark.not_fast
def test_a_corrupt_part_is_named(folder: Path) -> None:
    part = folder / "root.img.part.01"
    content = bytearray(part.read_bytes())
    content[500] ^= 1
    part.write_bytes(content)
    message = refusal(folder / "root.img.manifest.xml")
    assert "part 1 (root.img.part.01) has SHA-1 " in message
    assert "the manifest says " in message
    assert message.endswith("upload it again.")


def test_exchanged_parts_are_named(folder: Path) -> None:
    first, second = folder / "root.img.part.00", folder / "root.img.part.01"
    first.write_bytes(second.read_bytes())
    assert "part 0 (root.img.part.00)" in refusal(folder / "root.img.manifest.xml")


@pytest.mark.not_fast
@pytest.mark.parametrize(("number", "keep"), [(1, 900), (2, 600), (2, 0)])
def test_a_truncated_part_is_named(folder: Path, number: int, keep: int) -> None:
    part = folder / f"root.img.part.0{number}"
    part.write_bytes(part.read_bytes()[:keep])
    assert part.name in refusal(folder / "root.img.manifest.xml")


@pytest.mark.not_fast
def test_only_the_bytes_of_the_first_file_are_taken(tmp_path: Path) -> None:
    packed = gzip(tar((member("../../etc/passwd"), b"root::0:0"), (member("/etc/shadow"), b"no")))
    take_out(forge(tmp_path, packed, 9), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == b"root::0:0"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "again", "forged.manifest.xml", "forged.part.00",
    ]  # fmt: skip


@pytest.mark.not_fast
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_the_first_member_is_a_file(tmp_path: Path, kind: bytes) -> None:
    packed = gzip(tar((member("x", kind), b""), (member(), b"content")))
    assert "not a file" in refusal(forge(tmp_path, packed, 7))


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("packed", "size", "reason"),
    [
        (b"", 1, "gzip stream has no end"),
        (b"not gzip at all", 1, "do not decrypt to a gzip stream"),
        (gzip(tar((member(), b"x" * 5000)))[:-200], 5000, "gzip stream"),
        (gzip(tar((member(), b"x" * 100_000)))[:-9] + bytes(9), 100_000, "gzip stream"),
        (gzip(b"not a tar" * 200), 1, "hold no tar archive"),
        (gzip(b""), 1, "empty header"),
        (gzip(bytes(10240)), 1, "not a file"),
        (gzip(tar((member(), b"12345"))), 4, "holds 5 bytes and the manifest says 4"),
        (gzip(tar((member(), b"x" * 50_000))[:20_000]), 50_000, "ends after|no tar archive"),
    ],
)
def test_a_bundle_of_other_things_is_told(
    tmp_path: Path, packed: bytes, size: int, reason: str
) -> None:
    path = forge(tmp_path, packed, size)
    with pytest.raises(InvalidManifest, match=reason):
        take_out(path, tmp_path / "again")


@pytest.mark.not_fast
def test_an_archive_without_end_is_stopped(tmp_path: Path) -> None:
    packed = gzip(tar((member(), b"small")) + bytes(64 * 2**20))
    assert "does not end after the image of 5 bytes" in refusal(forge(tmp_path, packed, 5))


@pytest.mark.not_fast
def test_headers_without_end_are_stopped(tmp_path: Path) -> None:
    long_name = member("x", tarfile.GNUTYPE_LONGNAME)
    long_name.size = 8 * 2**30
    packed = gzip(long_name.tobuf(tarfile.GNU_FORMAT) + b"A" * (64 * 2**20))
    assert "a header of 8589934592 bytes" in refusal(forge(tmp_path, packed, 5))


@pytest.mark.not_fast
def test_a_wrong_last_block_is_told(tmp_path: Path) -> None:
    packed = gzip(tar((member(), b"small")))
    path = forge(tmp_path, packed, 5, iv=b"j" * 16, key=b"l" * 16)
    assert "gzip stream" in refusal(path) or "another key" in refusal(path)


def old_sparse(size: int) -> bytes:
    """What `tar -S` wrote: a file of any size that is one run of 512 bytes, and holes."""
    data = b"d" * 512
    head = bytearray(member("root.img", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    head[124:136] = b"%011o\0" % len(data)
    head[386:410] = b"%011o\0%011o\0" % (0, len(data))
    head[483:495] = b"\x80" + size.to_bytes(11, "big")
    head[148:156] = b"%06o\0 " % (sum(head[:148]) + 8 * 32 + sum(head[156:]))
    return bytes(head) + data + bytes(10240)


def posix_sparse(size: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        found = member()
        found.size = 512
        found.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.realsize": str(size)}
        archive.addfile(found, io.BytesIO(b"1\n0\n512\n".ljust(512, b"\0")))
    return out.getvalue()


@pytest.mark.not_fast
@pytest.mark.parametrize("archive", [old_sparse, posix_sparse])
def test_a_sparse_file_of_100_gib_in_2_kib_is_refused_at_once(
    tmp_path: Path, archive: Callable[[int], bytes]
) -> None:
    size = 100 * 2**30
    started = time.monotonic()
    assert "sparse file" in refusal(forge(tmp_path, gzip(archive(size)), size))
    assert time.monotonic() - started < 5
    assert (tmp_path / "again").stat().st_size == 0


@pytest.mark.not_fast
@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, b"M", b"V"])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    assert "not a file" in refusal(forge(tmp_path, gzip(tar((member("x", kind), b""))), 0))


@pytest.mark.not_fast
def test_a_chain_of_900_long_names_is_refused_with_a_reason(tmp_path: Path) -> None:
    long_name = member("x", tarfile.GNUTYPE_LONGNAME)
    long_name.size = 512
    chain = (long_name.tobuf(tarfile.GNU_FORMAT) + b"n" * 512) * 900
    assert "more than 3 headers" in refusal(forge(tmp_path, gzip(chain + tar((member(), b"x"))), 1))


@pytest.mark.not_fast
def test_a_header_of_many_bytes_is_refused(tmp_path: Path) -> None:
    extended = member("x", tarfile.XHDTYPE)
    extended.size = 2**30
    assert "a header of 1073741824 bytes" in refusal(
        forge(tmp_path, gzip(extended.tobuf(tarfile.GNU_FORMAT) + bytes(4096)), 1)
    )


@pytest.mark.not_fast
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_a_long_name_is_no_chain(tmp_path: Path, form: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        found = member("a" * 90 + "/" + "b" * 60 + ("" if form == tarfile.USTAR_FORMAT else "\xe9"))
        found.size = 5
        archive.addfile(found, io.BytesIO(b"bytes"))
    take_out(forge(tmp_path, gzip(out.getvalue()), 5), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == b"bytes"


@pytest.mark.not_fast
def test_a_size_that_only_a_posix_header_tells_is_read(tmp_path: Path) -> None:
    """As for files beyond 8 GiB, whose size has no place in the old field."""
    plain, extended = member(), member("x", tarfile.XHDTYPE)
    extended.size = len(b"10 size=5\n")
    head = extended.tobuf(tarfile.USTAR_FORMAT) + b"10 size=5\n".ljust(512, b"\0")
    packed = head + plain.tobuf(tarfile.USTAR_FORMAT) + b"bytes".ljust(512, b"\0") + bytes(1024)
    take_out(forge(tmp_path, gzip(packed), 5), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == b"bytes"


@pytest.mark.not_fast
def test_zeros_are_told_of_again_and_again(tmp_path: Path) -> None:
    """A MiB of a bundle can be a GiB of zeros: who wants to give up is asked in between."""
    path = forge(tmp_path, gzip(tar((member(), bytes(64 * 2**20)))), 64 * 2**20)
    found = read(path)
    key, iv = manifest.open_key(found, bundle_crypto.private_key(CLOUD_KEY))
    seen: list[int] = []
    with (tmp_path / "again").open("w+b") as file:
        progress = lambda done, total: seen.append(done)  # noqa: E731
        unbundle.unbundle(found, key, iv, opener(tmp_path), SparseWriter(file), progress)
    assert len(seen) > 64


def test_progress_counts_the_bundle_and_may_give_up(folder: Path) -> None:
    found = read(folder / "root.img.manifest.xml")
    key, iv = manifest.open_key(found, bundle_crypto.private_key(CLOUD_KEY))
    seen: list[int] = []

    def step(done: int, total: int) -> None:
        assert total == found.bundled_size
        seen.append(done)
        if done > 2000:
            raise InterruptedError

    with (folder / "again").open("w+b") as file, pytest.raises(InterruptedError):
        unbundle.unbundle(found, key, iv, opener(folder), SparseWriter(file), step)
    assert seen[0] == 0
    assert {1000, 2024} <= set(seen)
