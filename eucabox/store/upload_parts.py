"""The parts of one upload: read, chosen by what a client names, and described as one object."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import md5
from itertools import pairwise, zip_longest

from eucabox.errors import (
    ChecksumMismatch,
    EntityTooSmall,
    InvalidPart,
    InvalidPartNumber,
    InvalidPartOrder,
    MalformedPartList,
)
from eucabox.store import attributes, checksums, dirfd
from eucabox.store.types import FULL_OBJECT, ObjectProperties, Upload, UploadPart, to_datetime
from eucabox.store.write_specs import CompletionSpec

MD5 = re.compile("[0-9a-f]{32}", re.ASCII)
MOST_PARTS = 10_000
SMALLEST = 5 << 20  # bytes of every part but the last

RequestedParts = Sequence[tuple[int, str, dict[str, str]]]  # number, ETag, checksums


def read_part(dir_fd: int, number: int) -> UploadPart | None:
    """Return a part in the folder of its upload, None if it is missing or damaged."""
    name = f"{number:05}"
    descriptor = dirfd.open_file(dir_fd, [name])
    if descriptor is None:
        return None
    try:
        status, raw = os.fstat(descriptor), attributes.read(descriptor)
    finally:
        os.close(descriptor)
    modified = to_datetime(status.st_mtime_ns)
    try:
        record = json.loads(raw or dirfd.read_small(dir_fd, [sidecar_name(name, status)]) or b"")
        return UploadPart(
            number, record.get("s", status.st_size), record["e"], modified, record["c"]
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def sidecar_name(name: str, status: os.stat_result) -> str:
    """Return the name of the file with a part's attributes, if the file system has no room for
    them at the part."""
    return f"{name}.{attributes.identity(status)}"


def drop_repeated(wanted: RequestedParts) -> RequestedParts:
    """Return the parts named, of equal neighbours the last: a client that sent a part twice may
    name it twice."""
    following = zip_longest(wanted, wanted[1:])
    return [part for part, after in following if after is None or after[0] != part[0]]


def choose_parts(dir_fd: int, wanted: RequestedParts) -> list[UploadPart]:
    """Return the parts that the caller names; a Fault unless each exists as named."""
    if not wanted:
        raise MalformedPartList
    for number, *_ in wanted:
        if number < 1:
            raise InvalidPartNumber(number=number, limit=MOST_PARTS)
    for (previous, *_), (number, *_) in pairwise(wanted):
        if number <= previous:
            raise InvalidPartOrder(number=number, previous=previous)
    parts = [_choose_one(dir_fd, *each) for each in wanted]
    for part in parts[:-1]:
        if part.size < SMALLEST:
            raise EntityTooSmall(
                number=part.number, size=part.size, limit=SMALLEST, e_tag=part.e_tag
            )
    return parts


def _choose_one(dir_fd: int, number: int, e_tag: str, stated: dict[str, str]) -> UploadPart:
    part = read_part(dir_fd, number) if number <= MOST_PARTS else None
    if part is None or part.e_tag != e_tag.strip('"'):
        raise InvalidPart(number=number, e_tag=e_tag.strip('"'))
    for algorithm, value in stated.items():
        if part.checksums.get(algorithm) != value:
            raise InvalidPart(number=number, e_tag=e_tag.strip('"'))
    return part


def join_etags(tags: Iterable[str]) -> str:
    """Return the ETag of an object from those of its parts: the MD5 of their MD5s, and how many."""
    digests = [bytes.fromhex(tag) if MD5.fullmatch(tag) else b"" for tag in tags]
    return f"{md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def join_properties(
    upload: Upload, parts: list[UploadPart], spec: CompletionSpec
) -> tuple[ObjectProperties, tuple[str, ...]]:
    """Return the properties of the whole object with its checksum, and the checksums of the
    parts."""
    algorithm, kind = upload.checksum_algorithm, upload.checksum_type
    if not algorithm:
        algorithm, kind = _common_algorithm(parts, spec.checksums), FULL_OBJECT
    for name in spec.checksums:
        if name != algorithm:
            raise ChecksumMismatch(expected=algorithm or "none", found=name)
    if not algorithm:
        return upload.properties, ()
    part_checksums = tuple(part.checksums[algorithm] for part in parts)
    sized = [(part.size, part.checksums[algorithm]) for part in parts]
    checksum = checksums.join(algorithm, kind, sized)
    stated = spec.checksums.get(algorithm)
    if stated is not None and kind == FULL_OBJECT:
        checksums.compare(algorithm, checksum, stated)
    elif stated is not None:
        checksums.compare_composite(algorithm, checksum, stated)
    whole = replace(upload.properties, checksums={algorithm: checksum}, checksum_type=kind)
    return whole, part_checksums


def _common_algorithm(parts: list[UploadPart], stated: Iterable[str]) -> str:
    """Return the CRC that all parts have, "" if none; a CRC stated for the whole object comes
    first."""
    for algorithm in sorted(checksums.POLYNOMIALS, key=lambda name: name not in stated):
        if all(algorithm in part.checksums for part in parts):
            return algorithm
    return ""
