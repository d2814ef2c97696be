"""Encrypted objects: every byte comes back, at every edge, and no changed byte ever does."""

import errno
import hashlib
import io
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eucabox.bucket import Object, ObjectProperties
from eucabox.errors import BadDigest, DiskFull, Fault, ObjectDamaged
from eucabox.store import encrypted_format
from eucabox.store.attributes import NAME
from eucabox.store.checksums import encode, new
from eucabox.store.temp_file import ExpectedBody
from tests.changes import set_tags
from tests.store.conftest import leftovers, names, refuse
from tests.store.sealed import CUSTOMER, FRAME, KINDS, Keyed

FACTS = ObjectProperties(content_type="text/x-test", metadata={"a": "b"})
SIZES = [0, 1, FRAME - 1, FRAME, FRAME + 1, 8 * FRAME, 8 * FRAME + 1, (1 << 20) + 7, 3_000_000]


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[Keyed]:
    opened = Keyed(tmp_path)
    yield opened
    opened.store.close()


@pytest.fixture(params=["attributes", "sidecars"])
def either(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Keyed]:
    if request.param == "sidecars":
        for name in ("setxattr", "getxattr", "removexattr"):
            monkeypatch.setattr(os, name, refuse)
    opened = Keyed(tmp_path)
    yield opened
    opened.store.close()


def body(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def put(keyed: Keyed, key: str, content: bytes, kind: str = "AES256", **expected: Any) -> Object:
    encryption, stream = KINDS[kind](keyed.keys), io.BytesIO(content)
    return keyed.store.put(
        "box", key, stream, FACTS, ExpectedBody(**expected), encryption=encryption
    )


def get(keyed: Keyed, key: str, start: int = 0, length: int | None = None) -> bytes:
    with keyed.store.open("box", key) as found:
        sealed = found.object.sealed
        found.unlock(CUSTOMER if sealed and sealed.kind == "SSE-C" else None)
        return b"".join(found.chunks(start, length))


def upload(keyed: Keyed, key: str, kind: str, *parts: tuple[int, bytes]) -> Object:
    store = keyed.store
    upload_id = store.create_upload("box", key, FACTS, encryption=KINDS[kind](keyed.keys))
    customer_key = CUSTOMER if kind == "SSE-C" else None
    for number, content in parts:
        stream = io.BytesIO(content)
        store.put_part("box", key, upload_id, number, stream, customer_key=customer_key)
    none: dict[str, str] = {}
    wanted = [(each.number, each.e_tag, none) for each in store.parts("box", key, upload_id)]
    return store.complete_upload("box", key, upload_id, wanted)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_bytes_come_back(keyed: Keyed, size: int, kind: str) -> None:
    content = body(size)
    made = put(keyed, "key", content, kind)
    assert made.size == size
    assert (made.e_tag == hashlib.md5(content).hexdigest()) == (kind == "AES256")
    assert get(keyed, "key") == content
    (listed,) = keyed.store.list("box").objects
    assert (listed.size, listed.e_tag) == (size, made.e_tag)
    assert keyed.store.head("box", "key") == made
    on_disk = keyed.file("key").read_bytes()
    assert len(on_disk) > size
    assert size < 32 or content[:32] not in on_disk


@pytest.mark.not_fast
@pytest.mark.parametrize("size", [FRAME, FRAME + 1, 3 * FRAME, 9 * FRAME + 5])
def test_ranges_at_the_edges_of_frames(keyed: Keyed, size: int) -> None:
    content = body(size)
    put(keyed, "key", content)
    edges = {0, 1, size - 1, size, *(n * FRAME + d for n in range(10) for d in (-1, 0, 1))}
    for start in sorted(each for each in edges if 0 <= each <= size):
        for end in sorted(each for each in edges if start <= each <= size):
            assert get(keyed, "key", start, end - start) == content[start:end]


def test_a_range_reads_its_own_frames_alone(keyed: Keyed, monkeypatch: pytest.MonkeyPatch) -> None:
    content = body(100 * FRAME)
    put(keyed, "key", content)
    read, real = [], os.pread

    def counted(descriptor: int, count: int, offset: int) -> bytes:
        read.append(count)
        return real(descriptor, count, offset)

    monkeypatch.setattr(os, "pread", counted)
    assert get(keyed, "key", 50 * FRAME + 10, 100) == content[50 * FRAME + 10 :][:100]
    assert sum(read) < 2 * FRAME


def test_a_body_in_pieces_of_any_size_comes_back(keyed: Keyed) -> None:
    content, chance = body(500_000), random.Random(3)

    class Odd(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, chance.randrange(1, 90_000)))

    keyed.store.put("box", "key", Odd(content), FACTS, encryption=keyed.keys.sse_s3())
    assert get(keyed, "key") == content


def test_a_checksum_in_a_trailer_is_that_of_the_plain_bytes(keyed: Keyed) -> None:
    content = body(200_000)
    whole = new("SHA256")
    whole.update(content)
    stated = {"SHA256": encode(whole.digest())}
    made = put(keyed, "key", content, trailers=lambda: stated)
    assert made.properties.checksums.items() >= stated.items()
    with pytest.raises(BadDigest):
        put(keyed, "key", content[1:], trailers=lambda: stated)


def test_equal_contents_are_not_equal_files(keyed: Keyed) -> None:
    put(keyed, "one", b"x" * 1000)
    put(keyed, "two", b"x" * 1000)
    ends = [keyed.file(key).read_bytes()[-1000:] for key in ("one", "two")]
    assert ends[0] != ends[1]


@pytest.mark.parametrize("kind", ["aws:kms", "SSE-C"])
def test_a_part_sent_again_has_the_same_etag(keyed: Keyed, kind: str) -> None:
    first, again, other = (put(keyed, "key", each, kind) for each in (b"a", b"a", b"b"))
    assert first.e_tag == again.e_tag != other.e_tag
    assert put(keyed, "elsewhere", b"a", kind).e_tag != first.e_tag


# --- damage ------------------------------------------------------------------------------------


def damage(keyed: Keyed, key: str, how: Callable[[bytearray], object]) -> None:
    """Change a file and leave its size and time, as a bad disk does."""
    file = keyed.file(key)
    status, content = file.stat(), bytearray(file.read_bytes())
    how(content)
    with file.open("r+b") as opened:
        opened.write(content)
        opened.truncate()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def header_of(keyed: Keyed, key: str) -> int:
    sealed = keyed.store.head("box", key).sealed
    assert sealed is not None
    return sealed.header


@pytest.mark.parametrize("kind", KINDS)
def test_no_bit_can_change(keyed: Keyed, kind: str) -> None:
    content = body(2 * FRAME + 100)
    put(keyed, "key", content, kind)
    size, chance = keyed.file("key").stat().st_size, random.Random(5)
    header = header_of(keyed, "key")
    places = [*range(0, header, 7), header, size - 1, *(chance.randrange(size) for _ in range(40))]
    for place in places:
        bit = 1 << chance.randrange(8)

        def flip(content: bytearray, place: int = place, bit: int = bit) -> None:
            content[place] ^= bit

        damage(keyed, "key", flip)
        with pytest.raises(Fault if place < header else ObjectDamaged):
            get(keyed, "key")
        damage(keyed, "key", flip)
    assert get(keyed, "key") == content


def test_bytes_before_the_damage_are_correct(keyed: Keyed) -> None:
    content = body(40 * FRAME)
    put(keyed, "key", content)
    damage(keyed, "key", lambda file: file.__setitem__(-1, file[-1] ^ 1))
    got = b""
    with keyed.store.open("box", "key") as found, pytest.raises(ObjectDamaged):
        for piece in found.chunks():
            got += piece
    assert 0 < len(got) < len(content)
    assert content.startswith(got)
    assert get(keyed, "key", 0, 10) == content[:10]


def test_a_frame_in_another_place_is_refused(keyed: Keyed) -> None:
    put(keyed, "key", body(3 * FRAME))
    start, step = header_of(keyed, "key"), FRAME + encrypted_format.TAG

    def swap(file: bytearray) -> None:
        first, second = file[start : start + step], file[start + step : start + 2 * step]
        file[start : start + 2 * step] = second + first

    damage(keyed, "key", swap)
    with pytest.raises(ObjectDamaged):
        get(keyed, "key")


@pytest.mark.not_fast
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [0, 3, 10, 200, -1, -FRAME - 16, -2 * FRAME - 32])
def test_a_file_that_was_cut_short_is_damaged(keyed: Keyed, length: int, kind: str) -> None:
    put(keyed, "key", body(3 * FRAME), kind)
    damage(keyed, "key", lambda file: file.__delitem__(slice(length, None)))
    with pytest.raises(ObjectDamaged):
        get(keyed, "key")


def test_a_file_that_grew_is_damaged(keyed: Keyed) -> None:
    put(keyed, "key", body(10))
    damage(keyed, "key", lambda file: file.extend(b"more"))
    with pytest.raises(ObjectDamaged) as caught:
        get(keyed, "key")
    assert "bytes where" in caught.value.message


@pytest.mark.parametrize("kind", KINDS)
def test_two_files_that_were_swapped_are_damaged(keyed: Keyed, kind: str) -> None:
    put(keyed, "one", body(100, 1), kind)
    put(keyed, "two", body(100, 2), kind)
    one, two = keyed.file("one"), keyed.file("two")
    one.rename(keyed.folder / "saved")
    two.rename(one)
    (keyed.folder / "saved").rename(two)
    for key in ("one", "two"):
        with pytest.raises(ObjectDamaged):
            get(keyed, key)


# --- attributes and index lost -----------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_without_attributes_only_the_metadata_is_lost(keyed: Keyed, kind: str) -> None:
    content = body(FRAME + 9)
    made = put(keyed, "key", content, kind)
    os.removexattr(keyed.file("key"), NAME)
    found = keyed.store.head("box", "key")
    assert (found.size, found.e_tag, found.sealed) == (made.size, made.e_tag, made.sealed)
    assert found.properties.metadata == {}
    assert keyed.store.head("box", "key") == found
    assert get(keyed, "key") == content


@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_known_without_attributes(keyed: Keyed, kind: str) -> None:
    pieces = body(5 << 20, 1), body((5 << 20) + 77, 2), body(3, 3)
    made = upload(keyed, "key", kind, (1, pieces[0]), (4, pieces[1]), (9000, pieces[2]))
    os.removexattr(keyed.file("key"), NAME)
    found = keyed.store.head("box", "key")
    assert (
        replace(
            made, properties=found.properties, last_modified=found.last_modified, part_checksums=()
        )
        == found
    )
    assert get(keyed, "key") == b"".join(pieces)


def test_a_lost_index(either: Keyed) -> None:
    made = put(either, "a/b", body(100_000))
    whole = upload(either, "whole", "aws:kms", (1, body(100)))
    either.store.close()
    for file in either.root.glob(".eucabox/index.db*"):
        file.unlink()
    after = Keyed(either.folder)
    listed = {each.key: (each.size, each.e_tag) for each in after.store.list("box").objects}
    assert listed == {"a/b": (100_000, made.e_tag), "whole": (100, whole.e_tag)}
    assert get(after, "a/b") == body(100_000)
    either.store = after.store


def test_properties_change_and_the_content_stays(either: Keyed) -> None:
    put(either, "key", b"content", "aws:kms")
    set_tags(either.store, "box", "key", {"a": "b"})
    found = either.store.head("box", "key")
    assert (found.properties.tags, found.size) == ({"a": "b"}, 7)
    assert get(either, "key") == b"content"


def test_a_plain_object_that_looks_encrypted_stays_plain(keyed: Keyed) -> None:
    put(keyed, "key", b"secret")
    raw = keyed.file("key").read_bytes()
    keyed.store.put("box", "copy", io.BytesIO(raw), FACTS)
    assert get(keyed, "copy") == raw
    os.utime(keyed.file("copy"))
    assert get(keyed, "copy") == raw


def test_a_plain_file_in_the_place_of_an_encrypted_one(keyed: Keyed) -> None:
    put(keyed, "key", b"secret")
    keyed.file("key").write_bytes(b"by hand")
    assert get(keyed, "key") == b"by hand"
    assert keyed.store.head("box", "key").sealed is None


# --- parts and copies --------------------------------------------------------------------------


@pytest.mark.not_fast
@pytest.mark.parametrize("kind", KINDS)
def test_ranges_across_parts(keyed: Keyed, kind: str) -> None:
    pieces = [body(5 << 20, 1), body((5 << 20) + FRAME - 1, 2), body(FRAME + 1, 3)]
    made = upload(keyed, "key", kind, *enumerate(pieces, 1))
    content = b"".join(pieces)
    assert (made.size, made.parts) == (len(content), tuple(map(len, pieces)))
    assert made.e_tag.endswith("-3")
    assert get(keyed, "key") == content
    edges = [0, *(sum(map(len, pieces[:n])) + d for n in (1, 2, 3) for d in (-1, 0, 1)), 5]
    for start in (each for each in edges if each < len(content)):
        for length in (0, 1, 2, FRAME, 6 << 20):
            assert get(keyed, "key", start, length) == content[start : start + length]


def test_parts_at_rest_are_encrypted(keyed: Keyed) -> None:
    store, text_ = keyed.store, b"very plain words " * 1000
    upload_id = store.create_upload("box", "key", FACTS, encryption=keyed.keys.sse_s3())
    store.put_part("box", "key", upload_id, 1, io.BytesIO(text_))
    assert [each.size for each in store.parts("box", "key", upload_id)] == [len(text_)]
    folder = keyed.root / "box/.eucabox/uploads" / upload_id
    assert all(b"very plain" not in each.read_bytes() for each in folder.iterdir())


def test_a_part_in_another_place_is_refused(keyed: Keyed) -> None:
    upload(keyed, "key", "AES256", (1, body(5 << 20, 1)), (2, body(5 << 20, 2)))
    header = header_of(keyed, "key")

    def swap(file: bytearray) -> None:
        half = (len(file) - header) // 2
        file[header:] = file[header + half :] + file[header : header + half]

    damage(keyed, "key", swap)
    for start in (0, 5 << 20):
        with pytest.raises(ObjectDamaged):
            get(keyed, "key", start, 1)


@pytest.mark.not_fast
@pytest.mark.parametrize("lost", ["attributes", "nothing"])
def test_an_object_without_its_last_part_is_damaged(keyed: Keyed, lost: str) -> None:
    upload(keyed, "key", "AES256", (1, body(5 << 20, 1)), (2, body(5 << 20, 2)))
    header = header_of(keyed, "key")
    half = (keyed.file("key").stat().st_size - header) // 2
    damage(keyed, "key", lambda file: file.__delitem__(slice(header + half, None)))
    if lost == "attributes":
        os.removexattr(keyed.file("key"), NAME)
    with pytest.raises(ObjectDamaged):
        get(keyed, "key", 0, 1)


def test_a_part_alone_is_no_object(keyed: Keyed) -> None:
    store = keyed.store
    upload_id = store.create_upload("box", "key", FACTS, encryption=keyed.keys.sse_s3())
    store.put_part("box", "key", upload_id, 1, io.BytesIO(b"part"))
    put(keyed, "key", b"whole")
    shutil.copyfile(keyed.root / f"box/.eucabox/uploads/{upload_id}/00001", keyed.file("key"))
    with pytest.raises(ObjectDamaged):
        get(keyed, "key")


@pytest.mark.parametrize("kind", [*KINDS, ""])
@pytest.mark.parametrize("to", [*KINDS, ""])
def test_a_copy_is_encrypted_with_its_own_key(keyed: Keyed, kind: str, to: str) -> None:
    content = body(FRAME + 5)
    if kind:
        put(keyed, "from", content, kind, algorithms=["CRC32"])
    else:
        crc32 = ExpectedBody(algorithms=("CRC32",))
        keyed.store.put("box", "from", io.BytesIO(content), FACTS, crc32)
    customer_key = CUSTOMER if kind == "SSE-C" else None
    encryption = KINDS[to](keyed.keys) if to else None
    made = keyed.store.copy(
        "box", "from", "box", "to", encryption=encryption, customer_key=customer_key
    )
    assert (made.sealed.kind if made.sealed else "") == to
    assert made.properties.checksums == keyed.store.head("box", "from").properties.checksums != {}
    assert (made.e_tag == hashlib.md5(content).hexdigest()) == (to in ("", "AES256"))
    assert get(keyed, "to") == content
    assert (keyed.file("to").read_bytes() == content) == (to == "")


def test_versions_stay_readable(keyed: Keyed) -> None:
    store = keyed.store
    store.set_bucket_setting("box", "versioning", {"status": "Enabled"})
    made = [put(keyed, "key", body(100, seed), kind) for seed, kind in enumerate(KINDS)]
    store.put("box", "key", io.BytesIO(b"plain"), FACTS)
    store.delete("box", "key")
    for seed, each in enumerate(made):
        with store.open("box", "key", each.version_id) as found:
            assert found.object.sealed == each.sealed
            found.unlock(CUSTOMER)
            assert found.read() == body(100, seed)
    assert store.rescan("box") >= 0
    sizes = {each.object.version_id: each.object.size for each in store.versions("box").versions}
    assert all(sizes[each.version_id] == 100 for each in made)


def test_a_copy_onto_itself_changes_the_encryption(keyed: Keyed) -> None:
    put(keyed, "key", b"content")
    keyed.store.copy("box", "key", "box", "key", encryption=keyed.keys.sse_kms("first"))
    found = keyed.store.head("box", "key")
    assert found.sealed is not None and found.sealed.kind == "aws:kms"
    assert get(keyed, "key") == b"content"


def test_a_full_disk_keeps_nothing(keyed: Keyed, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    encryption = keyed.keys.sse_s3()
    before = names(Path("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for _ in range(3):
            with pytest.raises(DiskFull):
                keyed.store.put("box", "key", io.BytesIO(b"x"), FACTS, encryption=encryption)
    assert leftovers(keyed.root) == []
    assert len(names(Path("/proc/self/fd"))) == len(before)
