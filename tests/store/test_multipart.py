"""Multipart uploads: put, listed, completed, aborted, and wrong requests."""

import base64
import hashlib
import io
import os
import shutil
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eucabox.bucket import Store
from eucabox.errors import (
    BadDigest,
    ChecksumTypeUnfit,
    EntityTooSmall,
    InvalidObjectSize,
    InvalidPart,
    InvalidPartNumber,
    InvalidPartOrder,
    JoinedTooLarge,
    MalformedPartList,
    NoSuchBucket,
    NoSuchUpload,
    PreconditionFailed,
)
from eucabox.store import dirfd, multipart, upload_parts
from eucabox.store.attributes import NAME
from eucabox.store.temp_file import ExpectedBody
from tests.store.conftest import FACTS, content, leftovers, names


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_parts, "SMALLEST", 100)


PIECES = [b"a" * 100, b"b" * 150, b"c"]


def begin(store: Store, algorithm: str = "", kind: str = "") -> str:
    return store.create_upload("box", "dir/key", FACTS, algorithm, kind)


def fill(store: Store, upload_id: str) -> list[tuple[int, str, dict[str, str]]]:
    made = [
        store.put_part("box", "dir/key", upload_id, number * 3, io.BytesIO(piece))
        for number, piece in enumerate(PIECES, 1)
    ]
    return [(each.number, each.e_tag, each.checksums) for each in made]


def test_parts_become_an_object(store: Store, root: Path) -> None:
    upload_id = begin(store)
    parts = fill(store, upload_id)
    assert [(each.number, each.size) for each in store.parts("box", "dir/key", upload_id)] == [
        (3, 100),
        (6, 150),
        (9, 1),
    ]
    assert store.list("box").objects == []
    made = store.complete_upload("box", "dir/key", upload_id, parts)
    digests = b"".join(hashlib.md5(piece).digest() for piece in PIECES)
    assert made.e_tag == hashlib.md5(digests).hexdigest() + "-3"
    assert (made.parts, made.size) == ((100, 150, 1), 251)
    assert replace(made.properties, checksums={}, checksum_type="") == FACTS
    whole = store.put("box", "whole", io.BytesIO(b"".join(PIECES)), FACTS)
    assert (
        made.properties == whole.properties
    )  # CRC64NVME of the full object, as nobody named another
    store.delete("box", "whole")
    assert store.head("box", "dir/key") == made
    assert content(store, "dir/key") == b"".join(PIECES)
    assert names(root / "box/.eucabox/uploads") == []
    assert leftovers(root) == []
    assert store.complete_upload("box", "dir/key", upload_id, parts) == made
    with pytest.raises(NoSuchUpload):
        store.complete_upload("box", "dir/key", upload_id, parts[:2])
    copied = store.copy("box", "dir/key", "box", "copy")
    assert (copied.e_tag, copied.parts) == (hashlib.md5(b"".join(PIECES)).hexdigest(), ())


def test_a_part_is_replaced_and_another_left_out(store: Store) -> None:
    upload_id = begin(store)
    parts = fill(store, upload_id)
    new = store.put_part("box", "dir/key", upload_id, 3, io.BytesIO(b"z" * 101))
    with pytest.raises(InvalidPart):
        store.complete_upload("box", "dir/key", upload_id, parts)
    wanted = [(3, f'"{new.e_tag}"', {}), parts[2]]
    assert store.complete_upload("box", "dir/key", upload_id, wanted).size == 102
    assert content(store, "dir/key") == b"z" * 101 + b"c"


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
def test_checksum_of_the_whole(store: Store, algorithm: str) -> None:
    upload_id = begin(store, algorithm, "FULL_OBJECT")
    parts = fill(store, upload_id)
    body = io.BytesIO(b"".join(PIECES))
    expected = ExpectedBody(algorithms=(algorithm,))
    whole = store.put("box", "whole", body, FACTS, expected).properties.checksums
    with pytest.raises(BadDigest):
        store.complete_upload("box", "dir/key", upload_id, parts, checksums=parts[0][2])
    made = store.complete_upload("box", "dir/key", upload_id, parts, checksums=whole)
    assert (made.properties.checksums, made.properties.checksum_type) == (whole, "FULL_OBJECT")


def test_checksum_of_checksums(store: Store) -> None:
    upload_id = begin(store, "CRC32")
    parts = fill(store, upload_id)
    sums = b"".join(zlib.crc32(piece).to_bytes(4, "big") for piece in PIECES)
    whole = base64.b64encode(zlib.crc32(sums).to_bytes(4, "big")).decode() + "-3"
    wrong = [(*parts[0][:2], parts[1][2]), *parts[1:]]
    with pytest.raises(InvalidPart):
        store.complete_upload("box", "dir/key", upload_id, wrong)
    made = store.complete_upload("box", "dir/key", upload_id, parts, checksums={"CRC32": whole})
    assert (made.properties.checksums, made.properties.checksum_type) == (
        {"CRC32": whole},
        "COMPOSITE",
    )
    assert made.part_checksums == tuple(each[2]["CRC32"] for each in parts)
    copied = store.copy("box", "dir/key", "box", "copy")
    assert copied.properties.checksum_type == "FULL_OBJECT"
    assert copied.properties.checksums["CRC32"] != whole


def test_many_parts_are_removed_later(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multipart, "FEW", 2)
    upload_id = begin(store)
    made = store.complete_upload("box", "dir/key", upload_id, fill(store, upload_id))
    deadline = time.monotonic() + 10
    while leftovers(root) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (leftovers(root), made.size) == ([], 251)


def test_pages_of_parts(store: Store) -> None:
    upload_id = begin(store)
    fill(store, upload_id)

    def numbers(**options: int) -> list[int]:
        parts = store.parts("box", "dir/key", upload_id, **options)
        return [each.number for each in parts]

    assert numbers() == [3, 6, 9]
    assert numbers(after=3, limit=1) == [6]
    assert numbers(after=9) == numbers(limit=0) == []


def test_a_listing_of_uploads_follows_new_and_ended_ones(store: Store) -> None:
    ids = [store.create_upload("box", key, FACTS) for key in ("b", "a", "b")]
    assert [each.key for each in store.uploads("box").uploads] == ["a", "b", "b"]
    store.abort_upload("box", "b", ids[0])
    new = store.create_upload("box", "A", FACTS)
    listed = [each.upload_id for each in store.uploads("box").uploads]
    assert listed == [new, ids[1], ids[2]]
    page = store.uploads("box", limit=2)
    assert (page.next_key, page.next_upload_id, page.truncated) == ("a", ids[1], True)
    rest = store.uploads("box", key_marker="a", upload_id_marker=ids[1])
    assert [each.upload_id for each in rest.uploads] == [ids[2]]


def test_wrong_lists_of_parts(store: Store) -> None:
    upload_id = begin(store)
    parts = fill(store, upload_id)

    def complete(*wanted: tuple[int, str, dict[str, str]], **options: object) -> None:
        store.complete_upload("box", "dir/key", upload_id, wanted, **options)  # type: ignore[arg-type]

    with pytest.raises(MalformedPartList):
        complete()
    with pytest.raises(InvalidPartOrder):
        complete(parts[1], parts[0])
    with pytest.raises(InvalidPart):
        complete((4, parts[0][1], {}))
    with pytest.raises(InvalidPartNumber):
        complete((0, parts[0][1], {}))
    with pytest.raises(EntityTooSmall):
        complete(
            parts[2],
            (10, store.put_part("box", "dir/key", upload_id, 10, io.BytesIO(b"last")).e_tag, {}),
        )
    with pytest.raises(InvalidObjectSize):
        complete(*parts, size=1)
    complete(*parts, size=251, if_none_match="*")


def test_conditions_of_the_completion_are_checked(store: Store) -> None:
    store.put("box", "dir/key", io.BytesIO(b"old"), FACTS)
    upload_id = begin(store)
    parts = fill(store, upload_id)
    with pytest.raises(PreconditionFailed):
        store.complete_upload("box", "dir/key", upload_id, parts, if_none_match="*")
    assert content(store, "dir/key") == b"old"
    store.complete_upload("box", "dir/key", upload_id, parts, if_match="*")


def test_wrong_uploads_and_parts(store: Store) -> None:
    upload_id = begin(store)
    for wrong in ("", "x", "../../..", "0" * 40, upload_id.upper() + "\n"):
        with pytest.raises(NoSuchUpload):
            store.parts("box", "dir/key", wrong)
    with pytest.raises(NoSuchUpload):
        store.put_part("box", "another key", upload_id, 1, io.BytesIO())
    for number in (0, 10_001, -1):
        with pytest.raises(InvalidPartNumber):
            store.put_part("box", "dir/key", upload_id, number, io.BytesIO())
    with pytest.raises(ChecksumTypeUnfit):
        begin(store, "SHA256", "FULL_OBJECT")
    with pytest.raises(BadDigest):
        store.put_part(
            "box", "dir/key", upload_id, 1, io.BytesIO(), ExpectedBody(content_md5=bytes(16))
        )
    assert store.parts("box", "dir/key", upload_id) == []


def test_an_upload_is_aborted(store: Store, root: Path) -> None:
    upload_id = begin(store)
    fill(store, upload_id)
    store.abort_upload("box", "dir/key", upload_id)
    for again in (store.abort_upload, store.parts, store.upload):
        with pytest.raises(NoSuchUpload):
            again("box", "dir/key", upload_id)
    assert names(root / "box/.eucabox/uploads") == []
    assert leftovers(root) == []


def test_an_abort_that_comes_while_the_upload_is_completed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = begin(store)
    parts = fill(store, upload_id)
    locked, done = store._multipart._lock, list[str]()

    def late(named: str) -> Any:
        if not done:
            done.append(named)
            store.complete_upload("box", "dir/key", upload_id, parts)
        return locked(named)

    monkeypatch.setattr(store._multipart, "_lock", late)
    with pytest.raises(NoSuchUpload):
        store.abort_upload("box", "dir/key", upload_id)
    assert store.head("box", "dir/key").size == 251


def test_an_upload_is_begun_while_its_bucket_is_deleted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    making = dirfd.descend_making

    def late(folder: int, names: list[str]) -> int:
        if names[0] == "uploads":
            store.delete_bucket("box")
        return making(folder, names)

    monkeypatch.setattr(dirfd, "descend_making", late)
    with pytest.raises(NoSuchBucket):
        begin(store)


@pytest.mark.parametrize("harm", [b"", b"{", b"{}", b"[]", b"\xff"])
def test_a_part_that_can_not_be_read_is_missing(store: Store, root: Path, harm: bytes) -> None:
    upload_id = begin(store)
    parts = fill(store, upload_id)
    folder = root / "box/.eucabox/uploads" / upload_id
    beside = list(folder.glob("00003.*"))
    if beside:
        beside[0].write_bytes(harm)
    else:
        os.setxattr(folder / "00003", NAME, harm)
    found = store.parts("box", "dir/key", upload_id)
    assert [each.number for each in found] == [6, 9]
    with pytest.raises(InvalidPart):
        store.complete_upload("box", "dir/key", upload_id, parts)


def test_uploads_outlive_the_process(store: Store, root: Path) -> None:
    upload_id = begin(store, "CRC32")
    parts = fill(store, upload_id)
    before = store.upload("box", "dir/key", upload_id)
    store.close()
    again = Store(root)
    assert again.upload("box", "dir/key", upload_id) == before
    assert again.complete_upload("box", "dir/key", upload_id, parts).size == 251
    again.close()


def test_uploads_in_pages(store: Store) -> None:
    names = ["a", "b/1", "b/2", "c", "c", "d/1"]
    made = [(name, store.create_upload("box", name, FACTS)) for name in names]
    whole = store.uploads("box")
    assert [(each.key, each.upload_id) for each in whole.uploads] == made
    assert not whole.truncated
    found: list[str] = []
    key, upload_id = "", ""
    while True:
        page = store.uploads("box", "", "/", key, upload_id, 1)
        found += [each.key for each in page.uploads] + page.prefixes
        if page.next_key is None or page.next_upload_id is None:
            break
        key, upload_id = page.next_key, page.next_upload_id
    assert found == ["a", "b/", "c", "c", "d/"]
    assert [each.key for each in store.uploads("box", prefix="b/").uploads] == ["b/1", "b/2"]
    assert [each.key for each in store.uploads("box", key_marker="c").uploads] == ["d/1"]


def test_a_kill_between_the_object_and_the_end_of_its_upload(
    store: Store, root: Path, tmp_path: Path
) -> None:
    upload_id = begin(store)
    parts = fill(store, upload_id)
    uploads = root / "box/.eucabox/uploads"
    shutil.copytree(uploads, tmp_path / "uploads")
    made = store.complete_upload("box", "dir/key", upload_id, parts)
    going_on = begin(store)
    store.close()
    shutil.copytree(tmp_path / "uploads", uploads, dirs_exist_ok=True)
    (uploads / ("0" * 40)).mkdir()  # killed before its file was written
    again = Store(root)
    assert names(uploads) == [going_on]
    assert again.complete_upload("box", "dir/key", upload_id, parts) == made
    again.close()


def test_all_parts_together_have_a_limit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "LARGEST", 250)
    upload_id = begin(store)
    parts = fill(store, upload_id)
    with pytest.raises(JoinedTooLarge) as refused:
        store.complete_upload("box", "dir/key", upload_id, parts)
    assert refused.value.code == "EntityTooLarge"
    assert store.complete_upload("box", "dir/key", upload_id, parts[:2]).size == 250


def folder(root: Path, upload_id: str) -> Path:
    return root / "box" / ".eucabox" / "uploads" / upload_id


def damage_it(at: Path, how: str) -> None:
    if how == "garbage":
        (at / "upload.json").write_bytes(b"\xff{")
    elif how == "not ours":
        (at / "upload.json").write_bytes(b'{"key": 7}')
    elif how == "a list":
        (at / "upload.json").write_bytes(b"[]")
    else:
        shutil.rmtree(at)
        if how == "a link":
            at.symlink_to("/etc")
        else:
            at.write_bytes(b"")


@pytest.mark.not_fast
@pytest.mark.parametrize("damage", ["a link", "a file", "garbage", "not ours", "a list"])
def test_a_damaged_upload_is_not_found_and_others_are(
    store: Store, root: Path, damage: str
) -> None:
    upload_id, other = begin(store), begin(store)
    parts = fill(store, other)
    fill(store, upload_id)
    damage_it(folder(root, upload_id), damage)
    for _ in range(2):
        with pytest.raises(NoSuchUpload):
            store.put_part("box", "dir/key", upload_id, 1, io.BytesIO(b"x"))
        with pytest.raises(NoSuchUpload):
            store.abort_upload("box", "dir/key", upload_id)
        assert [each.upload_id for each in store.uploads("box").uploads] == [other]
        store.close()
        store = Store(root)  # it starts, and leaves what it does not know
    store.complete_upload("box", "dir/key", other, parts)
    assert folder(root, upload_id).is_symlink() or folder(root, upload_id).exists()
    store.close()


def test_a_damaged_part_is_missing(store: Store, root: Path) -> None:
    upload_id = begin(store)
    parts = fill(store, upload_id)
    file = folder(root, upload_id) / "00003"
    file.unlink()
    file.write_bytes(b"a" * 100)
    with pytest.raises(InvalidPart):
        store.complete_upload("box", "dir/key", upload_id, parts)
    assert [each.number for each in store.parts("box", "dir/key", upload_id)] == [6, 9]
