import os
import re
from pathlib import Path

import pytest

from eucabox.errors import BundleFailed
from eucabox.image import bundle_crypto, manifest, strict_xml
from tests.image import vectors
from tests.image.vectors import CLOUD_KEY, USER_KEY, make, read, take_out

NOISE = os.urandom(100_000)


def image(folder: Path, content: bytes) -> Path:
    path = folder / "root.img"
    path.write_bytes(content)
    return path


@pytest.mark.not_fast
@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 10240, 65536, 100_000])
@pytest.mark.parametrize("part_size", [1000, 10 * 2**20])
def test_what_goes_in_comes_out(tmp_path: Path, size: int, part_size: int) -> None:
    path = make(image(tmp_path, NOISE[:size]), tmp_path / "out", part_size=part_size)
    take_out(path, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == NOISE[:size]


def test_a_hundred_parts_have_three_digits(tmp_path: Path) -> None:
    path = make(image(tmp_path, NOISE), tmp_path / "out", part_size=1000)
    names = [part.name for part in read(path).parts]
    assert len(names) > 100
    assert (names[9], names[99], names[100]) == (
        "root.img.part.09", "root.img.part.99", "root.img.part.100",
    )  # fmt: skip
    take_out(path, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == NOISE


@pytest.mark.not_fast
def test_an_exact_fit_ends_with_a_part_of_no_bytes(tmp_path: Path) -> None:
    first = make(image(tmp_path, NOISE), tmp_path / "first")
    size = read(first).bundled_size
    path = make(image(tmp_path, NOISE), tmp_path / "out", part_size=size)
    assert [(tmp_path / "out" / part.name).stat().st_size for part in read(path).parts] == [size, 0]
    take_out(path, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == NOISE


@pytest.mark.not_fast
def test_a_sparse_image_stays_sparse(tmp_path: Path) -> None:
    sparse = tmp_path / "sparse.img"
    with sparse.open("wb") as file:
        file.truncate(20 * 2**20)
        os.pwrite(file.fileno(), b"x" * 5000, 7 * 2**20 + 100)
    take_out(make(sparse, tmp_path / "out"), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == sparse.read_bytes()
    assert (tmp_path / "again").stat().st_blocks * 512 <= 64 * 1024


@pytest.mark.not_fast
def test_the_manifest_is_euca2ools_own(tmp_path: Path) -> None:
    facts = {"ami": "sda1", "root": "/dev/sda1"}
    path = make(
        vectors.DATA / "root.img", tmp_path / "out", part_size=1024, kernel_id="eki-12345678",
        ramdisk_id="eri-12345678", block_device_mapping=facts,
    )  # fmt: skip
    ours, theirs = read(path), read(vectors.DATA / "root.img.manifest.xml")

    # A tar header may leave device numbers empty or write zeros, so its digest may differ.
    def start(raw: bytes) -> bytes:
        signed = raw[raw.index(b"<machine_configuration") : raw.index(b"<bundled_size>")]
        return re.sub(rb'(<digest algorithm="SHA1">)[0-9a-f]{40}', rb"\1", signed)

    assert start(ours.raw) == start(theirs.raw)
    assert ours.raw.startswith(b"<?xml version='1.0' encoding='ASCII'?>\n<manifest><version>")


@pytest.mark.not_fast
@pytest.mark.parametrize("kind", ["kernel", "ramdisk"])
def test_kernels_and_ramdisks_say_so_twice(tmp_path: Path, kind: str) -> None:
    found = read(make(image(tmp_path, NOISE), tmp_path / "out", image_type=kind))
    assert found.image_type == kind
    assert {"kernel": found.kernel_id, "ramdisk": found.ramdisk_id}[kind] == "true"


@pytest.mark.not_fast
def test_names_may_have_spaces_and_ampersands(tmp_path: Path) -> None:
    path = make(image(tmp_path, NOISE), tmp_path / "out", prefix="Tom & <Jerry> " + "x" * 100)
    take_out(path, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == NOISE


@pytest.mark.not_fast
def test_progress_reaches_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    make(image(tmp_path, NOISE), tmp_path / "out", progress=lambda *each: seen.append(each))
    assert seen[-1] == (len(NOISE), len(NOISE))
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"prefix": "a/b"}, "plain ASCII"),
        ({"prefix": "stra\u00dfe"}, "plain ASCII"),
        ({"image_type": "disk"}, "machine, kernel, ramdisk"),
        ({"part_size": 0}, "1 byte or more"),
    ],
)
def test_what_cannot_be_bundled_is_refused(
    tmp_path: Path, members: dict[str, object], reason: str
) -> None:
    with pytest.raises(BundleFailed, match=reason):
        make(image(tmp_path, NOISE), tmp_path / "out", **members)


def test_a_bad_certificate_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "CLOUD_CERTIFICATE", "no certificate")
    with pytest.raises(BundleFailed, match="the cloud certificate is not usable PEM"):
        make(image(tmp_path, NOISE), tmp_path / "out")


@pytest.mark.not_fast
def test_a_failure_leaves_no_parts(tmp_path: Path) -> None:
    def give_up(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(image(tmp_path, NOISE), tmp_path / "out", part_size=1000, progress=give_up)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.not_fast
def test_the_user_s_own_key_opens_it_too(tmp_path: Path) -> None:
    found = read(make(image(tmp_path, NOISE), tmp_path / "out"))
    cloud = manifest.open_key(found, bundle_crypto.private_key(CLOUD_KEY))
    root = strict_xml.parse(found.raw)
    sealed = [root.find("image", f"user_encrypted_{name}") for name in ("key", "iv")]
    user = [
        bundle_crypto.unseal(each.text, bundle_crypto.private_key(USER_KEY))
        for each in sealed
        if each
    ]
    assert tuple(user) == cloud
