"""The members of a backup: a POSIX tar (pax) of plain files; strict in what it reads back."""

import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from eucabox.operator.backup.sealed_file import SealedReader

BLOCK = 512
READ = 1 << 18  # bytes of a member that are in memory at once
ATTRIBUTES = "SCHILY.xattr.user.eucabox"  # as GNU tar keeps the attribute user.eucabox
KNOWN = {"path", "size", "mtime", "hdrcharset", ATTRIBUTES}
LONGEST_PAX = 8 << 20  # bytes; an object of 10,000 parts has half a MiB of attributes
LARGEST = 1 << 50
SECOND = 1_000_000_000
MTIME = re.compile(r"([0-9]{1,11})(?:[.]([0-9]{1,9}))?", re.ASCII)
MODE = 0o600


class Sink(Protocol):
    """What takes the bytes of the tar."""

    def write(self, data: bytes) -> None:
        """Append bytes."""


def write_member(
    sink: Sink,
    name: str,
    size: int,
    chunks: Iterable[bytes],
    mtime: int = 0,
    attributes: bytes | None = None,
) -> None:
    """Append a file; `chunks` have exactly `size` bytes in all, `mtime` is in ns."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, MODE, mtime // SECOND
    info.pax_headers = {"mtime": f"{mtime // SECOND}.{mtime % SECOND:09}"}
    if attributes is not None:
        info.pax_headers[ATTRIBUTES] = attributes.decode("utf-8", "surrogateescape")
    sink.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
    left = size
    for chunk in chunks:
        left -= len(chunk)
        sink.write(chunk)
    assert left == 0
    sink.write(bytes(-size % BLOCK))


def write_small(sink: Sink, name: str, content: bytes, mtime: int = 0) -> None:
    """Append a file whose content is in memory."""
    write_member(sink, name, len(content), [content], mtime)


def write_end(sink: Sink) -> None:
    """Append the end of the tar."""
    sink.write(bytes(2 * BLOCK))


@dataclass
class Member:
    """A file of a backup that is being read: `mtime` in ns. Read it before the next."""

    name: str
    size: int
    mtime: int
    attributes: bytes | None
    reader: SealedReader

    def chunks(self) -> Iterator[bytes]:
        """Yield the content."""
        left = self.size
        while left:
            chunk = self.reader.read(min(left, READ))
            left -= len(chunk)
            yield chunk

    def read_small(self, most: int) -> bytes:
        """Return the whole content; BackupDamaged if it has more than `most` bytes."""
        if self.size > most:
            raise self.reader.make_fault(f"{self.name} has {self.size} bytes, more than can be")
        return self.reader.read(self.size)


def read_members(reader: SealedReader) -> Iterator[Member]:
    """Yield each member; whoever reads not all of one is given a BackupDamaged for the next."""
    while (info := _read_header(reader)) is not None:
        pax: dict[str, bytes] = {}
        if info.type == tarfile.XHDTYPE:
            pax = _read_pax(reader, info.size)
            info = _read_header(reader)
        if info is None or info.type != tarfile.REGTYPE:
            raise reader.make_fault("a member is no plain file")
        member = _make_member(reader, info, pax)
        reader.place = f"in {member.name[:200]!r}"
        yield member
        if reader.read(-member.size % BLOCK).strip(b"\0"):
            raise reader.make_fault("a member is longer than it says")
    reader.place = "at its end"
    if reader.read(BLOCK).strip(b"\0"):
        raise reader.make_fault("its tar has no end")
    reader.finish()


def _read_header(reader: SealedReader) -> tarfile.TarInfo | None:
    block = reader.read(BLOCK)
    if not block.strip(b"\0"):
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        raise reader.make_fault("the header of a member is none") from None


def _read_pax(reader: SealedReader, size: int) -> dict[str, bytes]:
    if not 0 < size <= LONGEST_PAX:
        raise reader.make_fault("the pax header of a member is too long")
    raw = reader.read(size)
    reader.read(-size % BLOCK)
    pax, at = {}, 0
    while at < len(raw):
        length_text, blank, _ = raw[at : at + 20].partition(b" ")
        length = int(length_text) if blank and length_text.isdigit() else 0
        record = raw[at + len(length_text) + 1 : at + length]
        name, equals, value = record.partition(b"=")
        keyword = name.decode("ascii", "replace")
        if not equals or not value.endswith(b"\n") or keyword not in KNOWN:
            raise reader.make_fault("the pax header of a member is none")
        pax[keyword] = value[:-1]
        at += length
    return pax


def _make_member(reader: SealedReader, info: tarfile.TarInfo, pax: dict[str, bytes]) -> Member:
    try:
        name = pax["path"].decode() if "path" in pax else info.name
        name.encode()
        size = int(pax.get("size", b"%d" % info.size))
        when = MTIME.fullmatch(pax.get("mtime", b"0").decode("ascii"))
    except ValueError:
        raise reader.make_fault("the header of a member is none") from None
    if when is None or not 0 <= size <= LARGEST:
        raise reader.make_fault("a member has a time or a size that none has")
    mtime = int(when[1]) * SECOND + int((when[2] or "0").ljust(9, "0"))
    return Member(name, size, mtime, pax.get(ATTRIBUTES), reader)
